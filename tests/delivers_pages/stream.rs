//! A seeded stream of incidents: outages of all sizes that begin, rise, relapse, are acknowledged and end.

use fastrand::Rng;
use fournines::model::time::{Instant, Span};
use serde_json::json;

/// Services that can be out. Each is out at most once at a time.
const SERVICES: usize = 12;
/// An outage lasts this long, in milliseconds: mostly longer than any fault.
const LASTS_MILLIS: std::ops::Range<i64> = 3_000..22_000;
/// Quiet after an outage, in milliseconds: longer than `correlation.reopen`, so that the next is another incident.
const QUIET_MILLIS: std::ops::Range<i64> = 8_000..30_000;
/// A relapse comes within this time.
const RELAPSE_MILLIS: std::ops::Range<i64> = 200..1_200;

/// One event, when it happens and as it is posted.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) at: Instant,
    pub(crate) line: String,
}

/// Everything that happens from `from` until `until`, when everything has ended, in order.
pub(crate) fn stream(seed: u64, from: Instant, until: Instant) -> Vec<Said> {
    let mut all = Vec::new();
    for service in 0..SERVICES {
        let mut chance = Rng::with_seed(seed ^ (service as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut at = from.plus(Span::from_millis(chance.i64(0..QUIET_MILLIS.end)));
        let mut number = 0;
        loop {
            let lasts = Span::from_millis(chance.i64(LASTS_MILLIS));
            if at.plus(lasts) >= until {
                break;
            }
            one(&mut chance, (service, number), (at, at.plus(lasts)), &mut all);
            at = at.plus(lasts).plus(Span::from_millis(chance.i64(QUIET_MILLIS)));
            number += 1;
        }
    }
    all.sort_by_key(|said: &Said| said.at);
    all
}

/// One incident from its start to its end.
fn one(chance: &mut Rng, (service, number): (usize, usize), (start, end): (Instant, Instant), all: &mut Vec<Said>) {
    let mut say = |kind: &str, at: Instant, more: serde_json::Value| {
        let mut event = json!({
            "id": format!("{service}-{number}-{kind}-{}", at.as_micros()),
            "type": kind, "service": format!("core-{service}"), "time": at.to_string(),
        });
        event.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        all.push(Said { at, line: event.to_string() + "\n" });
    };
    let length = end.since(start).as_micros();
    let within = |chance: &mut Rng| start.plus(Span::from_micros(chance.i64(length / 8..length)));
    let users = [0, 500, 40_000, 120_000][chance.usize(0..4)];
    say("outage.started", start, json!({ "users": users, "detail": "uplink LOS" }));
    if chance.u8(0..10) < 4 {
        let at = within(chance);
        say("repair.acknowledged", at, json!({ "by": "li.na" }));
    }
    if chance.u8(0..10) < 3 {
        let at = within(chance);
        say("outage.updated", at, json!({ "users": users + 35_000 }));
    }
    say("outage.ended", end, json!({ "cause": "equipment" }));
    if chance.u8(0..10) < 3 {
        let again = end.plus(Span::from_millis(chance.i64(RELAPSE_MILLIS)));
        say("outage.started", again, json!({ "users": users }));
        say("outage.ended", again.plus(Span::from_millis(chance.i64(1_000..4_000))), json!({}));
    }
}
