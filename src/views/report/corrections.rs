//! What is different between two revisions of a report, figure by figure.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Corrections that are listed; all of them are counted.
const LISTED_MAX: usize = 1000;

/// What says from where a report was made, and not what it says.
const NOT_SAID: [&str; 2] = ["made_from", "revision"];

/// What a row of a list is known by, the first of these that it has.
const KEYS: [&str; 12] = [
    "target",
    "name",
    "id",
    "clock",
    "cause",
    "index",
    "pillar",
    "figure",
    "denominator",
    "upto_seconds",
    "source",
    "what",
];

/// A figure that is another one than in the revision before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Correction {
    /// Where it stands, such as `incidents.list[9ce640534904ad29].restored`.
    pub path: String,
    /// What it was; `null` when it was not there.
    pub before: Value,
    /// What it is; `null` when it is not there any more.
    pub after: Value,
}

/// What is different, in the order of the report, and how many figures are.
#[must_use]
pub fn between(before: &Value, after: &Value) -> (Vec<Correction>, u64) {
    let mut found = Found { listed: Vec::new(), total: 0 };
    if let (Value::Object(one), Value::Object(other)) = (before, after) {
        let said = |map: &Map<String, Value>| -> Map<String, Value> {
            let kept = map.iter().filter(|(name, _)| !NOT_SAID.contains(&name.as_str()));
            kept.map(|(name, value)| (name.clone(), value.clone())).collect()
        };
        found.objects("", &said(one), &said(other));
    }
    (found.listed, found.total)
}

struct Found {
    listed: Vec<Correction>,
    total: u64,
}

impl Found {
    fn values(&mut self, path: &str, before: &Value, after: &Value) {
        match (before, after) {
            (Value::Object(one), Value::Object(other)) => self.objects(path, one, other),
            (Value::Array(one), Value::Array(other)) if has_keys(one) && has_keys(other) => {
                let named = |rows: &[Value]| -> Map<String, Value> {
                    rows.iter().map(|row| (key(row).unwrap_or_default(), row.clone())).collect()
                };
                self.rows(path, &named(one), &named(other));
            }
            (one, other) if one != other => {
                self.total += 1;
                if self.listed.len() < LISTED_MAX {
                    let (path, before, after) = (path.to_owned(), one.clone(), other.clone());
                    self.listed.push(Correction { path, before, after });
                }
            }
            _ => {}
        }
    }

    fn objects(&mut self, path: &str, before: &Map<String, Value>, after: &Map<String, Value>) {
        let join = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        self.members(before, after, join);
    }

    fn rows(&mut self, path: &str, before: &Map<String, Value>, after: &Map<String, Value>) {
        self.members(before, after, |name| format!("{path}[{name}]"));
    }

    fn members(&mut self, before: &Map<String, Value>, after: &Map<String, Value>, join: impl Fn(&str) -> String) {
        for (name, is) in after {
            self.values(&join(name), before.get(name).unwrap_or(&Value::Null), is);
        }
        for (name, was) in before.iter().filter(|(name, _)| !after.contains_key(*name)) {
            self.values(&join(name), was, &Value::Null);
        }
    }
}

/// What a row is known by.
pub(super) fn key(row: &Value) -> Option<String> {
    let found = KEYS.iter().find_map(|name| row.get(name).map(|value| (name, value)))?;
    match found {
        (_, Value::String(text)) => Some(text.clone()),
        (_, Value::Null) => Some("more".to_owned()),
        (_, other) => Some(other.to_string()),
    }
}

fn has_keys(rows: &[Value]) -> bool {
    rows.iter().all(|row| row.is_object() && key(row).is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_are_compared_by_what_they_are_known_by() {
        let before =
            json!({"made_from": 1, "a": {"b": 1, "c": null}, "list": [{"id": "x", "n": 1}, {"id": "y", "n": 2}]});
        let after =
            json!({"made_from": 2, "a": {"b": 1, "c": 3}, "list": [{"id": "y", "n": 4}, {"id": "z", "n": 5}]});
        let (listed, total) = between(&before, &after);
        let shown: Vec<String> = listed.iter().map(|c| format!("{} {} {}", c.path, c.before, c.after)).collect();
        assert_eq!(
            shown,
            ["a.c null 3", "list[y].n 2 4", r#"list[z] null {"id":"z","n":5}"#, r#"list[x] {"id":"x","n":1} null"#]
        );
        assert_eq!(total, 4);
        assert_eq!(between(&before, &before).1, 0);
    }
}
