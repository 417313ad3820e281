//! Overview: what people look at as a whole. How many services stand how, which feeds speak, what maintenance was
//! announced, which outages a service had, and which drills run.

use super::Engine;
use super::maintenance::Scope;
use super::marks::Outage;
use super::reading::ServiceView;
use super::registry::index;
use crate::model::calendar::Range;
use crate::model::event::{Cause, Severity};
use crate::model::figures::{Lengths, State};
use crate::model::incident::{Incident, IncidentId};
use crate::model::level::LevelRules;
use crate::model::policy::Correlation;
use crate::model::time::{Instant, Span};

/// How many services stand how, of those that are promised already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// All of them, promised already or not.
    pub services: u64,
    /// Those that are not there.
    pub down: u64,
    /// Those that are worse than promised.
    pub degraded: u64,
    /// Those that are being maintained, as announced.
    pub maintenance: u64,
    /// Those whose feed is silent.
    pub unknown: u64,
}

/// A source that is expected to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedView<'a> {
    /// The source.
    pub source: &'a str,
    /// The group that it speaks for.
    pub group: &'a str,
    /// For how long it may be silent.
    pub heartbeat: Span,
    /// Since when it is silent, if it is.
    pub silent_since: Option<Instant>,
}

/// Whom maintenance is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whom<'a> {
    /// A service, and all that depends on it.
    Service(&'a str),
    /// The services of a group.
    Group(&'a str),
}

/// What became of maintenance that was announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaintenanceState {
    /// It is ahead.
    Planned,
    /// It is going on.
    Running,
    /// It is over.
    Over,
    /// It was called off before its end.
    Cancelled,
    /// It was announced only after it had begun, so it excuses nothing.
    Late,
}

/// Maintenance as it was last announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaintenanceView<'a> {
    /// Its key.
    pub key: &'a str,
    /// Whom it is for.
    pub whom: Whom<'a>,
    /// When that was announced.
    pub announced: Instant,
    /// When it begins.
    pub from: Instant,
    /// When it ends.
    pub until: Instant,
    /// What became of it.
    pub state: MaintenanceState,
}

/// An outage of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutageView<'a> {
    /// Its key.
    pub key: &'a str,
    /// When it began.
    pub started: Instant,
    /// When it ended; absent while it goes on.
    pub ended: Option<Instant>,
    /// How grave it was at its worst.
    pub severity: Severity,
    /// Whether all of it lies in maintenance.
    pub planned: bool,
    /// What it came from.
    pub cause: Cause,
    /// The most users that were said to be affected.
    pub users: Option<u64>,
    /// What was said of it.
    pub detail: Option<&'a str>,
}

impl Engine {
    /// How many services stand how at `at`. It costs the same for ten services as for a million, unless one may depend
    /// on either of several others.
    #[must_use]
    pub fn standing(&self, at: Instant) -> Standing {
        let services = self.registry.kept.services.len();
        let known = self.group("all").map(|all| all.group.services_at(at)).unwrap_or_default();
        let lost = |place: &u32| self.view_at(*place).has_only_lost_an_alternative(at);
        let candidates = if self.registry.knows_alternatives() { services } else { 0 };
        let weakened = (0..index(candidates)).filter(lost).count();
        let count = |lengths: i128| u64::try_from(lengths).unwrap_or(0);
        Standing {
            services: services as u64,
            down: count(known.down),
            degraded: count(known.degraded) + weakened as u64,
            maintenance: count(known.blind - known.unknown),
            unknown: count(known.unknown),
        }
    }

    /// The sources that are expected to speak.
    pub fn feeds(&self) -> impl Iterator<Item = FeedView<'_>> {
        let now = self.state.now;
        self.state.feeds.iter().map(move |listener| FeedView {
            source: &listener.feed.source,
            group: &listener.feed.group,
            heartbeat: listener.feed.heartbeat,
            silent_since: Some(listener.silent_from()).filter(|&from| listener.is_silent() && from <= now),
        })
    }

    /// All maintenance that was announced, as it stands at `at`, the latest first.
    #[must_use]
    pub fn maintenance(&self, at: Instant) -> Vec<MaintenanceView<'_>> {
        let mut found: Vec<MaintenanceView<'_>> = Vec::new();
        for (scope, key, said) in self.state.maintenance.notices() {
            let planned = said.iter().rev().find_map(|&(announced, plan)| Some((announced, plan?)));
            let Some((announced, (from, until))) = planned else { continue };
            let whom = match scope {
                Scope::Service(place) => Whom::Service(self.registry.name(place)),
                Scope::Group(place) => Whom::Group(&self.registry.group_names()[place as usize]),
            };
            let is_cancelled = said.last().is_some_and(|&(at, plan)| plan.is_none() && at < until);
            let state = if is_cancelled {
                MaintenanceState::Cancelled
            } else if announced > from {
                MaintenanceState::Late
            } else if at < from {
                MaintenanceState::Planned
            } else if at < until {
                MaintenanceState::Running
            } else {
                MaintenanceState::Over
            };
            found.push(MaintenanceView { key, whom, announced, from, until, state });
        }
        found.sort_by(|one, other| {
            other.from.cmp(&one.from).then_with(|| (one.key, one.whom).cmp(&(other.key, other.whom)))
        });
        found
    }

    /// The drills that run, by name.
    pub fn drills(&self) -> impl Iterator<Item = &str> {
        self.drills.names()
    }

    /// The service of that name among those that were out in the incident's home: the network's, or a drill's.
    #[must_use]
    pub fn parents_within(&self, incident: &Incident, service: &str) -> Vec<&str> {
        let home = self.home_of(incident.id);
        let Some(place) = home.registry.find(service) else { return Vec::new() };
        home.registry.parents_of(place).flatten().map(|&parent| home.registry.name(parent)).collect()
    }

    /// The rules that give an incident its level.
    #[must_use]
    pub fn levels(&self) -> &LevelRules {
        &self.state.policies.levels
    }

    /// What makes outages one incident.
    #[must_use]
    pub fn correlation(&self) -> Correlation {
        self.state.policies.correlation
    }
}

impl<'a> ServiceView<'a> {
    /// How long it was how within the range, up to what is known, in microseconds.
    #[must_use]
    pub fn lengths(&self, range: Range) -> Lengths {
        self.lengths_within(range).0
    }

    /// Its outages that touch the range and are kept in full, by start.
    #[must_use]
    pub fn outages(&self, range: Range) -> Vec<OutageView<'a>> {
        let Some(history) = self.service.history.as_deref() else { return Vec::new() };
        let now = self.engine.now();
        let touches = |outage: &&Outage| outage.start < range.until && outage.end_or_max() >= range.from;
        let shown = |outage: &'a Outage| OutageView {
            key: &outage.key,
            started: outage.start,
            ended: outage.end.filter(|&end| end <= now),
            severity: outage.parts.iter().map(|part| part.severity).max().unwrap_or(Severity::Down),
            planned: !outage.counts(now),
            cause: outage.cause,
            users: outage.parts.iter().filter_map(|part| part.users).max(),
            detail: outage.detail.as_deref(),
        };
        history.outages_from(Instant::MIN).iter().filter(touches).map(shown).collect()
    }

    /// The incident that an outage which began at `started` is part of.
    #[must_use]
    pub fn incident_of(&self, started: Instant) -> Option<IncidentId> {
        let touches = |incident: &&Incident| {
            incident.merged_into.is_none()
                && incident.started <= started
                && incident.restored.is_none_or(|restored| started <= restored)
        };
        self.incidents().rev().find(touches).map(|incident| incident.id)
    }

    /// Whether it is up itself, but one of several that it could depend on is out.
    fn has_only_lost_an_alternative(&self, at: Instant) -> bool {
        self.service.since <= at && self.has_lost_an_alternative(at) && self.own_state(at) == State::Up
    }
}
