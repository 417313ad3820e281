//! The network, its regions, groups and worst services; causes, repairs, maintenance and coverage of a report.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Asked;
use super::figures::{Sums, Verdict};
use super::incidents::{Times, times};
use crate::engine::{Account, CauseShare, GroupView, ServiceView};
use crate::model::calendar::Range;
use crate::model::event::Cause;
use crate::model::figures::Figures;
use crate::model::level::Ratio;
use crate::model::target::Maintenance;
use crate::model::time::{Instant, Span};

/// Services that are listed as the worst.
const WORST_MAX: usize = 20;
/// Limits of the buckets of repairs.
const BUCKETS: [Span; 9] = [
    Span::from_mins(1),
    Span::from_mins(5),
    Span::from_mins(15),
    Span::from_mins(30),
    Span::from_hours(1),
    Span::from_hours(2),
    Span::from_hours(4),
    Span::from_hours(8),
    Span::from_hours(24),
];

/// The figures of the whole network: each service by its users where any has some.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NetworkPart {
    /// How many services.
    pub services: u64,
    /// How many users, as far as that is known.
    pub users: u64,
    /// Services that lost any time.
    pub services_down: u64,
    /// Over what has elapsed; of a period that is over, over all of it.
    pub elapsed: Sums,
    /// What is lost so far, of the whole period; absent when it is over.
    pub whole: Option<Sums>,
    /// The whole period if what is open stays open; absent when it is over.
    pub projected: Option<Sums>,
    /// The longest unplanned outage of any service, as long as it had lasted by the end.
    pub longest_outage_seconds: Option<f64>,
    /// Unplanned outages that began, of all services, over the services: the manual's interruption rate by count.
    pub outages_per_service: Option<f64>,
}

/// A service, a region or another group, to be compared with its like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UnitLine {
    /// Its name in figures.
    pub name: String,
    /// A name for people; empty when the catalogue has none.
    pub title: String,
    /// The region of a service; empty for others.
    pub region: String,
    /// How many services it has: of a service 1.
    pub services: u64,
    /// Its users, as far as they are known.
    pub users: u64,
    /// Its availability, as its promise counts maintenance, held against that promise.
    pub verdict: Verdict,
    /// Its figures.
    pub figures: Sums,
}

/// What one cause cost all services together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CauseLine {
    /// What it came from.
    pub cause: String,
    /// Unplanned outages that began.
    pub outages: u64,
    /// Downtime of all services, added up. What is down for several reasons at once counts for the one that began first.
    pub downtime_seconds: f64,
    /// The share of all downtime.
    pub downtime_ratio: Option<f64>,
    /// The share of it and of all causes above it.
    pub cumulative_ratio: Option<f64>,
    /// Users times minutes lost.
    pub user_minutes_lost: f64,
}

/// How long repairs took: of every outage of every service that ended in the period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RepairPart {
    /// How long they took.
    pub times: Times,
    /// Those that kept the repair target of their service, of those that have one.
    pub within_target: Option<u64>,
    /// Their share.
    pub within_target_ratio: Option<f64>,
    /// How many took longer than the limit before and no longer than this one.
    pub buckets: Vec<Bucket>,
}

/// Repairs of about one length.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = RepairBucket)]
pub struct Bucket {
    /// They took no longer; absent for the last bucket.
    pub upto_seconds: Option<f64>,
    /// How many.
    pub count: u64,
}

/// Maintenance in the period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MaintenancePart {
    /// Time that was excused, the average user's.
    pub excluded_seconds: f64,
    /// Outages that lie wholly within it.
    pub planned_outages: u64,
    /// Outages that began in it and overran it.
    pub overran: u64,
    /// Announcements that came after it had begun, and excuse nothing.
    pub late: u64,
    /// What was announced, by when it was to begin.
    pub list: Vec<MaintenanceLine>,
}

/// An announcement of maintenance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MaintenanceLine {
    /// Its key, and whom it is for: `ring-3 service core-1`.
    pub name: String,
    /// When it begins.
    #[schema(format = DateTime)]
    pub from: String,
    /// When it ends.
    #[schema(format = DateTime)]
    pub until: String,
    /// When that was announced.
    #[schema(format = DateTime)]
    pub announced: String,
    /// Whether that was too late to excuse anything.
    pub late: bool,
    /// `moved` or `cancelled`, if another word replaced it by the end of the period.
    pub replaced: Option<String>,
    /// When it was.
    #[schema(format = DateTime)]
    pub replaced_at: Option<String>,
}

/// How much of the period is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Coverage {
    /// The known share of what was observed.
    pub ratio: Option<f64>,
    /// Time that is not known, the average user's.
    pub unknown_seconds: f64,
    /// What is before it is kept as sums of whole days: its incidents are not in this report.
    #[schema(format = DateTime)]
    pub kept_in_full_since: Option<String>,
    /// The feeds that were expected to speak.
    pub feeds: Vec<FeedLine>,
}

/// A feed that was expected to speak.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FeedLine {
    /// The source.
    pub source: String,
    /// The group that it speaks for.
    pub group: String,
    /// For how long it may be silent.
    pub heartbeat_seconds: f64,
    /// How often it was silent.
    pub silences: u64,
    /// For how long, together.
    pub silent_seconds: f64,
}

/// What is known of all services, gathered once.
pub(super) struct Services<'a> {
    pub(super) known: u64,
    /// Those that something is known of.
    told: Vec<Told<'a>>,
    /// Services whose availability was held against a promise, and kept it, and did not.
    pub(super) kept: u64,
    pub(super) missed: u64,
    causes: [CauseShare; Cause::ALL.len()],
    repairs: Vec<Span>,
    within: Option<u64>,
    overran: u64,
    longest: Option<Span>,
}

struct Told<'a> {
    view: ServiceView<'a>,
    figures: Figures,
}

/// Goes through all services. Those that nothing is known of cost a look each.
pub(super) fn services<'a>(asked: &Asked<'a>) -> Services<'a> {
    let &Asked { engine, range, under, .. } = asked;
    let mut all = Services {
        known: 0,
        told: Vec::new(),
        kept: 0,
        missed: 0,
        causes: [CauseShare::default(); Cause::ALL.len()],
        repairs: Vec::new(),
        within: None,
        overran: 0,
        longest: None,
    };
    let located = engine.located(range.until);
    // Without maintenance and silence a service that was never out was there for all of its time.
    let undisturbed =
        engine.announcements(range).is_empty() && engine.silences(range).iter().all(|silence| silence.count == 0);
    for view in engine.services() {
        all.known += 1;
        let target = view.target(under);
        if undisturbed && !view.has_history() {
            let observed = view.since().is_none_or(|since| since < range.until);
            all.kept += u64::from(observed && target.is_some());
            continue;
        }
        let figures = view.figures_within(range, under);
        match Verdict::of(&figures, target) {
            Verdict::Met => all.kept += 1,
            Verdict::Missed => all.missed += 1,
            Verdict::NotMeasured => {}
        }
        if let Some(Account { causes, repairs, overran, longest }) = view.account(range, &located) {
            for (sum, share) in all.causes.iter_mut().zip(causes) {
                sum.outages += share.outages;
                sum.down += share.down;
                sum.user_micros += share.user_micros;
            }
            all.repairs.extend(repairs);
            all.overran += overran;
            all.longest = all.longest.max(longest);
            if let Some(within) = figures.tallies.repairs_within {
                *all.within.get_or_insert(0) += within;
            }
            all.told.push(Told { view, figures });
        }
    }
    all.repairs.sort_unstable();
    all
}

/// The whole network.
pub(super) fn network(asked: &Asked<'_>, services: &Services<'_>) -> NetworkPart {
    let &Asked { engine, range, whole, under } = asked;
    let all = engine.group("all");
    let target = promised(asked, all);
    let period = all.map(|all| all.period_under(whole, range.until, under));
    let sums = |figures: Option<&Figures>| figures.map(|figures| Sums::of(figures, target));
    let open = period.as_ref().filter(|_| range.until < whole.until);
    let elapsed = period.as_ref().map(|period| &period.elapsed);
    let outages = elapsed.map_or(0, |figures| figures.tallies.outages);
    NetworkPart {
        services: services.known,
        users: all.map_or(0, |all| all.users()),
        services_down: services.told.iter().filter(|told| told.figures.lengths.down > 0).count() as u64,
        elapsed: sums(elapsed).unwrap_or_default(),
        whole: sums(open.map(|period| &period.whole)),
        projected: sums(open.map(|period| &period.projected)),
        longest_outage_seconds: services.longest.map(Span::as_secs_f64),
        outages_per_service: (services.known > 0).then(|| outages as f64 / services.known as f64),
    }
}

/// What is promised of the network as such: by R4 where the profile has it, else as of any group.
fn promised(asked: &Asked<'_>, all: Option<GroupView<'_>>) -> Option<Ratio> {
    let stated = asked.engine.targets(asked.under).of_group(super::verdicts::NETWORK, "all");
    stated.and_then(|value| value.ratio()).or_else(|| all.and_then(|all| all.target(asked.under)))
}

/// The services with the most downtime, the worst first.
pub(super) fn worst(asked: &Asked<'_>, services: &Services<'_>) -> Vec<UnitLine> {
    let rank = |told: &&Told<'_>| {
        let tallies = &told.figures.tallies;
        (Reverse(told.figures.lengths.down), Reverse(tallies.user_micros), Reverse(tallies.outages))
    };
    let bad = |told: &&Told<'_>| told.figures.lengths.down > 0 || told.figures.tallies.outages > 0;
    let mut worst: Vec<&Told<'_>> = services.told.iter().filter(bad).collect();
    worst.sort_unstable_by(|one, other| {
        rank(one).cmp(&rank(other)).then_with(|| one.view.name().cmp(other.view.name()))
    });
    worst.truncate(WORST_MAX);
    let line = |told: &Told<'_>| {
        let target = told.view.target(asked.under);
        UnitLine {
            name: told.view.name().to_owned(),
            title: told.view.title().to_owned(),
            region: told.view.region().to_owned(),
            services: 1,
            users: told.view.users().unwrap_or(0),
            verdict: Verdict::of(&told.figures, target),
            figures: Sums::of(&told.figures, target),
        }
    };
    worst.into_iter().map(line).collect()
}

fn compared(asked: &Asked<'_>, view: GroupView<'_>) -> (Reverse<i128>, UnitLine) {
    let target = view.target(asked.under);
    let figures = view.figures_within(asked.range, asked.under);
    let line = UnitLine {
        name: view.name().to_owned(),
        title: String::new(),
        region: String::new(),
        services: view.members(),
        users: view.users(),
        verdict: Verdict::of(&figures, target),
        figures: Sums::of(&figures, target),
    };
    (Reverse(lost(&figures)), line)
}

/// How much of what was observed is lost, in parts of 10¹²: whole numbers, so that the order is one.
fn lost(figures: &Figures) -> i128 {
    let (lost, of) = figures.lengths.promised(Maintenance::Exclude);
    if of > 0 { lost.saturating_mul(1_000_000_000_000) / of } else { -1 }
}

/// Every region, the worst first.
pub(super) fn regions(asked: &Asked<'_>) -> Vec<UnitLine> {
    let regions = asked.engine.groups().filter(|view| view.name().starts_with("region:"));
    let mut lines: Vec<(Reverse<i128>, UnitLine)> = regions.map(|view| compared(asked, view)).collect();
    lines.sort_by(|one, other| one.0.cmp(&other.0).then_with(|| one.1.name.cmp(&other.1.name)));
    lines.into_iter().map(|(_, line)| line).collect()
}

/// Every other group but `all`, by name.
pub(super) fn groups(asked: &Asked<'_>) -> Vec<UnitLine> {
    let others = asked.engine.groups().filter(|view| view.name() != "all" && !view.name().starts_with("region:"));
    let mut lines: Vec<UnitLine> = others.map(|view| compared(asked, view).1).collect();
    lines.sort_by(|one, other| one.name.cmp(&other.name));
    lines
}

/// Causes as a Pareto table.
pub(super) fn causes(services: &Services<'_>) -> Vec<CauseLine> {
    let mut causes: Vec<(Cause, CauseShare)> = Cause::ALL.into_iter().zip(services.causes).collect();
    causes.retain(|(_, share)| *share != CauseShare::default());
    causes.sort_by_key(|(cause, share)| (Reverse(share.down), Reverse(share.outages), cause.name()));
    let all: i128 = causes.iter().map(|(_, share)| share.down).sum();
    let ratio = |part: i128| (all > 0).then(|| part as f64 / all as f64);
    let mut passed = 0;
    let line = |(cause, share): (Cause, CauseShare)| {
        passed += share.down;
        CauseLine {
            cause: cause.name().to_owned(),
            outages: share.outages,
            downtime_seconds: share.down as f64 / 1e6,
            downtime_ratio: ratio(share.down),
            cumulative_ratio: ratio(passed),
            user_minutes_lost: share.user_micros as f64 / 60e6,
        }
    };
    causes.into_iter().map(line).collect()
}

/// How long repairs took.
pub(super) fn repairs(services: &Services<'_>) -> RepairPart {
    let lengths = &services.repairs;
    let upto = |limit: Option<Span>| match limit {
        Some(limit) => lengths.partition_point(|&length| length <= limit),
        None => lengths.len(),
    };
    let mut before = 0;
    let bucket = |limit: Option<Span>| {
        let passed = upto(limit);
        let count = (passed - before) as u64;
        before = passed;
        Bucket { upto_seconds: limit.map(Span::as_secs_f64), count }
    };
    let within = services.within;
    RepairPart {
        times: times(lengths),
        within_target: within,
        within_target_ratio: within
            .filter(|_| !lengths.is_empty())
            .map(|within| within as f64 / lengths.len() as f64),
        buckets: BUCKETS.into_iter().map(Some).chain([None]).map(bucket).collect(),
    }
}

/// Maintenance.
pub(super) fn maintenance(asked: &Asked<'_>, network: &NetworkPart, services: &Services<'_>) -> MaintenancePart {
    let said = asked.engine.announcements(asked.range);
    MaintenancePart {
        excluded_seconds: network.elapsed.excluded_seconds,
        planned_outages: network.elapsed.planned_outages,
        overran: services.overran,
        late: said.iter().filter(|said| said.is_late()).count() as u64,
        list: said
            .iter()
            .map(|said| MaintenanceLine {
                name: format!("{} {} {}", said.key, if said.of_group { "group" } else { "service" }, said.whom),
                from: said.from.to_string(),
                until: said.until.to_string(),
                announced: said.announced.to_string(),
                late: said.is_late(),
                replaced: said.replaced.map(|(_, moved)| if moved { "moved" } else { "cancelled" }.to_owned()),
                replaced_at: said.replaced.map(|(at, _)| at.to_string()),
            })
            .collect(),
    }
}

/// How much is known.
pub(super) fn coverage(asked: &Asked<'_>) -> Coverage {
    let &Asked { engine, range: Range { from, .. }, .. } = asked;
    let figures = engine.group("all").map(|all| all.figures_within(asked.range, asked.under)).unwrap_or_default();
    let folded = engine.folded_until().filter(|&folded| from < folded);
    let feed = |silence: &crate::engine::Silence<'_>| FeedLine {
        source: silence.source.to_owned(),
        group: silence.group.to_owned(),
        heartbeat_seconds: silence.heartbeat.as_secs_f64(),
        silences: silence.count,
        silent_seconds: silence.length.as_secs_f64(),
    };
    Coverage {
        ratio: figures.coverage(),
        unknown_seconds: figures.seconds(figures.lengths.unknown),
        kept_in_full_since: folded.as_ref().map(Instant::to_string),
        feeds: engine.silences(asked.range).iter().map(feed).collect(),
    }
}
