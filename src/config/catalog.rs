//! The catalogue: services as CSV, `id,name,kind,region,tier,users,groups,depends_on,since,owner`.

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::reader::{Mistake, Mistakes};
use crate::model::service::{ServiceFacts, ServiceName};

/// The columns, in the order in which they are written.
const COLUMNS: [&str; 10] =
    ["id", "name", "kind", "region", "tier", "users", "groups", "depends_on", "since", "owner"];
/// How many mistakes of one catalogue are listed; a wrong column would give one for each row.
const LISTED_MAX: usize = 50;

/// Reads a catalogue. `file` is how mistakes name it.
///
/// # Errors
/// With every mistake, by line and column.
pub fn read_catalog(file: &str, text: &str) -> Result<Vec<(ServiceName, ServiceFacts)>, Mistakes> {
    let mut rows = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::Headers).from_reader(text.as_bytes());
    let mut mistakes = Vec::new();
    let mut wrong = |line: Option<u64>, column: &str, problem: String| {
        let place = line.map_or_else(|| file.to_owned(), |line| format!("{file}:{line}"));
        mistakes.push(Mistake { place, key: column.to_owned(), problem });
    };
    let header = match rows.headers() {
        Ok(header) => header.clone(),
        Err(error) => {
            wrong(None, "", error.to_string());
            return Err(Mistakes(mistakes));
        }
    };
    let mut columns: HashMap<&str, usize> = HashMap::new();
    for (place, name) in header.iter().enumerate() {
        let name = name.trim_start_matches('\u{feff}');
        if !COLUMNS.contains(&name) {
            wrong(Some(1), name, format!("unknown column; there are {}", COLUMNS.join(", ")));
        } else if columns.insert(name, place).is_some() {
            wrong(Some(1), name, "the column stands twice".to_owned());
        }
    }
    if !columns.contains_key("id") {
        wrong(Some(1), "id", "the column is missing; the first line names the columns".to_owned());
        return Err(Mistakes(mistakes));
    }
    // A catalogue may have a million rows: what can be known beforehand is.
    let [id, title, kind, region, tier, users, groups, depends_on, since, owner] =
        COLUMNS.map(|name| columns.get(name).copied());
    let rows_max = memchr::memchr_iter(b'\n', text.as_bytes()).count();
    let mut services: Vec<(ServiceName, ServiceFacts)> = Vec::with_capacity(rows_max);
    let mut lines: HashMap<ServiceName, u64> = HashMap::with_capacity(rows_max);
    let mut row = csv::StringRecord::new();
    loop {
        match rows.read_record(&mut row) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                wrong(error.position().map(csv::Position::line), "", error.to_string());
                continue;
            }
        }
        let line = row.position().map_or(0, csv::Position::line);
        if row.len() != header.len() {
            wrong(Some(line), "", format!("has {} fields, the first line has {}", row.len(), header.len()));
            continue;
        }
        let field = |column: Option<usize>| column.and_then(|place| row.get(place)).unwrap_or("").trim();
        let list = |column: Option<usize>| -> Vec<String> {
            field(column).split(';').map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect()
        };
        let name = match ServiceName::new(field(id)) {
            Ok(name) => name,
            Err(error) => {
                wrong(Some(line), "id", error.to_string());
                continue;
            }
        };
        let users = match field(users) {
            "" => None,
            text => match text.parse() {
                Ok(users) => Some(users),
                Err(_) => {
                    wrong(Some(line), "users", format!("{text:?} is not a whole number"));
                    None
                }
            },
        };
        let since = match field(since) {
            "" => None,
            text => match text.parse() {
                Ok(since) => Some(since),
                Err(error) => {
                    wrong(Some(line), "since", format!("{error}"));
                    None
                }
            },
        };
        if let Some(first) = lines.insert(name.clone(), line) {
            wrong(Some(line), "id", format!("`{name}` stands on line {first} already"));
            continue;
        }
        let facts = ServiceFacts {
            title: field(title).to_owned(),
            kind: field(kind).to_owned(),
            region: field(region).to_owned(),
            tier: field(tier).to_owned(),
            users,
            groups: list(groups),
            depends_on: list(depends_on),
            since,
            owner: field(owner).to_owned(),
        };
        services.push((name, facts));
    }
    for (service, facts) in &services {
        // `a|b` names alternatives of which one is enough.
        let parents = facts.depends_on.iter().flat_map(|parent| parent.split('|'));
        for name in parents.filter(|name| !lines.contains_key(*name)) {
            let line = lines.get(service).copied();
            wrong(line, "depends_on", format!("there is no service `{name}` in the catalogue"));
        }
    }
    if mistakes.is_empty() {
        return Ok(services);
    }
    let more = mistakes.len().saturating_sub(LISTED_MAX);
    if more > 0 {
        mistakes.truncate(LISTED_MAX);
        mistakes.push(Mistake { place: file.to_owned(), key: String::new(), problem: format!("and {more} more") });
    }
    Err(Mistakes(mistakes))
}

/// How many rows are put into words at once.
const ROWS_AT_ONCE: usize = 1000;

/// The catalogue as CSV that [`read_catalog`] reads, row by row: a million take no room.
pub(super) struct Csv<'a>(pub(super) &'a [(ServiceName, ServiceFacts)]);

impl fmt::Display for Csv<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&lines([COLUMNS.map(str::to_owned)]))?;
        self.0.chunks(ROWS_AT_ONCE).try_for_each(|services| f.write_str(&lines(services.iter().map(row))))
    }
}

fn row((name, facts): &(ServiceName, ServiceFacts)) -> [String; COLUMNS.len()] {
    [
        name.to_string(),
        facts.title.clone(),
        facts.kind.clone(),
        facts.region.clone(),
        facts.tier.clone(),
        facts.users.map(|users| users.to_string()).unwrap_or_default(),
        facts.groups.join(";"),
        facts.depends_on.join(";"),
        facts.since.map(|since| since.to_string()).unwrap_or_default(),
        facts.owner.clone(),
    ]
}

fn lines(rows: impl IntoIterator<Item = [String; COLUMNS.len()]>) -> String {
    let mut lines = csv::Writer::from_writer(Vec::new());
    for row in rows {
        // Writing into memory cannot fail.
        let _ = lines.write_record(&row);
    }
    lines.into_inner().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// The same as a text.
#[must_use]
pub fn write_catalog(services: &[(ServiceName, ServiceFacts)]) -> String {
    Csv(services).to_string()
}

/// The names in the catalogue.
pub(super) fn names(services: &[(ServiceName, ServiceFacts)]) -> HashSet<ServiceName> {
    services.iter().map(|(name, _)| name.clone()).collect()
}
