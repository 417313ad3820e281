//! Settings, and the policy that people decided: where they come from, how they are checked, what is wrong in them.
//!
//! Everything is read in one go and every mistake is reported at once, with file, line, key and remedy.
//! Must not enter: anything that acts on a setting.

mod alerting;
mod catalog;
mod correlation;
mod drill;
mod levels;
mod procedure;
mod reader;
mod record;
mod settings;
mod targets;
mod words;

pub use alerting::{Access, Alerting, Credentials, Damping, Receiver, ReceiverKind, Secret};
pub use catalog::{read_catalog, write_catalog};
pub use drill::{Plan, Scenario, Step, read_scenario};
pub use reader::{Mistake, Mistakes};
pub use record::{BadRecord, from_record, to_record, write_record};
pub use settings::{Draft, LogFormat, Server, Settings, Sources, Storage};
pub use words::{Runbook, Texts};

/// The built-in settings, as a file.
pub const DEFAULTS: &str = include_str!("defaults.toml");
/// The built-in targets profile, as a file.
pub const MANUAL_2025: &str = include_str!("manual-2025.toml");
/// What regulators want to be told, as a file.
pub const REGULATORS: &str = include_str!("regulators.toml");
/// The built-in level rules, as a file.
pub const LEVELS: &str = include_str!("levels.toml");
