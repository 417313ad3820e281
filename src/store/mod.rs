//! The database of record (manual §4.2): incidents as rows in the journal's file, for queries in SQL.
//!
//! Rows are written with the checkpoint that they belong to, so they say what the engine said then; what changed
//! since is in the engine. Must not enter: anything that decides what an incident is.

use std::collections::BTreeMap;

use rusqlite::{Connection, Transaction, params};

use crate::journal::Outlet;
use crate::model::effect::{Effect, EffectKind};
use crate::model::incident::{Incident, IncidentId, Stage};

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS incidents (
    id              TEXT PRIMARY KEY,
    service         TEXT NOT NULL,
    region          TEXT NOT NULL,
    status          TEXT NOT NULL,
    level           INTEGER NOT NULL,
    first_level     INTEGER NOT NULL,
    started         TEXT NOT NULL,
    detected        TEXT NOT NULL,
    acknowledged    TEXT,
    acknowledged_by TEXT,
    restored        TEXT,
    verified        TEXT,
    users           INTEGER,
    users_estimated INTEGER NOT NULL,
    cause           TEXT NOT NULL,
    flaps           INTEGER NOT NULL,
    merged_into     TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS incidents_by_start ON incidents (started);
CREATE INDEX IF NOT EXISTS incidents_by_service ON incidents (service, started);
";

/// Makes the tables, if they are not there yet.
///
/// # Errors
/// When the database fails.
pub fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(SCHEMA)
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
        let mut upsert = transaction.prepare_cached(
            "INSERT OR REPLACE INTO incidents
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
        )?;
        for incident in self.changed.values() {
            let acknowledged = incident.reached(Stage::Acknowledged);
            upsert.execute(params![
                incident.id.to_string(),
                incident.service.as_str(),
                incident.region,
                incident.status.name(),
                incident.level.number(),
                incident.first_level.number(),
                incident.started.to_string(),
                incident.detected.to_string(),
                acknowledged.map(|record| record.at.to_string()),
                acknowledged.and_then(|record| record.by.as_deref()),
                incident.restored.map(|at| at.to_string()),
                incident.verified.map(|at| at.to_string()),
                incident.users.map(u64::cast_signed),
                incident.users_estimated,
                incident.cause.name(),
                incident.flaps.cast_signed(),
                incident.merged_into.map(|id| id.to_string()),
            ])?;
        }
        Ok(())
    }

    fn written(&mut self) {
        self.changed.clear();
    }
}
