//! The nouns everything else is written in: plain data whose invariants hold by construction.
//!
//! Must not enter: a serialisation format, a clock, I/O, a runtime, randomness, or any other room of the house.

pub mod action;
pub mod actions;
pub mod alert;
pub mod because;
pub mod calendar;
pub mod delivery;
pub mod effect;
pub mod event;
pub mod event_id;
pub mod figures;
pub mod incident;
pub mod level;
pub mod policy;
pub mod procedure;
pub mod service;
pub mod target;
pub mod time;
