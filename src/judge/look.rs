//! What the judge is given: one look at both arms.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::words::{Arms, Share};

/// One evaluation of a rollout: what each signal's source gave since the look before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// When, in seconds; only differences matter.
    pub at: f64,
    /// The canary's planned share of traffic at this time. Nothing: not known, or not to be checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
    /// What each signal gave. A signal that is left out gave nothing new; its silence is timed by the judge.
    #[serde(default, deserialize_with = "each_once")]
    pub signals: BTreeMap<String, Arms<Option<Reading>>>,
}

/// Reads what each signal gave. JSON allows a name twice, and whoever wrote one twice does not know which of them counts.
///
/// # Errors
/// As the values' own, and for a name that is there twice.
pub(crate) fn each_once<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Arms<Option<Reading>>>, D::Error> {
    deserializer.deserialize_map(SignalsVisitor)
}

struct SignalsVisitor;

impl<'de> Visitor<'de> for SignalsVisitor {
    type Value = BTreeMap<String, Arms<Option<Reading>>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of signals by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut signals = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            if signals.contains_key(&name) {
                return Err(A::Error::custom(format_args!("signal `{name}` is there twice")));
            }
            signals.insert(name, map.next_value()?);
        }
        Ok(signals)
    }
}

/// What one arm gave for one signal: increments of counters since the last closed slice of time, or values now.
///
/// Both arms' increments cover the same slice of wall time and each event is in exactly one reading. In JSON it is an
/// object with the fields below, or an array of values.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Reading {
    /// A histogram's increments: `counts[i]` requests took at most `le[i]` seconds (cumulative), `total` in all.
    Histogram {
        /// Upper bounds in seconds, ascending, without +Inf.
        le: Vec<f64>,
        /// Cumulative counts, one for each bound.
        counts: Vec<f64>,
        /// All requests.
        total: f64,
    },
    /// Bad events among all events (a ratio), or events and the unit-seconds in which they happened (a rate).
    Counts {
        /// Bad events.
        events: f64,
        /// All events, or unit-seconds.
        total: f64,
    },
    /// A gauge: one value per unit.
    Values(Vec<f64>),
}

/// Read by hand, since an untagged enum would say no more of a slip than that nothing matched.
impl<'de> Deserialize<'de> for Reading {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ReadingVisitor)
    }
}

struct ReadingVisitor;

const FIELDS: &[&str] = &["events", "total", "le", "counts"];

impl<'de> Visitor<'de> for ReadingVisitor {
    type Value = Reading;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`{\"events\", \"total\"}`, `{\"le\", \"counts\", \"total\"}` or an array of values")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Reading, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element()? {
            values.push(value);
        }
        Ok(Reading::Values(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Reading, A::Error> {
        let (mut events, mut total, mut le, mut counts) = (None, None, None, None);
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            match &*key {
                "events" if events.is_none() => events = Some(map.next_value()?),
                "total" if total.is_none() => total = Some(map.next_value()?),
                "le" if le.is_none() => le = Some(map.next_value()?),
                "counts" if counts.is_none() => counts = Some(map.next_value()?),
                twice if FIELDS.contains(&twice) => {
                    return Err(A::Error::custom(format_args!("field `{twice}` is there twice")));
                }
                other => return Err(A::Error::unknown_field(other, FIELDS)),
            }
        }
        let total = total.ok_or_else(|| A::Error::missing_field("total"))?;
        match (events, le, counts) {
            (Some(events), None, None) => Ok(Reading::Counts { events, total }),
            (None, Some(le), Some(counts)) => Ok(Reading::Histogram { le, counts, total }),
            (None, Some(_), None) => Err(A::Error::missing_field("counts")),
            (None, None, Some(_)) => Err(A::Error::missing_field("le")),
            (None, None, None) => Err(A::Error::missing_field("events")),
            (Some(_), _, _) => Err(A::Error::custom("a reading has `events` or `le` and `counts`, not both")),
        }
    }
}
