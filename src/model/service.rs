//! Services: what is promised to be up.

use std::fmt;
use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};

use super::time::Instant;

/// The name of a service: 1–256 characters of Unicode letters, digits and `. _ : / - @ #`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct ServiceName(Arc<str>);

/// Why a text is no service name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadServiceName {
    /// The text is empty.
    #[error("a service name has at least one character")]
    Empty,
    /// The text has more than 256 characters.
    #[error("a service name has at most 256 characters, this one has {0}")]
    TooLong(usize),
    /// A character that may not stand in a name.
    #[error("a service name is made of letters, digits and `. _ : / - @ #`, not {0:?}")]
    Character(char),
}

/// The ASCII characters of names, by byte.
static PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0_u8;
    while byte.is_ascii() {
        plain[byte as usize] =
            byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'/' | b'-' | b'@' | b'#');
        byte += 1;
    }
    plain
};

impl ServiceName {
    /// A name that was read before.
    pub(crate) fn known(text: &str) -> Self {
        Self(text.into())
    }

    /// Reads a name.
    ///
    /// # Errors
    /// When the text is empty, too long, or has a character that may not stand in it.
    pub fn new(text: &str) -> Result<Self, BadServiceName> {
        if text.is_empty() {
            return Err(BadServiceName::Empty);
        }
        // A name of 256 bytes or fewer cannot have more characters than that, and counting them is not free.
        if text.len() > 256 {
            let length = text.chars().count();
            if length > 256 {
                return Err(BadServiceName::TooLong(length));
            }
        }
        // Nearly all names are ASCII, which is told faster.
        if text.bytes().all(|byte| PLAIN[usize::from(byte)]) {
            return Ok(Self(text.into()));
        }
        match text.chars().find(|&c| !(c.is_alphanumeric() || "._:/-@#".contains(c))) {
            Some(c) => Err(BadServiceName::Character(c)),
            None => Ok(Self(text.into())),
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for ServiceName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the catalogue says of a service. A service first seen in an event has the default of all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ServiceFacts {
    /// A name for people; empty when the catalogue has none.
    pub title: String,
    /// What sort of service it is (`broadband`, `voice` …): the denominator of a share of users.
    pub kind: String,
    /// The region that it serves.
    pub region: String,
    /// The tier of promise that it is sold under.
    pub tier: String,
    /// How many users it has, where that is known.
    pub users: Option<u64>,
    /// The groups it belongs to, which are its tags too.
    pub groups: Vec<String>,
    /// The services it hangs on, its parents in the topology.
    pub depends_on: Vec<String>,
    /// Since when it is observed; windows are clipped to it. Absent: all of every window.
    pub since: Option<Instant>,
    /// Who answers for it.
    pub owner: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_held_to_the_contract() {
        assert!(ServiceName::new("北京/olt-7:ge0@core#1.2_x").is_ok());
        assert!(ServiceName::new(&"é".repeat(256)).is_ok());
        assert_eq!(ServiceName::new(&"é".repeat(257)), Err(BadServiceName::TooLong(257)));
        assert_eq!(ServiceName::new(""), Err(BadServiceName::Empty));
        assert_eq!(ServiceName::new("a b"), Err(BadServiceName::Character(' ')));
        assert_eq!(ServiceName::new("a\nb"), Err(BadServiceName::Character('\n')));
    }
}
