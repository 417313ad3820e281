//! Turns bytes of any accepted format into typed events, or an error that names the line. It decides nothing.
//!
//! Must not enter: what an event means, the engine, a clock of its own.

pub mod actions;
pub mod decode;
pub mod form;
pub mod http;
