//! Tells the people on call: a durable outbox of alerts, and those who carry them out of the house.
//!
//! Must not enter: anything that decides whether an alert fires.

mod alertmanager;
mod outbox;
mod words;

pub use alertmanager::Alertmanager;
pub use outbox::{Outbox, prepare};
pub use words::Wording;
