//! The structure of the files themselves: whether the database finds its own pages in order.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::{JournalError, checkpoints, embedded};

/// What is wrong with the structure of the database files themselves: of which page, as the database says it.
///
/// # Errors
/// When a file cannot be read as a database at all.
pub fn integrity(folder: &Path) -> Result<Vec<String>, JournalError> {
    let mut wrong = Vec::new();
    for file in [embedded::file_in(folder), checkpoints::file_in(folder)] {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let read = || -> rusqlite::Result<Vec<String>> {
            let connection = Connection::open_with_flags(&file, flags)?;
            let mut select = connection.prepare("PRAGMA integrity_check")?;
            let found: rusqlite::Result<Vec<String>> = select.query_map([], |row| row.get(0))?.collect();
            Ok(found?.into_iter().filter(|line| line != "ok").collect())
        };
        let found = read().map_err(|error| JournalError::Database { file: file.display().to_string(), error })?;
        wrong.extend(found.into_iter().map(|line| format!("{}: {line}", file.display())));
    }
    Ok(wrong)
}
