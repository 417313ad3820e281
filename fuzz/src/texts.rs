//! The short texts that queries, paths and settings are made of: what is read is written as it can be read again.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use fournines::model::calendar::Calendar;
use fournines::model::incident::IncidentId;
use fournines::model::service::ServiceName;
use fournines::model::time::{Instant, Span};

/// Reads `data` as an instant, a span, an incident's id, a service's name and a period of the calendar in a zone with
/// summer time.
pub fn texts(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    stays::<Instant>(text);
    stays::<Span>(text);
    stays::<IncidentId>(text);
    if let Ok(name) = ServiceName::new(text) {
        assert_eq!(name.to_string(), text);
    }
    let (zone, period) = text.split_once(' ').unwrap_or(("Europe/Berlin", text));
    if let Ok(calendar) = Calendar::new(zone)
        && let Ok(range) = calendar.named(period)
    {
        assert!(range.from < range.until, "{text:?} is the period {range:?}");
        let _ =
            (calendar.stamp(range.from), calendar.local(range.until).to_string(), calendar.day_number(range.from));
    }
}

fn stays<T: FromStr + Display + PartialEq + Debug>(text: &str) {
    if let Ok(read) = text.parse::<T>() {
        let written = read.to_string();
        assert!(written.parse::<T>().ok().as_ref() == Some(&read), "{text:?} is {read:?}, written {written:?}");
    }
}
