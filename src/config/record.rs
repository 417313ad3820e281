//! Policy as the journal keeps it: text that says all of it and that any later version can read.

use std::fmt::Write;
use std::io;

use serde::{Deserialize, Serialize, Serializer};

use super::reader::{Mistakes, Reader};
use super::{catalog, correlation, levels, procedure, targets};
use crate::model::level::{Level, LevelRules};
use crate::model::policy::Policy;

/// A record that cannot be read back.
#[derive(Debug, thiserror::Error)]
pub enum BadRecord {
    /// It is not the JSON object that it should be.
    #[error("the policy's record is not readable: {0}")]
    Json(#[from] serde_json::Error),
    /// What it holds is wrong.
    #[error("the policy's record has mistakes: {0}")]
    Mistakes(#[from] Mistakes),
}

#[derive(Deserialize)]
struct Record {
    /// Levels, targets and correlation, as TOML.
    policy: String,
    /// The catalogue, as CSV.
    catalog: String,
}

/// The same, to be written; the catalogue comes row by row.
#[derive(Serialize)]
struct Written<'a> {
    policy: String,
    #[serde(serialize_with = "in_words")]
    catalog: catalog::Csv<'a>,
}

fn in_words<S: Serializer>(catalog: &catalog::Csv<'_>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(catalog)
}

/// The policy as text. Equal policies give equal text.
#[must_use]
pub fn to_record(policy: &Policy) -> String {
    let mut text = Vec::new();
    // Two strings always make a JSON object, and writing into memory cannot fail.
    let _ = write_record(policy, &mut text);
    String::from_utf8(text).unwrap_or_default()
}

/// Writes the same text piece by piece, for whoever need not have it all at once.
///
/// # Errors
/// When the writer fails.
pub fn write_record(policy: &Policy, writer: impl io::Write) -> io::Result<()> {
    let mut text = format!(
        "time_zone = \"{}\"\n\n{}{}{}{}",
        policy.time_zone,
        correlation::write(&policy.correlation),
        procedure::write(policy),
        levels::write(&policy.levels),
        targets::write(&policy.targets)
    );
    for feed in &policy.feeds {
        let (source, group) = (levels::quoted(&feed.source), levels::quoted(&feed.group));
        let _ = write!(
            text,
            "\n[[sources.feed]]\nsource = {source}\nheartbeat = \"{}\"\ngroup = {group}\n",
            feed.heartbeat
        );
    }
    let record = Written { policy: text, catalog: catalog::Csv(&policy.services) };
    Ok(serde_json::to_writer(writer, &record)?)
}

/// The policy that a record says.
///
/// # Errors
/// When the record is not one that [`to_record`] wrote.
pub fn from_record(text: &str) -> Result<Policy, BadRecord> {
    let record: Record = serde_json::from_str(text)?;
    let mut reader = Reader::of_toml("policy", &record.policy)?;
    let levels = LevelRules {
        first: levels::read_level(&mut reader, Level::First),
        second: levels::read_level(&mut reader, Level::Second),
        third: levels::read_level(&mut reader, Level::Third),
    };
    let base = targets::read_base(&mut reader);
    let targets = targets::read_rest(&mut reader, base);
    // A record of before there were zones and feeds has none.
    let time_zone = if reader.has("time_zone") { targets::time_zone(&mut reader) } else { "UTC".to_owned() };
    let feeds = targets::feeds(&mut reader);
    let correlation = correlation::read(&mut reader);
    let procedure = procedure::read_record(&mut reader);
    reader.finish()?;
    let services = catalog::read_catalog("catalog", &record.catalog)?;
    Ok(Policy { services, levels, targets, correlation, procedure, time_zone, feeds })
}
