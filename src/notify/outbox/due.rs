//! What a receiver is to be told now, the gravest first, within what it wants to hear in an hour.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::super::decision::{Closed, Entry, Stand, Tell, Told, class, stand};
use super::{Firing, Outbox, SUPPRESSED_MAX, State};
use crate::config::{Receiver, ReceiverKind};
use crate::model::alert::{Alert, AlertKey};
use crate::model::delivery::{Suppressed, Why};
use crate::model::time::{Instant, Span};

/// One thing to tell a receiver now.
#[derive(Clone, Debug)]
pub(in super::super) struct Message {
    pub(in super::super) firing: Firing,
    /// Names the firing.
    pub(in super::super) page: String,
    pub(in super::super) alert: Arc<Alert>,
    pub(in super::super) ended: Option<Instant>,
    pub(in super::super) tell: Tell,
    /// Since when somebody should know.
    pub(super) since: Instant,
}

/// What a receiver should be told now.
#[derive(Debug)]
pub(in super::super) struct Due {
    pub(in super::super) messages: Vec<Message>,
    /// When to look again, if nothing happens before.
    pub(in super::super) next: Option<Instant>,
}

impl Outbox {
    /// What the receiver should be told at `now`, the gravest first and at most so many, and when to look again. What is
    /// on its way is left alone.
    pub(in super::super) fn due(&self, place: usize, now: Instant, most: usize, flying: &BTreeSet<Firing>) -> Due {
        let settings = &self.shared.settings;
        let terms = (&settings.receivers[place], &settings.damping, settings.resend_interval);
        let mut state = self.state();
        let State { entries, gone, pages, suppressed, standing, .. } = &mut *state;
        let (mut room, until) = room(&mut pages[place], terms.0, now);
        let mut next: Option<Instant> = None;
        let mut look_at = |at: Instant| next = Some(next.map_or(at, |next| next.min(at)));
        let mut ranks: [Vec<(Firing, Tell, Instant)>; 9] = Default::default();
        let (mut pending, mut waiting) = (0, 0);
        let mut done: Vec<Firing> = Vec::new();
        // The firing before, if it is of the same alert and the receiver is still to be told of it.
        let mut blocking: Option<&AlertKey> = None;
        for (firing, entry) in &mut *entries {
            let stood = stand(terms, (entry, &entry.told[place]), now);
            let blocked = blocking == Some(&firing.0) && matches!(terms.0.kind, ReceiverKind::Webhook { .. });
            let open = blocked || flying.contains(firing) || matches!(stood, Stand::Due(..));
            blocking = open.then_some(&firing.0);
            let told = &mut entry.told[place];
            match stood {
                _ if blocked || flying.contains(firing) => pending += 1,
                Stand::Due(Tell::News, _) if room == 0 && !told.tried && class(&entry.alert) > 0 => {
                    told.crowded = true;
                    waiting += 1;
                    look_at(until);
                }
                Stand::Due(tell, since) => {
                    pending += 1;
                    let rank = &mut ranks[rank(tell, told, &entry.alert)];
                    if rank.len() < most {
                        rank.push((firing.clone(), tell, since));
                    }
                }
                Stand::Waits(_, until) => {
                    waiting += 1;
                    look_at(until);
                }
                Stand::Knows(until) => until.into_iter().for_each(&mut look_at),
                Stand::Withheld(why) => {
                    told.closed = Some(Closed::Withheld(why));
                    self.suppress(suppressed, terms.0, (entry, why), now);
                }
                Stand::GivenUp => {
                    told.closed = Some(Closed::Failed);
                    self.count(terms.0, "given_up", 1);
                }
                Stand::Foreign | Stand::Done => {}
            }
            if entry.over.is_some() && self.is_done(entry, now) {
                done.push(firing.clone());
            }
        }
        let removed = done.into_iter().filter_map(|firing| entries.remove(&firing));
        gone.extend(removed.map(|entry| entry.page()));
        let mut messages = Vec::new();
        for (firing, tell, since) in ranks.into_iter().flatten() {
            if messages.len() == most {
                break;
            }
            let Some(entry) = entries.get_mut(&firing) else { continue };
            let page = entry.page();
            let told = &mut entry.told[place];
            if matches!(tell, Tell::News | Tell::Anew(_)) && !told.tried {
                if room == 0 && class(&entry.alert) > 0 {
                    told.crowded = true;
                    look_at(until);
                    continue;
                }
                room = room.saturating_sub(1);
                pages[place].push_back(now);
            }
            told.tried = true;
            let (alert, ended) = (entry.alert.clone(), entry.over.map(|over| over.ended));
            messages.push(Message { firing, page, alert, ended, tell, since });
        }
        (standing[place].pending, standing[place].waiting) = (pending, waiting);
        let gauge = self.shared.telemetry.alerts_pending.with_label_values(&[&*terms.0.name]);
        gauge.set(i64::try_from(pending).unwrap_or(i64::MAX));
        Due { messages, next }
    }

    /// Whether nobody is to be told any more of it, nor asked after it.
    fn is_done(&self, entry: &Entry, now: Instant) -> bool {
        if self.shared.recovering.load(Ordering::Acquire) {
            return false;
        }
        let settings = &self.shared.settings;
        let held = entry.over.is_some_and(|over| over.ended.plus(settings.damping.hold_down) > now);
        let is_done = |(receiver, told): (&Receiver, &Told)| {
            let stood = stand((receiver, &settings.damping, settings.resend_interval), (entry, told), now);
            matches!(stood, Stand::Done | Stand::Foreign)
        };
        !held && settings.receivers.iter().zip(&entry.told).all(is_done)
    }

    pub(super) fn suppress(
        &self,
        listed: &mut VecDeque<Suppressed>,
        receiver: &Receiver,
        (entry, why): (&Entry, Why),
        at: Instant,
    ) {
        let counter = &self.shared.telemetry.alerts_suppressed;
        counter.with_label_values(&[&*receiver.name, why.name()]).inc();
        // What came and went within seconds was no page.
        if why != Why::Brief {
            listed.truncate(SUPPRESSED_MAX - 1);
            let (alert, ended) = ((*entry.alert).clone(), entry.over.map(|over| over.ended));
            listed.push_front(Suppressed { at, receiver: receiver.name.clone(), why, alert, ended });
        }
    }
}

/// How many pages the receiver may get now, and when there is room again.
fn room(pages: &mut VecDeque<Instant>, receiver: &Receiver, now: Instant) -> (usize, Instant) {
    let hour = Span::from_hours(1);
    while pages.front().is_some_and(|&at| now.since(at) >= hour) {
        pages.pop_front();
    }
    let Some(most) = receiver.pages_per_hour else { return (usize::MAX, now) };
    let until = pages.len().checked_sub(most).and_then(|place| pages.get(place));
    (most.saturating_sub(pages.len()), until.map_or(now, |at| at.plus(hour)))
}

/// In which order things are told: news before ends, the graver first; what is merely told again last.
fn rank(tell: Tell, told: &Told, alert: &Alert) -> usize {
    let class = usize::from(class(alert)) * 2;
    match tell {
        Tell::News | Tell::Anew(_) => class,
        Tell::Again if told.lost => class,
        Tell::End if told.resolved_at.is_none() => class + 1,
        Tell::End | Tell::Again => 8,
    }
}
