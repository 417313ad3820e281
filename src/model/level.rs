//! The three response levels (manual §4.1(1)) and the rules that give them.

use borsh::{BorshDeserialize, BorshSerialize};

use super::time::Span;

/// A response level. Ordered by gravity: `Third < Second < First`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub enum Level {
    /// General interruption (一般服务中断): every confirmed one is at least this.
    Third,
    /// Larger interruption (較大服务中断).
    Second,
    /// Major interruption (重大服务中断).
    First,
}

impl Level {
    /// Every level, the gravest first.
    pub const ALL: [Self; 3] = [Self::First, Self::Second, Self::Third];

    /// The level of that number, 1, 2 or 3.
    #[must_use]
    pub fn numbered(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|level| u64::from(level.number()) == number)
    }

    /// The level's name in labels and configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Second => "second",
            Self::Third => "third",
        }
    }

    /// 1, 2 or 3, as the manual numbers them.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::First => 1,
            Self::Second => 2,
            Self::Third => 3,
        }
    }

    /// The `severity` label that goes with the level.
    #[must_use]
    pub const fn severity(self) -> &'static str {
        match self {
            Self::First => "critical",
            Self::Second => "major",
            Self::Third => "warning",
        }
    }
}

/// A plain condition on an incident. Strict and non-strict comparisons are kept apart, as the rules of
/// different countries differ in just that.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Condition {
    /// More users are affected than this.
    UsersOver(u64),
    /// At least this many users are affected.
    UsersAtLeast(u64),
    /// More user-minutes are lost than this.
    UserMinutesOver(u64),
    /// At least this many user-minutes are lost.
    UserMinutesAtLeast(u64),
    /// A larger share of the users of that kind of service is affected than this.
    ShareOver(Ratio),
    /// It lasts longer than this.
    LongerThan(Span),
    /// It lasts at least this long.
    LastingAtLeast(Span),
    /// It touches at least this many regions.
    RegionsAtLeast(u64),
    /// The service is of this kind.
    Kind(String),
    /// The service is of this tier.
    Tier(String),
    /// The service is in this group.
    Tag(String),
}

/// A rule: it holds when all of its conditions do. Without any it always holds.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Rule {
    /// Where it stands, such as `first[2]`: what records and reasons name.
    pub name: String,
    /// Where it comes from.
    pub cite: String,
    /// What must hold, all of it.
    pub conditions: Vec<Condition>,
}

/// The rules of every level. The first that matches, from the first level down, gives the level.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct LevelRules {
    /// Rules of the first level.
    pub first: Vec<Rule>,
    /// Rules of the second level.
    pub second: Vec<Rule>,
    /// Rules of the third level. What matches no rule at all is third too.
    pub third: Vec<Rule>,
}

impl LevelRules {
    /// The rules of one level, in order.
    #[must_use]
    pub fn of(&self, level: Level) -> &[Rule] {
        match level {
            Level::First => &self.first,
            Level::Second => &self.second,
            Level::Third => &self.third,
        }
    }
}

/// A ratio from 0 to 1, in parts of 10⁹, so that comparisons are exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct Ratio(u64);

impl Ratio {
    /// How many parts make the whole.
    pub const WHOLE: u64 = 1_000_000_000;

    /// Reads a ratio; `None` outside 0–1.
    #[must_use]
    pub fn new(value: f64) -> Option<Self> {
        if !(0.0..=1.0).contains(&value) {
            return None;
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0..=10⁹, checked above")]
        Some(Self((value * Self::WHOLE as f64).round() as u64))
    }

    /// The ratio in parts of 10⁹.
    #[must_use]
    pub const fn parts(self) -> u64 {
        self.0
    }

    /// What is missing to the whole, in parts of 10⁹: of a target, its error budget.
    #[must_use]
    pub const fn rest(self) -> i128 {
        (Self::WHOLE - self.0) as i128
    }

    /// The ratio in percent, with no more digits than it has: `99.99 %`.
    #[must_use]
    pub fn percent(self) -> String {
        let digits = format!("{}.{:07}", self.0 / 10_000_000, self.0 % 10_000_000);
        format!("{} %", digits.trim_end_matches('0').trim_end_matches('.'))
    }

    /// The ratio as floating point, for display.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / Self::WHOLE as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_written_with_the_digits_that_it_has() {
        let percent = |ratio| Ratio::new(ratio).unwrap().percent();
        assert_eq!(percent(0.9999), "99.99 %");
        assert_eq!(percent(0.5), "50 %");
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(percent(0.99995), "99.995 %");
    }
}
