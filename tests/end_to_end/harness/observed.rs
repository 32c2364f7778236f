//! What a person sees of a rollout: its story, and the platform's own record.

use serde_json::Value;

/// What `uguisu show --looks --json` tells.
#[derive(Debug)]
pub(crate) struct Story(pub(crate) Value);

impl Story {
    /// The rollout's id.
    pub(crate) fn id(&self) -> &str {
        self.0["rollout"]["id"].as_str().expect("an id")
    }

    /// The phase, as programs read it.
    pub(crate) fn phase(&self) -> &str {
        self.0["rollout"]["phase"].as_str().expect("a phase")
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.0["rollout"]["ended"].is_i64()
    }

    /// The canary's number.
    pub(crate) fn canary(&self) -> u32 {
        let number = self.0["rollout"]["canary"].as_u64().expect("a version");
        u32::try_from(number).expect("a small number")
    }

    /// The bodies of all events of a kind, oldest first.
    pub(crate) fn all(&self, kind: &str) -> Vec<&Value> {
        let timeline = self.0["timeline"].as_array().expect("a timeline");
        timeline.iter().filter(|line| line["kind"] == kind).map(|line| &line["body"]).collect()
    }

    /// The body of the last event of a kind.
    pub(crate) fn last(&self, kind: &str) -> Option<&Value> {
        self.all(kind).pop()
    }

    /// Whether a step's traffic is in place and nothing is moved: it bakes. Steps count from 0.
    pub(crate) fn bakes(&self, step: u64) -> bool {
        self.phase() == "step"
            && self.last("step_began").is_some_and(|e| e["step"] == step)
            && self.last("step_reached").is_some_and(|e| e["step"] == step)
    }

    /// The command that was sent and has no answer yet.
    pub(crate) fn in_flight(&self) -> Option<&Value> {
        let last = self.last("command_issued")?;
        let answered = self.all("command_answered").iter().any(|e| e["number"] == last["number"]);
        (!answered).then_some(&last["command"])
    }

    /// How many commands of a kind (`add_units`, `route` …) were sent.
    pub(crate) fn sent(&self, command: &str) -> usize {
        self.all("command_issued").iter().filter(|e| e["command"]["do"] == command).count()
    }

    /// The evidence at each look: canary errors, canary requests, baseline errors, baseline requests so far.
    pub(crate) fn evidence(&self) -> Vec<[u64; 4]> {
        let seen = |look: &&Value| {
            let seen = look["verdict"]["signals"]["http-errors"]["seen"].as_array()?;
            let mut numbers = [0; 4];
            for (number, value) in numbers.iter_mut().zip(seen) {
                *number = whole(value.as_f64()?);
            }
            Some(numbers)
        };
        self.all("looked").iter().filter_map(seen).collect()
    }

    /// What all looks brought together, in the order of [`Self::evidence`].
    pub(crate) fn counted(&self) -> [u64; 4] {
        let mut sum = [0; 4];
        for look in self.all("learnt").into_iter().chain(self.all("looked")) {
            let arms = &look["look"]["signals"]["http-errors"];
            let parts =
                [("canary", "events"), ("canary", "total"), ("baseline", "events"), ("baseline", "total")];
            for (sum, (arm, part)) in sum.iter_mut().zip(parts) {
                *sum += whole(arms[arm][part].as_f64().unwrap_or(0.0));
            }
        }
        sum
    }

    /// The messages that tell of it, with how their delivery stands.
    pub(crate) fn messages(&self) -> &[Value] {
        self.0["messages"].as_array().expect("messages")
    }

    /// All that it says, for a person who reads why a test failed.
    pub(crate) fn sentences(&self) -> String {
        let timeline = self.0["timeline"].as_array().expect("a timeline");
        let lines = timeline.iter().map(|l| format!("{} {}: {}", l["seq"], l["kind"], l["sentence"]));
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// A count that came through JSON as a float.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts are whole and small")]
fn whole(number: f64) -> u64 {
    assert!(number >= 0.0 && number.fract() == 0.0, "{number} is no count");
    number as u64
}

/// The platform's record of what was done.
#[derive(Debug)]
pub(crate) struct Events(pub(crate) Vec<Value>);

impl Events {
    /// How many events there are of a kind, those that failed included.
    pub(crate) fn count(&self, kind: &str) -> usize {
        self.0.iter().filter(|event| event["Kind"]["Name"] == kind).count()
    }
}
