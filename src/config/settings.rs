//! The one settings struct, checked.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::alerting::{self, Alerting};
use super::reader::{Mistake, Mistakes, Reader, check_syntax};
use super::{DEFAULTS, catalog, correlation, levels, procedure, targets};
use crate::model::policy::Policy;
use crate::model::service::ServiceName;
use crate::model::time::Span;

/// The longest window is 90 days, and the day in which it begins may be longer than others.
const FOLD_AFTER_MIN: Span = Span::from_hours(92 * 24);

/// Where settings come from, besides the built-in ones.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// A TOML file.
    pub file: Option<PathBuf>,
    /// A catalogue that replaces the one the file names.
    pub catalog: Option<PathBuf>,
    /// Environment variables; those that begin with `FOURNINES__` come before the file.
    pub environment: Vec<(String, String)>,
}

/// Settings that are not checked, and of which the catalogue is not read: of a million services that takes seconds.
#[derive(Debug)]
pub struct Draft {
    /// Where it keeps things, if that is not among the mistakes.
    pub storage: Storage,
    reader: Reader,
    sources: Sources,
}

/// Everything that can be set, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens, and how much it takes at once.
    pub server: Server,
    /// Where it keeps things.
    pub storage: Storage,
    /// Whether a service first seen in an event is taken in.
    pub auto_register: bool,
    /// How far ahead of the time of receipt an event may be.
    pub max_future: Span,
    /// How many services have series of their own.
    pub max_services: usize,
    /// Whom it tells.
    pub alerting: Alerting,
    /// How it logs.
    pub log_format: LogFormat,
    /// What it logs: a level, or directives of `EnvFilter`.
    pub log_level: String,
    /// What the engine works by.
    pub policy: Policy,
}

/// Where it listens, and how much it takes at once.
#[derive(Clone, Debug)]
pub struct Server {
    /// The address.
    pub listen: SocketAddr,
    /// How people reach it, for links; without a slash at the end. None: at the address.
    pub external_url: Option<String>,
    /// The largest body of one request in bytes.
    pub max_body_bytes: usize,
    /// Memory for bodies in flight in bytes.
    pub max_inflight_bytes: usize,
}

/// Where it keeps things.
#[derive(Clone, Debug)]
pub struct Storage {
    /// The folder.
    pub path: PathBuf,
    /// A checkpoint is due after this many events.
    pub checkpoint_events: u64,
    /// A checkpoint is due after this time.
    pub checkpoint_interval: Span,
    /// How old a day is when it is folded into its sums.
    pub fold_after: Span,
    /// How long batches of the journal are kept at least; for ever if it is not said.
    pub keep_for: Option<Span>,
    /// How large the journal may become in bytes before its oldest batches are dropped; any size if it is not said.
    pub keep_bytes: Option<u64>,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

impl Settings {
    /// Reads and checks everything.
    ///
    /// # Errors
    /// With every mistake at once.
    pub fn load(sources: &Sources) -> Result<Self, Mistakes> {
        Self::draft(sources)?.finish()
    }

    /// Reads all that stands in the file and the environment, and no other file yet.
    ///
    /// # Errors
    /// When that cannot be read at all.
    pub fn draft(sources: &Sources) -> Result<Draft, Mistakes> {
        let mut texts = vec![("built-in defaults".to_owned(), DEFAULTS.to_owned())];
        let mut builder = config::Config::builder().add_source(toml_source(DEFAULTS));
        if let Some(path) = &sources.file {
            let name = path.display().to_string();
            let text = read_file(path)?;
            check_syntax(&name, &text)?;
            builder = builder.add_source(toml_source(&text));
            texts.push((name, text));
        }
        let variables = sources.environment.iter().filter(|(name, _)| name.starts_with("FOURNINES__")).cloned();
        let environment = config::Environment::with_prefix("FOURNINES")
            .prefix_separator("__")
            .separator("__")
            .try_parsing(true)
            .source(Some(variables.collect()));
        let merged = builder.add_source(environment).build();
        let merged = merged.map_err(|error| one("", error.to_string()))?;
        let mut reader = Reader::new(merged.cache, texts);
        let storage = read_storage(&mut reader);
        Ok(Draft { storage, reader, sources: sources.clone() })
    }

    /// The services that events may name; `None` when any may.
    #[must_use]
    pub fn known_services(&self) -> Option<HashSet<ServiceName>> {
        (!self.auto_register).then(|| catalog::names(&self.policy.services))
    }
}

impl Draft {
    /// Reads and checks the rest.
    ///
    /// # Errors
    /// With every mistake at once.
    pub fn finish(self) -> Result<Settings, Mistakes> {
        let Self { storage, mut reader, sources } = self;
        let settings = read(&mut reader, &sources, storage)?;
        reader.finish()?;
        Ok(settings)
    }
}

fn toml_source(text: &str) -> config::File<config::FileSourceString, config::FileFormat> {
    config::File::from_str(text, config::FileFormat::Toml)
}

/// Reads every key. What is wrong is noted in the reader, and a stand-in goes on in its place.
fn read(reader: &mut Reader, sources: &Sources, storage: Storage) -> Result<Settings, Mistakes> {
    let listen = reader.parse("server.listen").unwrap_or(SocketAddr::from(([127, 0, 0, 1], 9940)));
    let open = reader.take("access.open", "true or false").unwrap_or(false);
    if !listen.ip().is_loopback() && !open {
        reader.wrong(
            "server.listen",
            format!("{listen} can be reached from other machines and there is no lock yet: set access.open = true if that is meant"),
        );
    }
    let size = "a whole number of bytes";
    let server = Server {
        listen,
        external_url: external_url(reader),
        max_body_bytes: reader.take("server.max_body_bytes", size).unwrap_or_default(),
        max_inflight_bytes: reader.take("server.max_inflight_bytes", size).unwrap_or_default(),
    };
    if server.max_inflight_bytes < server.max_body_bytes {
        reader.wrong(
            "server.max_inflight_bytes",
            "is less than server.max_body_bytes: such a body could never be taken",
        );
    }
    if server.max_inflight_bytes > u32::MAX as usize {
        reader.wrong("server.max_inflight_bytes", "is more than 4 GiB");
    }
    let policy = read_policy(reader, sources)?;
    Ok(Settings {
        server,
        storage,
        auto_register: reader.take("catalog.auto_register", "true or false").unwrap_or(true),
        max_future: reader.parse("clock.max_future").unwrap_or_default(),
        max_services: reader.take("metrics.max_services", "a whole number").unwrap_or_default(),
        alerting: alerting::read(reader, &beside(sources)),
        log_format: choice(reader, "log.format", &[("text", LogFormat::Text), ("json", LogFormat::Json)]),
        log_level: reader.text("log.level").unwrap_or_default(),
        policy,
    })
}

fn read_storage(reader: &mut Reader) -> Storage {
    let size = "a whole number of bytes";
    let storage = Storage {
        path: reader.text("storage.path").unwrap_or_default().into(),
        checkpoint_events: reader.take("storage.checkpoint_events", "a whole number").unwrap_or_default(),
        checkpoint_interval: positive(reader, "storage.checkpoint_interval"),
        fold_after: reader.parse("storage.fold_after").unwrap_or(FOLD_AFTER_MIN),
        keep_for: reader.parse("storage.keep_for"),
        keep_bytes: reader.take("storage.keep_bytes", size).filter(|&bytes| bytes > 0),
    };
    if storage.keep_for.is_some_and(|span| span <= Span::ZERO) {
        reader.wrong("storage.keep_for", "is nothing");
    }
    if storage.fold_after < FOLD_AFTER_MIN {
        reader.wrong("storage.fold_after", "is less than 92d: the longest window reaches back 90 days");
    }
    if storage.path.as_os_str().is_empty() {
        reader.wrong("storage.path", "say which folder");
    }
    storage
}

/// Where a file that the configuration names is looked for: beside it.
fn beside(sources: &Sources) -> PathBuf {
    sources.file.as_deref().and_then(Path::parent).unwrap_or(Path::new("")).to_owned()
}

fn external_url(reader: &mut Reader) -> Option<String> {
    let url = reader.text("server.external_url")?;
    let rest = url.strip_prefix("http://").or(url.strip_prefix("https://"));
    if rest.is_none_or(|rest| rest.is_empty() || rest.starts_with('/') || rest.contains(['?', '#', ' '])) {
        reader.wrong("server.external_url", format!("{url:?} is not like \"https://fournines.example.net\""));
    }
    Some(url.trim_end_matches('/').to_owned())
}

fn read_policy(reader: &mut Reader, sources: &Sources) -> Result<Policy, Mistakes> {
    let named = reader.text("catalog.file").map(|file| beside(sources).join(file));
    let mut services = Vec::new();
    if let Some(path) = sources.catalog.clone().or(named) {
        let read = read_file(&path).and_then(|text| catalog::read_catalog(&path.display().to_string(), &text));
        match read {
            Ok(read) => services = read,
            Err(mistakes) => reader.also(mistakes),
        }
    }
    Ok(Policy {
        services,
        levels: levels::read(reader)?,
        targets: targets::read(reader)?,
        correlation: correlation::read(reader),
        procedure: procedure::read(reader)?,
        time_zone: targets::time_zone(reader),
        feeds: targets::feeds(reader),
    })
}

pub(super) fn positive(reader: &mut Reader, key: &str) -> Span {
    match reader.parse::<Span>(key) {
        Some(span) if span > Span::ZERO => span,
        Some(_) => {
            reader.wrong(key, "is nothing");
            Span::from_secs(1)
        }
        None => Span::from_secs(1),
    }
}

pub(super) fn choice<T: Copy>(reader: &mut Reader, key: &str, choices: &[(&str, T)]) -> T {
    let text = reader.text(key).unwrap_or_default();
    match choices.iter().find(|(name, _)| *name == text) {
        Some(&(_, value)) => value,
        None => {
            let names: Vec<String> = choices.iter().map(|(name, _)| format!("{name:?}")).collect();
            reader.wrong(key, format!("{text:?} is none of {}", names.join(", ")));
            choices[0].1
        }
    }
}

fn read_file(path: &Path) -> Result<String, Mistakes> {
    std::fs::read_to_string(path).map_err(|error| one(&path.display().to_string(), error.to_string()))
}

fn one(place: &str, problem: String) -> Mistakes {
    Mistakes(vec![Mistake { place: place.to_owned(), key: String::new(), problem }])
}

#[cfg(test)]
mod tests;
