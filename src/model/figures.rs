//! Figures: what is known of a service over a window, as exact integers. They become floating point once, here.

use super::level::Ratio;
use super::time::Span;

/// How a service stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing is wrong with it.
    Up,
    /// It is there, but worse than promised.
    Degraded,
    /// It is not there.
    Down,
}

impl State {
    /// The state's name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }
}

/// The figures of one service over one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// How much of the window the service was observed for.
    pub observed: Span,
    /// How long it was down in that.
    pub downtime: Span,
    /// How long it was degraded, and not down, in that.
    pub degraded: Span,
    /// Outages that began in the window.
    pub outages: u64,
    /// Outages that ended in it.
    pub repairs: u64,
    /// The repairs' lengths, summed.
    pub repair_sum: Span,
    /// Half of the repairs took no longer than this (nearest rank: an actual repair's length).
    pub repair_p50: Option<Span>,
    /// 95 % of the repairs took no longer than this (nearest rank).
    pub repair_p95: Option<Span>,
    /// The longest repair.
    pub repair_max: Option<Span>,
}

impl Figures {
    /// 1 − downtime / observed; absent when nothing was observed (ITU-T E.800).
    #[must_use]
    pub fn availability(&self) -> Option<f64> {
        ratio(self.observed.minus(self.downtime), self.observed)
    }

    /// Availability in percent with four decimals, cut off and not rounded: 99.98999… % is not 99.99 %.
    #[must_use]
    pub fn availability_percent(&self) -> Option<String> {
        let observed = i128::from(self.observed.as_micros());
        let up = observed - i128::from(self.downtime.as_micros());
        (observed > 0).then(|| {
            let parts = up * 1_000_000 / observed;
            format!("{}.{:04}", parts / 10_000, parts % 10_000)
        })
    }

    /// Mean time to repair in seconds; absent with no repair.
    #[must_use]
    pub fn mttr_seconds(&self) -> Option<f64> {
        (self.repairs > 0).then(|| self.repair_sum.as_micros() as f64 / self.repairs as f64 / 1e6)
    }

    /// Mean time between failures in seconds; absent with no outage.
    #[must_use]
    pub fn mtbf_seconds(&self) -> Option<f64> {
        (self.outages > 0).then(|| self.observed.minus(self.downtime).as_secs_f64() / self.outages as f64)
    }

    /// The share of the error budget that is left, negative when overspent; absent when there is none to spend.
    #[must_use]
    pub fn budget_remaining_ratio(&self, target: Ratio) -> Option<f64> {
        // Both sides are multiplied by 10⁹, so the budget stays a whole number.
        let budget = i128::from(Ratio::WHOLE - target.parts()) * i128::from(self.observed.as_micros());
        let spent = i128::from(Ratio::WHOLE) * i128::from(self.downtime.as_micros());
        (budget > 0).then(|| (budget - spent) as f64 / budget as f64)
    }

    /// How many times as fast as the target allows the budget is spent; absent when there is none to spend (SRE
    /// workbook, chapter 5).
    #[must_use]
    pub fn burn_rate(&self, target: Ratio) -> Option<f64> {
        let budget = i128::from(Ratio::WHOLE - target.parts()) * i128::from(self.observed.as_micros());
        let spent = i128::from(Ratio::WHOLE) * i128::from(self.downtime.as_micros());
        (budget > 0).then(|| spent as f64 / budget as f64)
    }
}

fn ratio(part: Span, whole: Span) -> Option<f64> {
    (whole > Span::ZERO).then(|| part.as_micros() as f64 / whole.as_micros() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_over_nothing_are_absent() {
        let none = Figures::default();
        assert_eq!(none.availability(), None);
        assert_eq!(none.mttr_seconds(), None);
        assert_eq!(none.mtbf_seconds(), None);
    }

    #[test]
    fn a_window_just_short_of_the_target_is_not_rounded_up() {
        let figures = Figures {
            observed: Span::from_hours(720),
            downtime: Span::from_secs(259).plus(Span::from_millis(201)),
            ..Figures::default()
        };
        let target = Ratio::new(0.9999).unwrap();
        assert!(figures.availability().unwrap() < 0.9999);
        assert_eq!(figures.availability_percent().unwrap(), "99.9899");
        assert!(figures.budget_remaining_ratio(target).unwrap() < 0.0);
        assert!(figures.burn_rate(target).unwrap() > 1.0);
        assert_eq!(figures.burn_rate(Ratio::new(1.0).unwrap()), None);
    }
}
