//! The database of record (manual §4.2): incidents as rows in the journal's file, for queries in SQL, and what was done
//! about each, its levels and its clocks.
//!
//! Rows are written with the checkpoint that they belong to, so they say what the engine said then; what changed
//! since is in the engine. Must not enter: anything that decides what an incident is.

pub mod changes;
mod rows;

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, Transaction, params_from_iter};

use crate::journal::Outlet;
use crate::model::effect::{Effect, EffectKind};
use crate::model::incident::{Incident, IncidentId};
use crate::model::time::Instant;
use rows::{Row, TABLES, Table};

/// Makes the tables, if they are not there yet. Those of an older version are made anew: the journal is read from its
/// start then.
///
/// # Errors
/// When the database fails.
pub fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    for table in &TABLES {
        let columns = columns(connection, table.name)?;
        if !columns.is_empty() && columns != table.names() {
            connection.execute_batch(&format!("DROP TABLE {}", table.name))?;
        }
        connection.execute_batch(&table.schema())?;
    }
    Ok(())
}

fn columns(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let mut select = connection.prepare(&format!("PRAGMA table_info({table})"))?;
    select.query_map([], |row| row.get(1))?.collect()
}

/// Incidents that changed since the last checkpoint.
#[derive(Debug, Default)]
pub struct Store {
    changed: BTreeMap<IncidentId, Incident>,
}

impl Outlet for Store {
    fn take(&mut self, effects: &[Effect]) {
        for effect in effects {
            if let EffectKind::Record(incident) = &effect.kind {
                self.changed.insert(incident.id, (**incident).clone());
            }
        }
    }

    fn write(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        for table in &TABLES {
            let mut delete =
                transaction.prepare_cached(&format!("DELETE FROM {} WHERE {} = ?1", table.name, table.key()))?;
            let mut insert = transaction.prepare_cached(&table.insert())?;
            for incident in self.changed.values() {
                delete.execute([incident.id.to_string()])?;
                for row in (table.rows)(incident) {
                    insert.execute(params_from_iter(row))?;
                }
            }
        }
        Ok(())
    }

    fn written(&mut self) {
        self.changed.clear();
    }
}

/// Holds the rows in `file` against the incidents that they should say. Returns what is wrong with them, by name; rows of
/// incidents that began before `known` are not known any more and are left alone.
///
/// # Errors
/// When the database fails.
pub fn differences<'a>(
    file: &std::path::Path,
    incidents: impl Iterator<Item = &'a Incident>,
    known: Instant,
) -> rusqlite::Result<Vec<String>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    let incidents: Vec<&Incident> = incidents.collect();
    let own: BTreeSet<String> = incidents.iter().map(|incident| incident.id.to_string()).collect();
    let mut wrong = Vec::new();
    let mut old: BTreeSet<String> = BTreeSet::new();
    for table in &TABLES {
        let mut found = read(&connection, table)?;
        for incident in &incidents {
            let id = incident.id.to_string();
            let (expected, rows) = ((table.rows)(incident), found.remove(&id).unwrap_or_default());
            if let Some(problem) = difference(table, &expected, &rows) {
                wrong.push(format!("incident {id}: {problem}"));
            }
        }
        for (id, rows) in found {
            if table.name == rows::INCIDENTS && began(&rows).is_some_and(|began| began < known) {
                old.insert(id);
            } else if !old.contains(&id) && !own.contains(&id) {
                wrong.push(format!("incident {id}: is in {} and in no journal", table.name));
            }
        }
    }
    Ok(wrong)
}

fn read(connection: &Connection, table: &Table) -> rusqlite::Result<BTreeMap<String, Vec<Row>>> {
    let mut select = connection.prepare(&format!("SELECT * FROM {} ORDER BY rowid", table.name))?;
    let count = table.columns.len();
    let mut rows = select.query([])?;
    let mut found: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let values: Row = (0..count).map(|place| row.get(place)).collect::<rusqlite::Result<_>>()?;
        found.entry(row.get(0)?).or_default().push(values);
    }
    Ok(found)
}

fn began(rows: &[Row]) -> Option<Instant> {
    match rows.first()?.get(rows::STARTED)? {
        Value::Text(text) => text.parse().ok(),
        _ => None,
    }
}

/// The first thing in which rows differ from those expected.
fn difference(table: &Table, expected: &[Row], found: &[Row]) -> Option<String> {
    if expected.len() != found.len() {
        return Some(format!("has {} rows in {}, and {} by the journal", found.len(), table.name, expected.len()));
    }
    let unequal = expected.iter().flatten().zip(found.iter().flatten()).position(|(wanted, is)| wanted != is)?;
    let (row, column) = (unequal / table.columns.len(), unequal % table.columns.len());
    let show = |value: &Value| match value {
        Value::Null => "nothing".to_owned(),
        Value::Text(text) => format!("{text:?}"),
        Value::Integer(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let (name, is, wanted) = (table.columns[column].0, show(&found[row][column]), show(&expected[row][column]));
    Some(format!("{}.{name} is {is}, and {wanted} by the journal", table.name))
}
