//! Looking at a log that may be damaged: batch by batch, and on after what is wrong.

use super::{BATCHES, Journal, read_batch, signed};
use crate::journal::{JournalError, Stored};

impl Journal {
    /// Looks at every batch that is kept by itself, in order, and goes on after one that is damaged.
    ///
    /// # Errors
    /// When the database fails.
    pub fn examine(&self, mut each: impl FnMut(u64, Result<Stored, String>)) -> Result<(), JournalError> {
        let mut before = self.link_of(self.first() - 1)?;
        let mut select = self
            .connection
            .prepare(&format!("{BATCHES} WHERE sequence = ?1"))
            .map_err(|error| self.failed(error))?;
        let mut next = self.first();
        while next <= self.sequence {
            let sequence = next;
            next += 1;
            let mut rows = select.query([signed(sequence)]).map_err(|error| self.failed(error))?;
            let stored = match rows.next() {
                Ok(Some(row)) => read_batch(row, sequence, &mut before),
                Ok(None) => {
                    // One number that is wrong leaves more of them out than can be counted.
                    next = self.next_after(sequence).unwrap_or(self.sequence + 1);
                    Err(missing(next - sequence))
                }
                Err(error) => Err(error.to_string()),
            };
            drop(rows);
            if stored.is_err() {
                // The next one is held against the link that is there, so that only what is wrong is named.
                before = self.link_of(sequence).ok().flatten();
            }
            each(sequence, stored);
        }
        Ok(())
    }

    /// The first batch that is there after one that is not.
    fn next_after(&self, sequence: u64) -> Option<u64> {
        let select = "SELECT min(sequence) FROM batches WHERE sequence > ?1";
        let next = self.connection.query_row(select, [signed(sequence)], |row| row.get::<_, i64>(0)).ok()?;
        u64::try_from(next).ok().filter(|&next| next > sequence)
    }
}

fn missing(batches: u64) -> String {
    if batches == 1 {
        "it is missing".to_owned()
    } else {
        format!("it is missing, and the {} after it", batches - 1)
    }
}
