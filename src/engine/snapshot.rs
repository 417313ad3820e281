//! Snapshots: the engine's whole state as bytes, and back.

use borsh::BorshDeserialize;

use super::drills::Drills;
use super::registry::{Kept, Registry};
use super::{Engine, State};

/// What a snapshot begins with. The number changes whenever the layout of any part of the state does; an engine
/// that does not know it asks for the journal instead, which never loses its meaning.
const MAGIC: &[u8; 8] = b"f9-eng23";

/// Why bytes are no snapshot of this engine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSnapshot {
    /// Another version of the engine wrote it.
    #[error("it was written by another version of fournines")]
    OtherVersion,
    /// It is cut off or changed.
    #[error("it is damaged: {0}")]
    Damaged(String),
}

impl Engine {
    /// The whole state as bytes. Equal states give equal bytes.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        // Writing into memory cannot fail.
        let written = borsh::to_writer(&mut bytes, &(&self.state, &self.registry.kept, &self.drills));
        debug_assert!(written.is_ok());
        bytes
    }

    /// The engine that `bytes` were taken of.
    ///
    /// # Errors
    /// When another version wrote them, or they are damaged.
    pub fn restore(bytes: &[u8]) -> Result<Self, BadSnapshot> {
        let body = bytes.strip_prefix(MAGIC).ok_or(BadSnapshot::OtherVersion)?;
        let (state, kept, drills): (State, Kept, Drills) = BorshDeserialize::try_from_slice(body)
            .map_err(|error: borsh::io::Error| BadSnapshot::Damaged(error.to_string()))?;
        Ok(Self { state, registry: Registry::new(kept), drills })
    }
}
