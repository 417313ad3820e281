//! Freezing a report, and revising one that is frozen: never a silent change.

use super::corrections::between;
use super::{Report, Revision};

/// The revision before.
#[derive(Clone, Copy, Debug)]
pub struct Previous<'a> {
    /// Which it is.
    pub number: u32,
    /// Its SHA-256.
    pub sha256: &'a str,
    /// Its canonical form.
    pub body: &'a [u8],
}

impl Report {
    /// The report as the revision that follows, with what it corrects; absent when that is nothing.
    ///
    /// # Errors
    /// When the one before is no report, or this one cannot be written.
    pub fn revised(mut self, previous: Option<Previous<'_>>) -> serde_json::Result<Option<Self>> {
        let mut revision =
            Revision { number: 1, previous_sha256: None, corrections: Vec::new(), corrections_total: 0 };
        if let Some(Previous { number, sha256, body }) = previous {
            // Both as they are read: what is compared is what is written.
            let before = serde_json::from_slice(body)?;
            let after = serde_json::from_slice(&self.to_json()?)?;
            (revision.corrections, revision.corrections_total) = between(&before, &after);
            if revision.corrections_total == 0 {
                return Ok(None);
            }
            (revision.number, revision.previous_sha256) = (number + 1, Some(sha256.to_owned()));
        }
        self.revision = Some(revision);
        Ok(Some(self))
    }
}
