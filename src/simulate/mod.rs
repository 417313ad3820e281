//! A simulated national network: what a daemon would hear from provinces, cities and sites, told truthfully.
//!
//! It feeds `fournines demo` and `fournines generate`. A [`Network`] is the catalogue; [`Network::events`] tells what
//! happens to it from an instant on, without end. Both are plain values that follow from their seeds alone: the same
//! seeds and start give the same text, byte for byte, so that a load test or a fault in the daemon can be repeated.
//!
//! Truthful means: every outage that starts ends later, under the same service and key; what hangs on a failed
//! aggregation fails with it, and of a failed core as many cities as its `users` count; nothing is measured on a
//! service that is down; a repair is told in the order in which it is done.
//!
//! Must not enter: a clock, I/O, a runtime, global state, any randomness but the seeded one of `chance`.

mod chance;
mod events;
mod geography;
mod network;
mod rates;
mod response;
mod storms;
mod troubles;

pub use events::{Events, Simulated};
pub use network::Network;

/// What the tests of this room share.
#[cfg(test)]
mod testing {
    use serde_json::Value;

    use super::{Events, Network, Simulated};
    use crate::model::time::Instant;

    pub(super) fn start() -> Instant {
        "2026-03-02T00:00:00Z".parse().unwrap()
    }

    pub(super) fn stream(sites: usize, seed: u64) -> Events {
        Network::new(sites, seed).events(start(), seed)
    }

    pub(super) fn read(event: &Simulated) -> Value {
        serde_json::from_str(&event.line).unwrap()
    }

    pub(super) fn text<'a>(event: &'a Value, field: &str) -> &'a str {
        event[field].as_str().unwrap()
    }
}
