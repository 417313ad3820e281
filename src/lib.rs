//! fournines: an async daemon that computes network SLA figures exactly, in event time, and pages the instant a
//! rule comes to hold.
//!
//! One way through the house: [`ingest`] → [`journal`] → [`engine`] → effects → [`notify`], [`store`], [`views`].

/// The system's allocator walks through long lists of what was freed: once a million services have had their outages,
/// one allocation takes up to 9 ms there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod engine;
pub mod ingest;
pub mod journal;
pub mod model;
pub mod notify;
pub mod pipeline;
pub mod problem;
pub mod server;
pub mod simulate;
pub mod store;
pub mod telemetry;
pub mod threads;
pub mod tls;
pub mod views;
pub mod words;
