//! Which period is asked for, by its name.

use crate::model::calendar::{Calendar, Range, Unit};
use crate::model::time::{Instant, Span};

/// How long after its end a period is frozen: what was on its way then has come by now. What comes later makes a revision.
const SETTLE: Span = Span::from_hours(1);

/// The period that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its name, in one way of writing it.
    pub name: String,
    /// Its instants.
    pub range: Range,
    /// What it is a unit of, if it is one.
    pub unit: Option<Unit>,
}

/// Why a text names no period of a report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no period such as 2026-03, 2026-Q1, 2026, 2026-03-14 or 2026-03-01..2026-03-15 (two dates of the network's \
     zone, or RFC 3339 instants; the second one is not in it){problem}"
)]
pub struct BadPeriod {
    text: String,
    problem: String,
}

impl Wanted {
    /// Reads a period's name.
    ///
    /// # Errors
    /// When it names none.
    pub fn read(calendar: &Calendar, text: &str) -> Result<Self, BadPeriod> {
        let bad = |problem: &str| BadPeriod { text: text.to_owned(), problem: problem.to_owned() };
        if let Some((from, until)) = text.split_once("..") {
            let from = instant(calendar, from).ok_or_else(|| bad(": its beginning cannot be read"))?;
            let until = instant(calendar, until).ok_or_else(|| bad(": its end cannot be read"))?;
            if from >= until {
                return Err(bad(": it ends before it begins"));
            }
            return Ok(Self { name: format!("{from}..{until}"), range: Range { from, until }, unit: None });
        }
        let range = calendar.named(text).map_err(|_| bad(""))?;
        let unit = Unit::ALL.into_iter().find(|&unit| calendar.containing(unit, range.from) == range);
        let unit = unit.ok_or_else(|| bad(""))?;
        Ok(Self::of(calendar, unit, range.from))
    }

    /// The unit of the calendar that holds `at`.
    #[must_use]
    pub fn of(calendar: &Calendar, unit: Unit, at: Instant) -> Self {
        Self { name: calendar.name(unit, at), range: calendar.containing(unit, at), unit: Some(unit) }
    }

    /// Whether its report is frozen once it is over: months and quarters are.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        matches!(self.unit, Some(Unit::Month | Unit::Quarter))
    }

    /// From when on.
    #[must_use]
    pub fn due(&self) -> Instant {
        self.range.until.plus(SETTLE)
    }
}

/// An instant, or the beginning of a date.
fn instant(calendar: &Calendar, text: &str) -> Option<Instant> {
    if let Ok(at) = text.parse() {
        return Some(at);
    }
    let day = calendar.named(text).ok()?;
    (calendar.containing(Unit::Day, day.from) == day).then_some(day.from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Wanted, BadPeriod> {
        Wanted::read(&Calendar::new("Asia/Shanghai").unwrap(), text)
    }

    #[test]
    fn a_period_has_one_name_however_it_is_written() {
        for (text, name) in [
            ("2026-3", "2026-03"),
            ("2026-q1", "2026-Q1"),
            ("2026", "2026"),
            ("2026-03-14", "2026-03-14"),
            ("2026-03-01..2026-03-15", "2026-02-28T16:00:00Z..2026-03-14T16:00:00Z"),
            ("2026-03-01T00:00:00+08:00..2026-03-15", "2026-02-28T16:00:00Z..2026-03-14T16:00:00Z"),
        ] {
            assert_eq!(read(text).unwrap().name, name);
        }
        assert_eq!(read("2026-03").unwrap().range, read("2026-03-01..2026-04-01").unwrap().range);
    }

    #[test]
    fn what_is_no_period_is_refused_with_what_would_be_one() {
        for text in ["march", "2026-13", "2026-03..2026-04", "..", "2026-03-02..2026-03-01", "2026-03-01.."] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(text) && error.contains("2026-Q1"), "{error}");
        }
    }
}
