//! fournines: an async daemon that computes network SLA figures exactly, in event time, and pages the instant a
//! rule comes to hold.
//!
//! One way through the house: [`ingest`] → [`journal`] → [`engine`] → effects → [`notify`], [`store`], [`views`].

pub mod config;
pub mod engine;
pub mod model;
