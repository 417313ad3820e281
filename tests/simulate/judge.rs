//! Holds what the daemon did against what it was told: recounts the figures, replays the journal once through, and
//! compares what it decided with what receivers were told.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use fournines::daemon::decode_stored;
use fournines::engine::Engine;
use fournines::journal::{Kind, open_reader};
use fournines::model::effect::{Effect, EffectKind};
use fournines::model::figures::Figures;
use fournines::model::incident::Status;
use fournines::model::time::{Instant, Span};
use fournines::pipeline::apply_batch;
use serde_json::{Value, json};

use super::Canary;
use super::house::House;
use super::network::Network;
use super::operator::Operator;
use super::oracle::{bitmap, count_group};
use super::outside::Outside;
use super::producers::Record;
use super::receivers::{Labels, Outages, Receivers};
use super::world::{GROUPS, HORIZON, SERVICES, Saying, at};

/// A receiver and a daemon that were there for so long at a time must have come together: the longest pause between tries,
/// a request that hangs before it, and one look more.
const TOGETHER: Span = Span::from_secs(25);
/// How soon after a decision a page arrives when nothing fails.
const AT_ONCE: Span = Span::from_millis(100);
/// How long before it nothing may have failed for that.
const HEALTHY: Span = Span::from_secs(60);

/// One firing, as it was decided.
#[derive(Debug)]
struct Decision {
    labels: Labels,
    /// Since when it was said to hold, each time that was said.
    starts: BTreeSet<Instant>,
    /// When it was decided.
    since: Instant,
    /// When it was over, and when that was decided.
    over: Option<(Instant, Instant)>,
}

impl Decision {
    fn name(&self) -> String {
        format!("{:?} decided at {}", self.labels, self.since)
    }
}

/// The figures of the hour before an instant, as the daemon should say them.
fn said(figures: &Figures) -> Value {
    let lengths = &figures.lengths;
    json!({
        "availability": figures.availability(),
        "gross_availability": figures.gross_availability(),
        "weighted_availability": figures.weighted_availability(),
        "sla_availability": figures.sla_availability(),
        "observed_seconds": figures.seconds(lengths.observed),
        "excluded_seconds": figures.seconds(lengths.excluded),
        "unknown_seconds": figures.seconds(lengths.unknown),
        "downtime_seconds": figures.downtime_seconds(),
        "degraded_seconds": figures.seconds(lengths.degraded),
        "outages": figures.tallies.outages,
        "planned_outages": figures.tallies.planned_outages,
        "repairs": figures.tallies.repairs,
        "mttr_seconds": figures.mttr_seconds(),
        "mttr_p95_seconds": figures.tallies.repair_p95.map(Span::as_secs_f64),
        "user_minutes_lost": figures.user_minutes(),
    })
}

fn is_equal(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        // A number that went through text may be off in its last place.
        (Some(one), Some(other)) => (one - other).abs() <= 1e-12 * one.abs().max(other.abs()),
        _ => one == other,
    }
}

/// Asks for the figures of services and groups, and recounts them. Returns what differs.
pub(crate) async fn figures(world: &[Saying], network: &Network, outside: &Outside) -> Vec<String> {
    let mut wrong = Vec::new();
    let lost = outside.is_planted(Canary::Miscounted) as usize;
    let world = &world[..world.len() - lost];
    let maps: Vec<_> = (0..SERVICES.len()).map(|service| bitmap(world, service)).collect();
    let instants = [HORIZON / 3, HORIZON * 2 / 3, HORIZON, outside.chance().i64(3600..HORIZON)];
    for until in instants {
        let services = SERVICES
            .iter()
            .zip(&maps)
            .map(|(known, map)| (format!("services/{}", known.name), map.count(until - 3600, until)));
        let groups =
            GROUPS.iter().map(|group| (format!("groups/{group}"), count_group(&maps, group, until - 3600, until)));
        for (what, expected) in services.chain(groups) {
            let path = format!("/api/v1/{what}?at={}", at(until));
            let answer = network.ask("GET", &path, &[], String::new()).await;
            let Ok((200, body)) = answer else {
                wrong.push(format!("{path}: {answer:?}"));
                continue;
            };
            let answer: Value = serde_json::from_slice(&body).unwrap();
            let (is, expected) = (&answer["windows"]["1h"], said(&expected));
            outside.note(format_args!("{path}: {is}"));
            for (name, value) in expected.as_object().unwrap() {
                if !is_equal(&is[name], value) {
                    wrong.push(format!("{path}: {name} is {}, and {value} by the recount", is[name]));
                }
            }
        }
    }
    wrong
}

/// What the journal amounts to: the engine at `end`, and every decision; and what was acknowledged and is not in it.
fn replay(storage: &Path, end: Instant, record: &Record) -> Result<(Engine, Vec<Decision>, Vec<String>), String> {
    let journal = open_reader(storage).map_err(|error| error.to_string())?;
    let (mut engine, mut effects) = (Engine::new(), Vec::new());
    let mut there = BTreeSet::new();
    let mut read = |stored: fournines::journal::Stored| {
        let inputs = decode_stored(&stored)?;
        if stored.kind == Kind::Events {
            let number = |line: &str| {
                let event: Value = serde_json::from_str(line).ok()?;
                event["id"].as_str()?.strip_prefix('e')?.parse::<usize>().ok()
            };
            there.extend(std::str::from_utf8(&stored.text).unwrap().lines().filter_map(number));
        }
        let source = (&*stored.source, stored.key.as_deref());
        apply_batch(&mut engine, stored.received, source, inputs, &mut effects, |_, _| {});
        Ok(())
    };
    journal.read_after(0, &mut read).map_err(|error| error.to_string())?;
    engine.advance(end, &mut effects);
    let lost = record.acknowledged.difference(&there);
    let lost = lost.map(|number| format!("event {number} was acknowledged and is not in the journal")).collect();
    Ok((engine, decisions(&effects), lost))
}

fn decisions(effects: &[Effect]) -> Vec<Decision> {
    let mut decisions: Vec<Decision> = Vec::new();
    let mut open: BTreeMap<Labels, usize> = BTreeMap::new();
    for effect in effects {
        let of = |alert: &fournines::model::alert::Alert| -> Labels {
            let labels = alert.key.labels().into_iter().filter(|(_, value)| !value.is_empty());
            labels.map(|(name, value)| (name.to_owned(), value)).collect()
        };
        match &effect.kind {
            EffectKind::Fire(alert) => {
                let labels = of(alert);
                match open.get(&labels) {
                    Some(&place) => _ = decisions[place].starts.insert(alert.starts),
                    None => {
                        open.insert(labels.clone(), decisions.len());
                        let starts = BTreeSet::from([alert.starts]);
                        decisions.push(Decision { labels, starts, since: effect.at, over: None });
                    }
                }
            }
            EffectKind::Resolve(alert, ended) => {
                if let Some(place) = open.remove(&of(alert)) {
                    decisions[place].over = Some((*ended, effect.at));
                    decisions[place].starts.insert(alert.starts);
                }
            }
            EffectKind::Record(_) => {}
        }
    }
    decisions
}

/// What somebody did and is not written down, or is twice.
fn deeds(engine: &Engine, operator: &Operator) -> Vec<String> {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for incident in engine.incidents().filter(|incident| incident.status != Status::Merged) {
        for detail in incident.actions.iter().filter_map(|action| action.detail.as_deref()) {
            *counts.entry(detail).or_default() += 1;
        }
    }
    let count = |deed: &str| counts.get(deed).copied().unwrap_or(0);
    let wrong = operator.acknowledged.iter().filter(|deed| count(deed) != 1);
    wrong.map(|deed| format!("{deed} was acknowledged and is there {} times", count(deed))).collect()
}

/// When the daemon and a receiver both were there.
fn together(up: &[(Instant, Instant)], outages: &Outages) -> Vec<(Instant, Instant)> {
    let mut clear = Vec::new();
    for &(begun, until) in up {
        let mut from = begun;
        for &(begins, ends, _) in outages.iter().filter(|outage| outage.1 > begun && outage.0 < until) {
            clear.push((from, begins));
            from = ends;
        }
        clear.push((from, until));
    }
    clear.retain(|(from, until)| from < until);
    clear
}

/// What came of a world.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) wrong: Vec<String>,
    pub(crate) decisions: usize,
    pub(crate) pages: usize,
    pub(crate) acknowledged: usize,
}

/// Judges everything but the figures.
pub(crate) fn judge(
    storage: &Path,
    end: Instant,
    (record, operator): (&Record, &Operator),
    receivers: &Receivers,
    house: &House,
    (steps, has_alertmanager): (bool, bool),
) -> Verdict {
    let mut verdict =
        Verdict { wrong: record.wrong.clone(), acknowledged: record.acknowledged.len(), ..Verdict::default() };
    let wrong = &mut verdict.wrong;
    let (engine, decisions, lost) = match replay(storage, end, record) {
        Ok(replayed) => replayed,
        Err(error) => {
            wrong.push(error);
            return verdict;
        }
    };
    wrong.extend(lost);
    wrong.extend(operator.wrong.iter().cloned());
    wrong.extend(deeds(&engine, operator));
    let told = receivers.told.lock().unwrap();
    (verdict.decisions, verdict.pages) = (decisions.len(), told.pages.len());

    // Decided behaviour: a disk that fails does not keep a page from being told, though the journal cannot have that it became
    // so late; and if then the clock is set back across the restart, nothing knows of the page any more.
    let forgotten = |told: Instant| steps && house.failing.iter().any(|&(from, to)| from <= told && told <= to);

    let mut ids: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
    let mut ends: BTreeMap<usize, Vec<Instant>> = BTreeMap::new();
    let mut first: BTreeMap<usize, Instant> = BTreeMap::new();
    for telling in &told.pages {
        // The last number in the name of a page says when it was decided.
        let page = telling.id.trim_end_matches("-firing").trim_end_matches("-resolved");
        let since = page.rsplit('-').next().and_then(|micros| micros.parse().ok()).map(Instant::from_micros);
        let decided = decisions.iter().position(|decision| {
            decision.labels == telling.labels
                && Some(decision.since) == since
                && decision.starts.contains(&telling.starts)
        });
        let Some(place) = decided else {
            if !forgotten(telling.at) {
                wrong.push(format!("the pager was told what was never decided: {telling:?}"));
            }
            continue;
        };
        match telling.ends {
            None => {
                ids.entry(place).or_default().insert(&telling.id);
                first.entry(place).or_insert(telling.at);
            }
            Some(end) => ends.entry(place).or_default().push(end),
        }
    }
    let slack = if steps { Span::from_mins(10) } else { Span::ZERO };
    let clear = together(&house.up, &receivers.outages[0]);
    for (place, decision) in decisions.iter().enumerate() {
        let paged = ids.get(&place);
        if paged.is_some_and(|ids| ids.len() > 1) {
            wrong.push(format!("paged more than once: {}: {paged:?}", decision.name()));
        }
        let until = decision.over.map_or(end, |(_, decided)| decided);
        let met =
            |&(from, to): &(Instant, Instant)| from.max(decision.since).plus(TOGETHER).plus(slack) <= to.min(until);
        if paged.is_none() && clear.iter().any(met) {
            wrong.push(format!("never paged: {}", decision.name()));
        }
        let healthy = |&(from, to): &(Instant, Instant)| {
            from.plus(HEALTHY) <= decision.since && decision.since.plus(AT_ONCE) < to.min(until)
        };
        if !steps && clear.iter().any(healthy) {
            let came = first.get(&place);
            if came.is_none_or(|&came| came > decision.since.plus(AT_ONCE)) {
                wrong.push(format!("paged late: {}: at {came:?}", decision.name()));
            }
        }
        let ended = ends.get(&place).map_or(&[][..], |ends| ends);
        match decision.over {
            Some((over, _)) => {
                if paged.is_some() && ended.is_empty() {
                    wrong.push(format!("its end was never told: {}", decision.name()));
                }
                if ended.iter().any(|&end| end != over) {
                    wrong.push(format!("told a wrong end, {ended:?} for {over}: {}", decision.name()));
                }
            }
            None if !ended.is_empty() => wrong.push(format!("told as over while it fires: {}", decision.name())),
            None => {}
        }
    }

    for (posted, labels, starts) in &told.posted {
        if !forgotten(*posted)
            && !decisions.iter().any(|decision| decision.labels == *labels && decision.starts.contains(starts))
        {
            wrong.push(format!("the Alertmanager was told what was never decided: {labels:?} since {starts}"));
        }
    }
    let holds: BTreeMap<&Labels, Instant> =
        told.held.iter().filter(|(_, held)| held.ends > end).map(|(labels, held)| (labels, held.starts)).collect();
    let fires: BTreeMap<&Labels, Instant> = decisions
        .iter()
        .filter(|decision| decision.over.is_none())
        .map(|decision| (&decision.labels, *decision.starts.last().unwrap()))
        .collect();
    if has_alertmanager && holds.keys().ne(fires.keys()) {
        wrong.push(format!("the Alertmanager holds {holds:?}, and {fires:?} fire"));
    }
    if engine.alerts().count() != fires.len() {
        wrong.push(format!(
            "{} alerts fire by the engine, {} by its effects",
            engine.alerts().count(),
            fires.len()
        ));
    }
    wrong.extend(verify(storage));
    verdict
}

/// What the tool that users have says of the storage.
fn verify(storage: &Path) -> Option<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_fournines"))
        .arg("verify")
        .arg(storage)
        .env_remove("LD_PRELOAD")
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (!output.status.success()).then(|| format!("fournines verify: {said}"))
}
