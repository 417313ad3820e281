//! Reports that nobody has to ask for (R31, R93): each month's and quarter's is frozen once it is over, missed ones are
//! caught up after a start, and every day it is looked whether what is frozen was corrected since.
//!
//! All of it is done beside everything else, on a copy of the engine.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::model::calendar::Unit;
use crate::model::time::{Instant, Span};
use crate::store::reports::{Frozen, Reports};
use crate::threads;
use crate::views::api::Reading;
use crate::views::report::routes::Position;
use crate::views::report::{Previous, Wanted, facts, make, sha256};

/// How far missed reports are caught up: a year of months and of quarters.
const CAUGHT_UP: [(Unit, usize); 2] = [(Unit::Month, 12), (Unit::Quarter, 4)];
/// How often it is looked for corrections.
const EVERY: Span = Span::from_hours(24);
/// After how long what failed is tried again.
const AGAIN: Span = Span::from_mins(10);

/// Keeps reports, until the token is cancelled.
pub(super) async fn keep(reading: Arc<Reading>, stop: CancellationToken) {
    loop {
        let shared = reading.clone();
        let next = threads::aside(move || round(&shared)).await;
        let next = next.unwrap_or_else(|_| reading.clock.now().plus(AGAIN));
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(reading.clock.until(next)) => {}
        }
    }
}

/// Freezes what is due and not frozen, and revises what was corrected. Returns when to look again.
fn round(reading: &Reading) -> Instant {
    let Some(position) = reading.position() else { return reading.clock.now().plus(AGAIN) };
    let frozen = match Reports::open(&reading.file).and_then(|reports| reports.all()) {
        Ok(frozen) => frozen,
        Err(error) => {
            failed(reading, "all of them", &error);
            return position.now.plus(AGAIN);
        }
    };
    let mut all_well = true;
    for (wanted, last) in due(&position, frozen) {
        match freeze(reading, &position, &wanted, last.as_ref()) {
            Ok(None) => {}
            Ok(Some(Frozen { period, revision, sha256, corrections, sequence, .. })) => {
                let outcome = if revision == 1 { "frozen" } else { "revised" };
                reading.telemetry.reports.with_label_values(&[outcome]).inc();
                tracing::info!(period, revision, corrections, sequence, sha256, "a report is frozen");
            }
            Err(error) => {
                failed(reading, &wanted.name, &*error);
                all_well = false;
            }
        }
    }
    if all_well { next(&position) } else { position.now.plus(AGAIN) }
}

fn failed(reading: &Reading, period: &str, error: &dyn std::fmt::Display) {
    reading.telemetry.reports.with_label_values(&["failed"]).inc();
    tracing::error!(period, %error, "a report could not be frozen; it is tried again");
}

/// The periods to look at, each with its last revision: those that were missed, and all that are frozen and kept in full.
fn due(position: &Position, frozen: Vec<Frozen>) -> Vec<(Wanted, Option<Frozen>)> {
    let Position { engine, now, .. } = position;
    let calendar = engine.calendar();
    let folded = engine.folded_until().unwrap_or(Instant::MIN);
    // The last revision of each, as they come in order.
    let mut last: BTreeMap<String, Frozen> = frozen.into_iter().map(|one| (one.period.clone(), one)).collect();
    let mut all: Vec<(Wanted, Option<Frozen>)> = Vec::new();
    if let Some(known) = engine.known_since() {
        for (unit, count) in CAUGHT_UP {
            let mut wanted = Wanted::of(&calendar, unit, *now);
            for _ in 0..count {
                wanted = Wanted::of(&calendar, unit, wanted.range.from.minus(Span::TICK));
                if wanted.range.until <= known || wanted.range.from < folded {
                    break;
                }
                if wanted.due() <= *now && !last.contains_key(&wanted.name) {
                    all.push((wanted.clone(), None));
                }
            }
        }
    }
    // What is folded cannot be corrected any more.
    last.retain(|_, one| one.from >= folded);
    let again = last.into_values().map(|one| {
        let range = crate::model::calendar::Range { from: one.from, until: one.until };
        (Wanted { name: one.period.clone(), range, unit: None }, Some(one))
    });
    all.sort_by_key(|(wanted, _)| (wanted.range.until, wanted.range.from));
    all.extend(again);
    all
}

/// Freezes a report, or revises it if what was said of its period is not what it was.
fn freeze(
    reading: &Reading,
    position: &Position,
    wanted: &Wanted,
    last: Option<&Frozen>,
) -> Result<Option<Frozen>, Box<dyn std::error::Error + Send + Sync>> {
    let Position { engine, now, origin } = position;
    if last.is_some_and(|last| facts(engine, wanted.range) == last.facts) {
        return Ok(None);
    }
    let reports = Reports::open_to_write(&reading.file)?;
    let before = match last {
        Some(last) => reports.get(&last.period, Some(last.revision))?,
        None => None,
    };
    let previous =
        before.as_ref().map(|(frozen, body)| Previous { number: frozen.revision, sha256: &frozen.sha256, body });
    let Some(report) = make(engine.clone(), wanted, *now, origin).revised(previous)? else { return Ok(None) };
    let body = report.to_json()?;
    let (revision, corrections) =
        report.revision.as_ref().map_or((1, 0), |revision| (revision.number, revision.corrections_total));
    let frozen = Frozen {
        period: wanted.name.clone(),
        revision,
        from: wanted.range.from,
        until: wanted.range.until,
        known_at: origin.known_at,
        sequence: origin.sequence,
        made: *now,
        corrections,
        facts: report.made_from.facts,
        sha256: sha256(&body),
    };
    reports.freeze(&frozen, &body)?;
    Ok(Some(frozen))
}

/// When to look again: in a day, or when the next period is due.
fn next(position: &Position) -> Instant {
    let (calendar, now) = (position.engine.calendar(), position.now);
    let dues = CAUGHT_UP.into_iter().flat_map(|(unit, _)| {
        let current = Wanted::of(&calendar, unit, now);
        let before = Wanted::of(&calendar, unit, current.range.from.minus(Span::TICK));
        [before.due(), current.due()]
    });
    dues.filter(|&due| due > now).chain([now.plus(EVERY)]).min().unwrap_or(now)
}
