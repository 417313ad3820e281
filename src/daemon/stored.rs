//! What the journal holds, as what the engine takes.

use std::sync::Arc;

use crate::config::from_record;
use crate::engine::Input;
use crate::ingest::decode::{Gate, Layout, decode};
use crate::journal::{Kind, Stored};
use crate::model::time::Instant;

/// A batch's text as what the engine takes.
///
/// # Errors
/// When it cannot be read, which what was once taken always can.
pub fn decode_stored(stored: &Stored) -> Result<Vec<Input>, String> {
    match stored.kind {
        Kind::Events => {
            let decoded = decode(Layout::Lines, &stored.text, &Gate::past(Arc::from(&*stored.source)));
            match decoded.rejected.first() {
                Some(rejection) => Err(format!("its event {}: {}", rejection.line, rejection.error)),
                None => Ok(decoded.events.into_iter().map(Input::Event).collect()),
            }
        }
        Kind::Policy => {
            let text = std::str::from_utf8(&stored.text).map_err(|error| error.to_string())?;
            let policy = from_record(text).map_err(|error| error.to_string())?;
            Ok(vec![Input::Policy(Box::new(policy))])
        }
        Kind::Fold => {
            let text = std::str::from_utf8(&stored.text).map_err(|error| error.to_string())?;
            let days: Result<Vec<Instant>, _> = text.lines().map(str::parse).collect();
            Ok(vec![Input::Fold(days.map_err(|error| error.to_string())?)])
        }
        Kind::Time => Ok(Vec::new()),
    }
}
