//! What a strategy means: steps, bakes, batches, and which process.

use super::LONGEST_BAKE;
use super::resolver::Resolver;
use crate::policy::file::scalar::Name;
use crate::policy::file::strategy;
use crate::policy::file::value::{Field, Given, List};
use crate::policy::file::{File, MOST_NAMES, MOST_STEPS};
use crate::policy::{
    Autoscale, Bake, BlueGreen, Canary, Capacity, Mode, MultiVersion, Reaction, Rolling, Strategy,
};
use crate::words::{Share, Span};

const BAKE: Bake = Bake { at_least: Span::minutes(5), at_most: Span::minutes(60) };

/// Looks without which nothing is proven of a canary.
const PROVEN_LOOKS: u64 = 3;

/// A quarter of the units at a time.
const BATCH: f64 = 0.25;

impl Resolver<'_> {
    pub(super) fn strategy(&mut self, file: &File, look_every: Span, warm_up: Span) -> Strategy {
        match &file.strategy {
            strategy::Strategy::Canary(canary) => Strategy::Canary(self.canary(canary, look_every, warm_up)),
            strategy::Strategy::BlueGreen(blue_green) => Strategy::BlueGreen(BlueGreen {
                bake: self.bake(&blue_green.bake, look_every, warm_up),
                approve: self.or(blue_green.approve.as_ref(), false),
                process: self.process(&blue_green.process),
            }),
            strategy::Strategy::Rolling(rolling) => {
                Strategy::Rolling(self.rolling(rolling, file, look_every, warm_up))
            }
            strategy::Strategy::MultiVersion(both) => Strategy::MultiVersion(self.multi_version(both, file)),
        }
    }

    fn rolling(
        &mut self,
        rolling: &strategy::Rolling,
        file: &File,
        look_every: Span,
        warm_up: Span,
    ) -> Rolling {
        let native = self.or(rolling.native.as_ref(), false);
        let batch = rolling.batch.as_ref().and_then(|field| self.get(field)).copied();
        if let (Some(Share::NONE), Some(field)) = (batch, rolling.batch.as_ref()) {
            self.error(&field.at, "a batch of 0% replaces nothing", "write a share above 0%, as in `25%`");
        }
        if let Some(field) = rolling.batch.as_ref().filter(|_| native) {
            let help =
                "Tsuru sets the batches of a native rolling update itself; leave `batch` or `native` out";
            self.error(&field.at, "a native rolling update has no batches of its own", help);
        }
        if let Some(field) = rolling.native.as_ref().filter(|_| native) {
            let act = file.mode.as_ref().is_none_or(|mode| !matches!(mode.value, Ok(Mode::Advise)));
            if !act {
                let help = "Tsuru rolls without asking; `observe` or `act` can watch it";
                self.error(&field.at, "there is nothing to advise before a native rolling update", help);
            }
            if let Some(first) = file.smoke.value.first() {
                let help = "users reach the new version as soon as it is ready; leave `smoke` out";
                self.error(&first.http.at, "a native rolling update waits for no smoke check", help);
            }
        }
        Rolling {
            batch: batch.or_else(|| Share::new(BATCH)).unwrap_or(Share::ALL),
            bake: self.bake(&rolling.bake, look_every, warm_up),
            process: self.process(&rolling.process),
            native,
        }
    }

    fn multi_version(&mut self, both: &strategy::MultiVersion, file: &File) -> MultiVersion {
        let share = self.get(&both.share).copied().unwrap_or(Share::NONE);
        if both.share.value.is_ok() && (share == Share::NONE || share == Share::ALL) {
            let help = "write a share above 0% and below 100%: both versions serve";
            self.error(&both.share.at, format!("at {share} only one version serves"), help);
        }
        let lasts = both
            .r#for
            .as_ref()
            .map(|field| self.span(Some(field), LONGEST_BAKE, Span::minutes(1)..=LONGEST_BAKE));
        if let Some(field) = both.then.as_ref().filter(|_| lasts.is_none()) {
            let help = "say how long both serve, as in `for: 7d`, or leave `then` out and end it by hand";
            self.error(&field.at, "this never comes to pass: there is no end", help);
        }
        if let Some(field) = file.keep_for.as_ref().filter(|_| lasts.is_none()) {
            let help = "leave it out: both versions are kept until a person ends it";
            self.warn(&field.at, "without `for`, nothing is promoted by itself", help);
        }
        MultiVersion {
            share,
            lasts,
            then: both.then.as_ref().and_then(|field| self.get(field)).map_or(Reaction::Ignore, |end| end.0),
            process: self.process(&both.process),
            capacity: self.or(both.capacity.as_ref(), Capacity::Surge),
        }
    }

    /// The processes that follow the one that serves users.
    pub(super) fn workers(&mut self, file: &File, process: &str) -> Vec<String> {
        let mut workers: Vec<String> = Vec::new();
        for field in self.list(&file.workers, MOST_NAMES) {
            let Some(name) = self.get(field).map(|name| name.0.clone()) else { continue };
            if name == process {
                let help = "leave it out here: the strategy scales it already";
                self.error(&field.at, format!("`{name}` is the process that serves users"), help);
            } else if workers.contains(&name) {
                self.error(&field.at, format!("`{name}` stands here twice"), "leave one of them out");
            }
            workers.push(name);
        }
        let swaps = file.autoscale.as_ref().is_some_and(|field| matches!(field.value, Ok(Autoscale::Swap)));
        if let Some(field) = file.autoscale.as_ref().filter(|_| swaps)
            && matches!(file.strategy, strategy::Strategy::Rolling(_))
        {
            let help = "`suspend` removes autoscalers for the rollout and makes them again";
            self.error(&field.at, "a rolling update needs units that only it changes", help);
        } else if let Some(field) = file.autoscale.as_ref().filter(|_| swaps)
            && matches!(file.strategy, strategy::Strategy::BlueGreen(_))
        {
            let help = "`suspend` removes autoscalers for the rollout and makes them again";
            let message = "while the autoscaler stays with the baseline nobody can give the canary more than one unit, and it \
                           would serve all users with that";
            self.error(&field.at, message, help);
        } else if let Some(field) = file.autoscale.as_ref().filter(|_| swaps && file.keep_for.is_some()) {
            let help =
                "`suspend` removes autoscalers for the rollout and makes them again; or leave `keep_for` out";
            let message = "while the baseline is kept, its autoscaler stays with it, and the canary would serve all users with the \
                           one unit that it has";
            self.error(&field.at, message, help);
        }
        workers
    }

    fn process(&mut self, process: &Given<Field<Name>>) -> String {
        let name = process.as_ref().and_then(|name| self.get(name));
        name.map_or_else(|| "web".to_owned(), |name| name.0.clone())
    }

    fn canary(&mut self, canary: &strategy::Canary, look_every: Span, warm_up: Span) -> Canary {
        let steps = self.steps(&canary.steps);
        let bake = self.bake(&canary.bake, look_every, warm_up);
        // Of steps that were misread, nothing can be said.
        let known = steps.len() == canary.steps.value.len() && !steps.is_empty();
        let approve = if known { self.approve(&canary.approve, &steps) } else { Vec::new() };
        Canary {
            steps,
            bake,
            approve,
            process: self.process(&canary.process),
            capacity: self.or(canary.capacity.as_ref(), Capacity::Surge),
        }
    }

    fn steps(&mut self, list: &List<Field<Share>>) -> Vec<Share> {
        if list.value.is_empty() {
            self.error(&list.at, "there is no step", "list shares of traffic, as in `[5%, 25%, 50%]`");
        }
        let mut steps: Vec<Share> = Vec::new();
        for field in self.list(list, MOST_STEPS) {
            let Some(step) = self.get(field).copied() else { continue };
            let before = steps.last().copied();
            if step == Share::NONE {
                self.error(
                    &field.at,
                    "a step of 0% tests nothing",
                    "leave it out, or write a share above 0%",
                );
            } else if step == Share::ALL {
                let help = "leave it out: after the last step the canary gets everything";
                self.error(&field.at, "a step of 100% is no step", help);
            } else if before.is_some_and(|before| step == before) {
                self.error(&field.at, format!("the step {step} stands here twice"), "leave one of them out");
            } else if let Some(before) = before.filter(|before| step < *before) {
                let message = format!("the step {step} comes after {before}, which is larger");
                self.error(&field.at, message, "write the steps from the smallest to the largest");
            }
            steps.push(step);
        }
        steps
    }

    fn bake(&mut self, bake: &strategy::Bake, look_every: Span, warm_up: Span) -> Bake {
        let shortest = Span::seconds(1);
        let at_least = self.span(bake.at_least.as_ref(), BAKE.at_least, shortest..=LONGEST_BAKE);
        let at_most = self.span(bake.at_most.as_ref(), BAKE.at_most, shortest..=LONGEST_BAKE);
        // Of a duration that was misread, nothing can be said.
        let read = |field: &Given<Field<Span>>| field.as_ref().is_none_or(|field| field.value.is_ok());
        match (bake.at_least.as_ref(), bake.at_most.as_ref()) {
            _ if !read(&bake.at_least) || !read(&bake.at_most) => {}
            (Some(field), Some(_)) if at_least > at_most => {
                let message =
                    format!("the shortest bake ({at_least}) is longer than the longest ({at_most})");
                self.error(&field.at, message, "exchange them, or write one duration for both");
            }
            (Some(field), _) if at_least.0 < look_every.0.saturating_mul(4) => {
                let message = format!("a bake of {at_least} has fewer than 4 looks, one every {look_every}");
                self.warn(&field.at, message, "bake longer, or look more often with `look_every`");
            }
            (Some(field), _) if at_least <= warm_up => {
                let message = format!(
                    "the first {warm_up} of a version is left out as warm-up, which is all of this bake"
                );
                self.warn(&field.at, message, "bake longer, or shorten `warm_up`");
            }
            _ => {}
        }
        // What comes after the warm-up is all that a first step has to show anything in.
        let shown = Span(warm_up.0.saturating_add(look_every.0.saturating_mul(PROVEN_LOOKS)));
        if let Some(field) = bake.at_most.as_ref().filter(|field| field.value.is_ok() && at_most < shown) {
            let message = format!(
                "the longest bake ({at_most}) is over before {PROVEN_LOOKS} looks have followed the warm-up of {warm_up}, so \
                 no traffic can show anything in it"
            );
            self.warn(&field.at, message, format!("bake for `{shown}` or longer, or shorten `warm_up`"));
        }
        // The one that is given draws the other's default along.
        match (bake.at_least.as_ref(), bake.at_most.as_ref()) {
            (None, Some(_)) => Bake { at_least: BAKE.at_least.min(at_most), at_most },
            (Some(_), None) => Bake { at_least, at_most: BAKE.at_most.max(at_least) },
            _ => Bake { at_least, at_most },
        }
    }

    fn approve(&mut self, list: &List<Field<Share>>, steps: &[Share]) -> Vec<Share> {
        let mut approve = Vec::new();
        for field in self.list(list, MOST_STEPS) {
            let Some(share) = self.get(field).copied() else { continue };
            if approve.contains(&share) {
                self.error(&field.at, format!("{share} stands here twice"), "leave one of them out");
            } else if !steps.contains(&share) {
                let steps: Vec<String> = steps.iter().map(ToString::to_string).collect();
                let message = format!("there is no step of {share} to approve");
                self.error(&field.at, message, format!("the steps are {}", steps.join(", ")));
            }
            approve.push(share);
        }
        approve
    }
}
