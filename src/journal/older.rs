//! Logs of older layouts. Layout 1 had no chain; in layout 2 log, checkpoints and rows were one file; in layout 3 nothing
//! could be dropped; in layout 4 there were no batches of nothing but the time.

use std::path::Path;

use rusqlite::{Connection, params};

use super::{JournalError, LAYOUT, chain, checkpoints, embedded};

/// Makes a log of the present layout in an empty file, with the batches of an older one if there is one in the folder.
pub(super) fn take_over(connection: &Connection, folder: &Path) -> Result<(), JournalError> {
    let file = checkpoints::file_in(folder);
    let failed = |error| JournalError::Database { file: file.display().to_string(), error };
    if file.exists() {
        let mut older = Connection::open(&file).map_err(failed)?;
        if has_batches(&older).map_err(failed)? {
            match older.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)? {
                1 => chain::add(&mut older, 2).map_err(failed)?,
                2 => {}
                found => {
                    return Err(JournalError::Layout { file: file.display().to_string(), found, known: LAYOUT });
                }
            }
            drop(older);
            copy(connection, &file).map_err(failed)?;
            return let_go(folder);
        }
    }
    begin(connection).and_then(|()| connection.execute_batch("COMMIT")).map_err(failed)
}

fn begin(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!("BEGIN IMMEDIATE; {} PRAGMA user_version = {LAYOUT};", embedded::schema()))
}

fn copy(connection: &Connection, older: &Path) -> rusqlite::Result<()> {
    connection.execute("ATTACH ?1 AS older", params![older.display().to_string()])?;
    begin(connection)?;
    connection
        .execute_batch("INSERT INTO batches SELECT * FROM older.batches ORDER BY sequence; COMMIT; DETACH older")
}

/// Lets a log of layout 3 have batches dropped, and one of layout 4 have batches of nothing but the time.
pub(super) fn bring_up_to_date(connection: &Connection) -> rusqlite::Result<()> {
    let schema = embedded::schema();
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE; DROP TRIGGER IF EXISTS batches_are_kept; {schema} PRAGMA user_version = {LAYOUT}; COMMIT;"
    ))
}

/// Takes the batches out of the older file, once they are in the log.
pub(super) fn let_go(folder: &Path) -> Result<(), JournalError> {
    let file = checkpoints::file_in(folder);
    let failed = |error| JournalError::Database { file: file.display().to_string(), error };
    if !file.exists() {
        return Ok(());
    }
    let older = Connection::open(&file).map_err(failed)?;
    if has_batches(&older).map_err(failed)? {
        tracing::info!(file = %file.display(), "the batches have a file of their own now");
        older.execute_batch("DROP TABLE batches").map_err(failed)?;
    }
    Ok(())
}

fn has_batches(connection: &Connection) -> rusqlite::Result<bool> {
    let select = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'batches'";
    connection.query_row(select, [], |row| row.get::<_, i64>(0)).map(|count| count > 0)
}
