//! The kinds of sources, and what they are asked and answer in common.

use std::collections::BTreeMap;

use super::increments::{Book, UnitSample};
use super::meter::Meter;
use super::prometheus::Prometheus;
use super::scrape::Scraper;
use crate::rollout::{Observed, Unit};
use crate::words::{AppName, Arm, Arms, Time, Version};

/// Where samples come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A Prometheus, or what speaks like it.
    Prometheus(Prometheus),
    /// The units' own metrics pages.
    Scrape(Scraper),
}

/// What is gathered: which app's versions, since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The app.
    pub app: AppName,
    /// The version of each arm; nothing for an arm that is not looked at.
    pub versions: Arms<Option<Version>>,
    /// When the rollout began: what units that were made since have counted, they counted in it. That is before the
    /// canary's first unit was made.
    pub since: Time,
}

/// What a source is asked at a look.
pub(super) struct Ask<'a> {
    pub(super) subject: &'a Subject,
    pub(super) meters: &'a [Meter],
    /// What was counted so far, by signal.
    pub(super) books: &'a BTreeMap<String, Book>,
    pub(super) observed: &'a Observed,
    pub(super) now: Time,
}

/// What a source answered.
#[derive(Debug, Default)]
pub(super) struct Raw {
    /// By signal, the samples of each unit in the order of their times. A signal for which the source failed is not
    /// there.
    pub(super) counters: BTreeMap<String, Vec<Vec<UnitSample>>>,
    /// By signal, each arm's values by unit; nothing for an arm for which the source failed.
    pub(super) gauges: BTreeMap<String, Arms<Option<BTreeMap<String, f64>>>>,
    /// What went wrong, for a person.
    pub(super) notes: Vec<String>,
    /// How many questions were not answered, or not with what was asked for.
    pub(super) failed: u64,
}

impl Raw {
    /// Notes a question that was not answered, or not with what was asked for.
    pub(super) fn fail(&mut self, why: String) {
        self.notes.push(why);
        self.failed += 1;
    }
}

impl Subject {
    /// The arms that are looked at, with their versions.
    pub(super) fn arms(&self) -> impl Iterator<Item = (Arm, Version)> + use<> {
        let Arms { baseline, canary } = self.versions;
        let baseline = baseline.map(|version| (Arm::Baseline, version));
        baseline.into_iter().chain(canary.map(|version| (Arm::Canary, version)))
    }

    /// The units of the arms.
    pub(super) fn units<'a>(
        &self,
        observed: &'a Observed,
    ) -> impl Iterator<Item = (Arm, &'a Unit)> + use<'a> {
        let arms: Vec<_> = self.arms().collect();
        observed.units.iter().filter_map(move |unit| {
            let (arm, _) = arms.iter().find(|(_, version)| *version == unit.version)?;
            Some((*arm, unit))
        })
    }

    /// The unit that a source means by `label`: its name, its address, or the host of its address.
    pub(super) fn unit<'a>(&self, observed: &'a Observed, arm: Arm, label: &str) -> Option<&'a Unit> {
        let is_host = |address: &str| address.rsplit_once(':').is_some_and(|(host, _)| host == label);
        let means = |unit: &Unit| {
            let address = unit.address.as_deref();
            unit.name == label || address == Some(label) || address.is_some_and(is_host)
        };
        self.units(observed).find(|(of, unit)| *of == arm && means(unit)).map(|(_, unit)| unit)
    }
}

impl Source {
    /// The kind, as the configuration calls it.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Prometheus(_) => "prometheus",
            Self::Scrape(_) => "scrape",
        }
    }

    /// Whether it can be asked for what was. What it cannot, has to be watched beforehand.
    #[must_use]
    pub fn remembers(&self) -> bool {
        matches!(self, Self::Prometheus(_))
    }

    pub(super) async fn gather(&self, ask: &Ask<'_>) -> Raw {
        match self {
            Self::Prometheus(prometheus) => prometheus.gather(ask).await,
            Self::Scrape(scraper) => scraper.gather(ask).await,
        }
    }
}
