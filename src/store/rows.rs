//! The tables, and an incident as their rows (R61).

use rusqlite::types::Value;

use crate::model::incident::{Incident, Stage};
use crate::model::time::Instant;

/// The values of one row, in the order of the columns.
pub(super) type Row = Vec<Value>;

/// A table.
pub(super) struct Table {
    pub(super) name: &'static str,
    /// Names and types. The first one is the incident's id.
    pub(super) columns: &'static [(&'static str, &'static str)],
    /// What else there is to say of it.
    indexes: &'static str,
    /// The rows that an incident has in it.
    pub(super) rows: fn(&Incident) -> Vec<Row>,
}

/// The table of incidents themselves, and which of its columns says when one began.
pub(super) const INCIDENTS: &str = "incidents";
pub(super) const STARTED: usize = 9;

pub(super) const TABLES: [Table; 4] = [
    Table {
        name: INCIDENTS,
        columns: &[
            ("id", "TEXT PRIMARY KEY"),
            ("service", "TEXT NOT NULL"),
            ("services", "INTEGER NOT NULL"),
            ("suspected_cause", "TEXT"),
            ("region", "TEXT NOT NULL"),
            ("status", "TEXT NOT NULL"),
            ("merged_into", "TEXT"),
            ("level", "INTEGER NOT NULL"),
            ("first_level", "INTEGER NOT NULL"),
            ("started", "TEXT NOT NULL"),
            ("detected", "TEXT NOT NULL"),
            ("acknowledged", "TEXT"),
            ("acknowledged_by", "TEXT"),
            ("restored", "TEXT"),
            ("verified", "TEXT"),
            ("users", "INTEGER"),
            ("users_estimated", "INTEGER NOT NULL"),
            ("cause", "TEXT NOT NULL"),
            ("flaps", "INTEGER NOT NULL"),
            ("detail", "TEXT"),
            ("drill", "TEXT"),
        ],
        indexes: "CREATE INDEX IF NOT EXISTS incidents_by_start ON incidents (started);
                  CREATE INDEX IF NOT EXISTS incidents_by_service ON incidents (service, started);",
        rows: incident,
    },
    Table {
        name: "incident_actions",
        columns: &[
            ("incident", "TEXT NOT NULL"),
            ("at", "TEXT NOT NULL"),
            ("action", "TEXT NOT NULL"),
            ("by", "TEXT"),
            ("detail", "TEXT"),
            ("cause", "TEXT"),
        ],
        indexes: "CREATE INDEX IF NOT EXISTS actions_by_incident ON incident_actions (incident);",
        rows: actions,
    },
    Table {
        name: "incident_levels",
        columns: &[
            ("incident", "TEXT NOT NULL"),
            ("at", "TEXT NOT NULL"),
            ("level", "INTEGER NOT NULL"),
            ("rule", "TEXT NOT NULL"),
        ],
        indexes: "CREATE INDEX IF NOT EXISTS levels_by_incident ON incident_levels (incident);",
        rows: levels,
    },
    Table {
        name: "incident_clocks",
        columns: &[
            ("incident", "TEXT NOT NULL"),
            ("clock", "TEXT NOT NULL"),
            ("limit_micros", "INTEGER NOT NULL"),
            ("started", "TEXT NOT NULL"),
            ("deadline", "TEXT"),
            ("stopped", "TEXT"),
            ("breached", "TEXT"),
        ],
        indexes: "CREATE INDEX IF NOT EXISTS clocks_by_incident ON incident_clocks (incident);",
        rows: clocks,
    },
];

impl Table {
    /// The column that says which incident a row is of.
    pub(super) fn key(&self) -> &'static str {
        self.columns.first().map_or("", |column| column.0)
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.columns.iter().map(|column| column.0.to_owned()).collect()
    }

    pub(super) fn schema(&self) -> String {
        let columns: Vec<String> = self.columns.iter().map(|(name, kind)| format!("\"{name}\" {kind}")).collect();
        format!("CREATE TABLE IF NOT EXISTS {} ({}) STRICT; {}", self.name, columns.join(", "), self.indexes)
    }

    pub(super) fn insert(&self) -> String {
        let marks: Vec<String> = (1..=self.columns.len()).map(|place| format!("?{place}")).collect();
        format!("INSERT INTO {} VALUES ({})", self.name, marks.join(", "))
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn maybe(value: Option<impl ToString>) -> Value {
    value.map_or(Value::Null, |value| Value::Text(value.to_string()))
}

fn at(at: Instant) -> Value {
    Value::Text(at.to_string())
}

fn number(number: u64) -> Value {
    Value::Integer(number.cast_signed())
}

fn incident(incident: &Incident) -> Vec<Row> {
    let acknowledged = incident.reached(Stage::Acknowledged);
    vec![vec![
        text(&incident.id.to_string()),
        text(incident.service.as_str()),
        number(incident.services),
        maybe(incident.suspected_cause.as_ref()),
        text(&incident.region),
        text(incident.status.name()),
        maybe(incident.merged_into),
        number(incident.level.number().into()),
        number(incident.first_level.number().into()),
        at(incident.started),
        at(incident.detected),
        maybe(acknowledged.map(|record| record.at)),
        maybe(acknowledged.and_then(|record| record.by.as_deref())),
        maybe(incident.restored),
        maybe(incident.verified),
        incident.users.map_or(Value::Null, number),
        number(incident.users_estimated.into()),
        text(incident.cause.name()),
        number(incident.flaps),
        maybe(incident.detail.as_deref()),
        maybe(incident.drill.as_deref()),
    ]]
}

fn actions(incident: &Incident) -> Vec<Row> {
    let row = |record: &crate::model::incident::ActionRecord| {
        vec![
            text(&incident.id.to_string()),
            at(record.at),
            text(record.action.name()),
            maybe(record.by.as_deref()),
            maybe(record.detail.as_deref()),
            maybe(record.cause.map(|cause| cause.name())),
        ]
    };
    incident.actions.iter().map(row).collect()
}

fn levels(incident: &Incident) -> Vec<Row> {
    let row = |change: &crate::model::incident::LevelChange| {
        let level = number(change.level.number().into());
        vec![text(&incident.id.to_string()), at(change.at), level, text(&change.rule)]
    };
    incident.levels.iter().map(row).collect()
}

fn clocks(incident: &Incident) -> Vec<Row> {
    let row = |clock: &crate::model::incident::Clock| {
        vec![
            text(&incident.id.to_string()),
            text(clock.name.name()),
            Value::Integer(clock.limit.as_micros()),
            at(clock.started),
            maybe(clock.deadline),
            maybe(clock.stopped),
            maybe(clock.breached),
        ]
    };
    incident.clocks.iter().map(row).collect()
}
