//! Tells the people on call: a durable outbox of alerts, and those who carry them out of the house.
//!
//! Must not enter: anything that decides whether an alert fires.

mod alertmanager;
mod carrier;
mod decision;
mod outbox;
mod peer;
mod text;
mod webhook;

pub use alertmanager::Alertmanager;
pub use carrier::{Carrier, Post};
pub use outbox::{Outbox, prepare};
pub use text::Wording;
pub use webhook::Find;
