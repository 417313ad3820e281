//! The tables, and an incident as their rows (R61).

use rusqlite::types::Value;

use crate::model::effect::Reason;
use crate::model::incident::{Incident, Interruption, Stage};
use crate::model::procedure::ClockName;
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
    pub(super) rows: fn(&Incident, &[Interruption]) -> Vec<Row>,
}

/// The table of incidents themselves, and which of its columns says when one began.
pub(super) const INCIDENTS: &str = "incidents";
pub(super) const STARTED: usize = 9;

pub(super) const TABLES: [Table; 6] = [
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
            ("user_minutes", "REAL NOT NULL"),
            ("service_names", "TEXT NOT NULL"),
            ("regions", "TEXT NOT NULL"),
            ("level_history", "TEXT NOT NULL"),
            ("process", "TEXT NOT NULL"),
            ("temporary_fix", "TEXT"),
            ("permanent_fix", "TEXT"),
            ("reviewed", "TEXT"),
            ("root_cause", "TEXT"),
            ("response_kept", "INTEGER"),
            ("repair_kept", "INTEGER"),
            ("notices", "TEXT NOT NULL"),
            ("satisfaction", "REAL"),
            ("drill", "TEXT"),
        ],
        indexes: "CREATE INDEX IF NOT EXISTS incidents_by_start ON incidents (started);
                  CREATE INDEX IF NOT EXISTS incidents_by_service ON incidents (service, started);",
        rows: incident,
    },
    Table {
        name: "incident_outages",
        columns: &[
            ("incident", "TEXT NOT NULL"),
            ("service", "TEXT NOT NULL"),
            ("region", "TEXT NOT NULL"),
            ("outage", "TEXT NOT NULL"),
            ("started", "TEXT NOT NULL"),
            ("ended", "TEXT"),
            ("users", "INTEGER"),
            ("cause", "TEXT NOT NULL"),
            ("detail", "TEXT"),
        ],
        indexes: "CREATE INDEX IF NOT EXISTS outages_by_incident ON incident_outages (incident);
                  CREATE INDEX IF NOT EXISTS outages_by_service ON incident_outages (service, started);",
        rows: outages,
    },
    Table {
        name: "incident_stages",
        columns: &[
            ("incident", "TEXT NOT NULL"),
            ("stage", "TEXT NOT NULL"),
            ("at", "TEXT NOT NULL"),
            ("by", "TEXT"),
            ("detail", "TEXT"),
            ("out_of_order", "INTEGER NOT NULL"),
        ],
        indexes: "CREATE INDEX IF NOT EXISTS stages_by_incident ON incident_stages (incident);",
        rows: stages,
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

    pub(super) fn delete(&self) -> String {
        format!("DELETE FROM {} WHERE {} = ?1", self.name, self.key())
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

/// How the record of an incident changed, and why: a correction is a row of its own that names what it corrects.
pub(super) const CHANGES: Table = Table {
    name: "incident_changes",
    columns: &[
        ("incident", "TEXT NOT NULL"),
        ("at", "TEXT NOT NULL"),
        ("reason", "TEXT NOT NULL"),
        ("status", "TEXT NOT NULL"),
        ("level", "INTEGER NOT NULL"),
        ("started", "TEXT NOT NULL"),
        ("restored", "TEXT"),
        ("users", "INTEGER"),
        ("merged_into", "TEXT"),
    ],
    indexes: "CREATE UNIQUE INDEX IF NOT EXISTS changes_once ON incident_changes
                  (incident, at, reason, status, level, started, ifnull(restored, ''), ifnull(users, -1),
                   ifnull(merged_into, ''));",
    rows: |_, _| Vec::new(),
};

pub(super) fn change(when: Instant, reason: &Reason, incident: &Incident) -> Row {
    vec![
        text(&incident.id.to_string()),
        at(when),
        text(reason.name()),
        text(incident.status.name()),
        number(incident.level.number().into()),
        at(incident.started),
        maybe(incident.restored),
        incident.users.map_or(Value::Null, number),
        maybe(incident.merged_into),
    ]
}

/// When that was.
pub(super) fn changed(row: &Row) -> Option<Instant> {
    match row.get(1)? {
        Value::Text(at) => at.parse().ok(),
        _ => None,
    }
}

/// Names with the sign between them that the catalogue puts there, the first hundred of them; all are in
/// `incident_outages`.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> Value {
    const MOST: usize = 100;
    let names: std::collections::BTreeSet<&str> = names.filter(|name| !name.is_empty()).collect();
    let mut shown: Vec<String> = names.iter().take(MOST).map(|&name| name.to_owned()).collect();
    if names.len() > MOST {
        shown.push(format!("and {} more", names.len() - MOST));
    }
    Value::Text(shown.join(";"))
}

/// Things that were done, in order of time.
fn in_order(all: impl Iterator<Item = String>) -> Value {
    Value::Text(all.collect::<Vec<_>>().join("; "))
}

fn outages(incident: &Incident, outages: &[Interruption]) -> Vec<Row> {
    let row = |outage: &Interruption| {
        vec![
            text(&incident.id.to_string()),
            text(outage.service.as_str()),
            text(&outage.region),
            text(&outage.outage),
            at(outage.started),
            maybe(outage.ended),
            outage.users.map_or(Value::Null, number),
            text(outage.cause.name()),
            maybe(outage.detail.as_deref()),
        ]
    };
    outages.iter().map(row).collect()
}

fn stages(incident: &Incident, _: &[Interruption]) -> Vec<Row> {
    let row = |record: crate::model::incident::StageRecord| {
        vec![
            text(&incident.id.to_string()),
            text(record.stage.name()),
            at(record.at),
            maybe(record.by.as_deref()),
            maybe(record.detail.as_deref()),
            number(record.out_of_order.into()),
        ]
    };
    incident.stages().into_iter().map(row).collect()
}

/// Whether a clock's limit was kept, once it has stopped or passed.
fn kept(incident: &Incident, clock: &ClockName) -> Value {
    let clock = incident.clock(clock).filter(|clock| clock.stopped.is_some() || clock.breached.is_some());
    clock.map_or(Value::Null, |clock| number(clock.breached.is_none().into()))
}

fn incident(incident: &Incident, outages: &[Interruption]) -> Vec<Row> {
    let stages = incident.stages();
    let process = stages.iter().map(|record| {
        let by = record.by.as_deref().map_or_else(String::new, |by| format!(" by {by}"));
        let detail = record.detail.as_deref().map_or_else(String::new, |detail| format!(": {detail}"));
        format!("{} {}{by}{detail}", record.at, record.stage.name())
    });
    let levels =
        incident.levels.iter().map(|change| format!("{} {}: {}", change.at, change.level.name(), change.rule));
    let notices = incident.notices().map(|(record, name)| format!("{} {name}", record.at));
    let reached = |stage| maybe(incident.reached_at(stage));
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
        Value::Real(incident.user_micros as f64 / 60e6),
        listed(outages.iter().map(|outage| outage.service.as_str())),
        listed(outages.iter().map(|outage| outage.region.as_str())),
        in_order(levels),
        in_order(process),
        reached(Stage::Mitigated),
        reached(Stage::Repaired),
        reached(Stage::Reviewed),
        maybe(incident.review().map(|(_, review)| &review.root_cause)),
        kept(incident, &ClockName::Response),
        kept(incident, &ClockName::Repair),
        in_order(notices),
        incident.satisfaction().map_or(Value::Null, Value::Real),
        maybe(incident.drill.as_deref()),
    ]]
}

fn actions(incident: &Incident, _: &[Interruption]) -> Vec<Row> {
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

fn levels(incident: &Incident, _: &[Interruption]) -> Vec<Row> {
    let row = |change: &crate::model::incident::LevelChange| {
        let level = number(change.level.number().into());
        vec![text(&incident.id.to_string()), at(change.at), level, text(&change.rule)]
    };
    incident.levels.iter().map(row).collect()
}

fn clocks(incident: &Incident, _: &[Interruption]) -> Vec<Row> {
    let row = |clock: &crate::model::incident::Clock| {
        vec![
            text(&incident.id.to_string()),
            text(clock.name.as_str()),
            Value::Integer(clock.limit.as_micros()),
            at(clock.started),
            maybe(clock.deadline),
            maybe(clock.stopped),
            maybe(clock.breached),
        ]
    };
    incident.clocks.iter().map(row).collect()
}
