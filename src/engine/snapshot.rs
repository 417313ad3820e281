//! Snapshots: the engine's whole state as bytes, and back.

use borsh::BorshDeserialize;
use borsh::io::{self, Read, Write};

use super::drills::Drills;
use super::registry::{Kept, Registry};
use super::{Engine, State};

/// What a snapshot begins with. The number changes whenever the layout of any part of the state does; an engine
/// that does not know it asks for the journal instead, which never loses its meaning.
const MAGIC: &[u8; 8] = b"f9-eng25";

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
        let mut bytes = Vec::new();
        // Writing into memory cannot fail.
        let written = self.write_snapshot(&mut bytes);
        debug_assert!(written.is_ok());
        bytes
    }

    /// Writes the same bytes piece by piece, for whoever need not have them all at once.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn write_snapshot(&self, mut writer: impl Write) -> io::Result<()> {
        writer.write_all(MAGIC)?;
        borsh::to_writer(writer, &(&self.state, &self.registry.kept, &self.drills))
    }

    /// The engine that `bytes` were taken of.
    ///
    /// # Errors
    /// When another version wrote them, or they are damaged.
    pub fn restore(bytes: &[u8]) -> Result<Self, BadSnapshot> {
        Self::read_snapshot(bytes)
    }

    /// The same, reading the bytes piece by piece.
    ///
    /// # Errors
    /// When another version wrote them, they are damaged, or the reader fails.
    pub fn read_snapshot(mut reader: impl Read) -> Result<Self, BadSnapshot> {
        let damaged = |error: io::Error| BadSnapshot::Damaged(error.to_string());
        let mut magic = [0; MAGIC.len()];
        match reader.read_exact(&mut magic) {
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(damaged(error)),
            _ if magic != *MAGIC => return Err(BadSnapshot::OtherVersion),
            _ => {}
        }
        let (state, kept, drills): (State, Kept, Drills) =
            BorshDeserialize::try_from_reader(&mut reader).map_err(damaged)?;
        let mut engine = Self { state, registry: Registry::new(kept), drills, part: None };
        engine.find_recent();
        Ok(engine)
    }
}
