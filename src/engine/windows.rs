//! Figures over a window: how what is known of a service reads at an instant.

use super::history::History;
use super::repairs::quantile;
use crate::model::figures::{Figures, State};
use crate::model::time::{Instant, Span};

/// The figures of `[from, until)`, clipped to `since`. What is still going on runs to `until`.
pub(super) fn figures(history: Option<&History>, from: Instant, until: Instant, since: Option<Instant>) -> Figures {
    let from = since.map_or(from, |since| since.max(from));
    if from >= until {
        return Figures::default();
    }
    let observed = until.since(from);
    let Some(history) = history else { return Figures { observed, ..Figures::default() } };
    let downtime = history.down.within(from, until);
    let lengths = history.repairs.lengths(from, until);
    Figures {
        observed,
        downtime,
        degraded: history.impaired.within(from, until).minus(downtime),
        outages: history.outages_begun(from, until) as u64,
        repairs: lengths.len() as u64,
        repair_sum: lengths.iter().fold(Span::ZERO, |sum, &length| sum.plus(length)),
        repair_p50: quantile(&lengths, 50),
        repair_p95: quantile(&lengths, 95),
        repair_max: lengths.last().copied(),
    }
}

/// How the service stands at `at`.
pub(super) fn state(history: Option<&History>, at: Instant) -> State {
    match history {
        Some(history) if history.down.covers(at) => State::Down,
        Some(history) if history.impaired.covers(at) => State::Degraded,
        _ => State::Up,
    }
}
