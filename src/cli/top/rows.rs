//! An incident in words, at an instant: pure, so that counting down can be tested without waiting.

use super::said::{Clock, Incident};
use super::text::clean;
use crate::model::calendar::Calendar;
use crate::model::time::{Instant, Span};

/// How a clock stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// So long is left.
    Left(Span),
    /// The limit passed so long ago, and it still runs.
    Overdue(Span),
    /// It stands still.
    Held,
    /// It stopped in time.
    Kept,
    /// It stopped after its limit.
    Late,
}

impl Standing {
    /// How a clock stands at `now`.
    pub(super) fn of(clock: &Clock, now: Instant) -> Self {
        match (clock.stopped, clock.breached, clock.deadline) {
            (Some(_), None, _) => Self::Kept,
            (Some(_), Some(_), _) => Self::Late,
            // A limit is kept at its very instant.
            (None, _, Some(deadline)) if now > deadline.0 => Self::Overdue(now.since(deadline.0)),
            (None, _, Some(deadline)) => Self::Left(deadline.0.since(now)),
            (None, _, None) => Self::Held,
        }
    }

    /// `26m 04s`, `5m 02s OVER`: where there is little room.
    pub(super) fn short(self) -> String {
        match self {
            Self::Left(span) => length(span),
            Self::Overdue(span) => format!("{} OVER", length(span)),
            Self::Held | Self::Kept => self.words(),
            Self::Late => "LATE".to_owned(),
        }
    }

    /// `26m 04s left`, `5m 02s OVERDUE`.
    pub(super) fn words(self) -> String {
        match self {
            Self::Left(span) => format!("{} left", length(span)),
            Self::Overdue(span) => format!("{} OVERDUE", length(span)),
            Self::Held => "held".to_owned(),
            Self::Kept => "stopped".to_owned(),
            Self::Late => "stopped LATE".to_owned(),
        }
    }

    /// Whether the limit passed.
    pub(super) const fn is_broken(self) -> bool {
        matches!(self, Self::Overdue(_) | Self::Late)
    }
}

/// What is shown of an incident in a list.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// 1 is the gravest.
    pub(super) level: u8,
    /// Whom it is about, with the drill that it belongs to: `core-ring +41`.
    pub(super) what: String,
    /// How far it has come: `open`, `acknowledged by li`.
    pub(super) state: String,
    /// The same in short: `open`, `ack. li`.
    pub(super) brief_state: String,
    pub(super) started: String,
    /// For how long it has gone on, or went on.
    pub(super) age: String,
    pub(super) users: String,
    /// The same in short: `~1.23M`.
    pub(super) brief_users: String,
    pub(super) services: u64,
    pub(super) response: Option<Standing>,
    pub(super) repair: Option<Standing>,
    /// The next level and when it comes: `second 09:05`.
    pub(super) next: Option<String>,
    pub(super) restored: Option<String>,
}

impl Row {
    /// An incident as it is shown at `now`.
    pub(super) fn of(incident: &Incident, now: Instant, calendar: &Calendar) -> Self {
        let standing = |name| incident.clock(name).map(|clock| Standing::of(clock, now));
        let by = incident.acknowledged().and_then(|stage| stage.by.as_deref()).filter(|_| incident.is_open());
        let until = incident.restored.map_or(now, |restored| restored.0);
        Self {
            level: incident.level,
            what: clean(&what(incident)),
            state: by.map_or_else(|| incident.status.clone(), |by| clean(&format!("{} by {by}", incident.status))),
            brief_state: match (&*incident.status, by) {
                ("acknowledged", Some(by)) => clean(&format!("ack. {by}")),
                (status, _) => status.to_owned(),
            },
            started: hour(incident.started.0, now, calendar),
            age: length(until.since(incident.started.0)),
            users: users(incident, grouped),
            brief_users: users(incident, brief),
            services: incident.service_count,
            response: standing("response"),
            repair: standing("repair"),
            next: incident
                .next_level
                .map(|next| format!("{} {}", level_name(next.level), hour(next.at.0, now, calendar))),
            restored: incident.restored.map(|restored| hour(restored.0, now, calendar)),
        }
    }
}

/// The level in words.
pub(super) const fn level_name(level: u8) -> &'static str {
    match level {
        1 => "first",
        2 => "second",
        _ => "third",
    }
}

/// The level as a sign and in capitals, all of one width: `!!! FIRST `.
pub(super) const fn level_sign(level: u8) -> &'static str {
    match level {
        1 => "!!! FIRST ",
        2 => " !! SECOND",
        _ => "  ! THIRD ",
    }
}

/// The service on which the others are thought to hang, else the first of them.
fn what(incident: &Incident) -> String {
    let more = |but: u64| match incident.service_count.saturating_sub(but) {
        0 => String::new(),
        more => format!(" +{more}"),
    };
    let drill = incident.drill.as_deref().map_or(String::new(), |drill| format!("DRILL {drill}: "));
    match (&incident.suspected_cause_service, incident.services.first()) {
        (Some(suspected), first) => {
            let is_all = first == Some(suspected) && incident.service_count == 1;
            let others =
                if is_all { String::new() } else { more(u64::from(incident.services.contains(suspected))) };
            format!("{drill}suspected: {suspected}{others}")
        }
        (None, Some(first)) => format!("{drill}{first}{}", more(1)),
        (None, None) => format!("{drill}{}", incident.id),
    }
}

/// The users, with `~` before them when the catalogue says so and not the event.
pub(super) fn users(incident: &Incident, written: fn(u64) -> String) -> String {
    match incident.users {
        None => "?".to_owned(),
        Some(users) if incident.users_estimated => format!("~{}", written(users)),
        Some(users) => written(users),
    }
}

/// A number in at most six columns: `42`, `99 999`, `123k`, `1.23M`. Digits are cut off, not rounded.
pub(super) fn brief(number: u64) -> String {
    match number {
        0..100_000 => grouped(number),
        100_000..1_000_000 => format!("{}k", number / 1000),
        1_000_000..1_000_000_000 => format!("{}.{:02}M", number / 1_000_000, number / 10_000 % 100),
        _ => format!("{}G", number / 1_000_000_000),
    }
}

/// A number whose digits are in groups of three.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A length of time by its two greatest units, cut off to whole seconds: `26m 04s`, `3h 56m`, `2d 03h`.
pub(super) fn length(span: Span) -> String {
    let seconds = span.as_micros().max(0) / 1_000_000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {:02}s", seconds % 60),
        (0, ..) => format!("{hours}h {minutes:02}m"),
        _ => format!("{days}d {hours:02}h"),
    }
}

/// An instant in the network's zone to the minute: `09:05` of the same day, `11-28 09:05` of another.
fn hour(at: Instant, now: Instant, calendar: &Calendar) -> String {
    let mut text = time(at, now, calendar);
    text.truncate(if text.contains(' ') { 11 } else { 5 });
    text
}

/// An instant in the network's zone: `09:05:37` of the same day, `11-28 09:05` of another.
pub(super) fn time(at: Instant, now: Instant, calendar: &Calendar) -> String {
    let stamp = calendar.stamp(at);
    let part = if calendar.day_number(at) == calendar.day_number(now) { 11..19 } else { 5..16 };
    stamp.get(part).unwrap_or(&stamp).to_owned()
}
