//! Decoding: one file a format; here, how a body is cut into events and what is said of those that fail.

mod description;
mod native;

pub use description::{CaseKindName, CauseName, EventBody, EventTypeName, SeverityName};

use std::collections::HashSet;
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::model::event::Event;
use crate::model::service::ServiceName;
use crate::model::time::{Instant, Span};

/// How many rejections of one body are listed; all of them are counted.
const LISTED_MAX: usize = 100;
/// Bytes of a usual line. Room is made for a body's events by this, so that they are not moved while they become more.
const LINE_BYTES: usize = 100;

/// How a body is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// One JSON object, or an array of them.
    Json,
    /// One JSON object a line.
    Lines,
}

/// What events are held against besides the contract.
#[derive(Clone, Debug)]
pub struct Gate {
    /// Events later than this are rejected; absent where the past is read back.
    pub latest: Option<Instant>,
    /// Services that events may name; absent when any may.
    pub known: Option<Arc<HashSet<ServiceName>>>,
    /// The source of events that name none.
    pub source: Arc<str>,
}

/// What a body held.
#[derive(Debug, Default)]
pub struct Decoded {
    /// The events that are good.
    pub events: Vec<Event>,
    /// Their text, one a line, as it came: unknown fields are kept.
    pub lines: Vec<u8>,
    /// The first of those that are not.
    pub rejected: Vec<Rejection>,
    /// How many are not.
    pub rejected_total: u64,
    /// How many of them are not even JSON.
    unreadable: u64,
}

/// Why one event was not taken.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Rejection {
    /// The line, or the element of the array, counted from 1.
    #[schema(minimum = 1)]
    pub line: u64,
    /// What is wrong with it, and what would be right.
    pub error: String,
}

/// Why one event could not be used.
#[derive(Debug)]
enum Bad {
    /// It is no JSON object at all.
    Unreadable(String),
    /// It is, but not an event.
    Refused(String),
}

impl Decoded {
    /// Whether nothing could be read at all.
    #[must_use]
    pub const fn is_unreadable(&self) -> bool {
        self.events.is_empty() && self.rejected_total > 0 && self.unreadable == self.rejected_total
    }

    fn reject(&mut self, line: u64, bad: Bad) {
        let error = match bad {
            Bad::Unreadable(error) => {
                self.unreadable += 1;
                error
            }
            Bad::Refused(error) => error,
        };
        self.rejected_total += 1;
        if self.rejected.len() < LISTED_MAX {
            self.rejected.push(Rejection { line, error });
        }
    }
}

/// Reads every event of a body.
#[must_use]
pub fn decode(layout: Layout, body: &[u8], gate: &Gate) -> Decoded {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let mut out = Decoded {
        events: Vec::with_capacity(body.len() / LINE_BYTES + 1),
        lines: Vec::with_capacity(body.len() + 1),
        ..Decoded::default()
    };
    let mut reader = native::Reader::new(gate);
    match layout {
        Layout::Lines => {
            // That the whole is text is found out at less cost than that each line is.
            let text = std::str::from_utf8(body).ok();
            let has_breaks = memchr::memchr(b'\r', body).is_some();
            let mut start = 0;
            for (number, end) in (1..).zip(memchr::memchr_iter(b'\n', body).chain([body.len()])) {
                let line = std::mem::replace(&mut start, end + 1)..end;
                match text {
                    _ if body[line.clone()].trim_ascii().is_empty() => {}
                    Some(text) => take(&mut reader, number, (text[line].trim_ascii(), has_breaks), &mut out),
                    None => take_bytes(&mut reader, number, &body[line], &mut out),
                }
            }
        }
        Layout::Json if body.trim_ascii_start().first() == Some(&b'[') => {
            let mut elements: Vec<&RawValue> = Vec::new();
            let mut parser = serde_json::Deserializer::from_slice(body);
            let read = Elements(&mut elements).deserialize(&mut parser).and_then(|()| parser.end());
            for (number, element) in (1..).zip(&elements) {
                take(&mut reader, number, (element.get(), true), &mut out);
            }
            if let Err(error) = read {
                // What stands before the fault is good; after it nobody can tell where an element begins.
                let error = format!("not JSON from here on, nothing after it was read: {error}");
                out.reject(elements.len() as u64 + 1, Bad::Unreadable(error));
            }
        }
        Layout::Json => take_bytes(&mut reader, 1, body, &mut out),
    }
    out
}

fn take_bytes(reader: &mut native::Reader<'_>, number: u64, bytes: &[u8], out: &mut Decoded) {
    let bytes = bytes.trim_ascii();
    match std::str::from_utf8(bytes) {
        Ok(text) => take(reader, number, (text, true), out),
        Err(error) => {
            let problem = format!("not UTF-8 from byte {} of it on", error.valid_up_to() + 1);
            out.reject(number, Bad::Unreadable(problem));
        }
    }
}

/// Takes an event, of whose text it is known whether there may be line breaks in it.
fn take(reader: &mut native::Reader<'_>, number: u64, (text, has_breaks): (&str, bool), out: &mut Decoded) {
    match reader.read(text) {
        Ok(event) => {
            out.events.push(event);
            // A line break inside JSON can only stand between tokens, where a blank does as well.
            let start = out.lines.len();
            out.lines.extend_from_slice(text.as_bytes());
            if has_breaks {
                let breaks = out.lines[start..].iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r'));
                breaks.for_each(|byte| *byte = b' ');
            }
            out.lines.push(b'\n');
        }
        Err(bad) => out.reject(number, bad),
    }
}

/// Collects the elements of an array as far as they can be read.
struct Elements<'a, 'de>(&'a mut Vec<&'de RawValue>);

impl<'de> DeserializeSeed<'de> for Elements<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Elements<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(element) = seq.next_element()? {
            self.0.push(element);
        }
        Ok(())
    }
}

impl Gate {
    /// A gate for events received at `now`, none of which may lie further ahead than `max_future`.
    #[must_use]
    pub fn at(now: Instant, max_future: Span, known: Option<Arc<HashSet<ServiceName>>>, source: Arc<str>) -> Self {
        Self { latest: Some(now.plus(max_future)), known, source }
    }

    /// A gate for events that were taken in before: nothing is refused but what cannot be read.
    #[must_use]
    pub const fn past(source: Arc<str>) -> Self {
        Self { latest: None, known: None, source }
    }
}
