//! The daemon's own metrics.

use std::sync::atomic::AtomicU64;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::rollout::Phase;
use crate::words::Span;

/// The content type of what [`Metrics::text`] gives.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How long looks take, in seconds: the edges of the histogram.
const LOOK_SECONDS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// All phases.
const PHASES: [Phase; 14] = [
    Phase::Pending,
    Phase::Step,
    Phase::Paused,
    Phase::Promoting,
    Phase::Watching,
    Phase::Leaving,
    Phase::RollingBack,
    Phase::Promoted,
    Phase::RolledBack,
    Phase::Superseded,
    Phase::TakenOver,
    Phase::Observed,
    Phase::Failed,
    Phase::Kept,
];

type Counted<L> = Family<L, Counter<u64, AtomicU64>>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InPhase {
    phase: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfDecision {
    decision: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfCall {
    call: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfSource {
    source: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfReceiver {
    receiver: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfResult {
    result: &'static str,
}

/// What the daemon counts about itself. Each part tells it what happened; `/metrics` shows it.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    rollouts: Family<InPhase, Gauge>,
    finished: Counted<InPhase>,
    looks: Histogram,
    quiet_looks: Counter,
    decisions: Counted<OfDecision>,
    platform_calls: Counted<OfCall>,
    source_errors: Counted<OfSource>,
    alert_requests: Counted<OfResult>,
    outbox_waiting: Family<OfReceiver, Gauge>,
    delivered: Counted<OfReceiver>,
    failed: Counted<OfReceiver>,
    given_up: Counted<OfReceiver>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All of them, at nothing.
    #[must_use]
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            rollouts: Family::default(),
            finished: Family::default(),
            looks: Histogram::new(LOOK_SECONDS),
            quiet_looks: Counter::default(),
            decisions: Family::default(),
            platform_calls: Family::default(),
            source_errors: Family::default(),
            alert_requests: Family::default(),
            outbox_waiting: Family::default(),
            delivered: Family::default(),
            failed: Family::default(),
            given_up: Family::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        // The conventional name, which dashboards know.
        self.registry.register_collector(Box::new(Memory));
        let r = self.registry.sub_registry_with_prefix("uguisu");
        r.register("build", "The program", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        r.register("rollouts", "Rollouts that have not ended, by phase", self.rollouts.clone());
        r.register("rollouts_finished", "Rollouts that ended, by how", self.finished.clone());
        let help = "How long a look took, from the first question to the journal";
        r.register_with_unit("look_duration", help, Unit::Seconds, self.looks.clone());
        let help = "Looks at versions that serve while nothing is rolled out, to learn their noise";
        r.register("quiet_looks", help, self.quiet_looks.clone());
        r.register("decisions", "Decisions that were made at looks", self.decisions.clone());
        r.register("platform_calls", "Calls to the platform, by result", self.platform_calls.clone());
        r.register("source_errors", "Questions that a source failed to answer", self.source_errors.clone());
        let help = "Requests to the alert hook, by what became of them";
        r.register("alert_requests", help, self.alert_requests.clone());
        r.register("messages_waiting", "Messages in the outbox", self.outbox_waiting.clone());
        r.register("messages_delivered", "Messages that were accepted", self.delivered.clone());
        r.register("messages_failed_attempts", "Attempts that will be repeated", self.failed.clone());
        r.register("messages_given_up", "Messages that will not be tried again", self.given_up.clone());
        // What has not happened yet is shown as nothing, so that its first time is seen as a change.
        for phase in PHASES {
            let label = InPhase { phase: phase.label() };
            if phase.is_final() {
                self.finished.get_or_create(&label).inc_by(0);
            } else {
                self.rollouts.get_or_create(&label).set(0);
            }
        }
    }

    /// Messages for this receiver will be delivered.
    pub fn delivers_to(&self, receiver: &str) {
        self.outbox_waiting.get_or_create(&of(receiver)).set(0);
        for counter in [&self.delivered, &self.failed, &self.given_up] {
            counter.get_or_create(&of(receiver)).inc_by(0);
        }
    }

    /// A rollout changed its phase, or kept it; `from` is nothing when it was opened or resumed after a restart.
    pub fn moved(&self, from: Option<Phase>, to: Phase) {
        if from == Some(to) {
            return;
        }
        if let Some(from) = from.filter(|phase| !phase.is_final()) {
            self.rollouts.get_or_create(&InPhase { phase: from.label() }).dec();
        }
        let to_label = InPhase { phase: to.label() };
        if to.is_final() {
            self.finished.get_or_create(&to_label).inc();
        } else {
            self.rollouts.get_or_create(&to_label).inc();
        }
    }

    /// A look took so long.
    pub fn looked(&self, took: Span) {
        self.looks.observe(took.as_seconds());
    }

    /// A version that serves was looked at while nothing is rolled out.
    pub fn looked_quietly(&self) {
        self.quiet_looks.inc();
    }

    /// A look led to this decision.
    pub fn decided(&self, decision: &'static str) {
        self.decisions.get_or_create(&OfDecision { decision }).inc();
    }

    /// The platform was asked for something, with this result (`ok` or the kind of the error).
    pub fn platform_called(&self, call: &'static str, result: &'static str) {
        self.platform_calls.get_or_create(&OfCall { call, result }).inc();
    }

    /// A source failed to answer so many questions.
    pub fn source_failed(&self, source: &str, questions: u64) {
        self.source_errors.get_or_create(&OfSource { source: source.to_owned() }).inc_by(questions);
    }

    /// A request to the alert hook ended so.
    pub(super) fn alert_request(&self, result: &'static str) {
        self.alert_requests.get_or_create(&OfResult { result }).inc();
    }

    /// So many messages wait for a receiver.
    pub fn outbox_waiting(&self, receiver: &str, messages: u64) {
        let messages = i64::try_from(messages).unwrap_or(i64::MAX);
        self.outbox_waiting.get_or_create(&of(receiver)).set(messages);
    }

    /// A receiver accepted a message.
    pub fn delivered(&self, receiver: &str) {
        self.delivered.get_or_create(&of(receiver)).inc();
    }

    /// An attempt failed and will be repeated.
    pub fn delivery_failed(&self, receiver: &str) {
        self.failed.get_or_create(&of(receiver)).inc();
    }

    /// Messages will not be tried again.
    pub fn given_up(&self, receiver: &str, messages: u64) {
        self.given_up.get_or_create(&of(receiver)).inc_by(messages);
    }

    /// All of them as OpenMetrics has it.
    ///
    /// # Errors
    /// Never in practice: writing to a string does not fail.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn of(receiver: &str) -> OfReceiver {
    OfReceiver { receiver: receiver.to_owned() }
}

/// How much memory the process holds, read when somebody asks; says nothing where the system does not tell.
#[derive(Debug)]
struct Memory;

impl Collector for Memory {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Some(bytes) = resident_bytes() else { return Ok(()) };
        let gauge = ConstGauge::new(bytes);
        let help = "Memory that the process holds";
        let metric = encoder.encode_descriptor(
            "process_resident_memory",
            help,
            Some(&Unit::Bytes),
            gauge.metric_type(),
        )?;
        gauge.encode(metric)
    }
}

/// The resident memory as Linux tells it.
fn resident_bytes() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    let kibibytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}
