//! Settling: bringing all that follows from the facts in line with them, for one service or for many, and keeping the
//! sums of the groups true meanwhile.

use super::Engine;
use super::availability::{Stretch, Union};
use super::budget::{self, Promise, ServiceAccount};
use super::groups::{Group, Share};
use super::history::{ActionMark, Brief, History};
use super::maintenance::{Plans, Scope};
use super::policies::Terms;
use super::registry::index;
use super::sharing::Shared;
use super::sums::{Change, Sums};
use super::timeline::{Around, Stand, Step, Timeline};
use super::timers::{Owner as TimerOwner, Timer};
use crate::model::alert::Owner;
use crate::model::effect::{Effect, Reason};
use crate::model::level::Ratio;
use crate::model::policy::Policy;
use crate::model::service::ServiceName;
use crate::model::target::{AVAILABILITY, Maintenance as MaintenanceMode, Subject, Value};
use crate::model::time::{Instant, Span};

impl Engine {
    /// Works by another policy from now on. What is over keeps the level that it was given.
    pub(super) fn adopt(&mut self, policy: &Policy, effects: &mut Vec<Effect>) {
        self.state.policies.adopt(policy, self.state.now);
        self.registry.adopt(&policy.services);
        self.listen(&policy.feeds, effects);
        self.come_into_force(effects);
    }

    /// Brings everything in line with the policy in force now.
    pub(super) fn come_into_force(&mut self, effects: &mut Vec<Effect>) {
        let next = self.state.policies.next_after(self.state.now);
        self.state.timers.set(TimerOwner::Policy, Timer::Policy, next);
        self.state.incidents.readopt();
        // What fires about a group goes on until it is judged anew.
        for group in &mut self.state.groups {
            group.empty();
        }
        self.grow_groups();
        for place in 0..index(self.registry.len()) {
            if let Some(mut history) = self.take_history(place) {
                let around = self.around(place);
                history.judge_planned(Instant::MIN, &around);
                history.rebuild(Instant::MIN, &around, self.state.now);
                self.put_history(place, history);
            }
            self.join(place);
            self.state.incidents.spend(place);
            self.judge_measured(place, effects);
        }
        let targets = self.state.policies.targets(self.state.now);
        for (group, name) in self.state.groups.iter_mut().zip(self.registry.group_names()) {
            let promised = targets.names_group(name) && targets.of_group(AVAILABILITY, name).is_some();
            // One that was watched is looked at once more, to end what fires.
            group.watched = promised || !group.alerts.is_empty();
        }
        for group in 0..index(self.state.groups.len()) {
            self.touch(group);
        }
    }

    /// What is known of a service ahead takes effect.
    pub(super) fn wake(&mut self, place: u32) {
        let now = self.state.now;
        self.state.timers.set(TimerOwner::Service(place), Timer::Mark, None);
        let Some(mut history) = self.take_history(place) else { return };
        let overrun = history.overrun(now).unwrap_or(now);
        // An outage that ends now has begun before, and is told of with its incident.
        let from = overrun.min(history.cut(now));
        let reports: Vec<_> =
            history.actions(now).filter(|mark| mark.record.at == now).map(ActionMark::reported).collect();
        self.put_history(place, history);
        self.settle(place, from);
        for report in reports {
            self.note(place, report, false);
        }
    }

    // ---- one service ----

    /// What lies around the outages of a service.
    pub(super) fn around(&self, place: u32) -> Around {
        let service = self.registry.service(place);
        Around {
            excluded: self.excluded(place),
            unknown: self.unknown(place),
            degraded_weight: self.state.policies.targets(self.state.now).degraded_weight,
            users: service.users().unwrap_or(0),
        }
    }

    /// When maintenance of it, or of what it depends on or belongs to, excuses it.
    pub(super) fn excluded(&self, place: u32) -> Vec<Stretch> {
        let maintenance = &self.state.maintenance;
        if maintenance.is_empty() {
            return Vec::new();
        }
        let ancestors = self.registry.ancestors(place);
        let services = [place].into_iter().chain(ancestors).map(Scope::Service);
        let groups = self.registry.groups_of(place).map(Scope::Group);
        let mut all = Vec::new();
        let mut scopes = 0;
        for stretches in services.chain(groups).map(|scope| maintenance.of(scope)) {
            scopes += usize::from(!stretches.is_empty());
            all.extend_from_slice(stretches);
        }
        if scopes > 1 { Union::of(all).stretches().to_vec() } else { all }
    }

    fn unknown(&self, place: u32) -> Vec<Stretch> {
        let speaks = |group| self.registry.is_in(place, group);
        let mut all = Vec::new();
        let mut feeds = 0;
        for listener in self.state.feeds.iter().filter(|listener| speaks(listener.group)) {
            feeds += 1;
            all.extend(listener.silences());
        }
        if feeds > 1 { Union::of(all).stretches().to_vec() } else { all }
    }

    /// The service's terms at an instant.
    pub(super) fn terms(&self, place: u32, at: Instant) -> Terms {
        let in_group = |group: &str| self.registry.is_in_group(place, group);
        let registry = &self.registry;
        let subject = || Subject { service: registry.name(place), tier: registry.tier(place), in_group: &in_group };
        self.state.policies.terms(at, subject)
    }

    pub(super) fn share(&self, place: u32) -> Share {
        let service = self.registry.service(place);
        let repair = self.terms(place, self.state.now).repair;
        Share { users: service.users().unwrap_or(0), since: service.since, repair }
    }

    /// Pairs marks again, and brings what follows from them in line.
    pub(super) fn pair_again(&mut self, place: u32, marks: &[(Box<str>, Instant)]) {
        let Some(mut history) = self.take_history(place) else { return };
        let around = self.around(place);
        let mut from: Option<Instant> = None;
        let mut briefs: Vec<(Brief, i64)> = Vec::new();
        for (key, at) in marks {
            let Some(change) = history.pair_again(key, *at, &around) else { continue };
            from = Some(from.map_or(change.from, |from| from.min(change.from)));
            let same = change.gone.iter().zip(&change.come).take_while(|(gone, come)| gone == come).count();
            briefs.extend(change.gone[same..].iter().map(|&brief| (brief, -1)));
            briefs.extend(change.come[same..].iter().map(|&brief| (brief, 1)));
        }
        let Some(from) = from else {
            self.put_history(place, history);
            return;
        };
        let cut = history.cut(from);
        let (_, tail) = history.timeline.tail(cut);
        let before = tail.to_vec();
        history.rebuild(cut, &around, self.state.now);
        let share = self.share(place);
        let (stood, after) = history.timeline.tail(cut);
        let same = before.iter().zip(after).take_while(|(before, after)| before == after).count();
        let stood = same.checked_sub(1).map_or(stood, |last| before[last].stand);
        let moved = same < before.len() || same < after.len();
        let change = Change::Stood {
            share,
            stood,
            before: before[same..].into(),
            after: after[same..].into(),
            outages: briefs.into(),
        };
        self.sums().change(place, change);
        self.put_history(place, history);
        self.settle(place, cut);
        if moved {
            self.state.incidents.spend(place);
            self.touch_groups_of(place);
        }
    }

    // ---- budgets ----

    fn promise(&self, target: Option<Ratio>, mode: MaintenanceMode) -> Option<Promise> {
        let targets = self.state.policies.targets(self.state.now);
        let (window, horizon) = (targets.budget_window, targets.risk_horizon);
        target.map(|target| Promise { target, mode, window, horizon })
    }

    /// Looks at a service's error budget as it stands now.
    pub(super) fn judge_service(&mut self, place: u32, effects: &mut Vec<Effect>) {
        let Some(mut history) = self.take_history(place) else { return };
        let watched = self.state.policies.targets(self.state.now).watch_services;
        let promise = if watched { self.promise_of(place, self.state.now) } else { None };
        let service = self.registry.service(place);
        let account = ServiceAccount { timeline: &history.timeline, since: service.since };
        let owner = Owner::Service(ServiceName::known(self.registry.name(place)));
        let judged = budget::of_service(promise, &account, &owner, &history.budget_alerts, self.state.now);
        let now = self.state.now;
        budget::update(&mut history.budget_alerts, judged.wanted, now, &Reason::Budget, effects);
        let deadline = judged.deadline.filter(|&at| at > now);
        self.state.timers.set(TimerOwner::Service(place), Timer::Budget, deadline);
        self.put_history(place, history);
    }

    /// What a service is promised at `at`, as a budget.
    pub(super) fn promise_of(&self, place: u32, at: Instant) -> Option<Promise> {
        let terms = self.terms(place, at);
        self.promise(terms.availability, terms.maintenance)
    }

    /// What a group is promised at `at`, as a budget.
    pub(super) fn promise_of_group(&self, group: &str, at: Instant) -> Option<Promise> {
        let targets = self.state.policies.targets(at);
        let target = targets.of_group(AVAILABILITY, group).and_then(Value::ratio);
        self.promise(target, targets.maintenance_of_group(group))
    }

    pub(super) fn touch_groups_of(&mut self, place: u32) {
        if self.part.is_some() {
            self.sums().change(place, Change::Moved);
            return;
        }
        let groups: Vec<u32> = self.registry.groups_of(place).collect();
        groups.into_iter().for_each(|group| self.touch(group));
    }

    /// Has a group's error budget looked at as soon as what happens at this instant is complete.
    fn touch(&mut self, group: u32) {
        let soon = self.state.now.plus(Span::TICK);
        let state = &mut self.state.groups[group as usize];
        if !state.watched {
            return;
        }
        let due = match &state.watch {
            Some(watch) => watch.due().map(|due| due.max(soon)),
            None => Some(soon),
        };
        if let Some(due) = due.filter(|&due| state.due.is_none_or(|known| due < known)) {
            state.due = Some(due);
            self.state.timers.set(TimerOwner::Group(group), Timer::Budget, Some(due));
        }
    }

    /// Looks at a group's error budget as it stands now.
    pub(super) fn judge_group(&mut self, place: u32, effects: &mut Vec<Effect>) {
        let now = self.state.now;
        let name = self.registry.group_names()[place as usize].to_string();
        let targets = self.state.policies.targets(now);
        let promise = if targets.names_group(&name) { self.promise_of_group(&name, now) } else { None };
        let owner = Owner::Group(name);
        let group: &mut Group = &mut self.state.groups[place as usize];
        let mut alerts = std::mem::take(&mut group.alerts);
        let (judged, watch) = budget::of_group(promise, group, &owner, &alerts, now);
        budget::update(&mut alerts, judged.wanted, now, &Reason::Budget, effects);
        group.alerts = alerts;
        group.watch = Some(Box::new(watch));
        let deadline = judged.deadline.filter(|&at| at > now);
        group.due = deadline;
        self.state.timers.set(TimerOwner::Group(place), Timer::Budget, deadline);
    }

    pub(super) fn take_history(&mut self, place: u32) -> Option<Shared<History>> {
        self.registry.kept.services[place as usize].history.take()
    }

    pub(super) fn put_history(&mut self, place: u32, history: Shared<History>) {
        self.registry.kept.services[place as usize].history = Some(history);
    }

    // ---- groups ----

    /// Makes room for groups that were named since.
    pub(super) fn grow_groups(&mut self) {
        self.state.groups.resize_with(self.registry.group_names().len(), Shared::default);
    }

    /// Takes a service, with all that is known of it, into its groups.
    pub(super) fn join(&mut self, place: u32) {
        let share = self.share(place);
        self.sums().change(place, Change::Joined(share));
        self.contribute(place, Instant::MIN, 1);
    }

    /// Adds a service's part from `cut` on to the sums of its groups, or with `sign` −1 takes it away.
    fn contribute(&mut self, place: u32, cut: Instant, sign: i64) {
        let share = self.share(place);
        let service = self.registry.service(place);
        let idle;
        let (stood, steps, outages): (Stand, &[Step], &[_]) = match service.history.as_deref() {
            Some(history) => {
                let (stood, steps) = history.timeline.tail(cut);
                (stood, steps, history.outages_from(cut))
            }
            None => {
                let around = self.around(place);
                if around.excluded.is_empty() && around.unknown.is_empty() {
                    return;
                }
                idle = Timeline::undisturbed(&around);
                let (stood, steps) = idle.tail(cut);
                (stood, steps, &[])
            }
        };
        let outages: Vec<(Brief, i64)> = outages.iter().map(|outage| (Brief::of(outage), sign)).collect();
        let (before, after): (&[Step], &[Step]) = if sign < 0 { (steps, &[]) } else { (&[], steps) };
        let change =
            Change::Stood { share, stood, before: before.into(), after: after.into(), outages: outages.into() };
        let (registry, groups) = (&self.registry, &mut self.state.groups);
        Sums { registry, groups, part: &mut self.part, now: self.state.now }.change(place, change);
        let (true, Some(history)) = (cut == Instant::MIN, service.history.as_deref()) else { return };
        let first_day = self.day_of(share.since);
        for group in self.registry.groups_of(place) {
            let group = &mut self.state.groups[group as usize];
            for (start, day) in history.days(first_day, Instant::MAX) {
                group.lived(&share, *start, day);
            }
            for &when in history.overran().iter().filter(|when| when.0 >= share.since) {
                group.overran(when, sign);
            }
            for repair in history.repairs.ended_before(history.folded_until()) {
                group.repair(&share, repair, sign);
            }
            for acknowledged in self.state.incidents.acknowledged(history).collect::<Vec<_>>() {
                group.acknowledgement(&share, acknowledged, sign);
            }
        }
    }

    /// The places of a group's services.
    pub(super) fn members(&self, group: u32) -> Vec<u32> {
        (0..index(self.registry.len())).filter(|&place| self.registry.is_in(place, group)).collect()
    }

    // ---- what lies around many services ----

    /// Makes other plans those of a scope; `from` is when they excuse other things than before, if they do. Returns
    /// whether they could be: nothing that is folded changes.
    pub(super) fn excuse(&mut self, scope: Scope, plans: Shared<Plans>, from: Option<Instant>) -> bool {
        let Some(from) = from else {
            self.state.maintenance.put(scope, plans);
            return true;
        };
        if self.is_folded(from) {
            return false;
        }
        let affected = match scope {
            Scope::Service(place) => self.registry.with_descendants(place),
            Scope::Group(group) => self.members(group),
        };
        self.surround(affected, from, |engine| engine.state.maintenance.put(scope, plans));
        true
    }

    /// Changes what lies around some services from `from` on, and brings them in line.
    pub(super) fn surround(&mut self, mut affected: Vec<u32>, from: Instant, change: impl FnOnce(&mut Self)) {
        affected.retain(|&place| self.has(place));
        for &place in &affected {
            let cut = self.cut(place, from);
            self.contribute(place, cut, -1);
        }
        change(self);
        for place in affected {
            let cut = self.cut(place, from);
            let around = self.around(place);
            if let Some(mut history) = self.take_history(place) {
                history.judge_planned(cut, &around);
                history.rebuild(cut, &around, self.state.now);
                self.state.incidents.surround(&history);
                self.put_history(place, history);
                self.contribute(place, cut, 1);
                self.settle(place, cut);
                self.state.incidents.spend(place);
            } else {
                self.contribute(place, cut, 1);
            }
            self.touch_groups_of(place);
        }
    }

    fn cut(&self, place: u32, from: Instant) -> Instant {
        self.registry.service(place).history.as_deref().map_or(from, |history| history.cut(from))
    }
}
