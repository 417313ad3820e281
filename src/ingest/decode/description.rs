//! How OpenAPI describes events: from the names and the members that are read.

use std::borrow::Cow;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, OneOfBuilder, Ref, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::native::{Raw, TYPES};
use crate::model::event::Cause;

/// A body of JSON: one event, or an array of them.
#[derive(Debug)]
pub struct EventBody;

impl PartialSchema for EventBody {
    fn schema() -> RefOr<Schema> {
        let event = || Ref::from_schema_name("Event");
        let either = OneOfBuilder::new().item(event()).item(ArrayBuilder::new().items(event()));
        either.description(Some("One event, or an array of them.")).into()
    }
}

impl ToSchema for EventBody {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push(("Event".to_owned(), Raw::schema()));
        Raw::schemas(schemas);
    }
}

/// One of a closed set of words.
macro_rules! words {
    ($($doc:literal $name:ident: $all:expr;)*) => {$(
        #[doc = $doc]
        #[derive(Debug)]
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new().schema_type(Type::String).enum_values(Some($all)).description(Some($doc)).into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).trim_end_matches("Name").into()
            }
        }
    )*};
}

words! {
    "The type of an event." EventTypeName: TYPES;
    "How bad an outage is." SeverityName: ["down", "degraded"];
    "What an outage came from." CauseName: Cause::ALL.map(Cause::name);
    "What sort of case it is." CaseKindName: ["complaint", "request", "delivery"];
}
