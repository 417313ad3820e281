//! An incident: what is known of it, its clocks, what happened in which order and why, what it took with it, who was told,
//! and what can be done about it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State as Shared};
use axum::http::StatusCode;
use axum::response::Response;

use super::super::api::Reading;
use super::frame::{Asked, Page, Place};
use super::now::Card;
use super::shown;
use crate::engine::{Engine, Recovery};
use crate::model::delivery::{self, Progress};
use crate::model::event::Cause;
use crate::model::incident::{Incident as Known, IncidentId, Status};
use crate::model::level::Level;
use crate::model::procedure::Until;
use crate::model::time::Instant;
use crate::problem::Problem;

/// Services of the tree that are shown.
const AFFECTED_MAX: usize = 200;
/// How deep the tree is drawn; what is deeper hangs there too.
const DEPTH_MAX: usize = 6;

#[derive(Template)]
#[template(path = "incident.html")]
struct Incident<'a> {
    page: Page,
    card: Card<'a>,
    affected: Vec<Affected<'a>>,
    affected_count: usize,
    regions: Vec<&'a str>,
    happened: Vec<Happened>,
    told: Vec<delivery::Page>,
    recovery: Option<Recovery>,
    /// Whether the repair clock stands still.
    is_held: bool,
    /// Whether anything can be said of it any more.
    takes_deeds: bool,
    /// The notices that are owed, by the names of their clocks.
    notices: Vec<&'a str>,
    /// What else is shown of each clock: where its limit comes from.
    cites: BTreeMap<&'a str, &'a str>,
    causes: [Cause; 6],
    levels: [Level; 3],
}

/// A service in the tree of what was out.
struct Affected<'a> {
    depth: usize,
    name: &'a str,
    /// Whether it was out itself, rather than deduced from what hangs on it.
    was_out: bool,
    is_suspected: bool,
}

/// Something that happened to the incident.
struct Happened {
    at: Instant,
    what: String,
    why: Vec<String>,
    /// When the same was said last, and how often, if it was said more than once in a row: each site of a cut ring may
    /// report the same stage.
    again: Option<(Instant, usize)>,
}

impl Incident<'_> {
    const fn progress(&self, progress: &Progress) -> &'static str {
        match progress {
            Progress::Pending => self.page.t("… is to be told now", "… 待发送"),
            Progress::Waiting(..) => self.page.t("○ waits", "○ 等待中"),
            Progress::Firing(_) => self.page.t("✓ told", "✓ 已送达"),
            Progress::Resolved(_) => self.page.t("✓ told that it is over", "✓ 已告知恢复"),
            Progress::Withheld(_) => self.page.t("– not told", "– 未发送"),
            Progress::Failed => self.page.t("✕ failed", "✕ 发送失败"),
        }
    }

    fn user_minutes(&self) -> String {
        // Rounded down: what is shown was lost.
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a float beyond is the greatest"
        )]
        let whole = self.card.incident.user_minutes(self.page.now) as u64;
        self.page.number(whole)
    }

    fn regions_listed(&self) -> String {
        self.regions.join(", ")
    }

    fn of_limit(&self, used: &Option<f64>) -> String {
        // Rounded up: what is just beyond a limit is not within.
        used.map_or_else(|| "–".to_owned(), |used| format!("{} %", (used.max(0.0) * 1e3).ceil() / 10.0))
    }

    /// How full a clock is, for a bar: from 0 to 100.
    fn used(&self, clock: &crate::model::incident::Clock) -> i64 {
        let end = clock.stopped.unwrap_or(self.page.now);
        let passed =
            end.since(clock.started).as_micros() - clock.held(&self.card.incident.holds(), end).as_micros();
        (passed.saturating_mul(100) / clock.limit.as_micros().max(1)).clamp(0, 100)
    }

    fn cite(&self, clock: &crate::model::incident::Clock) -> &str {
        self.cites.get(clock.name.as_str()).copied().unwrap_or("")
    }
}

/// An incident.
pub(super) async fn incident(
    Shared(reading): Shared<Arc<Reading>>,
    asked: Asked,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let Path(id) = id?;
    let engine = reading.copy();
    let Some(known) = id.parse::<IncidentId>().ok().and_then(|id| engine.incident(id)) else {
        let folded = engine.folded_until().map(|at| format!("; those before {at} are in the export only"));
        let detail = format!("there is no incident {id:?}{}", folded.unwrap_or_default());
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    };
    let page = asked.page(Place::Incidents, &reading, &engine);
    let deliveries = reading.deliveries.get();
    let told = deliveries.map(|deliveries| deliveries.pages(Some(known.id), reading.clock.now()));
    Ok(shown(&of(&engine, page, known, told.unwrap_or_default())))
}

fn of<'a>(engine: &'a Engine, page: Page, known: &'a Known, told: Vec<delivery::Page>) -> Incident<'a> {
    let services: Vec<&str> = engine.services_of(known.id).collect();
    let holds = known.holds();
    let owed = known.clocks.iter().filter(|clock| clock.until == Until::Notice && clock.stopped.is_none());
    // Where a limit comes from: the clause of the target of that name, unless its rule says otherwise.
    let clauses = engine.targets(page.now).base.iter().map(|target| (target.name.as_str(), target.clause.as_str()));
    let rules = engine.procedure().clocks.iter().filter(|rule| !rule.cite.is_empty());
    Incident {
        card: Card::of(known, page.now),
        affected_count: services.len(),
        affected: tree(engine, known, services),
        regions: engine.regions_of(known.id).into_iter().collect(),
        happened: happened(&page, known),
        told,
        recovery: engine.recovery(known, page.now),
        is_held: holds.last().is_some_and(|hold| hold.until.is_none()) && known.status.is_open(),
        takes_deeds: !matches!(known.status, Status::Merged | Status::Withdrawn),
        notices: owed.map(|clock| clock.name.as_str()).collect(),
        cites: clauses.chain(rules.map(|rule| (rule.name.as_str(), rule.cite.as_str()))).collect(),
        causes: Cause::ALL,
        levels: Level::ALL,
        page,
    }
}

/// What was out, each below what it depends on.
fn tree<'a>(engine: &'a Engine, incident: &'a Known, services: Vec<&'a str>) -> Vec<Affected<'a>> {
    let suspected = incident.suspected_cause.as_ref().map(|name| name.as_str());
    let mut within: BTreeSet<&str> = services.iter().copied().collect();
    let was_out = within.clone();
    within.extend(suspected);
    let mut children: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut roots = Vec::new();
    for &name in &within {
        let parents = engine.parents_within(incident, name);
        match parents.into_iter().find(|parent| *parent != name && within.contains(parent)) {
            Some(parent) => {
                let parent = within.get(parent).copied().unwrap_or(name);
                children.entry(parent).or_default().push(name);
            }
            None => roots.push(name),
        }
    }
    let mut shown = Vec::new();
    let mut seen = BTreeSet::new();
    let mut waiting: Vec<(usize, &str)> = roots.into_iter().rev().map(|name| (0, name)).collect();
    while let Some((depth, name)) = waiting.pop() {
        if shown.len() == AFFECTED_MAX {
            break;
        }
        if !seen.insert(name) {
            continue;
        }
        let (was_out, is_suspected) = (was_out.contains(name), suspected == Some(name));
        shown.push(Affected { depth: depth.min(DEPTH_MAX), name, was_out, is_suspected });
        let below = children.get(name).into_iter().flatten().rev();
        waiting.extend(below.map(|&child| (depth + 1, child)));
    }
    shown
}

/// Stages, levels, holds and notices, in order of time.
fn happened(page: &Page, incident: &Known) -> Vec<Happened> {
    let text = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
    let mut all = vec![Happened {
        at: incident.started,
        what: page.t("its first outage began", "首个中断开始").to_owned(),
        why: text(&incident.detail).into_iter().collect(),
        again: None,
    }];
    all.extend(incident.stages().iter().map(|record| {
        Happened {
            at: record.at,
            what: page.stage(record.stage).to_owned(),
            why: [
                match record.by.as_deref() {
                    Some("quiet") => Some(page.t("by itself: nothing came back", "自动：未再反复").to_owned()),
                    by => by.map(str::to_owned),
                },
                text(&record.detail),
                record.out_of_order.then(|| page.t("out of order", "顺序异常").to_owned()),
            ]
            .into_iter()
            .flatten()
            .collect(),
            again: None,
        }
    }));
    all.extend(incident.levels.iter().map(|change| Happened {
        at: change.at,
        what: format!("{}: {}", page.t("level", "级别"), page.level_word(change.level)),
        why: vec![change.rule.clone()],
        again: None,
    }));
    for hold in incident.holds() {
        let why = |by: &Option<Box<str>>| [text(&hold.reason), text(by)].into_iter().flatten().collect();
        let what = page.t("repair clock held", "修复计时暂停").to_owned();
        all.push(Happened { at: hold.from, what, why: why(&hold.by), again: None });
        all.extend(hold.until.map(|until| Happened {
            at: until,
            what: page.t("repair clock goes on", "修复计时继续").to_owned(),
            why: text(&hold.resumed_by).into_iter().collect(),
            again: None,
        }));
    }
    all.extend(incident.notices().map(|(record, name)| Happened {
        at: record.at,
        what: format!("{}: {name}", page.t("notice sent", "已通报")),
        why: [text(&record.by), text(&record.detail)].into_iter().flatten().collect(),
        again: None,
    }));
    for clock in &incident.clocks {
        all.extend(clock.breached.map(|at| Happened {
            at,
            what: format!("{}: {}", page.clock(clock), page.t("the limit passed", "已超时限")),
            why: vec![page.span(clock.limit)],
            again: None,
        }));
    }
    // What came first of one instant was put in first.
    all.sort_by_key(|one| one.at);
    all.dedup_by(|one, before| {
        let same = one.what == before.what && one.why == before.why;
        if same {
            before.again = Some((one.at, before.again.map_or(1, |(_, count)| count) + 1));
        }
        same
    });
    all
}
