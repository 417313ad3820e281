//! Reads keys out of merged settings and keeps count: what is wrong, and which keys nobody asked for.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use config::{Value, ValueKind};
use serde::Deserialize;

/// One thing that is wrong in the settings or in a file that they name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The file and line, or the environment.
    pub place: String,
    /// The key, or the column.
    pub key: String,
    /// What is wrong, and what would be right.
    pub problem: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.place.is_empty(), self.key.is_empty()) {
            (false, false) => write!(f, "{}: {}: {}", self.place, self.key, self.problem),
            (false, true) => write!(f, "{}: {}", self.place, self.problem),
            (true, false) => write!(f, "{}: {}", self.key, self.problem),
            (true, true) => f.write_str(&self.problem),
        }
    }
}

/// Everything that is wrong, at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(Mistake::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Mistakes {}

/// The name that `config` gives values of environment variables as their origin.
const ENVIRONMENT: &str = "the environment";

/// A reader over merged settings.
#[derive(Debug)]
pub(super) struct Reader {
    root: Value,
    /// The texts of the files that took part, by the name their values have as origin: for line numbers.
    texts: Vec<(String, String)>,
    asked: BTreeSet<String>,
    mistakes: Vec<Mistake>,
}

impl Reader {
    pub(super) fn new(root: Value, texts: Vec<(String, String)>) -> Self {
        Self { root, texts, asked: BTreeSet::new(), mistakes: Vec::new() }
    }

    /// A reader over one TOML text.
    pub(super) fn of_toml(name: &str, text: &str) -> Result<Self, Mistakes> {
        check_syntax(name, text)?;
        let source = config::File::from_str(text, config::FileFormat::Toml);
        let whole = config::Config::builder().add_source(source).build();
        match whole {
            Ok(whole) => Ok(Self::new(
                whole.cache,
                vec![(String::new(), text.to_owned()), (name.to_owned(), text.to_owned())],
            )),
            Err(error) => Err(Mistakes(vec![Mistake {
                place: name.to_owned(),
                key: String::new(),
                problem: error.to_string(),
            }])),
        }
    }

    /// The value at `key`, or `None` when there is none or it is of another type, which is noted.
    pub(super) fn take<T: for<'de> Deserialize<'de>>(&mut self, key: &str, expected: &str) -> Option<T> {
        self.asked.insert(key.to_owned());
        let value = find(&self.root, key)?.clone();
        let shown = shown(&value);
        match value.try_deserialize() {
            Ok(value) => Some(value),
            Err(_) => {
                self.wrong(key, format!("{shown} is not {expected}"));
                None
            }
        }
    }

    /// The text at `key`, read as a `T`.
    pub(super) fn parse<T: FromStr<Err: fmt::Display>>(&mut self, key: &str) -> Option<T> {
        let text: String = self.text(key)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.wrong(key, error.to_string());
                None
            }
        }
    }

    /// The text at `key`; an empty one is none.
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        self.asked.insert(key.to_owned());
        let is_text = matches!(find(&self.root, key).map(|value| &value.kind), None | Some(ValueKind::String(_)));
        if !is_text {
            let value = find(&self.root, key).map(shown).unwrap_or_default();
            self.wrong(key, format!("{value} is not a text in quotes"));
            return None;
        }
        self.take::<String>(key, "a text").filter(|text| !text.is_empty())
    }

    /// How many tables there are at `key`; they are read as `key[0].…`, `key[1].…`.
    pub(super) fn tables(&mut self, key: &str) -> usize {
        self.asked.insert(key.to_owned());
        match find(&self.root, key).map(|value| value.kind.clone()) {
            None => 0,
            Some(ValueKind::Array(all)) if all.iter().all(|v| matches!(v.kind, ValueKind::Table(_))) => all.len(),
            Some(_) => {
                self.wrong(key, format!("is not a list of tables: write [[{key}]] above each"));
                0
            }
        }
    }

    /// Whether there is a list at `key`.
    pub(super) fn is_list(&self, key: &str) -> bool {
        find(&self.root, key).is_some_and(|value| matches!(value.kind, ValueKind::Array(_)))
    }

    /// Whether there is anything at `key`.
    pub(super) fn has(&self, key: &str) -> bool {
        find(&self.root, key).is_some()
    }

    /// Notes that what stands at `key` is wrong.
    pub(super) fn wrong(&mut self, key: &str, problem: impl Into<String>) {
        let place = self.place(key);
        self.mistakes.push(Mistake { place, key: key.to_owned(), problem: problem.into() });
    }

    /// Notes mistakes found in another file.
    pub(super) fn also(&mut self, others: Mistakes) {
        self.mistakes.extend(others.0);
    }

    /// Ends the reading: every mistake, and every key that nobody asked for.
    pub(super) fn finish(mut self) -> Result<(), Mistakes> {
        let mut present = Vec::new();
        leaves(&self.root, String::new(), &mut present);
        for key in present {
            let covered = |asked: &String| {
                *asked == key || asked.starts_with(&format!("{key}.")) || key.starts_with(&format!("{asked}["))
            };
            if self.asked.contains(&key)
                || (find(&self.root, &key).is_some_and(is_empty_table) && self.asked.iter().any(covered))
            {
                continue;
            }
            let nearest = self
                .asked
                .iter()
                .map(|asked| (strsim::normalized_damerau_levenshtein(asked, &key), asked))
                .max_by(|a, b| a.0.total_cmp(&b.0))
                .filter(|&(likeness, _)| likeness > 0.5)
                .map(|(_, asked)| format!("; did you mean `{asked}`?"));
            self.wrong(&key, format!("unknown key{}", nearest.unwrap_or_default()));
        }
        if self.mistakes.is_empty() { Ok(()) } else { Err(Mistakes(self.mistakes)) }
    }

    /// Where a key stands: file and line, or the environment.
    pub(super) fn place(&self, key: &str) -> String {
        let Some(value) = nearest(&self.root, key) else { return String::new() };
        match value.origin() {
            Some(ENVIRONMENT) => {
                format!("environment variable FOURNINES__{}", key.replace('.', "__").to_uppercase())
            }
            origin => {
                let named = |(name, _): &&(String, String)| origin.is_some_and(|origin| origin == name.as_str());
                let text = self.texts.iter().find(named).or(self.texts.last());
                text.map_or_else(String::new, |(name, text)| match line_of(text, key) {
                    Some(line) => format!("{name}:{line}"),
                    None => name.clone(),
                })
            }
        }
    }
}

/// The mistake in the TOML itself, if there is one.
pub(super) fn check_syntax(name: &str, text: &str) -> Result<(), Mistakes> {
    let Err(error) = toml::de::DeTable::parse(text) else { return Ok(()) };
    let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    let place = line.map_or_else(|| name.to_owned(), |line| format!("{name}:{line}"));
    Err(Mistakes(vec![Mistake { place, key: String::new(), problem: error.message().to_owned() }]))
}

/// `a.b[2].c` as `a`, `b`, `[2]`, `c`.
fn steps(key: &str) -> impl Iterator<Item = &str> {
    key.split('.').flat_map(|part| {
        let (name, index) = part.find('[').map_or((part, ""), |at| part.split_at(at));
        [name, index].into_iter().filter(|step| !step.is_empty())
    })
}

fn index_of(step: &str) -> Option<usize> {
    step.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

fn child<'v>(value: &'v Value, step: &str) -> Option<&'v Value> {
    match (&value.kind, index_of(step)) {
        (ValueKind::Array(all), Some(index)) => all.get(index),
        (ValueKind::Table(table), None) => table.get(step),
        _ => None,
    }
}

fn find<'v>(root: &'v Value, key: &str) -> Option<&'v Value> {
    steps(key).try_fold(root, child)
}

/// What stands at `key`, or at the nearest key above it.
fn nearest<'v>(root: &'v Value, key: &str) -> Option<&'v Value> {
    let mut value = root;
    for step in steps(key) {
        match child(value, step) {
            Some(inner) => value = inner,
            None => break,
        }
    }
    Some(value)
}

fn is_empty_table(value: &Value) -> bool {
    matches!(&value.kind, ValueKind::Table(table) if table.is_empty())
        || matches!(&value.kind, ValueKind::Array(all) if all.is_empty())
}

fn leaves(value: &Value, path: String, found: &mut Vec<String>) {
    match &value.kind {
        ValueKind::Table(table) if !table.is_empty() => {
            #[allow(clippy::disallowed_methods, reason = "sorted on the next line")]
            let mut keys: Vec<&String> = table.keys().collect();
            keys.sort();
            for key in keys {
                let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                leaves(&table[key], below, found);
            }
        }
        ValueKind::Array(all) if all.iter().any(|v| matches!(v.kind, ValueKind::Table(_))) => {
            for (index, value) in all.iter().enumerate() {
                leaves(value, format!("{path}[{index}]"), found);
            }
        }
        _ => found.push(path),
    }
}

fn shown(value: &Value) -> String {
    match &value.kind {
        ValueKind::String(text) => format!("{text:?}"),
        ValueKind::Table(_) => "a table".to_owned(),
        ValueKind::Array(_) => "a list".to_owned(),
        other => format!("`{other}`"),
    }
}

/// The line on which `key`, or the nearest key above it, stands.
fn line_of(text: &str, key: &str) -> Option<usize> {
    use toml::de::{DeTable, DeValue};
    let root = DeTable::parse(text).ok()?;
    let mut table = Some(root.get_ref());
    let mut list: Option<&[toml::Spanned<DeValue<'_>>]> = None;
    let mut at = None;
    for step in steps(key) {
        let value = match (index_of(step), table, list) {
            (Some(index), _, Some(list)) => list.get(index)?,
            (None, Some(inside), _) => {
                let Some((name, value)) = inside.get_key_value(step) else { break };
                at = Some(name.span().start);
                value
            }
            _ => break,
        };
        if index_of(step).is_some() {
            at = Some(value.span().start);
        }
        (table, list) = match value.get_ref() {
            DeValue::Table(inner) => (Some(inner), None),
            DeValue::Array(inner) => (None, Some(&inner[..])),
            _ => (None, None),
        };
    }
    at.map(|at| text[..at].matches('\n').count() + 1)
}
