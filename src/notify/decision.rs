//! The one decision of this room: whether a receiver is told something of an alert now, and if not, why not. It is pure.
//!
//! Whether the alert fires was decided in the engine; what waits or is withheld here is counted and listed, and every
//! figure and clock goes on regardless.

use std::sync::Arc;

use crate::config::{Damping, Receiver, ReceiverKind};
use crate::model::alert::{About, Alert, AlertName};
use crate::model::delivery::{Muted, Why};
use crate::model::level::Level;
use crate::model::time::{Instant, Span};

/// For how long a resolved alert is sent to an Alertmanager again, so that one that lost it passes its end on.
/// Prometheus does the same.
const RESOLVED_RESENT_FOR: Span = Span::from_mins(15);
/// For how long the end of an alert that no receiver takes is tried to be told.
const TRIED_FOR: Span = Span::from_hours(24);
/// What fired for less than this and could not be told is not told as over: most of it merged into something else.
const OWED_AFTER: Span = Span::from_secs(10);

/// One firing of an alert, from its beginning on.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) alert: Arc<Alert>,
    /// When the engine said that it fires.
    pub(super) since: Instant,
    pub(super) over: Option<Over>,
    /// When the last one of the same thing was over.
    pub(super) before: Option<Instant>,
    /// By receiver.
    pub(super) told: Vec<Told>,
}

/// The end of a firing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Over {
    /// When it was over.
    pub(super) ended: Instant,
    /// When the engine said so.
    pub(super) since: Instant,
}

/// What one receiver was told of a firing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// It is none of the receiver's business.
    pub(super) foreign: bool,
    /// It may know that it fires, so its end must be told as well. Set before the first try.
    pub(super) tried: bool,
    /// When it last accepted that it fires.
    pub(super) firing_at: Option<Instant>,
    /// When it last accepted that it is over.
    pub(super) resolved_at: Option<Instant>,
    /// It had accepted it and lost it.
    pub(super) lost: bool,
    /// How often in a row it was not there when the receiver was asked.
    pub(super) missed: u8,
    /// It waits for room in the page budget.
    pub(super) crowded: bool,
    /// Nothing more is told: what came of it in the end.
    pub(super) closed: Option<Closed>,
    pub(super) answer: Option<Box<str>>,
    pub(super) muted: Option<Box<Muted>>,
}

/// Why nothing more is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    /// It was withheld.
    Withheld(Why),
    /// The receiver does not take it.
    Failed,
    /// It fires anew, and that is all the receiver has to know.
    Superseded,
}

/// What to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tell {
    /// That it fires, which pages.
    News,
    /// That it still fires.
    Again,
    /// That it still fires, since nobody is acknowledging any more, which pages. Since when.
    Anew(Instant),
    /// That it is over.
    End,
}

/// How a receiver stands to a firing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stand {
    /// It is none of its business.
    Foreign,
    /// It is to be told now; news since that instant.
    Due(Tell, Instant),
    /// Not before then, if nothing changes.
    Waits(Why, Instant),
    /// It knows what there is to know, until then.
    Knows(Option<Instant>),
    /// It was over before it could be told, and is told nothing.
    Withheld(Why),
    /// It was tried for too long.
    GivenUp,
    /// There is nothing more to tell.
    Done,
}

/// How a receiver stands to a firing at `now`, but for its page budget.
pub(super) fn stand(
    (receiver, damping, resend): (&Receiver, &Damping, Span),
    (entry, told): (&Entry, &Told),
    now: Instant,
) -> Stand {
    if told.closed.is_some() {
        return Stand::Done;
    }
    if told.foreign {
        return Stand::Foreign;
    }
    let repeats = receiver.kind == ReceiverKind::Alertmanager;
    let (page_at, why) = page_at((receiver, damping), entry);
    if let Some(over) = entry.over {
        let owed = told.tried || page_at <= over.since && over.since.since(page_at) >= OWED_AFTER;
        return match told.resolved_at {
            None if !told.tried && told.crowded => Stand::Withheld(Why::Budget),
            None if page_at > over.since && !told.tried => Stand::Withheld(why.unwrap_or(Why::Brief)),
            None if !owed => Stand::Withheld(Why::Brief),
            None if now.since(over.since) > TRIED_FOR => Stand::GivenUp,
            None => Stand::Due(Tell::End, over.since),
            Some(at) if repeats && at.plus(resend).since(over.since) < RESOLVED_RESENT_FOR => {
                again(Tell::End, at.plus(resend), now)
            }
            Some(_) => Stand::Done,
        };
    }
    match told.firing_at {
        None if told.lost => Stand::Due(Tell::Again, now),
        None if page_at > now => Stand::Waits(why.unwrap_or(Why::Confirm), page_at),
        None => Stand::Due(Tell::News, page_at),
        Some(at) if repeats => again(Tell::Again, at.plus(resend), now),
        Some(_) if entry.alert.key.name != AlertName::ServiceInterruption => Stand::Knows(None),
        Some(at) => match unacknowledged_from((receiver, damping), entry).filter(|&from| from > at) {
            Some(from) => again(Tell::Anew(from), out_of_maintenance(&entry.alert, from), now),
            None => Stand::Knows(None),
        },
    }
}

fn again(tell: Tell, due: Instant, now: Instant) -> Stand {
    if due <= now { Stand::Due(tell, due) } else { Stand::Knows(Some(due)) }
}

/// From when on the receiver is paged for a firing, and what put that off.
pub(super) fn page_at((receiver, damping): (&Receiver, &Damping), entry: &Entry) -> (Instant, Option<Why>) {
    let mut page = (entry.since, None);
    let mut wait = |until: Instant, why| {
        if until > page.0 {
            page = (until, Some(why));
        }
    };
    wait(entry.since.plus(damping.confirm), Why::Confirm);
    if let Some(before) = entry.before {
        wait(before.plus(damping.hold_down), Why::HoldDown);
    }
    if receiver.unacknowledged_for.is_some() {
        let from = unacknowledged_from((receiver, damping), entry).unwrap_or(Instant::MAX);
        wait(from, Why::Acknowledged);
        wait(out_of_maintenance(&entry.alert, from), Why::Maintenance);
    }
    page
}

/// From when on an interruption counts as acknowledged by nobody for as long as the receiver waits for that; none if
/// somebody has acknowledged for good.
fn unacknowledged_from((receiver, damping): (&Receiver, &Damping), entry: &Entry) -> Option<Instant> {
    let facts = entry.alert.facts.incident.as_ref()?;
    let from = match facts.acknowledged {
        None => facts.detected,
        // What is quiet has nobody to wait for.
        Some(_) if facts.quiet_since.is_some() => return None,
        Some(at) => at.plus(damping.acknowledgement_expires?),
    };
    Some(from.plus(receiver.unacknowledged_for.unwrap_or(Span::ZERO)))
}

/// `at`, or when the maintenance ends that goes on then where it began: nobody is called for what is being worked on.
fn out_of_maintenance(alert: &Alert, at: Instant) -> Instant {
    let maintenance = alert.facts.incident.as_ref().and_then(|facts| facts.maintenance);
    match maintenance {
        Some((from, until)) if from <= at && at < until => until,
        _ => at,
    }
}

impl Entry {
    /// Works out whose business it is, as its facts stand.
    pub(super) fn address(&mut self, receivers: &[Receiver]) {
        for (told, receiver) in self.told.iter_mut().zip(receivers) {
            told.foreign = !concerns(receiver, &self.alert);
        }
    }
}

/// Whether it is the receiver's business.
pub(super) fn concerns(receiver: &Receiver, alert: &Alert) -> bool {
    // It has been called since nobody came.
    if receiver.unacknowledged_for.is_some() && alert.key.name != AlertName::ServiceInterruption {
        return false;
    }
    if receiver.matches.is_empty() {
        return true;
    }
    let labels = alert.key.labels();
    let facts = alert.facts.incident.as_ref();
    receiver.matches.iter().all(|(name, wanted)| {
        let is_wanted = |value: &str| wanted.iter().any(|wanted| wanted == value);
        let label = labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str());
        match (name.as_str(), facts) {
            ("group", Some(facts)) => facts.groups.iter().any(|group| is_wanted(group)),
            ("region", Some(facts)) => is_wanted(&facts.region),
            ("cause", Some(facts)) => is_wanted(facts.cause.name()),
            ("service", Some(_)) => is_wanted(alert.key.scope()),
            _ => label.is_some_and(is_wanted),
        }
    })
}

/// What goes first: 0 before all others.
pub(super) fn class(alert: &Alert) -> u8 {
    let waits = matches!(&alert.key.about, About::Clock { used, can_wait, .. } if used.is_some() || *can_wait);
    match alert.key.level() {
        _ if waits => 3,
        Some(Level::First) => 0,
        Some(Level::Second) => 1,
        Some(Level::Third) => 2,
        None => match &alert.key.about {
            About::Burn { pair, .. } if pair.severity() == "page" => 2,
            _ => 3,
        },
    }
}
