//! Why an alert fires: the rule, the limit or the promise that is broken, kept as values, so that it can be said in any
//! language and zone.

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};

use super::alert::BurnPair;
use super::level::Ratio;
use super::procedure::ClockName;
use super::target::LatencyTarget;
use super::time::{Instant, Span, Window};

/// Why an alert fires.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Because {
    /// The rule that gave the level, or who gave it.
    Rule(String),
    /// The limit of a clock passed.
    Passed {
        /// The clock.
        clock: ClockName,
        /// Its limit.
        limit: Span,
    },
    /// Much of the limit of a clock has passed.
    Used {
        /// How much of it, in percent.
        percent: u8,
        /// The clock.
        clock: ClockName,
        /// Its limit.
        limit: Span,
        /// When it ends; absent while the clock is held.
        deadline: Option<Instant>,
    },
    /// An error budget: so much downtime in the window.
    Budget {
        /// How much.
        budget: Span,
        /// In which window.
        window: Window,
        /// The promise that leaves so much.
        target: Ratio,
    },
    /// It is spent many times too fast.
    Burn {
        /// How fast, and over which windows.
        pair: BurnPair,
        /// The promise.
        target: Ratio,
    },
    /// Many times too many samples are slow.
    SlowBurn {
        /// How many times, and over which windows.
        pair: BurnPair,
        /// The promise.
        promise: LatencyTarget,
    },
    /// Too many samples are slow.
    Slow(LatencyTarget),
    /// A measurement is beyond its limit.
    Beyond {
        /// Which.
        metric: String,
        /// It is above the limit, or else below it.
        above: bool,
        /// The limit, as it is written.
        limit: String,
    },
    /// Nothing was heard for longer than this.
    Silence(Span),
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let promised =
            |promise: &LatencyTarget| format!("{} of samples within {}", promise.ratio.percent(), promise.limit);
        match self {
            Self::Rule(rule) => f.write_str(rule),
            Self::Passed { clock, limit } => write!(f, "{clock} limit of {limit}"),
            Self::Used { percent, clock, limit, deadline } => {
                write!(f, "{percent} % of the {clock} limit of {limit} has passed, ")?;
                match deadline {
                    Some(deadline) => write!(f, "it ends at {deadline}"),
                    None => f.write_str("it is held"),
                }
            }
            Self::Budget { budget, window, target } => {
                write!(f, "{budget} of downtime in {} at a target of {}", window.name(), target.percent())
            }
            Self::Burn { pair, target } => {
                let [long, short] = pair.windows();
                let (speed, target) = (pair.speed(), target.percent());
                write!(f, "more than {speed} times as fast as {target} allows, over {long} and over {short}")
            }
            Self::SlowBurn { pair, promise } => {
                let [long, short] = pair.windows();
                let (speed, promised) = (pair.speed(), promised(promise));
                write!(
                    f,
                    "more than {speed} times as many slow samples as {promised} allows, over {long} and over {short}"
                )
            }
            Self::Slow(promise) => write!(f, "fewer than {}", promised(promise)),
            Self::Beyond { metric, above, limit } => {
                write!(f, "{metric} {} {limit}", if *above { "over" } else { "under" })
            }
            Self::Silence(heartbeat) => write!(f, "nothing of it for longer than {heartbeat}"),
        }
    }
}
