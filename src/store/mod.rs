//! The database of record (manual §4.2): incidents as rows beside the checkpoints, for queries in SQL, and what was done
//! about each, its levels and its clocks.
//!
//! Rows are written with the checkpoint that they belong to, so they say what the engine said then; what changed
//! since is in the engine. Must not enter: anything that decides what an incident is.

pub mod changes;
mod export;
pub mod reports;
mod rows;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, OpenFlags, Transaction, params_from_iter};

use crate::journal::{self, Outlet};
use crate::model::effect::{Effect, EffectKind};
use crate::model::incident::{Incident, IncidentId, Interruption};
use crate::model::time::Instant;
pub use export::{Filter, Flat, Rows, header};
use rows::{CHANGES, Row, TABLES, Table};

/// Makes the tables, if they are not there yet. Those of an older version are made anew: the journal is read from its
/// start then.
///
/// # Errors
/// When the database fails.
pub fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    for table in TABLES.iter().chain([&CHANGES]) {
        let columns = columns_of(connection, table.name)?;
        if !columns.is_empty() && columns != table.names() {
            connection.execute_batch(&format!("DROP TABLE {}", table.name))?;
        }
        connection.execute_batch(&table.schema())?;
    }
    Ok(())
}

fn columns_of(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let mut select = connection.prepare(&format!("PRAGMA table_info({table})"))?;
    select.query_map([], |row| row.get(1))?.collect()
}

/// The rows of incidents, as outlet.
#[derive(Debug, Default)]
pub struct Store {
    /// Since the last checkpoint.
    since: Arc<Changed>,
    /// Up to one that is being written.
    writing: Option<Arc<Changed>>,
}

/// Incidents that changed.
#[derive(Clone, Debug, Default)]
struct Changed {
    incidents: BTreeMap<IncidentId, Incident>,
    /// How their records changed, in order.
    changes: Vec<Row>,
}

impl Outlet for Store {
    fn take(&mut self, effects: &[Effect]) {
        for effect in effects {
            if let EffectKind::Record(incident) = &effect.kind {
                let since = Arc::make_mut(&mut self.since);
                since.changes.push(rows::change(effect.at, &effect.reason, incident));
                since.incidents.insert(incident.id, (**incident).clone());
            }
        }
    }

    fn rows(&mut self) -> Arc<dyn journal::Rows> {
        let rows = std::mem::take(&mut self.since);
        self.writing = Some(rows.clone());
        rows
    }

    fn settle(&mut self, written: bool) {
        let Some(rows) = self.writing.take().filter(|_| !written) else { return };
        let newer = std::mem::replace(&mut self.since, rows);
        let since = Arc::make_mut(&mut self.since);
        since.incidents.extend(newer.incidents.iter().map(|(&id, incident)| (id, incident.clone())));
        since.changes.extend_from_slice(&newer.changes);
    }
}

impl journal::Rows for Changed {
    fn write(
        &self,
        transaction: &Transaction<'_>,
        outages: &dyn Fn(IncidentId) -> Vec<Interruption>,
    ) -> rusqlite::Result<()> {
        for incident in self.incidents.values() {
            let own = outages(incident.id);
            for table in &TABLES {
                transaction.prepare_cached(&table.delete())?.execute([incident.id.to_string()])?;
                let mut insert = transaction.prepare_cached(&table.insert())?;
                for row in (table.rows)(incident, &own) {
                    insert.execute(params_from_iter(row))?;
                }
            }
        }
        let mut insert = transaction.prepare_cached(&CHANGES.insert().replace("INSERT", "INSERT OR IGNORE"))?;
        for row in &self.changes {
            insert.execute(params_from_iter(row))?;
        }
        Ok(())
    }
}

/// The changes of records that there should be rows of.
#[derive(Debug)]
pub struct Changes {
    digests: HashSet<u64>,
    /// Those until then are not known.
    after: Instant,
}

impl Changes {
    /// Those after an instant.
    #[must_use]
    pub fn after(after: Instant) -> Self {
        Self { digests: HashSet::new(), after }
    }

    /// Takes note of effects.
    pub fn take(&mut self, effects: &[Effect]) {
        for effect in effects {
            if let EffectKind::Record(incident) = &effect.kind {
                self.digests.insert(digest(&rows::change(effect.at, &effect.reason, incident)));
            }
        }
    }

    /// What is wrong with the rows.
    fn differences(&self, connection: &Connection) -> rusqlite::Result<Vec<String>> {
        let mut missing = self.digests.clone();
        let mut wrong = Vec::new();
        for (id, rows) in read(connection, &CHANGES)? {
            for row in rows {
                let digest = digest(&row);
                missing.remove(&digest);
                if !self.digests.contains(&digest) && rows::changed(&row).is_none_or(|at| at > self.after) {
                    wrong.push(format!("incident {id}: a row of {} is in no journal", CHANGES.name));
                }
            }
        }
        if !missing.is_empty() {
            wrong.push(format!("{} row(s) of {} are missing", missing.len(), CHANGES.name));
        }
        Ok(wrong)
    }
}

fn digest(row: &Row) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{row:?}").hash(&mut hasher);
    hasher.finish()
}

/// Holds the rows in `file` against the incidents that they should say. Returns what is wrong with them, by name; rows of
/// incidents that began before `known`, and those of drills that are over, are not known any more and are left alone.
///
/// # Errors
/// When the database fails.
pub fn differences<'a>(
    file: &std::path::Path,
    incidents: impl Iterator<Item = &'a Incident>,
    outages: &dyn Fn(IncidentId) -> Vec<Interruption>,
    changes: &Changes,
    known: Instant,
) -> rusqlite::Result<Vec<String>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    let incidents: Vec<&Incident> = incidents.collect();
    let own: BTreeSet<String> = incidents.iter().map(|incident| incident.id.to_string()).collect();
    let mut wrong = changes.differences(&connection)?;
    let mut old: BTreeSet<String> = BTreeSet::new();
    for table in &TABLES {
        let mut found = read(&connection, table)?;
        for incident in &incidents {
            let id = incident.id.to_string();
            let (expected, rows) =
                ((table.rows)(incident, &outages(incident.id)), found.remove(&id).unwrap_or_default());
            if let Some(problem) = difference(table, &expected, &rows) {
                wrong.push(format!("incident {id}: {problem}"));
            }
        }
        for (id, rows) in found {
            let forgotten = |began: Instant| began < known || is_of_drill(table, &rows);
            if table.name == rows::INCIDENTS && began(&rows).is_some_and(forgotten) {
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
        let values: Row = (0..count).map(|place| row.get_ref(place).map(lossy)).collect::<rusqlite::Result<_>>()?;
        let id = match values.first() {
            Some(Value::Text(id)) => id.clone(),
            other => format!("{other:?}"),
        };
        found.entry(id).or_default().push(values);
    }
    Ok(found)
}

/// A value as far as it can be read.
fn lossy(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Text(bytes) => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
        other => Value::try_from(other).unwrap_or(Value::Null),
    }
}

fn began(rows: &[Row]) -> Option<Instant> {
    match rows.first()?.get(rows::STARTED)? {
        Value::Text(text) => text.parse().ok(),
        _ => None,
    }
}

fn is_of_drill(table: &Table, rows: &[Row]) -> bool {
    let drill = table.columns.iter().position(|column| column.0 == "drill");
    drill.and_then(|place| rows.first()?.get(place)).is_some_and(|drill| *drill != Value::Null)
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
