//! Tells the people on call: a durable outbox of alerts, and those who carry them out of the house.
//!
//! Must not enter: anything that decides whether an alert fires.

mod alertmanager;
mod outbox;
mod text;

pub use alertmanager::{Alertmanager, Wording};
pub use outbox::{Outbox, prepare};
