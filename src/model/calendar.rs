//! Calendar days, months, quarters and years in a time zone, exact across changes of daylight saving time.

use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::time::Instant;

/// A stretch of time that figures are asked for: `[from, until)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Range {
    /// Its first instant.
    pub from: Instant,
    /// The first instant after it.
    pub until: Instant,
}

/// A unit of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// From midnight to midnight: 23, 24 or 25 hours.
    Day,
    /// A calendar month.
    Month,
    /// Three months, from January, April, July or October on.
    Quarter,
    /// A calendar year.
    Year,
}

impl Unit {
    /// Every unit, shortest first.
    pub const ALL: [Self; 4] = [Self::Day, Self::Month, Self::Quarter, Self::Year];

    /// The unit's name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Year => "year",
        }
    }

    const fn months(self) -> i8 {
        match self {
            Self::Day | Self::Month => 1,
            Self::Quarter => 3,
            Self::Year => 12,
        }
    }
}

/// The calendar of a zone.
#[derive(Clone, Debug, PartialEq)]
pub struct Calendar(TimeZone);

/// There is no zone of that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no time zone {0:?}; write one like \"Asia/Shanghai\" or \"UTC\"")]
pub struct NoSuchZone(pub String);

/// Why a text names no period.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no period such as 2026-03-14, 2026-03, 2026-Q1 or 2026")]
pub struct BadPeriod(pub String);

impl Default for Calendar {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

impl Calendar {
    /// The calendar of an IANA zone.
    ///
    /// # Errors
    /// When there is no such zone.
    pub fn new(zone: &str) -> Result<Self, NoSuchZone> {
        // The zones are compiled in; nothing is read from the machine.
        TimeZone::get(zone).map(Self).map_err(|_| NoSuchZone(zone.to_owned()))
    }

    /// The zone's name.
    #[must_use]
    pub fn zone(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The unit that holds `at`.
    #[must_use]
    pub fn containing(&self, unit: Unit, at: Instant) -> Range {
        let Some(date) = self.date(at) else { return Range { from: at, until: at } };
        self.range(unit, date)
    }

    /// The name of the unit that holds `at`, as [`Calendar::named`] reads it.
    #[must_use]
    pub fn name(&self, unit: Unit, at: Instant) -> String {
        let Some(date) = self.date(at) else { return at.to_string() };
        let (year, month, day) = (date.year(), date.month(), date.day());
        match unit {
            Unit::Day => format!("{year:04}-{month:02}-{day:02}"),
            Unit::Month => format!("{year:04}-{month:02}"),
            Unit::Quarter => format!("{year:04}-Q{}", (month + 2) / 3),
            Unit::Year => format!("{year:04}"),
        }
    }

    /// The period that `text` names: `2026-03-14`, `2026-03`, `2026-Q1` or `2026`.
    ///
    /// # Errors
    /// When it names none.
    pub fn named(&self, text: &str) -> Result<Range, BadPeriod> {
        let bad = || BadPeriod(text.to_owned());
        let number = |part: &str| part.parse::<i16>().map_err(|_| bad());
        let small = |part: &str| part.parse::<i8>().map_err(|_| bad());
        let parts: Vec<&str> = text.split('-').collect();
        let (unit, year, month, day) = match &*parts {
            [year] => (Unit::Year, number(year)?, 1, 1),
            [year, part] => match part.strip_prefix(['Q', 'q']) {
                Some(quarter) => {
                    let quarter = small(quarter).ok().filter(|q| (1..=4).contains(q)).ok_or_else(bad)?;
                    (Unit::Quarter, number(year)?, quarter * 3 - 2, 1)
                }
                None => (Unit::Month, number(year)?, small(part)?, 1),
            },
            [year, month, day] => (Unit::Day, number(year)?, small(month)?, small(day)?),
            _ => return Err(bad()),
        };
        let date = Date::new(year, month, day).map_err(|_| bad())?;
        if !(1900..9999).contains(&year) {
            return Err(bad());
        }
        Ok(self.range(unit, date))
    }

    /// The day that holds `at`, as a count of days since 1970-01-01.
    #[must_use]
    pub fn day_number(&self, at: Instant) -> i32 {
        self.date(at).map_or(0, |date| (date - Date::constant(1970, 1, 1)).get_days())
    }

    /// The local time of an instant, as people in the zone write it: `2026-03-29 02:00`.
    #[must_use]
    pub fn local(&self, at: Instant) -> impl fmt::Display {
        let stamp = jiff::Timestamp::from_microsecond(at.as_micros()).unwrap_or_default();
        self.0.to_datetime(stamp)
    }

    /// An instant to the second for people in the zone, with the zone's offset then: `2026-03-29 02:00:09+08:00`.
    #[must_use]
    pub fn stamp(&self, at: Instant) -> String {
        match jiff::Timestamp::from_microsecond(at.as_micros().div_euclid(1_000_000).saturating_mul(1_000_000)) {
            Ok(stamp) => stamp.to_zoned_datetime(self.0.clone()).strftime("%Y-%m-%d %H:%M:%S%:z").to_string(),
            Err(_) => at.to_string(),
        }
    }

    fn date(&self, at: Instant) -> Option<Date> {
        let stamp = jiff::Timestamp::from_microsecond(at.as_micros()).ok()?;
        Some(self.0.to_datetime(stamp).date())
    }

    fn range(&self, unit: Unit, date: Date) -> Range {
        let (first, next) = if unit == Unit::Day {
            (date, date.tomorrow().unwrap_or(date))
        } else {
            let months = unit.months();
            let first = (date.month() - 1) / months * months;
            let year = date.year();
            let next = if first + months == 12 { (year + 1, 1) } else { (year, first + months + 1) };
            (Date::new(year, first + 1, 1).unwrap_or(date), Date::new(next.0, next.1, 1).unwrap_or(date))
        };
        Range { from: self.midnight(first), until: self.midnight(next) }
    }

    /// When a date begins; where the clock jumps over midnight, the first instant after the jump.
    fn midnight(&self, date: Date) -> Instant {
        match self.0.to_timestamp(date.at(0, 0, 0, 0)) {
            Ok(stamp) => Instant::from_micros(stamp.as_microsecond()),
            Err(_) => Instant::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Span;

    fn hours(zone: &str, period: &str) -> f64 {
        let range = Calendar::new(zone).unwrap().named(period).unwrap();
        range.until.since(range.from).as_secs_f64() / 3600.0
    }

    #[test]
    fn days_of_daylight_saving_time_are_shorter_or_longer() {
        assert_eq!(hours("Europe/Berlin", "2026-03-29"), 23.0);
        assert_eq!(hours("Europe/Berlin", "2026-10-25"), 25.0);
        assert_eq!(hours("Asia/Shanghai", "2026-03-29"), 24.0);
        // Midnight does not exist on this day in Beirut.
        assert_eq!(hours("Asia/Beirut", "2026-03-29"), 23.0);
        assert_eq!(hours("Europe/Berlin", "2026-03"), 31.0 * 24.0 - 1.0);
        assert_eq!(hours("UTC", "2028-02"), 29.0 * 24.0);
        assert_eq!(hours("UTC", "2026-Q1"), 90.0 * 24.0);
        assert_eq!(hours("UTC", "2028"), 366.0 * 24.0);
    }

    #[test]
    fn an_instant_lies_in_the_unit_of_its_zone() {
        let at: Instant = "2026-03-31T17:00:00Z".parse().unwrap();
        let shanghai = Calendar::new("Asia/Shanghai").unwrap();
        assert_eq!(shanghai.containing(Unit::Day, at), shanghai.named("2026-04-01").unwrap());
        assert_eq!(shanghai.containing(Unit::Month, at), shanghai.named("2026-04").unwrap());
        assert_eq!(shanghai.containing(Unit::Quarter, at), shanghai.named("2026-Q2").unwrap());
        assert_eq!(
            Calendar::default().containing(Unit::Quarter, at),
            Calendar::default().named("2026-Q1").unwrap()
        );
        assert_eq!(shanghai.stamp(at.plus(Span::TICK)), "2026-04-01 01:00:00+08:00");
        assert_eq!(shanghai.day_number(at), Calendar::default().day_number(at.plus(Span::from_hours(8))));
    }

    #[test]
    fn a_unit_is_named_as_it_is_read() {
        let berlin = Calendar::new("Europe/Berlin").unwrap();
        let at: Instant = "2026-03-31T23:30:00Z".parse().unwrap();
        for (unit, name) in Unit::ALL.into_iter().zip(["2026-04-01", "2026-04", "2026-Q2", "2026"]) {
            assert_eq!(berlin.name(unit, at), name);
            assert_eq!(berlin.named(name).unwrap(), berlin.containing(unit, at));
        }
    }

    #[test]
    fn what_is_no_period_is_refused() {
        for text in ["", "2026-13", "2026-Q5", "2026-02-30", "26-3-1-1", "march", "0"] {
            assert!(Calendar::default().named(text).is_err(), "{text}");
        }
        assert!(Calendar::new("Mars/Olympus").is_err());
    }
}
