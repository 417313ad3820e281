//! Instants, spans and the rolling windows: whole microseconds of UTC, so that every figure is exact.

use std::fmt;
use std::num::NonZeroI64;
use std::str::FromStr;

use borsh::io;
use borsh::{BorshDeserialize, BorshSerialize};

/// An instant in UTC, in microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(
    /// Microseconds since [`LONG_BEFORE`], so that one that is absent takes no more room.
    NonZeroI64,
);

/// Microseconds, from 1970 back to before anything that can be written down.
const LONG_BEFORE: i64 = i64::MAX / 2;

/// A length of time in microseconds. Negative only as the result of a subtraction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct Span(i64);

/// Why a text is no instant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadInstant {
    /// The text has no offset from UTC, so it names no instant.
    #[error("`{0}` has no offset from UTC: write `Z` or one like `+08:00` after it")]
    NoOffset(String),
    /// The text is not RFC 3339 at all.
    #[error("`{0}` is not an RFC 3339 time such as `2026-01-31T12:00:00Z`")]
    NotRfc3339(String),
}

impl Instant {
    /// Earlier than anything that can be written down.
    pub const MIN: Self = Self::from_micros(i64::MIN);
    /// Later than anything that can be written down.
    pub const MAX: Self = Self::from_micros(i64::MAX);

    /// The instant `micros` microseconds after 1970-01-01T00:00:00Z, held within what arithmetic can bear.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        let (min, max) = (i64::MIN / 4, i64::MAX / 4);
        let micros = if micros < min {
            min
        } else if micros > max {
            max
        } else {
            micros
        };
        match NonZeroI64::new(micros + LONG_BEFORE) {
            Some(after) => Self(after),
            None => unreachable!(),
        }
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0.get() - LONG_BEFORE
    }

    /// This instant moved by `span`, held at the ends of what can be written down.
    #[must_use]
    pub const fn plus(self, span: Span) -> Self {
        Self::from_micros(self.as_micros().saturating_add(span.0))
    }

    /// This instant moved back by `span`.
    #[must_use]
    pub const fn minus(self, span: Span) -> Self {
        Self::from_micros(self.as_micros().saturating_sub(span.0))
    }

    /// The time from `earlier` to this instant; negative when it lies before.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.get() - earlier.0.get())
    }
}

impl Default for Instant {
    fn default() -> Self {
        Self::from_micros(0)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Instant").field(&self.as_micros()).finish()
    }
}

impl BorshSerialize for Instant {
    fn serialize<W: io::Write>(&self, writer: &mut W) -> io::Result<()> {
        self.as_micros().serialize(writer)
    }
}

impl BorshDeserialize for Instant {
    fn deserialize_reader<R: io::Read>(reader: &mut R) -> io::Result<Self> {
        i64::deserialize_reader(reader).map(Self::from_micros)
    }
}

impl FromStr for Instant {
    type Err = BadInstant;

    /// Reads RFC 3339 with an offset. Digits finer than a microsecond are cut off, not rounded, so that
    /// no event moves into the future.
    fn from_str(text: &str) -> Result<Self, BadInstant> {
        if let Some(instant) = in_utc(text.as_bytes()) {
            return Ok(instant);
        }
        // `jiff` reads more than RFC 3339 (weeks, bracketed zones); the shape is held here.
        let bytes = text.as_bytes();
        let dated = bytes.len() >= 19
            && bytes[4] == b'-'
            && bytes[7] == b'-'
            && matches!(bytes[10], b'T' | b't' | b' ')
            && bytes[13] == b':'
            && bytes[16] == b':'
            && bytes.iter().all(|b| b.is_ascii_digit() || b"-:TtZz+. ".contains(b));
        if !dated {
            return Err(BadInstant::NotRfc3339(shorten(text)));
        }
        let tail = text[19..].trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
        if tail.is_empty() {
            return Err(BadInstant::NoOffset(shorten(text)));
        }
        if !(tail.eq_ignore_ascii_case("z") || tail.len() == 6 && tail.as_bytes()[3] == b':') {
            return Err(BadInstant::NotRfc3339(shorten(text)));
        }
        let stamp: jiff::Timestamp = text.parse().map_err(|_| BadInstant::NotRfc3339(shorten(text)))?;
        let nanos = stamp.as_nanosecond();
        let micros = i64::try_from(nanos.div_euclid(1000)).map_err(|_| BadInstant::NotRfc3339(shorten(text)))?;
        Ok(Self::from_micros(micros))
    }
}

/// Reads `2026-01-31T12:00:00.123Z`, with up to six digits after the point or none: what most senders write, several
/// times faster than the general reader. Absent for anything else, right or wrong.
fn in_utc(text: &[u8]) -> Option<Instant> {
    let (stamp, rest) = text.split_first_chunk::<19>()?;
    let number = |from: usize, until: usize| {
        stamp[from..until]
            .iter()
            .try_fold(0, |sum: i64, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
    };
    let marks = [stamp[4], stamp[7], stamp[10], stamp[13], stamp[16]];
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    // The last days of a month, and leap seconds, are left to the general reader.
    let plain = (1..=12).contains(&month) && (1..=28).contains(&day) && hour < 24 && minute < 60 && second < 60;
    if &marks != b"--T::" || !plain {
        return None;
    }
    let micros = match rest {
        b"Z" => 0,
        [b'.', digits @ .., b'Z'] if (1..=6).contains(&digits.len()) => {
            let mut unit = 1_000_000;
            digits.iter().try_fold(0, |sum: i64, byte| {
                unit /= 10;
                byte.is_ascii_digit().then(|| sum + unit * i64::from(byte - b'0'))
            })?
        }
        _ => return None,
    };
    // Days since 1970 in the Gregorian calendar, with years that begin in March: the leap day is then their last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days =
        365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (153 * month + 2) / 5 + day
            - 1
            - 719_468;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    Some(Instant::from_micros(seconds * 1_000_000 + micros))
}

/// RFC 3339 in UTC, with as many digits of the second as the instant needs.
impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.as_micros()) {
            Ok(stamp) => write!(f, "{stamp}"),
            Err(_) => write!(f, "{}us", self.as_micros()),
        }
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// The smallest step of time.
    pub const TICK: Self = Self(1);

    /// A span of `micros` microseconds.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// A span of `millis` milliseconds.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1000))
    }

    /// A span of `seconds` seconds.
    #[must_use]
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// A span of `minutes` minutes.
    #[must_use]
    pub const fn from_mins(minutes: i64) -> Self {
        Self::from_secs(minutes * 60)
    }

    /// A span of `hours` hours.
    #[must_use]
    pub const fn from_hours(hours: i64) -> Self {
        Self::from_secs(hours * 3600)
    }

    /// The length in microseconds.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// The length in seconds: the one place where it becomes floating point.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// The sum of two spans.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// This span without `other`.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl FromStr for Span {
    type Err = String;

    /// Reads `90s`, `30m`, `4h`, `1h 30m`, `250ms`, `400d`: units are said, never guessed. A day is 24 hours.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a duration such as `90s`, `30m` or `4h`");
        let read: jiff::Span = text.trim().parse().map_err(|_| wrong())?;
        let read = read.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
        let micros = i64::try_from(read.as_micros()).map_err(|_| wrong())?;
        if micros < 0 { Err(wrong()) } else { Ok(Self(micros)) }
    }
}

/// `4h`, `1h 30m 5s`, `250ms`, `0s`: what [`Span::from_str`] reads.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 0 {
            write!(f, "-")?;
        }
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0.unsigned_abs();
        let mut first = true;
        for (unit, micros) in [("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1000), ("us", 1)] {
            let count = rest / micros;
            rest %= micros;
            if count > 0 {
                write!(f, "{}{count}{unit}", if first { "" } else { " " })?;
                first = false;
            }
        }
        Ok(())
    }
}

/// A rolling window: `[now - length, now)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub enum Window {
    /// One hour.
    Hour,
    /// 24 hours.
    Day,
    /// Seven times 24 hours.
    Week,
    /// Thirty times 24 hours.
    Month,
    /// Ninety times 24 hours.
    Quarter,
}

impl Window {
    /// Every rolling window, shortest first.
    pub const ALL: [Self; 5] = [Self::Hour, Self::Day, Self::Week, Self::Month, Self::Quarter];

    /// The window's name in labels, JSON and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Month => "30d",
            Self::Quarter => "90d",
        }
    }

    /// The window of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|window| window.name() == name)
    }

    /// The window's length.
    #[must_use]
    pub const fn length(self) -> Span {
        Span::from_hours(match self {
            Self::Hour => 1,
            Self::Day => 24,
            Self::Week => 7 * 24,
            Self::Month => 30 * 24,
            Self::Quarter => 90 * 24,
        })
    }
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= 40 { text.to_owned() } else { text.chars().take(40).chain("…".chars()).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_in_order_up_to_their_ends_and_absent_ones_take_no_more_room() {
        assert_eq!(size_of::<Option<Instant>>(), size_of::<Instant>());
        let micros = [i64::MIN, i64::MIN / 4, i64::MIN / 4 + 1, -1, 0, 1, i64::MAX / 4 - 1, i64::MAX / 4, i64::MAX];
        let instants = micros.map(Instant::from_micros);
        assert!(instants.is_sorted());
        assert_eq!(
            (instants[0], instants[1], instants[7], instants[8]),
            (Instant::MIN, Instant::MIN, Instant::MAX, Instant::MAX)
        );
        for (instant, micros) in instants.into_iter().zip(micros).skip(1).take(7) {
            assert_eq!(instant.as_micros(), micros);
            assert_eq!(instant.since(Instant::default()), Span::from_micros(micros));
            assert_eq!(borsh::to_vec(&instant).unwrap(), micros.to_le_bytes());
            assert_eq!(borsh::from_slice::<Instant>(&micros.to_le_bytes()).unwrap(), instant);
        }
    }

    #[test]
    fn an_instant_needs_an_offset() {
        assert!(matches!("2026-01-01T00:00:00".parse::<Instant>(), Err(BadInstant::NoOffset(_))));
        assert!(matches!("2026-01-01T00:00:00.5".parse::<Instant>(), Err(BadInstant::NoOffset(_))));
        for bad in ["", "yesterday", "2026-01-01", "2026-13-01T00:00:00Z", "2026-01-01T00:00:00+08", "1767225600"] {
            assert!(matches!(bad.parse::<Instant>(), Err(BadInstant::NotRfc3339(_))), "{bad}");
        }
    }

    #[test]
    fn the_fast_reader_agrees_with_the_calendar() {
        // From the year 0 to 9999, at odd steps of some days.
        for at in (-62_167_219_200_000_000..253_370_764_800_000_000).step_by(1_262_304_000_123_457) {
            let at = Instant::from_micros(at);
            let text = at.to_string();
            let late = text.as_bytes()[8] == b'3' || text.contains("-29T");
            assert_eq!(in_utc(text.as_bytes()), if late { None } else { Some(at) }, "{text}");
            assert_eq!(text.parse(), Ok(at));
        }
        for text in
            ["2026-02-28T23:59:59.5Z", "2000-02-28T00:00:00Z", "2000-03-01T00:00:00Z", "1900-03-01T00:00:00Z"]
        {
            assert_eq!(in_utc(text.as_bytes()).map(|at| at.to_string()).as_deref(), Some(text));
        }
        for other in [
            "2026-02-29T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:60Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00.1234567Z",
            "2026-01-01T00:00:00+00:00",
            "2026-01-01 00:00:00Z",
            "+026-01-01T00:00:00Z",
        ] {
            assert_eq!(in_utc(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn offsets_name_the_same_instant() {
        let utc: Instant = "2026-01-01T00:00:00.123456Z".parse().unwrap();
        assert_eq!("2026-01-01T08:00:00.123456999+08:00".parse(), Ok(utc));
        assert_eq!("2025-12-31 19:00:00.123456-05:00".parse(), Ok(utc));
        assert_eq!(utc.to_string(), "2026-01-01T00:00:00.123456Z");
    }

    #[test]
    fn digits_beyond_a_microsecond_are_cut_off_before_1970_too() {
        let at: Instant = "1969-12-31T23:59:59.9999999Z".parse().unwrap();
        assert_eq!(at.as_micros(), -1);
    }

    #[test]
    fn a_span_is_written_as_it_is_read() {
        for text in ["4h", "30m", "1h 30m 5s", "250ms", "7us", "0s"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
        assert_eq!("90m".parse::<Span>(), Ok(Span::from_mins(90)));
        assert!("30".parse::<Span>().is_err());
        assert!("-5m".parse::<Span>().is_err());
    }
}
