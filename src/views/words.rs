//! Words and instants as JSON has them, and as OpenAPI describes them: the names are those of the model, so the
//! description cannot lag behind it.

use serde::{Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{Number, PartialSchema, ToSchema};

use super::json::Promised;
use crate::model;
use crate::model::time::Instant;

/// One of a closed set of words.
macro_rules! words {
    ($($doc:literal $name:ident: $all:expr;)*) => {$(
        #[doc = $doc]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
        #[serde(transparent)]
        pub struct $name(pub(super) &'static str);

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let words = ObjectBuilder::new().schema_type(Type::String).enum_values(Some($all));
                words.description(Some($doc)).into()
            }
        }

        impl ToSchema for $name {}
    )*};
}

words! {
    "How a service stands." State: model::figures::State::ALL.map(model::figures::State::name);
    "How far an incident has come." Status: model::incident::Status::ALL.map(model::incident::Status::name);
    "A stage of the response." Stage: model::incident::Stage::ALL.map(model::incident::Stage::name);
    "How sure it is that a rule says what it is said to say: decided here, read, or from memory."
        Standing: ["OWN", "READ", "RECALL"];
    "How the export is written." ExportFormat: ["csv", "ndjson"];
    "How a report is written." ReportFormat: ["json", "csv", "md", "html"];
    "The language of a page." ReportLanguage: ["en", "zh"];
    "What an outage came from." Cause: model::event::Cause::ALL.map(model::event::Cause::name);
    "How a promise counts maintenance that was announced in time."
        MaintenanceMode: model::target::Maintenance::ALL.map(model::target::Maintenance::name);
    "A rolling window." Window: model::time::Window::ALL.map(model::time::Window::name);
    "Which targets figures of the past are held against: those promised then, or those of the last policy known."
        Policy: [Promised::Then, Promised::Now].map(Promised::name);
    "The unit of a target's number: a ratio is at least so much, seconds are at most so long."
        Unit: ["ratio", "seconds", "count"];
    "How far an alert has come on its way to a receiver." DeliveryStatus: model::delivery::Progress::NAMES;
    "Why a receiver is not told of an alert, or not yet."
        DeliveryReason: model::delivery::Why::ALL.map(model::delivery::Why::name);
    "An incident's level, by number or by name." WantedLevel: ["1", "2", "3", "first", "second", "third"];
}

/// An instant in UTC, in RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(pub(super) Instant);

impl From<Instant> for Time {
    fn from(at: Instant) -> Self {
        Self(at)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl PartialSchema for Time {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String);
        let text = text.format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
        text.description(Some("An instant in UTC, in RFC 3339.")).into()
    }
}

impl ToSchema for Time {}

/// A level: 1 is the gravest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Level(u8);

impl From<model::level::Level> for Level {
    fn from(level: model::level::Level) -> Self {
        Self(level.number())
    }
}

impl PartialSchema for Level {
    fn schema() -> RefOr<Schema> {
        let number = ObjectBuilder::new().schema_type(Type::Integer);
        let number = number.minimum(Some(Number::UInt(1))).maximum(Some(Number::UInt(3)));
        number.description(Some("A level: 1 is the gravest.")).into()
    }
}

impl ToSchema for Level {}
