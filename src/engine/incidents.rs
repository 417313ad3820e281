//! Incidents: which record is whose, and bringing the records in line with the clusters.
//!
//! What an incident *is* follows from the marks and the topology alone and is derived anew whenever they change. What
//! it is *called* is kept: an incident that has paged somebody keeps its id while later facts move its edges.
//!
//! All that happens at one instant is looked at together, once it is complete: a storm is one incident from the
//! first, not a hundred thousand that merge.

use std::collections::{BTreeMap, BTreeSet};

use borsh::{BorshDeserialize, BorshSerialize};

use super::Engine;
use super::alerts;
use super::assess::{self, Context};
use super::clusters::Clusters;
use super::counts::Counts;
use super::history::{History, Lived, Reported};
use super::impact::{Impacts, Scene};
use super::lately::Lately;
use super::pending::Pending;
use super::recent::Recent;
use super::registry::{Registry, index};
use super::regroup::{Ground, Regrouping};
use super::sharing::{Map, Shared};
use super::sums::Change;
use super::timers::{Owner, Timer};
use crate::model::alert::Alert;
use crate::model::effect::{Effect, EffectKind, Reason};
use crate::model::event::About;
use crate::model::incident::{Clock, Incident, IncidentId, Stage, Status};
use crate::model::procedure::ClockName;
use crate::model::time::{Instant, Span};

/// Clusters of which something changed, and the services concerned.
pub(super) type Touched = BTreeMap<u32, BTreeSet<u32>>;

/// A first acknowledgement that is in the figures: when, and how long after the start.
pub(super) type Acknowledged = (Instant, Span);

/// Every incident.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Incidents {
    pub(super) clusters: Clusters,
    /// What those that are live cost whom.
    pub(super) impacts: Impacts,
    pub(super) lately: Shared<Lately>,
    pub(super) records: Map<IncidentId, Shared<Tracked>>,
    /// Where somebody reported something that names an incident, by the incident.
    pub(super) naming: Map<IncidentId, BTreeSet<u32>>,
    pub(super) pending: Pending,
    /// Those that people look at first.
    pub(super) recent: Recent,
}

/// An incident with the alerts that fire for it.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Tracked {
    pub(super) incident: Incident,
    pub(super) alerts: Vec<Alert>,
    /// Its episodes; none once it is no incident of its own.
    pub(super) cluster: Option<u32>,
    /// The service that it began with.
    pub(super) place: u32,
    /// Whether it is in the count of incidents: from the first confirmed restoration on.
    counted: bool,
    /// When one of its clocks is to be looked at next, or the maintenance that its alerts tell of is over.
    due: Option<Instant>,
    /// The clocks whose breach is in the count of breaches.
    breaches_counted: Vec<ClockName>,
    /// The acknowledgement that is in the figures.
    acknowledged: Option<Acknowledged>,
}

impl Tracked {
    /// A record of which nothing is worked out yet.
    pub(super) fn new(incident: Incident, place: u32) -> Self {
        let (alerts, breaches_counted) = (Vec::new(), Vec::new());
        Self {
            incident,
            alerts,
            cluster: None,
            place,
            counted: false,
            due: None,
            breaches_counted,
            acknowledged: None,
        }
    }

    /// The first acknowledgement, as the figures have it: of an incident that is one of its own.
    pub(super) fn acknowledgement(&self) -> Option<Acknowledged> {
        let incident = &self.incident;
        let own = !matches!(incident.status, Status::Merged | Status::Withdrawn);
        let at = incident.reached(Stage::Acknowledged).filter(|_| own)?.at;
        Some((at, at.since(incident.started)))
    }

    /// From when until when there is something of it, if it is over: nothing that begins later can become part of it.
    fn reach(&self) -> (Instant, Option<Instant>) {
        let incident = &self.incident;
        if matches!(incident.status, Status::Merged | Status::Withdrawn) {
            return (incident.started, Some(incident.started));
        }
        let mut acted = incident.actions.iter().map(|record| record.at);
        let first = acted.next();
        let last = acted.next_back().or(first);
        // What is still owed, such as the permanent fix, keeps it.
        let over = incident
            .restored
            .zip(incident.verified)
            .filter(|_| !incident.owes())
            .map(|(restored, verified)| restored.max(verified));
        let begun = first.map_or(incident.started, |first| first.min(incident.started));
        (begun, over.map(|over| last.map_or(over, |last| last.max(over))))
    }
}

impl Incidents {
    /// Whether anything is not looked at yet.
    pub(super) fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Takes note that the error budget of a service was spent otherwise.
    pub(super) fn spend(&mut self, place: u32) {
        self.pending.spent.insert(place);
    }

    /// Takes note that something changed around a service: what fires for the incidents that began with it tells of it.
    pub(super) fn surround(&mut self, history: &History) {
        let records = history.incidents.iter().filter_map(|id| self.records.get(id));
        let firing = records.filter(|tracked| !tracked.alerts.is_empty());
        self.pending.due.extend(firing.filter_map(|tracked| tracked.cluster));
    }

    /// Takes note that a feed fell silent, or was heard in its silence.
    pub(super) fn silence(&mut self, place: u32) {
        self.pending.feeds.insert(place);
    }

    /// Takes note that the policy changed.
    pub(super) fn readopt(&mut self) {
        self.pending.policy = true;
    }

    /// The incidents that a service is or was in, by start; those merged or withdrawn that began with it among them.
    pub(super) fn of(&self, history: &History) -> Vec<&Tracked> {
        let clusters = history.episodes.iter().filter_map(|episode| self.clusters.all.get(&episode.cluster));
        let ids: BTreeSet<IncidentId> =
            clusters.flat_map(|cluster| &cluster.records).chain(&history.incidents).copied().collect();
        let mut found: Vec<&Tracked> =
            ids.iter().filter_map(|id| self.records.get(id).map(|tracked| &**tracked)).collect();
        found.sort_by_key(|tracked| (tracked.incident.started, tracked.incident.id));
        found
    }

    /// The first acknowledgements of the incidents that began with a service.
    pub(super) fn acknowledged(&self, history: &History) -> impl Iterator<Item = Acknowledged> {
        history
            .incidents
            .iter()
            .filter_map(|id| self.records.get(id))
            .filter_map(|tracked| tracked.acknowledgement())
    }

    /// What folding asks of a service's incidents.
    pub(super) fn lived(&self, history: &History) -> Lived {
        let reaches = self.of(history).into_iter().map(Tracked::reach).collect();
        Lived { reaches, acknowledged: self.acknowledged(history).collect() }
    }

    /// Lets go of what a service had before `until`, which nothing of it reaches across.
    pub(super) fn forget(&mut self, place: u32, history: &mut History, clusters: &[u32], until: Instant) {
        for number in clusters {
            let Some(cluster) = self.clusters.all.get_mut(number) else { continue };
            cluster.services.remove(&place);
            if cluster.services.is_empty()
                && let Some(cluster) = self.clusters.remove(*number)
            {
                for id in cluster.records {
                    self.records.remove(&id);
                    self.naming.remove(&id);
                }
            }
        }
        let records = &mut self.records;
        history.incidents.retain(|id| {
            let Some(tracked) = records.get(id) else { return false };
            let keep = tracked.incident.started >= until;
            if !keep && tracked.cluster.is_none() {
                records.remove(id);
            }
            keep
        });
    }

    /// The services of an incident.
    pub(super) fn services(&self, id: IncidentId) -> impl Iterator<Item = u32> {
        let cluster = self.records.get(&id).and_then(|tracked| self.clusters.all.get(&tracked.cluster?));
        cluster.into_iter().flat_map(|cluster| cluster.services.keys().copied())
    }

    /// The record that an id stands for now: what it names may have been merged.
    pub(super) fn resolve(&self, id: IncidentId) -> Option<IncidentId> {
        let mut id = id;
        // Each step leads to an older one.
        for _ in 0..self.records.len() {
            match self.records.get(&id)?.incident.merged_into {
                Some(into) => id = into,
                None => return Some(id),
            }
        }
        None
    }

    /// The cluster that a report is about.
    fn concerned(&self, registry: &Registry, place: u32, reported: &Reported) -> Option<u32> {
        let named = match &reported.about {
            About::Incident(id) => return self.records.get(&self.resolve(id.parse().ok()?)?)?.cluster,
            about => about,
        };
        registry.history(place)?.cluster_of(named, reported.at)
    }
}

impl Engine {
    /// Has a service's incidents looked at once this instant is complete, from `from` on.
    pub(super) fn settle(&mut self, place: u32, from: Instant) {
        let known = self.state.incidents.pending.changed.entry(place).or_insert(from);
        *known = from.min(*known);
    }

    /// Has what a report may be about looked at once this instant is complete.
    pub(super) fn note(&mut self, place: u32, reported: Reported, taken_back: bool) {
        if let About::Incident(id) = &reported.about
            && let Ok(id) = id.parse()
        {
            self.state.incidents.naming.entry(id).or_default().insert(place);
        }
        if reported.at > self.state.now {
            // It takes effect when its time comes.
            self.settle(place, self.state.now);
        }
        self.state.incidents.pending.reported.push((place, reported, taken_back));
    }

    /// A limit of an incident passes.
    pub(super) fn fall_due(&mut self, cluster: u32, timer: Timer) {
        self.state.timers.set(Owner::Incident(cluster), timer, None);
        self.state.incidents.pending.due.insert(cluster);
    }

    /// Looks at all that happened at this instant, which is complete.
    pub(super) fn conclude(&mut self, effects: &mut Vec<Effect>) {
        if !self.state.incidents.is_pending() {
            return;
        }
        let now = self.state.now;
        let pending = std::mem::take(&mut self.state.incidents.pending);
        let mut touched = Touched::new();
        let mut work = Regrouping::default();
        let Incidents { clusters, lately, .. } = &mut self.state.incidents;
        let rules = self.state.policies.correlation;
        let registry = &mut self.registry;
        let mut ground = Ground { registry, clusters, lately, rules, now, touched: &mut touched };
        let mut changed: Vec<u32> = pending.changed.keys().copied().collect();
        if pending.policy {
            changed = (0..index(ground.registry.len()))
                .filter(|&place| ground.registry.history(place).is_some())
                .collect();
            for &place in &changed {
                ground.compare(place, Instant::MIN, false, &mut work);
            }
        }
        for (&place, &from) in &pending.changed {
            ground.compare(place, from.min(now), true, &mut work);
        }
        for (place, reported, taken_back) in pending.reported.iter().filter(|(_, reported, _)| reported.confirms) {
            ground.cut_again(*place, reported.at, *taken_back, &mut work);
        }
        ground.regroup(&mut work);
        for cluster in std::mem::take(&mut clusters.gone) {
            self.state.incidents.impacts.0.remove(&cluster);
            for timer in Timer::INCIDENT {
                self.state.timers.set(Owner::Incident(cluster), timer, None);
            }
        }
        for place in changed {
            let edge = self.registry.history(place).and_then(|history| history.next_edge(now));
            self.state.timers.set(Owner::Service(place), Timer::Mark, edge);
        }
        let known = &self.state.incidents.clusters.all;
        for &due in pending.due.iter().filter(|&due| known.contains_key(due)) {
            touched.entry(due).or_default();
        }
        if pending.policy {
            self.touch_live(&mut touched);
        }
        let withdrawn = self.name(&touched, work, effects);
        for (place, reported, _) in &pending.reported {
            let incidents = &mut self.state.incidents;
            if let Some(number) = incidents.concerned(&self.registry, *place, reported)
                && let Some(cluster) = incidents.clusters.all.get_mut(&number)
            {
                cluster.acting.insert(*place);
                touched.entry(number).or_default();
            }
        }
        for &place in pending.changed.keys().chain(pending.reported.iter().map(|(place, ..)| place)) {
            self.stir(place);
        }
        for number in self.state.incidents.clusters.in_order(&touched) {
            let places = touched.remove(&number).unwrap_or_default();
            self.judge(number, &places, pending.policy, effects);
        }
        for id in withdrawn {
            self.dismiss(id, None, effects);
        }
        for place in pending.spent {
            self.judge_service(place, effects);
        }
        for place in pending.feeds {
            self.judge_feed(place, effects);
        }
    }

    /// Has all that is live looked at anew.
    fn touch_live(&mut self, touched: &mut Touched) {
        let Incidents { clusters, records, impacts, .. } = &mut self.state.incidents;
        impacts.0.clear();
        for (&number, cluster) in clusters.all.iter() {
            let record = cluster.records.first().and_then(|id| records.get(id));
            if record.is_some_and(|tracked| tracked.incident.is_live() || tracked.incident.owes()) {
                touched.entry(number).or_default();
            }
        }
    }

    /// The record is no incident of its own any more: it became part of another one, or its facts are gone.
    pub(super) fn dismiss(&mut self, id: IncidentId, into: Option<IncidentId>, effects: &mut Vec<Effect>) {
        let now = self.state.now;
        let Incidents { records, naming, clusters, .. } = &mut self.state.incidents;
        let Some(tracked) = records.get_mut(&id) else { return };
        let reason = if into.is_some() { Reason::Merged } else { Reason::Corrected };
        tracked.incident.status = if into.is_some() { Status::Merged } else { Status::Withdrawn };
        tracked.incident.merged_into = into;
        tracked.incident.next_level = None;
        tracked.incident.accruing = None;
        tracked.cluster = None;
        for alert in tracked.alerts.drain(..) {
            let ended = now.max(alert.starts);
            effects.push(Effect { at: now, reason: reason.clone(), kind: EffectKind::Resolve(alert, ended) });
        }
        let kind = EffectKind::Record(Box::new(tracked.incident.clone()));
        effects.push(Effect { at: now, reason, kind });
        if let Some(into) = into
            && let Some(places) = naming.remove(&id)
        {
            let cluster = records.get(&into).and_then(|tracked| tracked.cluster);
            if let Some(cluster) = cluster.and_then(|number| clusters.all.get_mut(&number)) {
                cluster.acting.extend(&places);
            }
            naming.entry(into).or_default().extend(places);
        }
        self.account(id);
    }

    /// Brings one record in line with its cluster, and says what changed.
    fn judge(&mut self, number: u32, places: &BTreeSet<u32>, policy_changed: bool, effects: &mut Vec<Effect>) {
        let now = self.state.now;
        let mut impact = self.state.incidents.impacts.0.remove(&number).unwrap_or_default();
        let Some(cluster) = self.state.incidents.clusters.all.get(&number) else { return };
        let Some(&id) = cluster.records.first() else { return };
        let Some(before) = self.state.incidents.records.get(&id).map(|tracked| &tracked.incident) else { return };
        let cx = Context {
            now,
            levels: &self.state.policies.levels,
            clocks: &self.state.policies.procedure.clocks,
            reopen: self.state.policies.correlation.reopen,
            policy_changed,
        };
        let terms = |place| self.terms(place, now);
        let scene = Scene { registry: &self.registry, number, cluster, terms: &terms, now };
        impact.refresh(&scene, places);
        let actions = self.actions((number, id), places, &mut impact.reports);
        let (after, clock_due) = assess::assess(before, (&scene, &impact), actions, &cx);
        let reason = assess::reason(before, &after, &cx);
        // A limit that was seen to pass counts at once. One that had passed before the outage was reported counts when
        // its restoration is confirmed: until then its end may be on the way, and a count cannot be taken back.
        let certain = |clock: &&Clock| {
            let seen_to_pass = before.clock(&clock.name).is_some_and(|was| was.breached.is_none());
            clock.breached.is_some() && (seen_to_pass || after.verified.is_some())
        };
        let breached: Vec<ClockName> =
            after.clocks.iter().filter(certain).map(|clock| clock.name.clone()).collect();
        // Rows are kept of its outages, too.
        let changed = *before != after || !places.is_empty();
        let live = after.is_live();
        let around = self.surroundings(&after);
        let Some(tracked) = self.state.incidents.records.get_mut(&id) else { return };
        let tracked: &mut Tracked = tracked;
        tracked.incident = after;
        let closed = tracked.count(&breached, &mut self.state.counts);
        alerts::update(&mut tracked.alerts, (&tracked.incident, &around), now, &reason, effects);
        tracked.due = clock_due.into_iter().chain(around.over(&tracked.alerts)).min();
        if changed {
            let kind = EffectKind::Record(Box::new(tracked.incident.clone()));
            effects.push(Effect { at: now, reason, kind });
        }
        for timer in Timer::INCIDENT {
            // What is owed after the restoration is so until it is done.
            let ticks = live || timer == Timer::Clock;
            let deadline = tracked.deadline(timer, cx.reopen).filter(|&at| ticks && at > now);
            self.state.timers.set(Owner::Incident(number), timer, deadline);
        }
        if live {
            self.state.incidents.impacts.0.insert(number, impact);
        }
        if closed {
            let cluster = &self.state.incidents.clusters.all[&number];
            for &place in cluster.services.keys() {
                self.registry.history_mut(place).into_iter().for_each(History::tighten);
            }
        }
        self.account(id);
    }

    /// Brings the figures' acknowledgement of an incident up to date, and whether it is looked at first.
    fn account(&mut self, id: IncidentId) {
        let Incidents { records, recent, .. } = &mut self.state.incidents;
        let Some(tracked) = records.get_mut(&id) else { return };
        recent.note(&tracked.incident, self.state.now);
        let is = tracked.acknowledgement();
        let was = std::mem::replace(&mut tracked.acknowledged, is);
        let place = tracked.place;
        let history = self.registry.history(place);
        // What is folded is in the sums of its day.
        if was == is || history.is_none_or(|history| !history.incidents.contains(&id)) {
            return;
        }
        let share = self.share(place);
        self.sums().change(place, Change::Acknowledged { share, was, is });
    }
}

impl Tracked {
    /// Counts what became certain. Returns whether it is closed by that.
    fn count(&mut self, breached: &[ClockName], counts: &mut Counts) -> bool {
        for name in breached {
            if !self.breaches_counted.contains(name) {
                self.breaches_counted.push(name.clone());
                counts.breached(name);
            }
        }
        let closed = self.incident.verified.is_some() && !self.counted;
        if closed {
            // It is kept for long, and seldom changes again.
            self.incident.levels.shrink_to_fit();
            self.incident.clocks.shrink_to_fit();
            self.counted = true;
            counts.closed(self.incident.level, self.incident.cause);
        }
        closed
    }

    /// When it is to be looked at next for that reason.
    fn deadline(&self, timer: Timer, reopen: Span) -> Option<Instant> {
        let incident = &self.incident;
        match timer {
            Timer::Level => incident.next_level.map(|(_, at)| at),
            Timer::Clock => self.due,
            Timer::Quiet => incident.restored.map(|end| end.plus(reopen)),
            // Those follow from other things.
            Timer::Policy | Timer::Silence | Timer::Mark | Timer::Look | Timer::Budget | Timer::Latency => None,
        }
    }
}
