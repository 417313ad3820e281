//! An event as it is written, before its type says which members it needs.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{Error, Visitor};
use utoipa::ToSchema;

use super::super::description::{CaseKindName, CauseName, EventTypeName, SeverityName};

/// Something that is done so that an incident does not happen again, of `repair.reviewed`.
#[derive(Deserialize, ToSchema)]
#[schema(as = Improvement)]
pub(in crate::ingest::decode) struct RawImprovement<'a> {
    /// What is done.
    #[schema(value_type = Option<String>)]
    #[serde(borrow)]
    pub(super) action: Option<Text<'a>>,
    /// Who answers for it.
    #[schema(value_type = Option<String>)]
    #[serde(borrow)]
    pub(super) owner: Option<Text<'a>>,
    /// By when: a date such as 2026-04-01.
    #[schema(value_type = Option<String>, format = Date)]
    #[serde(borrow)]
    pub(super) due: Option<Text<'a>>,
}

/// An event. Which members it has depends on its type; others are kept and ignored.
#[derive(Deserialize, ToSchema)]
#[schema(as = Event)]
pub(in crate::ingest::decode) struct Raw<'a> {
    /// The type of the event.
    #[schema(value_type = EventTypeName, required = true)]
    #[serde(borrow, rename = "type")]
    pub(super) kind: Option<Text<'a>>,
    /// Unique per source; makes redelivery harmless.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 128)]
    #[serde(borrow)]
    pub(super) id: Option<Text<'a>>,
    /// When it happened: RFC 3339 with an offset.
    #[schema(value_type = String, format = DateTime, required = true)]
    #[serde(borrow)]
    pub(super) time: Option<Text<'a>>,
    /// The service that it is about: letters, digits and `. _ : / - @ #`. Needed unless `maintenance.*` names a `group`;
    /// optional for `case.*`, `survey` and `retraction`, ignored for `heartbeat`.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 256)]
    #[serde(borrow)]
    pub(super) service: Option<Text<'a>>,
    /// The group that is maintained, instead of a service.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 256)]
    #[serde(borrow)]
    pub(super) group: Option<Text<'a>>,
    /// Who says so; else the source by which it came. Needed for `heartbeat`.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 256)]
    #[serde(borrow)]
    pub(super) source: Option<Text<'a>>,
    /// The drill that it belongs to; such an event counts nowhere else.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 256)]
    #[serde(borrow)]
    pub(super) drill: Option<Text<'a>>,
    /// The outage's key, where a service can have several at once.
    #[schema(value_type = Option<String>, max_length = 256)]
    #[serde(borrow)]
    pub(super) outage: Option<Text<'a>>,
    /// The incident's id, of `repair.*`.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 256)]
    #[serde(borrow)]
    pub(super) incident: Option<Text<'a>>,
    /// Of an outage: `down` when it is not said.
    #[schema(value_type = Option<SeverityName>)]
    #[serde(borrow)]
    pub(super) severity: Option<Text<'a>>,
    /// How much of the service a degradation takes, a ratio.
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 1)]
    pub(super) weight: Option<f64>,
    /// How many users are affected.
    pub(super) users: Option<u64>,
    /// What the outage came from.
    #[schema(value_type = Option<CauseName>)]
    #[serde(borrow)]
    pub(super) cause: Option<Text<'a>>,
    /// Free text.
    #[schema(value_type = Option<String>)]
    #[serde(borrow)]
    pub(super) detail: Option<Text<'a>>,
    /// Who did it, of `repair.*`.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 256)]
    #[serde(borrow)]
    pub(super) by: Option<Text<'a>>,
    /// Why, of `repair.held` and `repair.reclassified`.
    #[schema(value_type = Option<String>)]
    #[serde(borrow)]
    pub(super) reason: Option<Text<'a>>,
    /// The level that it has, of `repair.reclassified`.
    #[schema(minimum = 1, maximum = 3)]
    pub(super) level: Option<u64>,
    /// How long it took in milliseconds, of `latency`.
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 320000000000_f64)]
    pub(super) ms: Option<f64>,
    /// How many samples it stands for, of `latency`; 1 when it is not said.
    #[schema(minimum = 1)]
    pub(super) count: Option<u64>,
    /// The configured name, of `measurement`.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 256)]
    #[serde(borrow)]
    pub(super) metric: Option<Text<'a>>,
    /// The value in the metric's own unit, of `measurement`.
    pub(super) value: Option<f64>,
    /// The maintenance's key, of `maintenance.*`.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 256)]
    #[serde(borrow)]
    pub(super) maintenance: Option<Text<'a>>,
    /// When maintenance begins: RFC 3339 with an offset.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(borrow)]
    pub(super) from: Option<Text<'a>>,
    /// When maintenance is over: RFC 3339 with an offset.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(borrow)]
    pub(super) until: Option<Text<'a>>,
    /// The case's key, of `case.*`.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 256)]
    #[serde(borrow)]
    pub(super) case: Option<Text<'a>>,
    /// What sort of case it is; needed for `case.opened`.
    #[schema(value_type = Option<CaseKindName>)]
    #[serde(borrow, rename = "kind")]
    pub(super) case_kind: Option<Text<'a>>,
    /// The score, of `survey`.
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 100)]
    pub(super) score: Option<f64>,
    /// The id that is taken back, of `retraction`.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 128)]
    #[serde(borrow)]
    pub(super) of: Option<Text<'a>>,
    /// The name of what was sent, of `notice.sent`: that of the clock that it stops.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 256)]
    #[serde(borrow)]
    pub(super) notice: Option<Text<'a>>,
    /// What it came from in the end, of `repair.reviewed`.
    #[schema(value_type = Option<String>)]
    #[serde(borrow)]
    pub(super) root_cause: Option<Text<'a>>,
    /// What is done about that, of `repair.reviewed`.
    #[serde(borrow)]
    pub(super) improvements: Option<Vec<RawImprovement<'a>>>,
}

/// A text that borrows from the line where it can: `Cow` inside an `Option` would always copy.
pub(in crate::ingest::decode) struct Text<'a>(pub(super) Cow<'a, str>);

impl Text<'_> {
    pub(super) fn boxed(&self) -> Box<str> {
        Box::from(&*self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowing;
        impl<'de> Visitor<'de> for Borrowing {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Borrowing)
    }
}
