//! Marks: what was said of a service's outages, by event time, and the outages that follow from them.
//!
//! Marks are a set: saying one again changes nothing, and the order in which they came cannot be told from them.
//! So a late, repeated, corrected or retracted event is an edit of a short sorted list, never a special case.

use borsh::{BorshDeserialize, BorshSerialize};

use super::room::tighten;
use crate::model::event::{Cause, OutageFacts, Severity};
use crate::model::event_id::EventId;
use crate::model::level::Ratio;
use crate::model::time::{Instant, Span};

/// How much of an event's free text is kept for the page; all of it stays in the journal.
const DETAIL_CHARS_MAX: usize = 300;
/// As many marks as most outages have: a start, an end, and something in between.
const FEW: usize = 4;
/// Services with more keys than this have one for each outage.
const KEYS_LOOKED_AT_MAX: usize = 64;

/// All marks of one service, by outage key: a list in order, for most services have few keys, and the least tree has
/// room for eleven.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Marks {
    by_key: Vec<(Box<str>, Vec<Mark>)>,
}

/// One mark. Ordered by time; at one instant starts come before updates and those before ends, so that an outage of
/// no length is one; what else it says and the id only make the order one of the set, not of arrival.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
struct Mark {
    at: Instant,
    said: Said,
    id: EventId,
    /// It was taken back. Kept, as that may be taken back as well.
    retracted: bool,
}

/// What a mark says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub(super) enum Said {
    /// It began.
    Started(Box<Facts>),
    /// What is known of it changed.
    Updated(Box<Facts>),
    /// It ended, perhaps with its cause.
    Ended(Option<Cause>),
}

/// What is said of an outage; absent is unsaid.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub(super) struct Facts {
    severity: Option<Severity>,
    weight: Option<Ratio>,
    users: Option<u64>,
    cause: Option<Cause>,
    detail: Option<Box<str>>,
}

/// One outage: a start and the end that belongs to it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Outage {
    pub(super) key: Box<str>,
    pub(super) start: Instant,
    pub(super) end: Option<Instant>,
    /// How it stood from when on. Never empty; the first part begins with the outage.
    pub(super) parts: Vec<Part>,
    pub(super) cause: Cause,
    pub(super) detail: Option<Box<str>>,
    /// The first instant of it that lies in no maintenance. Absent: all of it does, and it is planned.
    pub(super) unplanned: Option<Instant>,
}

/// How an outage stood from an instant on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Part {
    pub(super) from: Instant,
    pub(super) severity: Severity,
    /// How much a degradation takes, where that was said.
    pub(super) weight: Option<Ratio>,
    /// The users affected, where that was said.
    pub(super) users: Option<u64>,
}

impl Facts {
    pub(super) fn new(facts: &OutageFacts) -> Box<Self> {
        let cut = |text: &str| match text.char_indices().nth(DETAIL_CHARS_MAX) {
            Some((end, _)) => text[..end].into(),
            None => text.into(),
        };
        Box::new(Self {
            severity: facts.severity,
            weight: facts.weight,
            users: facts.users,
            cause: facts.cause,
            detail: facts.detail.as_deref().map(cut),
        })
    }
}

impl Outage {
    /// The end, or later than anything.
    pub(super) fn end_or_max(&self) -> Instant {
        self.end.unwrap_or(Instant::MAX)
    }

    /// Whether it is an outage at all as things stand at `at`: not one that is planned so far. It overruns its
    /// maintenance when it is still open after the last instant of that; an end at just that instant keeps it planned.
    pub(super) fn counts(&self, at: Instant) -> bool {
        self.unplanned.is_some_and(|unplanned| unplanned < at || unplanned == self.start)
    }

    /// The first instant at which it counts, if it is planned until then.
    pub(super) fn overruns_at(&self) -> Option<Instant> {
        self.unplanned.filter(|&unplanned| unplanned > self.start).map(|unplanned| unplanned.plus(Span::TICK))
    }

    /// Its parts with their ends: `[from, until)`.
    pub(super) fn stretches(&self) -> impl Iterator<Item = (Part, Option<Instant>)> {
        let ends = self.parts.iter().skip(1).map(|part| Some(part.from)).chain([self.end]);
        self.parts.iter().copied().zip(ends)
    }

    fn begin(key: &str, at: Instant, facts: &Facts) -> Self {
        let part = Part {
            from: at,
            severity: facts.severity.unwrap_or(Severity::Down),
            weight: facts.weight,
            users: facts.users,
        };
        let cause = facts.cause.unwrap_or_default();
        let detail = facts.detail.clone();
        Self { key: key.into(), start: at, end: None, parts: vec![part], cause, detail, unplanned: Some(at) }
    }

    /// Another start of the same instant: said both ways, it is the graver.
    fn join(&mut self, facts: &Facts) {
        if let [part] = &mut *self.parts {
            part.severity = part.severity.max(facts.severity.unwrap_or(Severity::Down));
            part.weight = part.weight.max(facts.weight);
            part.users = part.users.max(facts.users);
        }
        self.cause = self.cause.max(facts.cause.unwrap_or_default());
        if facts.detail > self.detail {
            self.detail.clone_from(&facts.detail);
        }
    }

    fn update(&mut self, at: Instant, facts: &Facts) {
        if let Some(&last) = self.parts.last() {
            let part = Part {
                from: at,
                severity: facts.severity.unwrap_or(last.severity),
                weight: facts.weight.or(last.weight),
                users: facts.users.or(last.users),
            };
            if last.from == at {
                self.parts.pop();
            }
            if self.parts.last().is_none_or(|before| Part { from: at, ..*before } != part) {
                self.parts.push(part);
            }
        }
        if let Some(cause) = facts.cause {
            self.cause = cause;
        }
        if facts.detail.is_some() {
            self.detail.clone_from(&facts.detail);
        }
    }
}

impl Marks {
    /// Adds a mark. Returns whether it may change anything.
    pub(super) fn add(&mut self, key: &str, at: Instant, said: Said, id: EventId, retracted: bool) -> bool {
        let place = self.place(key).unwrap_or_else(|place| {
            self.by_key.insert(place, (key.into(), Vec::new()));
            place
        });
        let (_, marks) = &mut self.by_key[place];
        let mark = Mark { at, said, id, retracted };
        match marks.binary_search(&mark) {
            Ok(_) => false,
            Err(place) => {
                if marks.len() < FEW {
                    marks.reserve_exact(1);
                }
                marks.insert(place, mark);
                !retracted
            }
        }
    }

    /// Where a key is, or would be.
    fn place(&self, key: &str) -> Result<usize, usize> {
        self.by_key.binary_search_by(|(known, _)| (**known).cmp(key))
    }

    /// Marks what was said by `id` as taken back, or no longer so. Returns the keys and instants concerned.
    pub(super) fn retract(&mut self, id: EventId, retracted: bool) -> Vec<(Box<str>, Instant)> {
        let mut concerned = Vec::new();
        for (key, marks) in &mut self.by_key {
            for mark in marks.iter_mut().filter(|mark| mark.id == id && mark.retracted != retracted) {
                mark.retracted = retracted;
                concerned.push((key.clone(), mark.at));
            }
        }
        concerned
    }

    /// Lets go of the marks before `at`. Returns the ids of what said them.
    pub(super) fn forget(&mut self, at: Instant) -> Vec<EventId> {
        let mut gone = Vec::new();
        self.by_key.retain_mut(|(_, marks)| {
            let first = marks.partition_point(|mark| mark.at < at);
            gone.extend(marks.drain(..first).map(|mark| mark.id));
            !marks.is_empty()
        });
        gone
    }

    /// Gives back room that nothing needs now.
    pub(super) fn tighten(&mut self) {
        tighten(&mut self.by_key);
        // Where each outage has its own key, the few marks of each have no more room than they need anyway.
        if self.by_key.len() <= KEYS_LOOKED_AT_MAX {
            self.by_key.iter_mut().for_each(|(_, marks)| tighten(marks));
        }
    }

    /// When the first mark was.
    pub(super) fn first(&self) -> Option<Instant> {
        self.by_key.iter().filter_map(|(_, marks)| marks.first()).map(|mark| mark.at).min()
    }

    /// The outages of `key` that begin at or after `from`, which must be an instant at which none is open.
    pub(super) fn outages(&self, key: &str, from: Instant) -> Vec<Outage> {
        let Ok(place) = self.place(key) else { return Vec::new() };
        let (_, marks) = &self.by_key[place];
        let first = marks.partition_point(|mark| mark.at < from);
        let mut outages: Vec<Outage> = Vec::new();
        let mut open = false;
        for mark in marks[first..].iter().filter(|mark| !mark.retracted) {
            match (&mark.said, outages.last_mut().filter(|_| open)) {
                (Said::Started(facts), None) => {
                    open = true;
                    outages.push(Outage::begin(key, mark.at, facts));
                }
                (Said::Started(facts), Some(outage)) if outage.start == mark.at => outage.join(facts),
                (Said::Updated(facts), Some(outage)) => outage.update(mark.at, facts),
                (Said::Ended(cause), Some(outage)) => {
                    open = false;
                    outage.end = Some(mark.at);
                    match *cause {
                        Some(cause) if cause != Cause::Unknown => outage.cause = cause,
                        _ => {}
                    }
                }
                // A start while it is open, or an end or update while it is not, changes nothing until other
                // marks come.
                (Said::Started(_), Some(_)) | (Said::Updated(_) | Said::Ended(_), None) => {}
            }
        }
        outages
    }
}
