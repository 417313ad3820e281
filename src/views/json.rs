//! The JSON objects of the contract: services, groups, incidents, alerts.

use std::str::FromStr;

use serde_json::{Map, Value, json};

pub use super::incident::incident;
pub use super::service::{group, service};
use crate::model::alert::{Alert, AlertKey};
use crate::model::calendar::Range;
use crate::model::time::Instant;

/// What figures are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// As of when.
    pub at: Instant,
    /// The targets of which instant they are held against.
    pub under: Instant,
    /// A period of the calendar beside the usual ones.
    pub period: Option<Range>,
}

/// Which targets the figures of the past are held against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Promised {
    /// Those promised at the instant asked for.
    #[default]
    Then,
    /// Those of the last policy known.
    Now,
}

impl Asked {
    /// The usual: as of `at`, under the targets promised then.
    #[must_use]
    pub const fn at(at: Instant) -> Self {
        Self { at, under: at, period: None }
    }
}

impl Promised {
    /// The instant whose targets are meant when figures of `at` are asked for.
    #[must_use]
    pub const fn under(self, at: Instant) -> Instant {
        match self {
            Self::Then => at,
            Self::Now => Instant::MAX,
        }
    }

    /// Its name in queries and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Then => "then",
            Self::Now => "now",
        }
    }
}

impl FromStr for Promised {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = [Self::Then, Self::Now].into_iter().find(|promised| promised.name() == text);
        named.ok_or_else(|| format!("{text:?} is none of then, now"))
    }
}

/// An alert's labels.
#[must_use]
pub fn labels(key: &AlertKey) -> Map<String, Value> {
    key.labels().into_iter().map(|(name, value)| (name.to_owned(), Value::String(value))).collect()
}

/// A change of an alert at `at`: that it fires, or with `ended` that it is over.
#[must_use]
pub fn alert(alert: &Alert, at: Instant, ended: Option<Instant>) -> Value {
    json!({
        "at": at.to_string(),
        "status": if ended.is_some() { "resolved" } else { "firing" },
        "labels": labels(&alert.key),
        "annotations": {
            "started": alert.facts.started.to_string(),
            "users": alert.facts.incident.as_ref().and_then(|facts| facts.users).map(|users| users.to_string()),
            "because": alert.facts.because.to_string(),
        },
        "starts": alert.starts.to_string(),
        "ends": ended.map(|ended| ended.to_string()),
    })
}
