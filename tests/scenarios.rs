//! The golden corpus: each file of `tests/scenarios/` tells one trap that figures of availability and repair fall
//! into, as events in and figures, incidents and alerts out. `tests/scenarios/README.md` says how they read.
//!
//! `SCENARIO=part-of-a-name` plays some of them only. `UPDATE_SCENARIOS=1` writes anew what the `alerts` sections
//! expect, and nothing else: figures are worked out by hand from their definitions, never taken from the engine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use fournines::config::{Settings, Sources};
use fournines::engine::{Engine, Input};
use fournines::ingest::decode::{Gate, Layout, decode};
use fournines::model::effect::{Effect, EffectKind};
use fournines::model::event::Outcome;
use fournines::model::time::{Instant, Span};
use fournines::views::json;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json as object, to_value};

// ---- what the engine and its views are asked for: nothing below this part knows more of them ----

fn read_policy(settings: &str, catalogue: &str) -> Result<Settings, String> {
    let folder = tempfile::tempdir().unwrap();
    let (file, catalog) = (folder.path().join("settings.toml"), folder.path().join("catalogue.csv"));
    fs::write(&file, settings).unwrap();
    fs::write(&catalog, catalogue).unwrap();
    let catalog = (!catalogue.is_empty()).then_some(catalog);
    let sources = Sources { file: Some(file), catalog, environment: Vec::new() };
    // The folder's name differs from run to run.
    let short = |text: String| text.replace(&format!("{}/", folder.path().display()), "");
    Settings::load(&sources).map_err(|mistakes| short(mistakes.to_string()).replace('\n', "; "))
}

/// Hands one event in as if it had come by itself at `received`; says what became of it.
fn hear(
    engine: &mut Engine,
    settings: &Settings,
    received: Instant,
    event: &Value,
    effects: &mut Vec<Effect>,
) -> String {
    let gate = Gate::at(received, settings.max_future, None, SOURCE.into());
    let mut decoded = decode(Layout::Lines, event.to_string().as_bytes(), &gate);
    match decoded.rejected.first() {
        Some(rejection) => format!("rejected: {}", rejection.error),
        None => {
            let outcome: Outcome = engine.apply(received, &Input::Event(decoded.events.remove(0)), effects);
            outcome.name().to_owned()
        }
    }
}

fn service_json(engine: &Engine, name: &str, at: Instant) -> Option<Value> {
    engine.service(name).map(|view| to_value(json::service(engine, view, &json::Asked::at(at))).unwrap())
}

fn group_json(engine: &Engine, name: &str, at: Instant) -> Option<Value> {
    engine.group(name).map(|view| to_value(json::group(engine, view, &json::Asked::at(at))).unwrap())
}

/// Every incident of the network, or of a drill, that is not part of another and was not corrected away, by start, then
/// services.
fn incidents_json(engine: &Engine, drill: Option<&str>, at: Instant) -> Vec<Value> {
    let of_drill = engine.drill_incidents().filter(|incident| incident.drill.as_deref() == drill);
    let mut incidents: Vec<Value> = engine
        .incidents()
        .filter(|_| drill.is_none())
        .chain(of_drill)
        .map(|incident| to_value(json::incident(engine, incident, at)).unwrap())
        .filter(|incident| incident["status"] != "merged" && incident["status"] != "withdrawn")
        .collect();
    incidents.sort_by_key(|incident| {
        let started: Option<Instant> = incident["started"].as_str().and_then(|text| text.parse().ok());
        (started, incident["services"].to_string())
    });
    incidents
}

/// A change of an alert as the contract's JSON, with whether it fires.
fn alert_json(effect: &Effect) -> Option<(bool, Value)> {
    match &effect.kind {
        EffectKind::Fire(alert) => Some((true, json::alert(alert, effect.at, None))),
        EffectKind::Resolve(alert, ended) => Some((false, json::alert(alert, effect.at, Some(*ended)))),
        EffectKind::Record(_) => None,
    }
}

// ---- the corpus ----

/// The source of events that name none.
const SOURCE: &str = "noc";
/// What an `alerts` section looks at when it names nothing.
const INCIDENT_ALERTS: [&str; 3] = ["ServiceInterruption", "ResponseOverdue", "RepairOverdue"];
const ROLLING: [&str; 5] = ["1h", "24h", "7d", "30d", "90d"];
const CALENDAR: [&str; 4] = ["day", "month", "quarter", "year"];
const DENOMINATORS: [&str; 3] = ["elapsed", "whole", "projected"];
/// A ratio is a quotient of whole numbers turned into floating point once: this much (in percent) is its noise, and
/// a microsecond in 90 days is 60 times as much.
const PERCENT_NOISE: f64 = 2e-13;

/// How a figure is written.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Ratio,
    Duration,
    Number,
    Millis,
    Time,
    Text,
}

/// Figures as the files say them, and as the JSON does.
const FIGURES: [(&str, &str, Kind); 34] = [
    ("availability", "availability", Kind::Ratio),
    ("gross availability", "gross_availability", Kind::Ratio),
    ("weighted availability", "weighted_availability", Kind::Ratio),
    ("sla availability", "sla_availability", Kind::Ratio),
    ("maintenance", "maintenance", Kind::Text),
    ("coverage", "coverage", Kind::Ratio),
    ("downtime", "downtime_seconds", Kind::Duration),
    ("degraded", "degraded_seconds", Kind::Duration),
    ("excluded", "excluded_seconds", Kind::Duration),
    ("unknown", "unknown_seconds", Kind::Duration),
    ("outages", "outages", Kind::Number),
    ("planned outages", "planned_outages", Kind::Number),
    ("repairs", "repairs", Kind::Number),
    ("mttr", "mttr_seconds", Kind::Duration),
    ("mttr p50", "mttr_p50_seconds", Kind::Duration),
    ("mttr p95", "mttr_p95_seconds", Kind::Duration),
    ("mttr max", "mttr_max_seconds", Kind::Duration),
    ("mttr within target", "mttr_within_target_ratio", Kind::Ratio),
    ("mtbf", "mtbf_seconds", Kind::Duration),
    ("mtta", "mtta_seconds", Kind::Duration),
    ("dpm", "dpm", Kind::Number),
    ("budget remaining", "budget_remaining_ratio", Kind::Ratio),
    ("burn rate", "burn_rate", Kind::Number),
    ("time to breach", "time_to_breach", Kind::Time),
    ("user minutes lost", "user_minutes_lost", Kind::Number),
    ("latency samples", "latency/samples", Kind::Number),
    ("latency within", "latency/within_ratio", Kind::Ratio),
    ("latency p50", "latency/p50_ms", Kind::Millis),
    ("latency p95", "latency/p95_ms", Kind::Millis),
    ("latency p99", "latency/p99_ms", Kind::Millis),
    ("from", "from", Kind::Time),
    ("until", "until", Kind::Time),
    ("state", "state", Kind::Text),
    ("target", "target", Kind::Number),
];

#[test]
fn every_scenario_is_as_told() {
    let wanted = std::env::var("SCENARIO").unwrap_or_default();
    let update = std::env::var("UPDATE_SCENARIOS").is_ok_and(|value| value == "1");
    let (mut failed, mut played, mut said) = (0, 0, String::new());
    for path in corpus().into_iter().filter(|path| path.to_string_lossy().contains(&wanted)) {
        played += 1;
        let play = Play::new(&path, update).run();
        if !play.rewrites.is_empty() {
            play.rewrite();
        }
        if !play.mistakes.is_empty() {
            failed += 1;
            for (line, mistake) in &play.mistakes {
                let _ = writeln!(said, "{}:{line}: {mistake}", play.name);
            }
        }
    }
    assert!(failed == 0, "{failed} of {played} scenarios are not as told:\n{said}");
}

#[test]
fn every_scenario_begins_by_saying_what_it_is_about() {
    let paths = corpus();
    assert!(paths.len() >= 95, "{} scenarios are fewer than there were", paths.len());
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        let first = text.split("\n\n").next().unwrap();
        assert!(first.starts_with(char::is_alphanumeric) && first.ends_with('.'), "{}: {first:?}", path.display());
        assert!(first.lines().all(|line| line.chars().count() <= 116), "{}: a line is too long", path.display());
    }
}

fn corpus() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "txt"));
    paths.sort();
    paths
}

// ---- playing one file ----

/// A line that means something: neither blank nor a remark.
#[derive(Clone, Copy)]
struct Line<'t> {
    /// Its place in the file, from 0.
    place: usize,
    indent: usize,
    text: &'t str,
}

/// One file as it is played.
struct Play {
    /// The file's name from the top of the crate.
    name: String,
    path: PathBuf,
    text: String,
    update: bool,
    zone: Zone,
    settings_text: String,
    catalogue: String,
    /// Absent until the first policy is in force.
    settings: Option<Settings>,
    engine: Engine,
    /// The receive time that the engine was last given.
    received: Instant,
    effects: Vec<Effect>,
    /// Labels of the alerts that fire: one that fires on with other facts is not told again.
    firing: Vec<String>,
    /// By line, from 1.
    mistakes: Vec<(usize, String)>,
    /// Lines to be replaced, from 0.
    rewrites: Vec<(Range<usize>, Vec<String>)>,
}

impl Play {
    fn new(path: &Path, update: bool) -> Self {
        let name = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap_or(path).display().to_string();
        Self {
            name,
            path: path.to_owned(),
            text: fs::read_to_string(path).unwrap(),
            update,
            zone: Zone { name: "UTC".to_owned(), zone: TimeZone::UTC },
            settings_text: String::new(),
            catalogue: String::new(),
            settings: None,
            engine: Engine::new(),
            received: Instant::MIN,
            effects: Vec::new(),
            firing: Vec::new(),
            mistakes: Vec::new(),
            rewrites: Vec::new(),
        }
    }

    fn run(mut self) -> Self {
        let text = std::mem::take(&mut self.text);
        let lines = meaningful(&text);
        let mut at = 0;
        while at < lines.len() {
            let body = at + 1..at + 1 + lines[at + 1..].iter().take_while(|line| line.indent > 0).count();
            if let Err(problem) = self.section(lines[at], &lines[body.clone()]) {
                // What follows a section that cannot be played would only mislead.
                self.mistakes.push(problem);
                break;
            }
            at = body.end;
        }
        self.text = text;
        self.mistakes.sort();
        self
    }

    fn section(&mut self, header: Line<'_>, body: &[Line<'_>]) -> Result<(), (usize, String)> {
        let here = |problem: String| (header.place + 1, problem);
        let (kind, rest) = header.text.split_once(' ').unwrap_or((header.text, ""));
        match kind {
            "zone" => {
                let zone = TimeZone::get(rest).map_err(|error| here(error.to_string()))?;
                self.zone = Zone { name: rest.to_owned(), zone };
            }
            "settings" | "catalogue" if self.settings.is_some() => {
                return Err(here("comes too late: say it with a `policy` event".to_owned()));
            }
            "settings" => self.settings_text = block(body)?,
            "catalogue" => self.catalogue = block(body)?,
            "start" => {
                let at = self.zone.read(rest).map_err(here)?;
                self.adopt(at).map_err(here)?;
            }
            "events" => self.events(body)?,
            "figures" => {
                let at = self.let_pass(rest).map_err(here)?;
                for line in body {
                    self.figures(*line, at).map_err(|problem| (line.place + 1, problem))?;
                }
            }
            "incidents" => {
                let (drill, rest) = match rest.strip_prefix("of ").and_then(|rest| rest.split_once(' ')) {
                    Some((drill, rest)) => (Some(drill), rest),
                    None => (None, rest),
                };
                let at = self.let_pass(rest).map_err(here)?;
                let found = incidents_json(&self.engine, drill, at);
                self.incidents(header, body, &found)?;
            }
            "alerts" => self.alerts(header, rest, body).map_err(here)?,
            other => return Err(here(format!("`{other}` is no section; a remark begins with `#`"))),
        }
        Ok(())
    }

    /// `at TIME`: time passes to then, unless more has passed already.
    fn let_pass(&mut self, rest: &str) -> Result<Instant, String> {
        let at = self.zone.read(rest.strip_prefix("at ").ok_or("say `at` when")?)?;
        if self.settings.is_none() {
            self.adopt(at)?;
        }
        self.received = self.received.max(at);
        self.engine.advance(self.received, &mut self.effects);
        Ok(at)
    }

    /// Puts the settings and the catalogue as they stand in force.
    fn adopt(&mut self, at: Instant) -> Result<(), String> {
        let text = format!("time_zone = \"{}\"\n{}", self.zone.name, self.settings_text);
        let settings = read_policy(&text, &self.catalogue)?;
        self.received = self.received.max(at);
        let policy = Input::Policy(Box::new(settings.policy.clone()));
        self.engine.apply(self.received, &policy, &mut self.effects);
        self.settings = Some(settings);
        Ok(())
    }

    // ---- in ----

    fn events(&mut self, body: &[Line<'_>]) -> Result<(), (usize, String)> {
        let indent = body.first().map_or(0, |line| line.indent);
        let mut rest = body;
        while let Some((line, after)) = rest.split_first() {
            let below = after.iter().take_while(|line| line.indent > indent).count();
            self.event(*line, &after[..below])?;
            rest = &after[below..];
        }
        Ok(())
    }

    fn event(&mut self, line: Line<'_>, below: &[Line<'_>]) -> Result<(), (usize, String)> {
        let here = |problem: String| (line.place + 1, problem);
        let told = Told::read(line.text, &self.zone).map_err(here)?;
        if told.received < self.received {
            return Err(here(format!(
                "is heard before {}, when the last thing was",
                self.zone.show(self.received)
            )));
        }
        if told.event["type"] == "policy" {
            let mut rest = below;
            while let Some((header, after)) = rest.split_first() {
                let length = after.iter().take_while(|line| line.indent > header.indent).count();
                match header.text {
                    "settings" => self.settings_text = block(&after[..length])?,
                    "catalogue" => self.catalogue = block(&after[..length])?,
                    other => return Err(here(format!("`{other}` is neither `settings` nor `catalogue`"))),
                }
                rest = &after[length..];
            }
            return self.adopt(told.received).map_err(here);
        }
        if let Some(stray) = below.first() {
            return Err((stray.place + 1, "belongs to nothing".to_owned()));
        }
        if self.settings.is_none() {
            self.adopt(told.received).map_err(here)?;
        }
        self.received = told.received;
        let Some(settings) = &self.settings else { return Ok(()) };
        let event = Value::Object(told.event);
        let became = hear(&mut self.engine, settings, told.received, &event, &mut self.effects);
        let word = became.split(':').next().unwrap_or_default();
        match told.becomes {
            Some(expected) if expected != word => {
                self.mistakes.push((line.place + 1, format!("expected it to be {expected}, it was {became}")));
            }
            None if word == "rejected" => self.mistakes.push((line.place + 1, became)),
            _ => {}
        }
        Ok(())
    }

    // ---- out ----

    fn figures(&mut self, line: Line<'_>, at: Instant) -> Result<(), String> {
        let (subject, rest) = match line.text.strip_prefix("group ") {
            Some(rest) => (format!("group {}", first_word(rest).0), first_word(rest).1),
            None => (first_word(line.text).0.to_owned(), first_word(line.text).1),
        };
        let object = match subject.strip_prefix("group ") {
            Some(name) => group_json(&self.engine, name, at),
            None => service_json(&self.engine, &subject, at),
        };
        let Some(object) = object else {
            self.mistakes.push((line.place + 1, format!("there is no {subject}")));
            return Ok(());
        };
        let (mut window, mut denominator) = (None, None);
        for part in rest.split(',').map(str::trim) {
            let mut part = part;
            loop {
                let (word, after) = first_word(part);
                let known = |names: &[&'static str]| names.iter().find(|name| **name == word).copied();
                if let Some(name) = known(&ROLLING).or(known(&CALENDAR)) {
                    window = Some(name);
                } else if let Some(name) = known(&DENOMINATORS) {
                    denominator = Some(name);
                } else {
                    break;
                }
                part = after;
            }
            let named = FIGURES
                .iter()
                .filter(|(name, ..)| part.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')))
                .max_by_key(|(name, ..)| name.len());
            let Some(&(name, key, kind)) = named else { return Err(format!("`{part}` names no figure")) };
            let expected = part[name.len()..].trim();
            let (path, found) = find(&object, window, denominator, key);
            let problem = match found {
                None => Some(format!("expected {expected}, found no `{path}` at all")),
                Some(found) => {
                    let (holds, shown) = compare(kind, expected, found, &self.zone)?;
                    (!holds).then(|| format!("expected {expected}, found {shown}"))
                }
            };
            if let Some(problem) = problem {
                let scope: Vec<&str> = [window, denominator].into_iter().flatten().collect();
                let scope = if scope.is_empty() { String::new() } else { format!(" {}", scope.join(" ")) };
                self.mistakes.push((line.place + 1, format!("{subject}{scope} {name}: {problem}")));
            }
        }
        Ok(())
    }

    fn incidents(&mut self, header: Line<'_>, body: &[Line<'_>], found: &[Value]) -> Result<(), (usize, String)> {
        let expected: Vec<&Line<'_>> = body.iter().filter(|line| line.text != "none").collect();
        for (line, incident) in expected.iter().zip(found) {
            let told = |problem: String| (line.place + 1, problem);
            let (expected, found) = incident_lines(line.text, incident, &self.zone).map_err(told)?;
            if expected != found {
                self.mistakes.push((line.place + 1, format!("expected {expected}\n    found {found}")));
            }
        }
        for line in expected.iter().skip(found.len()) {
            self.mistakes.push((line.place + 1, "there is no such incident".to_owned()));
        }
        for incident in found.iter().skip(expected.len()) {
            let (_, shown) = incident_lines("x level 1 open since 1970-01-01 00:00Z", incident, &self.zone)
                .map_err(|problem| (header.place + 1, problem))?;
            self.mistakes.push((header.place + 1, format!("there is another incident: {shown}")));
        }
        Ok(())
    }

    /// `alerts [until TIME] [NAME…]`: all that was told since the last such section, in order.
    fn alerts(&mut self, header: Line<'_>, rest: &str, body: &[Line<'_>]) -> Result<(), String> {
        let mut names: Vec<&str> = rest.split_whitespace().collect();
        if names.first() == Some(&"until") {
            if names.len() < 3 {
                return Err("say until when".to_owned());
            }
            self.let_pass(&format!("at {} {}", names[1], names[2]))?;
            names.drain(..3);
        }
        let found = self.told(if names.is_empty() { &INCIDENT_ALERTS } else { &names });
        let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let expected: Vec<String> = body.iter().map(|l| plain(l.text)).filter(|text| text != "none").collect();
        if expected == found.iter().map(|line| plain(line)).collect::<Vec<_>>() {
            return Ok(());
        }
        if self.update {
            let first = body.first().map_or(header.place + 1, |line| line.place);
            let after = body.last().map_or(header.place + 1, |line| line.place + 1);
            let found = if found.is_empty() { vec!["none".to_owned()] } else { found };
            self.rewrites.push((first..after, found.iter().map(|line| format!("  {line}")).collect()));
            return Ok(());
        }
        for (line, expected) in body.iter().filter(|line| line.text != "none").zip(&expected) {
            if !found.iter().any(|found| plain(found) == *expected) {
                self.mistakes.push((line.place + 1, format!("expected, and not told: {expected}")));
            }
        }
        for found in found.iter().filter(|found| !expected.contains(&plain(found))) {
            self.mistakes.push((header.place + 1, format!("told, and not expected: {found}")));
        }
        Ok(())
    }

    /// The alerts of those names since the last call. At one instant those that fire come first.
    fn told(&mut self, names: &[&str]) -> Vec<String> {
        let mut told = Vec::new();
        for effect in std::mem::take(&mut self.effects) {
            let Some((fires, alert)) = alert_json(&effect) else { continue };
            let labels = alert["labels"].to_string();
            let known = self.firing.contains(&labels);
            if fires && !known {
                self.firing.push(labels);
            } else if !fires {
                self.firing.retain(|other| *other != labels);
            }
            let name = alert["labels"]["alertname"].as_str().unwrap_or_default().to_owned();
            if (fires && known) || !names.contains(&&*name) {
                continue;
            }
            let time = |key: &str| instant(&alert[key]).map_or("?".to_owned(), |at| self.zone.show(at));
            let about = about(&alert["labels"]);
            let line = if fires {
                let because = alert["annotations"]["because"].as_str().unwrap_or("?");
                format!("+ {name} {about} since {}  because {because}", time("starts"))
            } else {
                format!("- {name} {about} over since {}", time("ends"))
            };
            told.push((effect.at, line));
        }
        told.sort();
        told.into_iter().map(|(at, line)| format!("{}  {line}", self.zone.show(at))).collect()
    }

    /// Puts what was found in the place of what was expected.
    fn rewrite(&self) {
        let mut lines: Vec<&str> = self.text.lines().collect();
        let mut rewrites: Vec<&(Range<usize>, Vec<String>)> = self.rewrites.iter().collect();
        rewrites.sort_by_key(|(place, _)| std::cmp::Reverse(place.start));
        for (place, found) in rewrites {
            lines.splice(place.clone(), found.iter().map(String::as_str));
        }
        fs::write(&self.path, lines.join("\n") + "\n").unwrap();
    }
}

/// The lines after the first paragraph that are neither blank nor remarks.
fn meaningful(text: &str) -> Vec<Line<'_>> {
    let mut told = text.lines().enumerate().skip_while(|(_, line)| !line.trim().is_empty());
    let lines = told.by_ref().filter_map(|(place, line)| {
        let text = line.trim();
        let indent = line.len() - line.trim_start().len();
        (!text.is_empty() && !text.starts_with('#')).then_some(Line { place, indent, text })
    });
    lines.collect()
}

/// Lines that begin with `| `, without that.
fn block(body: &[Line<'_>]) -> Result<String, (usize, String)> {
    let mut text = String::new();
    for line in body {
        let Some(rest) = line.text.strip_prefix('|') else {
            return Err((line.place + 1, "does not begin with `|`".to_owned()));
        };
        text.push_str(rest.strip_prefix(' ').unwrap_or(rest));
        text.push('\n');
    }
    Ok(text)
}

fn first_word(text: &str) -> (&str, &str) {
    let text = text.trim();
    text.split_once(' ').map_or((text, ""), |(word, rest)| (word, rest.trim()))
}

fn instant(value: &Value) -> Option<Instant> {
    value.as_str().and_then(|text| text.parse().ok())
}

/// The labels that say what an alert is about: level and scope, or all that are not the same for every alert.
fn about(labels: &Value) -> String {
    let text = |name: &str| labels[name].as_str().unwrap_or("?").to_owned();
    if labels["incident"].is_string() {
        let drill = labels["drill"].as_str().map_or(String::new(), |drill| format!(" drill={drill}"));
        return format!("{} {}{drill}", text("level"), text("scope"));
    }
    let named =
        labels.as_object().into_iter().flatten().filter(|(name, _)| !["alertname", "source"].contains(&&***name));
    named.map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or("?"))).collect::<Vec<_>>().join(" ")
}

/// An event as a line tells it: `TIME TYPE SERVICE key=value … heard TIME => outcome`.
struct Told {
    event: Map<String, Value>,
    received: Instant,
    becomes: Option<String>,
}

impl Told {
    fn read(text: &str, zone: &Zone) -> Result<Self, String> {
        let (text, becomes) = match text.split_once("=>") {
            Some((text, outcome)) => (text, Some(outcome.trim().to_owned())),
            None => (text, None),
        };
        let words = words(text);
        let mut words = words.iter().map(String::as_str).peekable();
        let time = |words: &mut dyn Iterator<Item = &str>, what: &str| {
            let (date, clock) = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default());
            zone.read(&format!("{date} {clock}")).map_err(|problem| format!("{what}: {problem}"))
        };
        let at = time(&mut words, "time")?;
        let mut event = Map::new();
        event.insert("type".to_owned(), words.next().ok_or("does not say what happened")?.into());
        event.insert("time".to_owned(), at.to_string().into());
        let keyword = |word: &str| ["heard", "from", "until", "group"].contains(&word);
        if let Some(service) = words.next_if(|word| !word.contains('=') && !keyword(word)) {
            event.insert("service".to_owned(), service.into());
        }
        let mut received = at;
        while let Some(word) = words.next() {
            match word {
                "heard" => received = time(&mut words, "heard")?,
                "from" | "until" => {
                    let instant = time(&mut words, word)?;
                    event.insert(word.to_owned(), instant.to_string().into());
                }
                "group" => {
                    event.insert("group".to_owned(), words.next().ok_or("does not say which group")?.into());
                }
                field => {
                    let (key, value) = field.split_once('=').ok_or(format!("`{field}` is not like key=value"))?;
                    let numbers = ["users", "weight", "ms", "count", "value", "score", "level"];
                    let value = match key {
                        // `improvements="what; who; by when"`
                        "improvements" => {
                            let parts: Vec<&str> = value.split(';').map(str::trim).collect();
                            let part = |place: usize| parts.get(place).copied().unwrap_or_default();
                            object!([{ "action": part(0), "owner": part(1), "due": part(2) }])
                        }
                        key if numbers.contains(&key) => {
                            serde_json::from_str(value).map_err(|_| format!("`{field}` has no number"))?
                        }
                        _ => Value::from(value),
                    };
                    event.insert(key.to_owned(), value);
                }
            }
        }
        Ok(Self { event, received, becomes })
    }
}

/// Words, of which one may hold blanks in quotes: `by="Li Wei"`.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut quoted) = (vec![String::new()], false);
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

// ---- figures ----

/// Where a figure stands in the object, and what stands there.
fn find<'v>(
    object: &'v Value,
    window: Option<&str>,
    denominator: Option<&str>,
    key: &str,
) -> (String, Option<&'v Value>) {
    let place = match window {
        None => String::new(),
        Some(window) if ROLLING.contains(&window) => format!("/windows/{window}"),
        Some(period) if key == "from" || key == "until" => format!("/calendar/{period}"),
        Some(period) => format!("/calendar/{period}/{}", denominator.unwrap_or("elapsed")),
    };
    let path = format!("{place}/{key}");
    // Latency may stand beside the windows rather than in them.
    let path = match key.strip_prefix("latency/") {
        Some(key) if object.pointer(&path).is_none() => format!("/latency/{}/{key}", window.unwrap_or_default()),
        _ => path,
    };
    (path[1..].replace('/', "."), object.pointer(&path))
}

/// Whether what was found is what was expected, and how it reads.
fn compare(kind: Kind, expected: &str, found: &Value, zone: &Zone) -> Result<(bool, String), String> {
    let shown = show(kind, expected, found, zone);
    if expected == "none" || found.is_null() {
        return Ok((expected == "none" && found.is_null(), shown));
    }
    let number = found.as_f64();
    let near = |wanted: f64, by: f64| number.is_some_and(|number| (number - wanted).abs() <= by);
    let holds = if let Some(fraction) = expected.strip_prefix('=') {
        let wanted = fraction_of(fraction.trim().trim_end_matches(" s"))?;
        near(wanted, 1e-12 * wanted.abs().max(1.0))
    } else if let Some(rest) = expected.strip_prefix("about ") {
        let wanted: f64 = rest.trim_end_matches("ms").trim().parse().map_err(|_| not_read(expected))?;
        near(wanted, wanted * 0.01)
    } else {
        match kind {
            Kind::Ratio => {
                let percent = expected.strip_suffix('%').ok_or_else(|| not_read(expected))?.trim();
                let digits = percent.split_once('.').map_or(0, |(_, digits)| digits.len());
                let least: f64 = percent.parse().map_err(|_| not_read(expected))?;
                if digits == 0 {
                    // `100 %` is all of it.
                    return Ok((near(least / 100.0, PERCENT_NOISE / 100.0), shown));
                }
                let next = least + 0.1_f64.powi(i32::try_from(digits).unwrap());
                let found = number.unwrap_or(f64::NAN) * 100.0;
                found >= least - PERCENT_NOISE && found < next - PERCENT_NOISE
            }
            Kind::Duration => near(seconds(expected)?, 4e-7),
            Kind::Millis => near(seconds(expected)? * 1e3, 1e-9),
            Kind::Number => {
                let wanted: f64 = expected.parse().map_err(|_| not_read(expected))?;
                near(wanted, wanted.abs() * 1e-9)
            }
            Kind::Time => instant(found) == Some(zone.read(expected)?),
            Kind::Text => found.as_str() == Some(expected),
        }
    };
    Ok((holds, shown))
}

/// What was found, in the form in which it was expected and, where that hides something, as it stands.
fn show(kind: Kind, expected: &str, found: &Value, zone: &Zone) -> String {
    let Some(number) = found.as_f64() else {
        return match instant(found) {
            Some(at) if kind == Kind::Time => zone.show(at),
            _ if found.is_null() => "none".to_owned(),
            _ => found.as_str().map_or_else(|| found.to_string(), str::to_owned),
        };
    };
    match kind {
        Kind::Ratio => {
            let percent = expected.trim_end_matches(['%', ' ']);
            let digits = percent.split_once('.').map_or(4, |(_, digits)| digits.len());
            let parts = 10_f64.powi(i32::try_from(digits).unwrap_or(4));
            let cut = ((number * 100.0 + PERCENT_NOISE) * parts).floor() / parts;
            format!("{cut:.digits$} % ({number})")
        }
        #[allow(clippy::cast_possible_truncation, reason = "only shown")]
        Kind::Duration => format!("{} ({number} s)", Span::from_micros((number * 1e6).round() as i64)),
        Kind::Millis => format!("{number} ms"),
        _ => number.to_string(),
    }
}

fn not_read(expected: &str) -> String {
    format!("`{expected}` cannot be read")
}

/// `23/24`, `-1/259200`, `0.5`.
fn fraction_of(text: &str) -> Result<f64, String> {
    let number = |text: &str| text.trim().parse::<f64>().map_err(|_| not_read(text));
    match text.split_once('/') {
        Some((above, below)) => Ok(number(above)? / number(below)?),
        None => number(text),
    }
}

/// `1h 30m 5s`, `2d`, `36m 40.5s`, `40 ms`.
fn seconds(text: &str) -> Result<f64, String> {
    let text = text.replace(" ms", "ms");
    let mut sum = 0.0;
    for part in text.split_whitespace() {
        let digits = part.trim_end_matches(char::is_alphabetic);
        let unit = match &part[digits.len()..] {
            "d" => 86_400.0,
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" => 1e-6,
            _ => return Err(not_read(&text)),
        };
        sum += digits.parse::<f64>().map_err(|_| not_read(&text))? * unit;
    }
    Ok(sum)
}

/// An incident as the line tells it, and as it was found, in the words of the line.
fn incident_lines(text: &str, incident: &Value, zone: &Zone) -> Result<(String, String), String> {
    let time = |value: &Value| instant(value).map_or("none".to_owned(), |at| zone.show(at));
    let word = |value: &Value| match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let clock = |name: &str, key: &str| {
        let clocks = incident["clocks"].as_array().into_iter().flatten();
        let path = if key == "warned" { "/warned/at".to_owned() } else { format!("/{key}") };
        let clock = clocks.into_iter().find(|clock| clock["name"] == name);
        time(clock.and_then(|clock| clock.pointer(&path)).unwrap_or(&Value::Null))
    };
    let services: Vec<String> = incident["services"].as_array().into_iter().flatten().map(word).collect();
    let (mut expected, mut found) = (Vec::new(), Vec::new());
    let mut parts = text.split(',').map(str::trim);
    // `core level 2 open since TIME`
    let first = parts.next().unwrap_or_default();
    let (head, since) = first.split_once(" since ").ok_or("does not say since when")?;
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    expected.push(format!("{} since {}", plain(head), zone.show(zone.read(since)?)));
    found.push(format!(
        "{} level {} {} since {}",
        services.join("+"),
        incident["level"],
        word(&incident["status"]),
        time(&incident["started"])
    ));
    for part in parts {
        let (name, rest) = INCIDENT_PARTS
            .iter()
            .find_map(|name| part.strip_prefix(name).map(|rest| (*name, rest.trim())))
            .ok_or_else(|| format!("`{part}` says nothing of an incident"))?;
        let at =
            |text: &str| if text == "none" { Ok(text.to_owned()) } else { zone.read(text).map(|at| zone.show(at)) };
        let (wanted, is) = match name {
            "next level" => {
                let wanted = match rest.split_once(" at ") {
                    Some((level, when)) => format!("{level} at {}", at(when)?),
                    None => rest.to_owned(),
                };
                let next = &incident["next_level"];
                let is = format!("{} at {}", next["level"], time(&next["at"]));
                (wanted, if next.is_null() { "none".to_owned() } else { is })
            }
            "until" => (at(rest)?, time(&incident["restored"])),
            "verified" | "acknowledged" | "detected" => (at(rest)?, time(&incident[name])),
            "response" | "repair" | "clock" => {
                let mut words = rest.splitn(if name == "clock" { 3 } else { 2 }, ' ').map(str::trim);
                let of = if name == "clock" { words.next().unwrap_or_default() } else { name };
                let (key, when) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
                let which = rest.strip_suffix(when).unwrap_or(rest).trim();
                (format!("{which} {}", at(when)?), format!("{which} {}", clock(of, key)))
            }
            "recurrence" => (at(rest)?, time(&incident["assessment"]["recurrence"]["at"])),
            "effective" | "satisfaction" => (rest.to_owned(), word(&incident["assessment"][name])),
            "review" => {
                let complete = |complete: bool| if complete { "complete" } else { "incomplete" };
                let is = incident["review"]["complete"].as_bool().map_or("none", complete);
                (rest.to_owned(), is.to_owned())
            }
            // Holds that nobody let go on before the restoration.
            "unresumed" => {
                let holds = incident["holds"].as_array().into_iter().flatten();
                (rest.to_owned(), holds.filter(|hold| hold["unresumed"] == true).count().to_string())
            }
            // What is missing, in the manual's order, or `none`.
            "missing" => {
                let missing: Vec<String> =
                    incident["missing_stages"].as_array().into_iter().flatten().map(word).collect();
                (plain(rest), if missing.is_empty() { "none".to_owned() } else { missing.join(" ") })
            }
            // Stages that came after a later one.
            "out of order" => {
                let stages = incident["stages"].as_array().into_iter().flatten();
                let late: Vec<String> = stages
                    .filter(|stage| stage["out_of_order"] == true)
                    .map(|stage| word(&stage["stage"]))
                    .collect();
                (plain(rest), if late.is_empty() { "none".to_owned() } else { late.join(" ") })
            }
            "user minutes" => {
                let is = &incident["user_minutes"];
                let same = is.as_f64().zip(rest.parse::<f64>().ok()).is_some_and(|(a, b)| (a - b).abs() < 1e-6);
                (rest.to_owned(), if same { rest.to_owned() } else { word(is) })
            }
            "suspected" => (rest.to_owned(), word(&incident["suspected_cause_service"])),
            "regions" => {
                let regions: Vec<String> = incident["regions"].as_array().into_iter().flatten().map(word).collect();
                (plain(rest), regions.join(" "))
            }
            name => (rest.to_owned(), word(&incident[&*name.replace(' ', "_")])),
        };
        expected.push(format!("{name} {wanted}"));
        found.push(format!("{name} {is}"));
    }
    Ok((expected.join(", "), found.join(", ")))
}

const INCIDENT_PARTS: [&str; 22] = [
    "suspected",
    "regions",
    "until",
    "verified",
    "acknowledged",
    "detected",
    "next level",
    "first level",
    "response",
    "repair",
    "clock",
    "recurrence",
    "effective",
    "satisfaction",
    "review",
    "unresumed",
    "missing",
    "out of order",
    "flaps",
    "users",
    "user minutes",
    "cause",
];

// ---- time ----

/// The zone of every time in a file.
struct Zone {
    name: String,
    zone: TimeZone,
}

impl Zone {
    /// `2026-03-01 10:00`, `2026-03-01 10:00:05.000001`, and with an offset where the clock shows that time twice:
    /// `2026-11-01 01:30-05:00`.
    fn read(&self, text: &str) -> Result<Instant, String> {
        let wrong = |problem: &dyn std::fmt::Display| format!("`{text}` is no time: {problem}");
        let (date, clock) = text.trim().split_once(' ').ok_or_else(|| wrong(&"write date, blank, time"))?;
        let split = clock.find(['+', '-', 'Z']).unwrap_or(clock.len());
        let (clock, offset) = clock.split_at(split);
        let seconds = if clock.len() == 5 { ":00" } else { "" };
        let civil = format!("{date}T{clock}{seconds}");
        if !offset.is_empty() {
            return format!("{civil}{offset}").parse().map_err(|error| wrong(&error));
        }
        let civil: jiff::civil::DateTime = civil.parse().map_err(|error| wrong(&error))?;
        let zoned = self.zone.to_ambiguous_zoned_datetime(civil).unambiguous().map_err(|error| wrong(&error))?;
        Ok(Instant::from_micros(zoned.timestamp().as_microsecond()))
    }

    /// The time as [`Self::read`] reads it, as short as it can be.
    fn show(&self, at: Instant) -> String {
        let Ok(stamp) = jiff::Timestamp::from_microsecond(at.as_micros()) else { return at.to_string() };
        let zoned = stamp.to_zoned_datetime(self.zone.clone());
        let text = zoned.datetime().to_string().replace('T', " ");
        let text = if text.len() == 19 { text.strip_suffix(":00").unwrap_or(&text).to_owned() } else { text };
        match self.read(&text) {
            Ok(same) if same == at => text,
            _ => {
                let minutes = zoned.offset().seconds() / 60;
                let sign = if minutes < 0 { '-' } else { '+' };
                format!("{text}{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
            }
        }
    }
}

// ---- the runner itself ----

#[test]
fn percentages_are_cut_off_and_not_rounded() {
    let zone = Zone { name: "UTC".to_owned(), zone: TimeZone::UTC };
    let holds = |expected: &str, value: f64| compare(Kind::Ratio, expected, &value.into(), &zone).unwrap().0;
    assert!(holds("99.9900 %", 0.9999) && holds("95.8333 %", 23.0 / 24.0) && holds("100 %", 1.0));
    // A microsecond too much in ninety days.
    assert!(!holds("99.9900 %", 0.9999 - 1.0 / 7.776e12) && holds("99.9899 %", 0.9999 - 1.0 / 7.776e12));
    assert!(!holds("99.9899 %", 0.9999) && !holds("95.8334 %", 23.0 / 24.0));
    assert!(holds("= 23/24", 23.0 / 24.0) && !holds("= 23/24", 0.958_333));
}

#[test]
fn times_are_read_in_the_zone_and_shown_as_they_are_read() {
    let zone = |name: &str| Zone { name: name.to_owned(), zone: TimeZone::get(name).unwrap() };
    let berlin = zone("Europe/Berlin");
    assert_eq!(berlin.read("2026-03-29 03:30").unwrap().to_string(), "2026-03-29T01:30:00Z");
    assert!(berlin.read("2026-03-29 02:30").is_err(), "that night had no such time");
    let york = zone("America/New_York");
    assert!(york.read("2026-11-01 01:30").is_err(), "that night had it twice");
    let later = york.read("2026-11-01 01:30-05:00").unwrap();
    assert_eq!(
        (later.to_string(), york.show(later)),
        ("2026-11-01T06:30:00Z".into(), "2026-11-01 01:30-05:00".into())
    );
    assert_eq!(berlin.show("2026-03-29T10:00:00.000001Z".parse().unwrap()), "2026-03-29 12:00:00.000001");
}

#[test]
fn durations_and_words_are_read() {
    assert!((seconds("1h 30m 5s").unwrap() - 5405.0).abs() < 1e-9);
    assert!((seconds("40 ms").unwrap() - 0.04).abs() < 1e-12);
    assert!(seconds("90").is_err(), "a unit is said, never guessed");
    assert_eq!(words(r#"a by="Li Wei"  b"#), ["a", "by=Li Wei", "b"]);
}
