//! Tells the people on call: a durable outbox of alerts, and those who carry them out of the house.
//!
//! Must not enter: anything that decides whether an alert fires.

mod alertmanager;
mod carrier;
mod decision;
mod outbox;
mod peer;
mod webhook;
mod words;

pub use alertmanager::{Alertmanager, resolve_timeout};
pub use carrier::{Carrier, Post};
pub use outbox::{Outbox, prepare};
pub use peer::Wire;
pub use webhook::Find;
pub use words::Wording;
