//! Standard output, piece by piece: what is printed may be larger than what should be in memory at once.

use std::io::{BufWriter, Result, StdoutLock, Write};

use serde::Serialize;

use super::Failure;

/// One JSON object on its way out, member by member.
pub(super) struct Object {
    out: BufWriter<StdoutLock<'static>>,
    begun: bool,
}

impl Object {
    pub(super) fn begin() -> Self {
        Self { out: BufWriter::new(std::io::stdout().lock()), begun: false }
    }

    /// Writes a member.
    pub(super) fn member(&mut self, name: &str, value: impl Serialize) -> Result<()> {
        self.name(name)?;
        serde_json::to_writer(&mut self.out, &value)?;
        Ok(())
    }

    /// Writes a member that is an array. Each of its elements is made when it is its turn.
    pub(super) fn array(&mut self, name: &str, elements: impl IntoIterator<Item: Serialize>) -> Result<()> {
        self.name(name)?;
        self.out.write_all(b"[")?;
        for (place, element) in elements.into_iter().enumerate() {
            if place > 0 {
                self.out.write_all(b",")?;
            }
            serde_json::to_writer(&mut self.out, &element)?;
        }
        self.out.write_all(b"]")
    }

    /// Ends the object, and with it the line.
    pub(super) fn end(mut self) -> Result<()> {
        self.out.write_all(if self.begun { b"}\n" } else { b"{}\n" })?;
        self.out.flush()
    }

    fn name(&mut self, name: &str) -> Result<()> {
        self.out.write_all(if self.begun { b"," } else { b"{" })?;
        self.begun = true;
        serde_json::to_writer(&mut self.out, name)?;
        self.out.write_all(b":")
    }
}

/// Writes text.
pub(super) fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Why what is printed did not arrive.
pub(super) fn unwritten(error: std::io::Error) -> Failure {
    Failure::Failed(format!("standard output: {error}"))
}
