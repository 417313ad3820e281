//! What people and scrapers read: metrics, the API, JSON objects. Views of the engine at an instant, and of nothing
//! else.
//!
//! Must not enter: a figure that the engine does not know.

pub mod alerts;
pub mod api;
pub mod board;
pub mod export;
pub mod figures;
pub mod incident;
pub mod json;
pub mod metrics;
mod offenders;
mod openmetrics;
pub mod report;
pub mod runbooks;
pub mod scrape;
pub mod service;
pub mod stream;
pub mod targets;
pub mod words;
