//! Feeds: the sources that are expected to speak, and when they were silent. What a silent feed speaks for is unknown:
//! silence is never counted as up. Somebody is told of it while it lasts.

use borsh::{BorshDeserialize, BorshSerialize};

use super::Engine;
use super::alerts;
use super::availability::{Stretch, Union};
use super::registry::index;
use super::timers::{Owner, Timer};
use crate::model::alert::{About, Alert, AlertFacts, AlertKey, AlertName};
use crate::model::because::Because;
use crate::model::effect::{Effect, Reason};
use crate::model::event::Event;
use crate::model::policy::Feed;
use crate::model::time::{Instant, Span};

/// One feed.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Listener {
    pub(super) feed: Feed,
    /// The place of the group that it speaks for.
    pub(super) group: u32,
    /// When something of it was known: from each sign of life on for as long as it may be silent.
    heard: Union,
    /// Its present silence was noticed.
    silent: bool,
    /// What fires about it: that it is silent, or nothing.
    pub(super) alerts: Vec<Alert>,
}

impl Listener {
    /// A feed that is expected from `at` on. It has the length of one silence to speak.
    pub(super) fn new(feed: Feed, group: u32, at: Instant) -> Self {
        let end = Some(at.plus(feed.heartbeat));
        Self { feed, group, heard: Union::of(vec![Stretch { start: at, end }]), silent: false, alerts: Vec::new() }
    }

    /// The same feed, expected on other terms.
    pub(super) fn expected(self, feed: Feed, group: u32) -> Self {
        Self { feed, group, ..self }
    }

    /// What it calls for: an alert as long as it is silent. What speaks just when it would have been silent never was, so
    /// a silence of no length calls for none, unless one that was longer a moment ago goes on.
    fn wanted(&self, now: Instant) -> Vec<Alert> {
        let since = self.silent_from();
        if !self.silent || since >= now && self.alerts.is_empty() {
            return Vec::new();
        }
        let about = About::Feed { input: self.feed.source.clone() };
        let key = AlertKey { name: AlertName::SourceSilent, about };
        let because = Because::Silence(self.feed.heartbeat);
        let facts = AlertFacts { started: since, because, spent_at: None, incident: None };
        vec![Alert { key, starts: since, facts }]
    }

    /// When it is to be looked at next: when its silence begins, and when that has lasted for a moment.
    fn due(&self, now: Instant) -> Option<Instant> {
        let from = self.silent_from();
        let due = if self.silent && self.alerts.is_empty() { from.plus(Span::TICK) } else { from };
        (due > now).then_some(due)
    }

    /// Since when it has been heard, as far as that is known: the end of its last silence.
    fn heard_since(&self) -> Instant {
        self.heard.stretches().last().map_or(Instant::MIN, |stretch| stretch.start)
    }

    /// The first instant of its present silence, now or to come.
    pub(super) fn silent_from(&self) -> Instant {
        self.heard.stretches().last().and_then(|stretch| stretch.end).unwrap_or(Instant::MAX)
    }

    /// What a sign of life at `at` leaves to be heard, and the first instant of known silence that it breaks. A sign
    /// of before it was expected says nothing.
    pub(super) fn sign(&self, at: Instant) -> (Option<Stretch>, Option<Instant>) {
        let Some(first) = self.heard.stretches().first() else { return (None, None) };
        let until = at.plus(self.feed.heartbeat);
        if until <= first.start {
            return (None, None);
        }
        let from = at.max(first.start);
        let sign = Stretch { start: from, end: Some(until) };
        let last = self.heard.stretches().last().map_or((from, from), |last| (last.start, last.end_or_max()));
        if from > last.1 {
            // What lies between is silence, though it may be ahead of now.
            return (Some(sign), Some(last.1));
        }
        if from >= last.0 && !self.silent {
            return (Some(sign), None);
        }
        let silences = self.silences();
        let broken = silences.iter().find(|silence| silence.start < until && silence.end_or_max() > from);
        (Some(sign), broken.map(|silence| silence.start.max(from)))
    }

    /// Takes in what [`Self::sign`] found.
    pub(super) fn hear(&mut self, sign: Stretch, now: Instant) {
        self.heard.insert(sign);
        self.silent = self.silent && self.silent_from() <= now;
    }

    /// Whether its present silence was noticed.
    pub(super) const fn is_silent(&self) -> bool {
        self.silent
    }

    /// Its silence has just begun.
    pub(super) fn notice(&mut self) {
        self.silent = true;
    }

    /// When it was silent, as far as that was noticed; the last stretch may be going on.
    pub(super) fn silences(&self) -> Vec<Stretch> {
        let heard = self.heard.stretches();
        let gaps =
            heard.windows(2).filter_map(|pair| Some(Stretch { start: pair[0].end?, end: Some(pair[1].start) }));
        let mut silences: Vec<Stretch> = gaps.collect();
        if self.silent {
            silences.push(Stretch { start: self.silent_from(), end: None });
        }
        silences
    }
}

impl Engine {
    /// Whoever speaks is alive, whatever is said.
    pub(super) fn hear(&mut self, event: &Event) {
        let now = self.state.now;
        if self.is_folded(event.time) {
            return;
        }
        for place in 0..self.state.feeds.len() {
            let listener = &self.state.feeds[place];
            if *listener.feed.source != *event.source {
                continue;
            }
            let (sign, broken) = listener.sign(event.time);
            let Some(sign) = sign else { continue };
            if listener.silent {
                self.state.incidents.silence(index(place));
            }
            match broken {
                Some(from) => {
                    let affected = self.members(listener.group);
                    self.surround(affected, from, |engine| engine.state.feeds[place].hear(sign, now));
                }
                None => self.state.feeds[place].hear(sign, now),
            }
            self.arm_silence(index(place));
        }
    }

    /// A feed's silence has just begun, or has just lasted for longer than no time at all.
    pub(super) fn notice_silence(&mut self, place: u32) {
        let listener = &self.state.feeds[place as usize];
        if listener.silent {
            self.state.incidents.silence(place);
            self.state.timers.set(Owner::Feed(place), Timer::Silence, None);
            return;
        }
        let from = listener.silent_from();
        let affected = self.members(listener.group);
        self.come_first(true);
        self.surround(affected, from, |engine| engine.state.feeds[place as usize].notice());
        self.come_first(false);
        self.arm_silence(place);
    }

    fn arm_silence(&mut self, place: u32) {
        let due = self.state.feeds[place as usize].due(self.state.now);
        self.state.timers.set(Owner::Feed(place), Timer::Silence, due);
    }

    /// Looks at a feed as it stands now, and at what fires about it.
    pub(super) fn judge_feed(&mut self, place: u32, effects: &mut Vec<Effect>) {
        let (now, speaks) = (self.state.now, self.speaks_for_all());
        let Some(listener) = self.state.feeds.get_mut(place as usize) else { return };
        let (wanted, heard) = (listener.wanted(now), listener.heard_since());
        let mut unsaid = Vec::new();
        let effects = if speaks { effects } else { &mut unsaid };
        alerts::reconcile(&mut listener.alerts, wanted, |_, _| heard, (now, &Reason::Silence), effects);
    }

    /// Listens to the feeds that are expected now. One that was expected before goes on as it was; what fires about one
    /// that is not expected any more is over.
    pub(super) fn listen(&mut self, feeds: &[Feed], effects: &mut Vec<Effect>) {
        for place in 0..self.state.feeds.len() {
            self.state.timers.set(Owner::Feed(index(place)), Timer::Silence, None);
        }
        let mut before = std::mem::take(&mut self.state.feeds);
        let now = self.state.now;
        for feed in feeds {
            let group = self.registry.group(&feed.group);
            let known = before.iter().position(|listener| listener.feed.source == feed.source);
            let listener = match known {
                Some(known) => before.swap_remove(known).expected(feed.clone(), group),
                None => Listener::new(feed.clone(), group, now),
            };
            self.state.feeds.push(listener);
        }
        before.sort_by(|one, other| one.feed.source.cmp(&other.feed.source));
        for mut listener in before {
            let reason = (now, &Reason::PolicyChanged);
            alerts::reconcile(&mut listener.alerts, Vec::new(), |_, _| now, reason, effects);
        }
        for place in 0..self.state.feeds.len() {
            self.state.incidents.silence(index(place));
            self.arm_silence(index(place));
        }
    }
}
