//! Incidents as flat records, each with the columns that R61 asks for: from the rows, and from the engine what those do
//! not have yet.

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::rows::{INCIDENTS, STARTED, TABLES, Table};
use super::{began, lossy};
use crate::model::event::Cause;
use crate::model::incident::{Incident, Interruption, Status};
use crate::model::level::Level;
use crate::model::time::Instant;

/// Which incidents are asked for; absent is any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Something of it was out at or after this.
    pub from: Option<Instant>,
    /// It began before this.
    pub until: Option<Instant>,
    /// Its level.
    pub level: Option<Level>,
    /// Its status, as JSON has it; `open` is everything not restored.
    pub status: Option<String>,
    /// Its cause.
    pub cause: Option<Cause>,
    /// A service that was out in it.
    pub service: Option<String>,
    /// A region that it touched.
    pub region: Option<String>,
}

/// An incident as a flat record.
#[derive(Clone, Debug, PartialEq)]
pub struct Flat {
    values: Vec<Value>,
    services: BTreeSet<String>,
    regions: BTreeSet<String>,
}

/// The rows of incidents.
#[derive(Debug)]
pub struct Rows(Connection);

/// The names of a flat record's values.
fn columns() -> impl Iterator<Item = &'static str> {
    table().into_iter().flat_map(|table| table.columns.iter().map(|column| column.0))
}

fn table() -> Option<&'static Table> {
    TABLES.iter().find(|table| table.name == INCIDENTS)
}

impl Flat {
    /// An incident as it stands.
    #[must_use]
    pub fn new(incident: &Incident, outages: &[Interruption]) -> Self {
        let values = table().and_then(|table| (table.rows)(incident, outages).pop()).unwrap_or_default();
        let services = outages.iter().map(|outage| outage.service.to_string()).collect();
        let regions = outages.iter().map(|outage| outage.region.clone()).collect();
        Self { values, services, regions }
    }

    /// When it began.
    #[must_use]
    pub fn began(&self) -> Option<Instant> {
        began(std::slice::from_ref(&self.values))
    }

    fn value(&self, column: &str) -> Option<&Value> {
        self.values.get(columns().position(|name| name == column)?)
    }

    fn text(&self, column: &str) -> Option<&str> {
        match self.value(column)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether it is asked for.
    #[must_use]
    pub fn fits(&self, filter: &Filter) -> bool {
        let Filter { from, until, level, status, cause, service, region } = filter;
        let restored: Option<Instant> = self.text("restored").and_then(|text| text.parse().ok());
        let is = self.text("status").unwrap_or_default();
        let open = Status::ALL.into_iter().any(|known| known.is_open() && known.name() == is);
        from.is_none_or(|from| restored.is_none_or(|restored| restored >= from))
            && until.is_none_or(|until| self.began().is_some_and(|began| began < until))
            && level.is_none_or(|level| self.value("level") == Some(&Value::Integer(level.number().into())))
            && status.as_deref().is_none_or(|status| if status == "open" { open } else { is == status })
            && cause.is_none_or(|cause| self.text("cause") == Some(cause.name()))
            && service.as_ref().is_none_or(|service| self.services.contains(service))
            && region.as_ref().is_none_or(|region| self.regions.contains(region))
    }

    /// As a line of CSV (RFC 4180).
    ///
    /// # Errors
    /// When it cannot be written, which is never so.
    pub fn to_csv(&self) -> Result<Vec<u8>, csv::Error> {
        line(self.values.iter().map(|value| match value {
            Value::Null | Value::Blob(_) => String::new(),
            Value::Integer(number) => number.to_string(),
            Value::Real(number) => number.to_string(),
            Value::Text(text) => text.clone(),
        }))
    }

    /// As an object of JSON.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Map<String, serde_json::Value> {
        let value = |name: &str, value: &Value| match value {
            Value::Integer(number) if FLAGS.contains(&name) => (*number != 0).into(),
            Value::Integer(number) => (*number).into(),
            Value::Real(number) => (*number).into(),
            Value::Text(text) => text.as_str().into(),
            Value::Null | Value::Blob(_) => serde_json::Value::Null,
        };
        columns().zip(&self.values).map(|(name, is)| (name.to_owned(), value(name, is))).collect()
    }
}

/// The columns that are true or false.
const FLAGS: [&str; 3] = ["users_estimated", "response_kept", "repair_kept"];

/// The first line of CSV.
///
/// # Errors
/// When it cannot be written, which is never so.
pub fn header() -> Result<Vec<u8>, csv::Error> {
    line(columns().map(str::to_owned))
}

fn line(fields: impl Iterator<Item = String>) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    writer.write_record(fields)?;
    writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))
}

impl Rows {
    /// The rows in the file.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(file: &Path) -> rusqlite::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(file, flags)?;
        connection.busy_timeout(std::time::Duration::from_secs(10))?;
        Ok(Self(connection))
    }

    /// The ids of all incidents that there are rows of, but for drills, and when each began.
    ///
    /// # Errors
    /// When the database fails.
    pub fn ids(&self) -> rusqlite::Result<Vec<(Instant, String)>> {
        let started = table().map_or("", |table| table.columns[STARTED].0);
        let mut select = self.0.prepare(&format!("SELECT {started}, id FROM {INCIDENTS} WHERE drill IS NULL"))?;
        let rows = select.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        let mut ids = Vec::new();
        for row in rows {
            let (began, id) = row?;
            ids.extend(began.parse().ok().map(|began| (began, id)));
        }
        Ok(ids)
    }

    /// The incident of that id, if there is a row of it.
    ///
    /// # Errors
    /// When the database fails.
    pub fn get(&self, id: &str) -> rusqlite::Result<Option<Flat>> {
        let mut select = self.0.prepare_cached(&format!("SELECT * FROM {INCIDENTS} WHERE id = ?1"))?;
        let count = select.column_count();
        let values = select.query_row([id], |row| (0..count).map(|place| row.get_ref(place).map(lossy)).collect());
        let Some(values) = values.optional()? else { return Ok(None) };
        let mut select =
            self.0.prepare_cached("SELECT DISTINCT service, region FROM incident_outages WHERE incident = ?1")?;
        let pairs = select.query_map([id], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        let (services, regions) = pairs.collect::<rusqlite::Result<Vec<_>>>()?.into_iter().unzip();
        Ok(Some(Flat { values, services, regions }))
    }
}
