//! Clocks: the manual's limits on how long something may take, ticking on an incident.
//!
//! A limit is kept when the clock stops no later than it, so a breach is certain one microsecond after the limit,
//! and carries the limit's own instant.

use super::incidents::Context;
use crate::model::incident::{Clock, ClockName, Incident, StageRecord};
use crate::model::time::{Instant, Span};

impl Clock {
    /// The first instant at which a clock that still runs is known to be breached.
    pub(super) fn breach_known(&self) -> Instant {
        self.deadline().plus(Span::TICK)
    }
}

/// The incident's clocks as they stand now.
///
/// `response` runs from detection to the first acknowledgement; a restoration leaves nothing to respond to and
/// stops it as well. `repair` runs from the start to the restoration. Either takes effect from the instant at
/// which the outage ended: a relapse before that is confirmed makes the clock run on as if it had never stopped.
pub(super) fn run(incident: &Incident, acknowledged: Option<&StageRecord>, cx: &Context<'_>) -> Vec<Clock> {
    let mut clocks = Vec::with_capacity(ClockName::ALL.len());
    clocks.extend(ClockName::ALL.into_iter().filter_map(|name| {
        let (limit, started, stopped) = match name {
            ClockName::Response => {
                let answered = acknowledged.map(|record| record.at);
                let stopped = [answered, incident.restored].into_iter().flatten().min();
                (cx.response?, incident.detected, stopped)
            }
            ClockName::Repair => (cx.repair?, incident.started, incident.restored),
        };
        let mut clock = Clock { name, limit, started, stopped, breached: None };
        let deadline = clock.deadline();
        let late = stopped.unwrap_or(cx.now) > deadline;
        clock.breached = late.then_some(deadline);
        Some(clock)
    }));
    clocks
}
