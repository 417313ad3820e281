//! Figures: what is known of a service or a group over a window, as exact integers. They become floating point once,
//! here. Every definition is that of the service manual's figures in ITU-T E.800 terms.

use super::level::Ratio;
use super::target::Maintenance;
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
    /// It is being maintained, as announced.
    Maintenance,
    /// Its feed is silent: neither up nor down.
    Unknown,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Up, Self::Degraded, Self::Down, Self::Maintenance, Self::Unknown];

    /// The state's name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Down => "down",
            Self::Maintenance => "maintenance",
            Self::Unknown => "unknown",
        }
    }
}

/// How long a service was in which state, in microseconds; of a group each service's microseconds count as often as
/// it has users. All of it lies within what was observed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lengths {
    /// The window, from the service's `since` on.
    pub observed: i128,
    /// In maintenance announced in time.
    pub excluded: i128,
    /// Not known, because the feed was silent.
    pub unknown: i128,
    /// In maintenance, or not known, or both.
    pub blind: i128,
    /// Down, neither in maintenance nor unknown.
    pub down: i128,
    /// Down, not unknown, in maintenance or not.
    pub down_gross: i128,
    /// Degraded and not down, neither in maintenance nor unknown.
    pub degraded: i128,
    /// Each instant by the greatest weight of what is open at it, in parts of 10⁹: neither in maintenance nor unknown.
    pub weighted: i128,
}

/// What was counted in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tallies {
    /// Unplanned outages that began in the window.
    pub outages: u64,
    /// Outages that began in it and lie wholly within maintenance.
    pub planned_outages: u64,
    /// Unplanned outages that ended in it.
    pub repairs: u64,
    /// The repairs' lengths, summed.
    pub repair_sum: i128,
    /// Half of the repairs took no longer than this (nearest rank: an actual repair's length).
    pub repair_p50: Option<Span>,
    /// 95 % of the repairs took no longer than this (nearest rank).
    pub repair_p95: Option<Span>,
    /// The longest repair.
    pub repair_max: Option<Span>,
    /// Repairs that took no longer than the repair target, where there is one.
    pub repairs_within: Option<u64>,
    /// Incidents first acknowledged in the window.
    pub acknowledged: u64,
    /// The times from their starts to that, summed.
    pub acknowledge_sum: i128,
    /// Users times time lost, in user-microseconds: net of maintenance and of what is unknown.
    pub user_micros: i128,
}

/// The figures of one service or group over one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// How long it was how; by users for a group.
    pub lengths: Lengths,
    /// What was counted.
    pub tallies: Tallies,
    /// By how much `lengths` are multiplied: 1 for a service, the users of a group.
    pub weight: i128,
    /// `observed - blind - down` in service-microseconds, which is the same for a service: for MTBF.
    pub working: i128,
    /// What the promise says of maintenance.
    pub mode: Maintenance,
}

impl Lengths {
    /// The sum of both.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            observed: self.observed + other.observed,
            excluded: self.excluded + other.excluded,
            unknown: self.unknown + other.unknown,
            blind: self.blind + other.blind,
            down: self.down + other.down,
            down_gross: self.down_gross + other.down_gross,
            degraded: self.degraded + other.degraded,
            weighted: self.weighted + other.weighted,
        }
    }

    /// What the mode takes for lost, and of how much.
    #[must_use]
    pub const fn promised(&self, mode: Maintenance) -> (i128, i128) {
        match mode {
            Maintenance::Exclude => (self.down, self.observed - self.blind),
            Maintenance::CountAsUp => (self.down, self.observed - self.unknown),
            Maintenance::Ignore => (self.down_gross, self.observed - self.unknown),
        }
    }

    /// How much of the budget is left, times 10⁹, so that it is exact; and the whole budget, times 10⁹.
    #[must_use]
    pub const fn budget(&self, mode: Maintenance, target: Ratio) -> (i128, i128) {
        let (lost, of) = self.promised(mode);
        let budget = target.rest() * of;
        (budget - Ratio::WHOLE as i128 * lost, budget)
    }
}

impl Figures {
    /// 1 − downtime / (window \ maintenance): the headline; absent when nothing was observed.
    #[must_use]
    pub fn availability(&self) -> Option<f64> {
        availability(self.lengths.promised(Maintenance::Exclude))
    }

    /// Maintenance neither excused nor removed.
    #[must_use]
    pub fn gross_availability(&self) -> Option<f64> {
        availability(self.lengths.promised(Maintenance::Ignore))
    }

    /// As the promise in force counts maintenance.
    #[must_use]
    pub fn sla_availability(&self) -> Option<f64> {
        availability(self.lengths.promised(self.mode))
    }

    /// As the headline, each instant counting the greatest weight of what is open at it.
    #[must_use]
    pub fn weighted_availability(&self) -> Option<f64> {
        let whole = i128::from(Ratio::WHOLE);
        let of = (self.lengths.observed - self.lengths.blind) * whole;
        availability((self.lengths.weighted, of))
    }

    /// Availability in percent with four decimals, cut off and not rounded: 99.98999… % is not 99.99 %.
    #[must_use]
    pub fn availability_percent(&self) -> Option<String> {
        percent(self.lengths.promised(Maintenance::Exclude))
    }

    /// The same, as the promise in force counts maintenance.
    #[must_use]
    pub fn sla_availability_percent(&self) -> Option<String> {
        percent(self.lengths.promised(self.mode))
    }

    /// Defects per million: (1 − availability) × 10⁶.
    #[must_use]
    pub fn dpm(&self) -> Option<f64> {
        let (lost, of) = self.lengths.promised(Maintenance::Exclude);
        (of > 0).then(|| lost as f64 * 1e6 / of as f64)
    }

    /// The known share of what was observed.
    #[must_use]
    pub fn coverage(&self) -> Option<f64> {
        availability((self.lengths.unknown, self.lengths.observed))
    }

    /// Downtime net of maintenance, in seconds: a group's is its average user's.
    #[must_use]
    pub fn downtime_seconds(&self) -> f64 {
        self.seconds(self.lengths.down)
    }

    /// A length in seconds: a group's is its average user's.
    #[must_use]
    pub fn seconds(&self, length: i128) -> f64 {
        if self.weight > 0 { length as f64 / self.weight as f64 / 1e6 } else { 0.0 }
    }

    /// Mean time to repair in seconds; absent with no repair.
    #[must_use]
    pub fn mttr_seconds(&self) -> Option<f64> {
        mean(self.tallies.repair_sum, self.tallies.repairs)
    }

    /// The share of the repairs that kept the repair target; absent with no repair, or no target.
    #[must_use]
    pub fn mttr_within_target(&self) -> Option<f64> {
        let within = self.tallies.repairs_within?;
        (self.tallies.repairs > 0).then(|| within as f64 / self.tallies.repairs as f64)
    }

    /// Mean time to acknowledge in seconds; absent when nothing was.
    #[must_use]
    pub fn mtta_seconds(&self) -> Option<f64> {
        mean(self.tallies.acknowledge_sum, self.tallies.acknowledged)
    }

    /// Mean time between failures in seconds; absent with no outage.
    #[must_use]
    pub fn mtbf_seconds(&self) -> Option<f64> {
        mean(self.working, self.tallies.outages)
    }

    /// User-minutes lost.
    #[must_use]
    pub fn user_minutes(&self) -> f64 {
        self.tallies.user_micros as f64 / 60e6
    }

    /// The share of the error budget that is left, negative when overspent; absent when there is none to spend.
    #[must_use]
    pub fn budget_remaining_ratio(&self, target: Ratio) -> Option<f64> {
        let (left, budget) = self.lengths.budget(self.mode, target);
        (budget > 0).then(|| left as f64 / budget as f64)
    }

    /// How many times as fast as the target allows the budget is spent; absent when there is none to spend (SRE
    /// workbook, chapter 5).
    #[must_use]
    pub fn burn_rate(&self, target: Ratio) -> Option<f64> {
        let budget = target.rest() * self.lengths.observed;
        let spent = i128::from(Ratio::WHOLE) * self.lengths.down;
        (budget > 0).then(|| spent as f64 / budget as f64)
    }
}

/// Samples of latency in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LatencyFigures {
    /// How many.
    pub samples: u64,
    /// How many took no longer than the limit in force when they were taken in; all of them without a limit.
    pub within: u64,
    /// Half of them took no longer, to 1 %.
    pub p50: Option<Span>,
    /// 95 % of them took no longer, to 1 %.
    pub p95: Option<Span>,
    /// 99 % of them took no longer, to 1 %.
    pub p99: Option<Span>,
}

impl LatencyFigures {
    /// The share within the limit; absent without samples.
    #[must_use]
    pub fn within_ratio(&self) -> Option<f64> {
        (self.samples > 0).then(|| self.within as f64 / self.samples as f64)
    }
}

fn availability((lost, of): (i128, i128)) -> Option<f64> {
    (of > 0).then(|| (of - lost) as f64 / of as f64)
}

fn percent((lost, of): (i128, i128)) -> Option<String> {
    (of > 0).then(|| {
        let parts = (of - lost) * 1_000_000 / of;
        format!("{}.{:04}", parts / 10_000, parts % 10_000)
    })
}

fn mean(sum: i128, count: u64) -> Option<f64> {
    (count > 0).then(|| sum as f64 / count as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(observed: Span, down: Span) -> Figures {
        let (observed, down) = (i128::from(observed.as_micros()), i128::from(down.as_micros()));
        let lengths = Lengths { observed, down, down_gross: down, ..Lengths::default() };
        Figures { lengths, weight: 1, ..Figures::default() }
    }

    #[test]
    fn means_over_nothing_are_absent() {
        let none = Figures::default();
        assert_eq!(none.availability(), None);
        assert_eq!(none.mttr_seconds(), None);
        assert_eq!(none.mtbf_seconds(), None);
        assert_eq!(none.mtta_seconds(), None);
        assert_eq!(none.coverage(), None);
    }

    #[test]
    fn a_window_just_short_of_the_target_is_not_rounded_up() {
        let figures = lost(Span::from_hours(720), Span::from_millis(259_201));
        let target = Ratio::new(0.9999).unwrap();
        assert!(figures.availability().unwrap() < 0.9999);
        assert_eq!(figures.availability_percent().unwrap(), "99.9899");
        assert!(figures.budget_remaining_ratio(target).unwrap() < 0.0);
        assert!(figures.burn_rate(target).unwrap() > 1.0);
        assert_eq!(figures.burn_rate(Ratio::new(1.0).unwrap()), None);
    }

    #[test]
    fn the_three_ways_to_count_maintenance_differ() {
        let lengths =
            Lengths { observed: 100, excluded: 20, blind: 20, down: 8, down_gross: 12, ..Lengths::default() };
        let of = |mode| Figures { lengths, weight: 1, mode, ..Figures::default() }.sla_availability().unwrap();
        assert_eq!(of(Maintenance::Exclude), 0.9);
        assert_eq!(of(Maintenance::CountAsUp), 0.92);
        assert_eq!(of(Maintenance::Ignore), 0.88);
    }
}
