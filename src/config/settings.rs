//! The one settings struct, checked.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::reader::{Mistake, Mistakes, Reader, check_syntax};
use super::{DEFAULTS, catalog, levels, targets};
use crate::model::policy::Policy;
use crate::model::service::ServiceName;
use crate::model::time::Span;

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

/// Everything that can be set, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The zone of calendar days, months, quarters and years.
    pub time_zone: String,
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
}

/// Whom it tells.
#[derive(Clone, Debug)]
pub struct Alerting {
    /// The language of the alerts' text.
    pub language: Language,
    /// How often a firing alert is sent again.
    pub resend_interval: Span,
    /// Where the runbooks are.
    pub runbook_url: Option<String>,
    /// Base URLs of Alertmanagers.
    pub alertmanagers: Vec<String>,
}

/// The language of the alerts' text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Chinese.
    Chinese,
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
        let settings = read(&mut reader, sources)?;
        reader.finish()?;
        Ok(settings)
    }

    /// The services that events may name; `None` when any may.
    #[must_use]
    pub fn known_services(&self) -> Option<HashSet<ServiceName>> {
        (!self.auto_register).then(|| catalog::names(&self.policy.services))
    }
}

fn toml_source(text: &str) -> config::File<config::FileSourceString, config::FileFormat> {
    config::File::from_str(text, config::FileFormat::Toml)
}

/// Reads every key. What is wrong is noted in the reader, and a stand-in goes on in its place.
fn read(reader: &mut Reader, sources: &Sources) -> Result<Settings, Mistakes> {
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
    let time_zone = reader.text("time_zone").unwrap_or_default();
    if jiff::tz::TimeZone::get(&time_zone).is_err() {
        reader.wrong(
            "time_zone",
            format!("there is no zone {time_zone:?}; write one like \"Asia/Shanghai\" or \"UTC\""),
        );
    }
    let storage = Storage {
        path: reader.text("storage.path").unwrap_or_default().into(),
        checkpoint_events: reader.take("storage.checkpoint_events", "a whole number").unwrap_or_default(),
        checkpoint_interval: positive(reader, "storage.checkpoint_interval"),
    };
    if storage.path.as_os_str().is_empty() {
        reader.wrong("storage.path", "say which folder");
    }
    let policy = read_policy(reader, sources)?;
    Ok(Settings {
        time_zone,
        server,
        storage,
        auto_register: reader.take("catalog.auto_register", "true or false").unwrap_or(true),
        max_future: reader.parse("clock.max_future").unwrap_or_default(),
        max_services: reader.take("metrics.max_services", "a whole number").unwrap_or_default(),
        alerting: read_alerting(reader),
        log_format: choice(reader, "log.format", &[("text", LogFormat::Text), ("json", LogFormat::Json)]),
        log_level: reader.text("log.level").unwrap_or_default(),
        policy,
    })
}

fn read_policy(reader: &mut Reader, sources: &Sources) -> Result<Policy, Mistakes> {
    let named = reader.text("catalog.file").map(|file| {
        // A file named in a file is looked for beside it.
        let beside = sources.file.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
        beside.join(file)
    });
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
        reopen: reader.parse("correlation.reopen").unwrap_or_default(),
    })
}

fn read_alerting(reader: &mut Reader) -> Alerting {
    let mut alertmanagers = Vec::new();
    for index in 0..reader.tables("alerting.alertmanagers") {
        let key = format!("alerting.alertmanagers[{index}].url");
        match reader.text(&key) {
            Some(url) if url.starts_with("http://") || url.starts_with("https://") => {
                alertmanagers.push(url.trim_end_matches('/').to_owned());
            }
            Some(url) => reader.wrong(&key, format!("{url:?} is not like \"http://127.0.0.1:9093\"")),
            None => reader.wrong(&key, "say where it is, such as \"http://127.0.0.1:9093\""),
        }
    }
    Alerting {
        language: choice(reader, "alerting.language", &[("en", Language::English), ("zh", Language::Chinese)]),
        resend_interval: positive(reader, "alerting.resend_interval"),
        runbook_url: reader.text("alerting.runbook_url"),
        alertmanagers,
    }
}

fn positive(reader: &mut Reader, key: &str) -> Span {
    match reader.parse::<Span>(key) {
        Some(span) if span > Span::ZERO => span,
        Some(_) => {
            reader.wrong(key, "is nothing");
            Span::from_secs(1)
        }
        None => Span::from_secs(1),
    }
}

fn choice<T: Copy>(reader: &mut Reader, key: &str, choices: &[(&str, T)]) -> T {
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
mod tests {
    use super::*;
    use crate::config::{from_record, to_record};
    use crate::model::level::{Condition, Level};
    use crate::model::target::Value;

    fn load(toml: &str, environment: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("fournines.toml");
        std::fs::write(&file, toml).unwrap();
        let environment = environment.iter().map(|&(n, v)| (n.to_owned(), v.to_owned())).collect();
        Settings::load(&Sources { file: Some(file), catalog: None, environment }).map_err(|mistakes| {
            let folder = format!("{}/", folder.path().display());
            mistakes.0.iter().map(|mistake| mistake.to_string().replace(&folder, "")).collect()
        })
    }

    #[test]
    fn with_nothing_said_it_runs() {
        let settings = load("", &[]).unwrap();
        assert_eq!(settings.server.listen.to_string(), "127.0.0.1:9940");
        assert_eq!(settings.policy.targets.base.len(), 16);
        assert_eq!(settings.policy.levels.of(Level::First).len(), 8);
        assert_eq!(settings.policy.reopen, Span::from_mins(10));
    }

    #[test]
    fn every_mistake_is_told_at_once_with_file_line_and_key() {
        let mistakes = load(
            "time_zone = \"Mars/Olympus\"\n[server]\nlistn = \"127.0.0.1:1\"\nmax_body_bytes = \"big\"\n\n[[levels.first]]\nusers_ovr = 3\n[targets]\nrepair = \"4\"\navailability = 99.99\n[[alerting.alertmanagers]]\nurl = \"am:9093\"\n",
            &[("FOURNINES__CORRELATION__REOPEN", "soon"), ("FOURNINES__STORAGE__PAHT", "/x")],
        )
        .unwrap_err();
        let expected = [
            "fournines.toml:4: server.max_body_bytes: \"big\" is not a whole number of bytes",
            "fournines.toml:1: time_zone: there is no zone \"Mars/Olympus\"; write one like \"Asia/Shanghai\" or \"UTC\"",
            "fournines.toml:6: levels.first[0]: has no condition, so that every interruption would be of the first level",
            "fournines.toml:9: targets.repair: `4` is not a duration such as `90s`, `30m` or `4h`",
            "fournines.toml:10: targets.availability: 99.99 is not from 0 to 1 (99.99 % is 0.9999)",
            "environment variable FOURNINES__CORRELATION__REOPEN: correlation.reopen: `soon` is not a duration such as `90s`, `30m` or `4h`",
            "fournines.toml:12: alerting.alertmanagers[0].url: \"am:9093\" is not like \"http://127.0.0.1:9093\"",
            "fournines.toml:7: levels.first[0].users_ovr: unknown key; did you mean `levels.first[0].users_over`?",
            "fournines.toml:3: server.listn: unknown key; did you mean `server.listen`?",
            "environment variable FOURNINES__STORAGE__PAHT: storage.paht: unknown key; did you mean `storage.path`?",
        ];
        assert_eq!(mistakes, expected);
    }

    #[test]
    fn broken_toml_names_its_line() {
        let mistakes = load("[server]\nlisten = \n", &[]).unwrap_err();
        assert_eq!(mistakes.len(), 1);
        assert!(mistakes[0].starts_with("fournines.toml:2: "), "{mistakes:?}");
    }

    #[test]
    fn another_address_needs_to_be_meant() {
        let mistakes = load("[server]\nlisten = \"0.0.0.0:9940\"\n", &[]).unwrap_err();
        assert!(mistakes[0].contains("access.open = true"), "{mistakes:?}");
        assert!(load("[server]\nlisten = \"0.0.0.0:9940\"\n[access]\nopen = true\n", &[]).is_ok());
        let opened = [("FOURNINES__SERVER__LISTEN", "0.0.0.0:9940"), ("FOURNINES__ACCESS__OPEN", "true")];
        assert!(load("", &opened).is_ok());
    }

    #[test]
    fn a_rule_replaces_those_of_its_level_only() {
        let settings =
            load("[[levels.first]]\nusers_at_least = 5\nlonger_than = \"1m\"\ncite = \"x\"\n", &[]).unwrap();
        let first = settings.policy.levels.of(Level::First);
        assert_eq!(first.len(), 1);
        assert_eq!(first[0].conditions, [Condition::UsersAtLeast(5), Condition::LongerThan(Span::from_mins(1))]);
        assert_eq!(settings.policy.levels.of(Level::Second).len(), 5);
    }

    #[test]
    fn the_last_override_that_concerns_a_service_holds() {
        let settings = load(
            "[targets]\nrepair = \"3h\"\nrequest.acceptance = \"5m\"\n[[targets.override]]\ntier = \"gold\"\nrepair = \"2h\"\n[[targets.override]]\nservice = \"a\"\nrepair = \"1h\"\n",
            &[],
        )
        .unwrap();
        let gold = crate::model::service::ServiceFacts { tier: "gold".to_owned(), ..Default::default() };
        let of = |service: &str, facts| settings.policy.targets.of("repair", service, facts);
        assert_eq!(of("a", &gold), Some(Value::Limit(Span::from_hours(1))));
        assert_eq!(of("b", &gold), Some(Value::Limit(Span::from_hours(2))));
        assert_eq!(of("c", &Default::default()), Some(Value::Limit(Span::from_hours(3))));
        assert_eq!(
            settings.policy.targets.of("request.acceptance", "c", &gold),
            Some(Value::Limit(Span::from_mins(5)))
        );
    }

    #[test]
    fn a_catalogue_is_read_and_its_mistakes_named() {
        let good = "id,users,groups,depends_on,since\na,10,x;y,,2026-01-01T00:00:00Z\nb,,,a,\n";
        let services = catalog::read_catalog("services.csv", good).unwrap();
        assert_eq!(services[0].1.groups, ["x", "y"]);
        assert_eq!(services[1].1.depends_on, ["a"]);
        assert_eq!(catalog::read_catalog("services.csv", &catalog::write_catalog(&services)).unwrap(), services);
        let bad = "id,users,grops,depends_on\na,ten,,\na,1,,\nb c,1,,\nd,1,,nobody\ne,1\n";
        let mistakes = catalog::read_catalog("services.csv", bad).unwrap_err();
        let lines: Vec<String> = mistakes.0.iter().map(|m| format!("{}: {}", m.place, m.key)).collect();
        let expected =
            ["services.csv:1: grops", "services.csv:2: users", "services.csv:3: id", "services.csv:4: id"];
        assert_eq!(lines[..4], expected);
        assert_eq!(lines[4..], ["services.csv:6: ", "services.csv:5: depends_on"]);
    }

    #[test]
    fn a_policy_survives_its_record() {
        let mut policy =
            load("[[targets.override]]\ngroup = \"gold\"\navailability = 0.99995\n", &[]).unwrap().policy;
        policy.services = catalog::read_catalog("x", "id,users,name\na,1,\"Büro, \"\"Nord\"\"\"\n").unwrap();
        let record = to_record(&policy);
        assert_eq!(from_record(&record).unwrap(), policy);
        assert_eq!(to_record(&from_record(&record).unwrap()), record);
    }
}
