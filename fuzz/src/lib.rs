//! What the fuzz targets check, one function a target: bytes of anybody's making in, a panic when a promise is broken.
//!
//! `tests/fuzz_corpora.rs` calls the same functions on what is in `corpus/`, so every input that once was worth keeping is
//! tried by an ordinary test run too. Must not enter: anything of libFuzzer.

mod decode;
mod engine;
mod journal;
mod settings;
mod texts;

pub use decode::decode;
pub use engine::{engine, replay};
pub use journal::journal;
pub use settings::{catalog, config};
pub use texts::texts;
