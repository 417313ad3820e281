//! Marks: what was said of a service's outages, by event time, and the outages that follow from them.
//!
//! Marks are a set: saying one again changes nothing, and the order in which they came cannot be told from them.
//! So a late, repeated or out-of-order event is an edit of a short sorted list, never a special case.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::model::event::{Cause, OutageFacts, Severity};
use crate::model::time::Instant;

/// How much of an event's free text is kept for the page; all of it stays in the journal.
const DETAIL_CHARS_MAX: usize = 300;

/// All marks of one service, by outage key.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Marks {
    by_key: BTreeMap<Box<str>, Vec<Mark>>,
}

/// One mark. Ordered by time, and at one instant starts come before ends, so that an outage of no length is one.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
struct Mark {
    at: Instant,
    said: Said,
}

/// What a mark says.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) enum Said {
    /// It began, with what was said of it.
    Started(Start),
    /// It ended, perhaps with its cause.
    Ended(Cause),
}

/// What the start of an outage says of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub(super) struct Start {
    pub(super) severity: Severity,
    pub(super) users: Option<u64>,
    pub(super) cause: Cause,
    pub(super) detail: Option<Box<str>>,
}

/// One outage: a start and the end that belongs to it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Outage {
    pub(super) key: Box<str>,
    pub(super) start: Instant,
    pub(super) end: Option<Instant>,
    pub(super) about: Start,
}

impl Start {
    pub(super) fn new(facts: &OutageFacts) -> Self {
        let cut = |text: &str| match text.char_indices().nth(DETAIL_CHARS_MAX) {
            Some((end, _)) => text[..end].into(),
            None => text.into(),
        };
        Self {
            severity: facts.severity.unwrap_or(Severity::Down),
            users: facts.users,
            cause: facts.cause.unwrap_or_default(),
            detail: facts.detail.as_deref().map(cut),
        }
    }
}

impl Said {
    const fn rank(&self) -> u8 {
        match self {
            Self::Started(_) => 0,
            Self::Ended(_) => 1,
        }
    }

    /// Two marks of one instant that differ in what they say become the graver of both, whichever came first.
    fn join(&mut self, other: Self) {
        match (self, other) {
            (Self::Started(mine), Self::Started(theirs)) => {
                mine.severity = mine.severity.max(theirs.severity);
                mine.users = mine.users.max(theirs.users);
                mine.cause = mine.cause.max(theirs.cause);
                if theirs.detail > mine.detail {
                    mine.detail = theirs.detail;
                }
            }
            (Self::Ended(mine), Self::Ended(theirs)) => *mine = (*mine).max(theirs),
            (Self::Started(_), Self::Ended(_)) | (Self::Ended(_), Self::Started(_)) => {}
        }
    }
}

impl Marks {
    /// Whether anything was said of `key`.
    pub(super) fn knows(&self, key: &str) -> bool {
        self.by_key.contains_key(key)
    }

    /// Adds a mark. Returns the instant from which the outages of `key` have to be paired again, or `None` when
    /// nothing new was said.
    pub(super) fn add(&mut self, key: &str, at: Instant, said: Said) -> Option<Instant> {
        let marks = match self.by_key.get_mut(key) {
            Some(marks) => marks,
            None => self.by_key.entry(key.into()).or_default(),
        };
        let place = marks.partition_point(|m| (m.at, m.said.rank()) < (at, said.rank()));
        match marks.get_mut(place) {
            Some(mark) if mark.at == at && mark.said.rank() == said.rank() => {
                let before = mark.said.clone();
                mark.said.join(said);
                if mark.said == before {
                    return None;
                }
            }
            _ => marks.insert(place, Mark { at, said }),
        }
        Some(at)
    }

    /// The outages of `key` that begin at or after `from`, which must be an instant at which none is open.
    pub(super) fn outages(&self, key: &str, from: Instant) -> Vec<Outage> {
        let Some(marks) = self.by_key.get(key) else { return Vec::new() };
        let first = marks.partition_point(|m| m.at < from);
        let mut outages: Vec<Outage> = Vec::new();
        let mut open = false;
        for mark in &marks[first..] {
            match &mark.said {
                Said::Started(about) if !open => {
                    open = true;
                    outages.push(Outage { key: key.into(), start: mark.at, end: None, about: about.clone() });
                }
                Said::Ended(cause) if open => {
                    open = false;
                    if let Some(outage) = outages.last_mut() {
                        outage.end = Some(mark.at);
                        if *cause != Cause::Unknown {
                            outage.about.cause = *cause;
                        }
                    }
                }
                // A start while it is open, or an end while it is not, changes nothing until other marks come.
                Said::Started(_) | Said::Ended(_) => {}
            }
        }
        outages
    }
}
