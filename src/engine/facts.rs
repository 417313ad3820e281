//! Taking events in: which fact is new, what it says of whom, and what was taken back.

use super::Engine;
use super::history::{ActionMark, History};
use super::ledger::Kept;
use super::maintenance::{Plan, Scope};
use super::marks::{Facts, Said};
use super::sharing::Shared;
use super::timeline::Timeline;
use crate::model::effect::Effect;
use crate::model::event::{Acted, Body, Event, Maintained, Outcome};
use crate::model::event_id::EventId;
use crate::model::incident::ActionRecord;
use crate::model::service::ServiceName;
use crate::model::time::Instant;

impl Engine {
    pub(super) fn take(&mut self, event: &Event, effects: &mut Vec<Effect>) -> Outcome {
        self.note_age(event, self.state.now);
        self.hear(event);
        let place = event.body.service().map(|name| self.place(name));
        if self.is_too_old(event, place) {
            return Outcome::TooOld;
        }
        if !self.is_new(event, place) {
            return Outcome::Duplicate;
        }
        let retracted = self.is_retracted(event);
        for (id, kept, retracted) in self.take_back(event) {
            self.retract((id, kept), retracted);
        }
        self.learn(event, place, retracted, effects)
    }

    /// Whether an event, about the service of that place if it is about one, is the first of its id.
    pub(super) fn is_new(&mut self, event: &Event, place: Option<u32>) -> bool {
        let ledger = &mut self.state.ledger;
        match event.id {
            EventId::NONE => true,
            id if event.body.is_sample() => ledger.is_new_sample(id),
            id => ledger.is_new_fact(id, kept(event, place)),
        }
    }

    /// Whether an event was taken back before it came.
    pub(super) fn is_retracted(&self, event: &Event) -> bool {
        event.id != EventId::NONE && self.state.ledger.is_retracted(event.id)
    }

    /// What an event takes back, if it is a retraction: where that is kept, and whether it counts nowhere from now on. What
    /// it takes back may be a retraction itself.
    pub(super) fn take_back(&mut self, event: &Event) -> Vec<(EventId, Kept, bool)> {
        let Body::Retraction { of } = &event.body else { return Vec::new() };
        let ledger = &mut self.state.ledger;
        let concerned = ledger.retract(EventId::new(&event.source, of), event.id);
        concerned.into_iter().map(|(id, kept)| (id, kept, ledger.is_retracted(id))).collect()
    }

    /// Takes in what an event says that is new, of a service of that place, and whether it was taken back before it came.
    pub(super) fn learn(
        &mut self,
        event: &Event,
        place: Option<u32>,
        retracted: bool,
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        let id = event.id;
        let outcome = match (&event.body, place) {
            (Body::OutageStarted(started), Some(place)) => {
                let said = Said::Started(Facts::new(&started.facts));
                self.mark(place, &started.outage, (event.time, said), (id, retracted));
                Outcome::Applied
            }
            (Body::OutageUpdated { outage, facts, .. }, Some(place)) => {
                let said = Said::Updated(Facts::new(facts));
                self.mark(place, outage, (event.time, said), (id, retracted));
                Outcome::Applied
            }
            (Body::OutageEnded { outage, cause, .. }, Some(place)) => {
                self.mark(place, outage, (event.time, Said::Ended(*cause)), (id, retracted));
                let orphan = !retracted && self.history(place).is_orphan(outage, event.time);
                if orphan { Outcome::Orphan } else { Outcome::Applied }
            }
            (Body::Acted(acted), Some(place)) => {
                self.report(place, event.time, acted, (id, retracted));
                Outcome::Applied
            }
            (Body::MaintenancePlanned { of, maintenance, from, until }, _) => {
                let plan = Plan::During { from: *from, until: *until };
                match self.maintain(of, maintenance, (event.time, plan), (id, retracted)) {
                    false => Outcome::TooOld,
                    true if event.time > *from => Outcome::Late,
                    true => Outcome::Applied,
                }
            }
            (Body::MaintenanceCancelled { of, maintenance }, _) => {
                let said = (event.time, Plan::Nothing);
                let taken = self.maintain(of, maintenance, said, (id, retracted));
                if taken { Outcome::Applied } else { Outcome::TooOld }
            }
            (Body::Latency { took, count, .. }, Some(place)) if !retracted => {
                self.latency(place, event.time, (*took, *count), effects);
                Outcome::Applied
            }
            (Body::Measurement { metric, value, .. }, Some(place)) if !retracted => {
                self.measure(place, event.time, (metric, *value), effects);
                Outcome::Applied
            }
            (Body::Retraction { .. } | Body::Heartbeat, _) => Outcome::Applied,
            _ => Outcome::Kept,
        };
        if retracted { Outcome::Retracted } else { outcome }
    }

    fn mark(&mut self, place: u32, key: &str, (at, said): (Instant, Said), (id, retracted): (EventId, bool)) {
        if self.history(place).mark(key, at, said, id, retracted) {
            self.pair_again(place, &[(key.into(), at)]);
        }
    }

    fn report(&mut self, place: u32, at: Instant, acted: &Acted, (id, retracted): (EventId, bool)) {
        let Acted { action, cause, .. } = *acted;
        let record = ActionRecord {
            at,
            action,
            by: acted.by.clone(),
            detail: acted.detail.clone(),
            cause,
            particulars: acted.particulars.clone(),
        };
        let mark = ActionMark { about: acted.about.clone(), record, id, retracted };
        let reported = mark.reported();
        if self.history(place).report(mark) && !retracted {
            self.note(place, reported, false);
        }
    }

    /// Takes in a notice of maintenance. Returns whether it could be: it changes nothing that is folded.
    fn maintain(&mut self, of: &Maintained, key: &str, said: (Instant, Plan), identity: (EventId, bool)) -> bool {
        let scope = match of {
            Maintained::Service(name) => Scope::Service(self.place(name)),
            Maintained::Group(name) => {
                let group = self.registry.group(name);
                self.grow_groups();
                Scope::Group(group)
            }
        };
        let Some((plans, from)) = self.state.maintenance.with_notice(scope, key, said, identity) else {
            return true;
        };
        self.excuse(scope, plans, from)
    }

    /// An event that is kept somewhere counts no more, or again.
    pub(super) fn retract(&mut self, (id, kept): (EventId, Kept), retracted: bool) {
        match kept {
            Kept::Service(place) => {
                let history = self.history(place);
                let (marks, reports) = history.retract(id, retracted);
                self.pair_again(place, &marks);
                for report in reports {
                    self.note(place, report, true);
                }
            }
            Kept::Maintenance => {
                let Some(scope) = self.state.maintenance.scope_of(id) else { return };
                let (plans, from) = self.state.maintenance.with_retraction(scope, id, retracted);
                self.excuse(scope, plans, from);
            }
            Kept::Retraction(_) | Kept::Nowhere => {}
        }
    }

    /// The service's place; one that is not known yet is taken in.
    pub(super) fn place(&mut self, name: &ServiceName) -> u32 {
        let known = self.registry.len();
        let place = self.registry.place(name);
        if self.registry.len() > known {
            self.grow_groups();
            if self.has(place) {
                self.join(place);
            }
        }
        place
    }

    /// The service's history; one that has none yet begins with what lies around it.
    fn history(&mut self, place: u32) -> &mut History {
        let known = self.registry.service(place).history.is_some();
        let timeline = if known { Timeline::default() } else { Timeline::undisturbed(&self.around(place)) };
        let begin = || Shared::new(History::new(timeline));
        self.registry.kept.services[place as usize].history.get_or_insert_with(begin)
    }
}

fn kept(event: &Event, place: Option<u32>) -> Kept {
    match (&event.body, place) {
        (Body::Retraction { of }, _) => Kept::Retraction(EventId::new(&event.source, of)),
        (Body::MaintenancePlanned { .. } | Body::MaintenanceCancelled { .. }, _) => Kept::Maintenance,
        (_, Some(place)) => Kept::Service(place),
        (_, None) => Kept::Nowhere,
    }
}
