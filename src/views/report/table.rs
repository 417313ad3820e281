//! A report as one tidy table for spreadsheets: a row a figure, in the columns `section,item,figure,value,unit`.
//!
//! It begins with the mark of UTF-8 (BOM), without which Excel takes Chinese for something else, and its lines end as RFC
//! 4180 says. A text that a spreadsheet would take for a formula has an apostrophe before it.

use serde_json::Value;

use super::Report;
use super::corrections::key;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// The table.
///
/// # Errors
/// When it cannot be written, which is never so.
pub fn csv(report: &Report) -> Result<Vec<u8>, csv::Error> {
    let value = serde_json::to_value(report).map_err(std::io::Error::other)?;
    let writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(BOM.to_vec());
    let mut table = Table { writer };
    table.writer.write_record(["section", "item", "figure", "value", "unit"])?;
    for (name, value) in value.as_object().into_iter().flatten() {
        match value {
            Value::Object(_) | Value::Array(_) => table.part(name, "", value)?,
            leaf => table.row(["report", "", name], leaf, "")?,
        }
    }
    table.writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))
}

struct Table {
    writer: csv::Writer<Vec<u8>>,
}

impl Table {
    /// The rows of an object or a list.
    fn part(&mut self, section: &str, item: &str, value: &Value) -> Result<(), csv::Error> {
        let join = |name: &str| match (item, name) {
            ("", name) => name.to_owned(),
            (item, "list") => item.to_owned(),
            (item, name) => format!("{item} / {name}"),
        };
        match value {
            Value::Array(rows) => {
                for row in rows {
                    match key(row) {
                        Some(key) => self.part(section, &join(&key), row)?,
                        None => self.row([section, item, ""], row, "")?,
                    }
                }
            }
            Value::Object(members) => {
                for (name, member) in members {
                    match member {
                        Value::Object(_) => self.part(section, &join(name), member)?,
                        Value::Array(rows) if rows.iter().all(Value::is_object) => {
                            let item = if name == "list" { item.to_owned() } else { join(name) };
                            self.part(section, &item, member)?;
                        }
                        Value::Array(words) => {
                            let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
                            self.row([section, item, name], &Value::String(words.join("; ")), "")?;
                        }
                        leaf => {
                            let stated = match &**name {
                                "value" => members.get("unit"),
                                "figure" => members.get("figure_unit"),
                                _ => None,
                            };
                            self.row([section, item, name], leaf, stated.and_then(Value::as_str).unwrap_or(""))?;
                        }
                    }
                }
            }
            leaf => self.row([section, item, ""], leaf, "")?,
        }
        Ok(())
    }

    fn row(&mut self, [section, item, figure]: [&str; 3], value: &Value, unit: &str) -> Result<(), csv::Error> {
        let unit = if unit.is_empty() && value.is_number() { unit_of(figure) } else { unit };
        let text = match value {
            Value::Null => String::new(),
            Value::String(text) => plain(text),
            other => other.to_string(),
        };
        self.writer.write_record([section, &plain(item), figure, &text, unit])
    }
}

/// The unit that a figure's name says.
fn unit_of(figure: &str) -> &'static str {
    let ends = |endings: &[&str]| endings.iter().any(|ending| figure.ends_with(ending));
    if ends(&["_seconds"]) {
        "seconds"
    } else if ends(&["_ratio", "ratio", "availability", "coverage", "target"]) && figure != "within_target" {
        "ratio"
    } else if ends(&["user_minutes", "user_minutes_lost"]) {
        "user-minutes"
    } else if ends(&["score"]) {
        "score"
    } else {
        "count"
    }
}

/// A text that no spreadsheet calculates.
fn plain(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_a_formula() {
        assert_eq!(plain("=HYPERLINK(1)"), "'=HYPERLINK(1)");
        assert_eq!(plain("@sum"), "'@sum");
        assert_eq!(plain("core-1"), "core-1");
    }

    #[test]
    fn a_name_says_its_unit() {
        assert_eq!(unit_of("mttr_seconds"), "seconds");
        assert_eq!(unit_of("weighted_availability"), "ratio");
        assert_eq!(unit_of("within_target"), "count");
        assert_eq!(unit_of("user_minutes_lost"), "user-minutes");
    }
}
