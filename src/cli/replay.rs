//! `fournines replay`: the same engine over recorded events, offline, as fast as it goes.

mod tables;

use std::borrow::Cow;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::output::{Object, print, unwritten};
use super::recording::{Beginning, Recording};
use super::run::{Ended, Run};
use super::{Failure, settings};
use crate::engine::{Engine, Input};
use crate::model::calendar::{BadPeriod, Calendar, Range};
use crate::model::policy::Policy;
use crate::model::time::Instant;
use crate::views::json::{self as objects, Asked, Promised};

/// Runs the engine over recorded events, or over a storage directory's journal, and prints figures
#[derive(Debug, Args)]
#[command(
    after_help = "An NDJSON event counts as received at its own `time`, in the order of the file. A storage \
    directory's journal is read as it was received, under the policies that were in force; `fournines backtest` reads \
    it under another. If its oldest batches were dropped, it is read from the earliest checkpoint kept on.\n\nExamples:\n  fournines replay events.ndjson\n  fournines replay --catalog services.csv --at \
    2026-04-01T00:00:00Z --format json events.ndjson\n  fournines replay --as-known-at 2026-04-01T00:00:00Z --period \
    2026-03 fournines-data\n  fournines replay --alerts events.ndjson"
)]
pub(super) struct Arguments {
    /// The configuration, in TOML
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    config: Option<PathBuf>,
    /// A catalogue, instead of the configuration's
    #[arg(long, value_name = "FILE")]
    catalog: Option<PathBuf>,
    /// Figures of a period of the calendar as well: 2026-03, 2026-Q1, 2026 or 2026-03-14
    #[arg(long, value_name = "PERIOD", value_parser = period)]
    period: Option<String>,
    /// The targets that figures are held against: those promised at the instant of the figures (`then`), or those of
    /// the last policy known (`now`)
    #[arg(long, value_name = "then|now", default_value = "then")]
    policy: Promised,
    /// Every alert that fired or was over as well, in order; JSON always has them
    #[arg(long)]
    alerts: bool,
    /// How the answer is written
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    #[command(flatten)]
    recording: Recording,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Table,
    Json,
}

/// A period's name, checked before anything is read; its instants depend on the zone.
fn period(text: &str) -> Result<String, BadPeriod> {
    Calendar::default().named(text).map(|_| text.to_owned())
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { config, catalog, recording, .. } = arguments;
    let mut run = match recording.storage() {
        None => Run::under(settings(config.as_ref(), catalog.as_ref())?.policy),
        Some(folder) => {
            if config.is_some() || catalog.is_some() {
                let folder = folder.display();
                eprintln!("{folder}: is read under the policies in its journal; -c and --catalog change nothing");
            }
            Run::default()
        }
    };
    let beginning = recording.beginning()?.map(|Beginning { engine, after }| {
        let now = engine.now();
        run = Run::from(engine);
        (after, now)
    });
    let mut summary = recording.read(beginning, |batch| run.apply(batch))?;
    let at = recording.at(&summary);
    let ended = run.finish(at);
    let engine = judged(&ended.engine, summary.later.take(), arguments.policy, at);
    let range = arguments.period.as_deref().map(|name| engine.calendar().named(name)).transpose();
    let range = range.map_err(|error| Failure::Wrong(format!("--period {error}")))?;
    let asked = Asked { at, under: arguments.policy.under(at), period: range };
    let answer = Answer { arguments, run: &ended, engine: &engine, asked };
    match arguments.format {
        Format::Json => answer.json(),
        Format::Table => print(&answer.table()),
    }
    .map_err(unwritten)?;
    summary.complete()
}

/// The engine that figures are read from: it knows the last policy too, where that is to judge.
fn judged(engine: &Engine, later: Option<Box<Policy>>, promised: Promised, at: Instant) -> Cow<'_, Engine> {
    match later {
        Some(policy) if promised == Promised::Now => {
            let mut engine = engine.clone();
            engine.apply(at, &Input::Policy(policy), &mut Vec::new());
            Cow::Owned(engine)
        }
        _ => Cow::Borrowed(engine),
    }
}

/// What is printed.
struct Answer<'a> {
    arguments: &'a Arguments,
    run: &'a Ended,
    /// What figures are read from.
    engine: &'a Engine,
    asked: Asked,
}

impl Answer<'_> {
    /// The period asked for, with its name.
    fn period(&self) -> Option<(&str, Range)> {
        self.arguments.period.as_deref().zip(self.asked.period)
    }

    /// Writes one object. Each service's part is made when it is its turn: all of them at once are large.
    fn json(&self) -> std::io::Result<()> {
        let Self { engine, asked, .. } = self;
        let mut services: Vec<_> = engine.services().collect();
        services.sort_by_key(|view| view.name());
        let mut incidents: Vec<_> = self.run.engine.incidents().collect();
        incidents.sort_by_key(|incident| (incident.started, incident.id));
        let mut object = Object::begin();
        object.member("at", asked.at.to_string())?;
        object.member("policy", self.arguments.policy.name())?;
        if let Some((name, Range { from, until })) = self.period() {
            let period = json!({ "name": name, "from": from.to_string(), "until": until.to_string() });
            object.member("period", period)?;
        }
        object.array("services", services.into_iter().map(|view| objects::service(engine, view, asked)))?;
        object.array("groups", engine.groups().map(|view| objects::group(engine, view, asked)))?;
        object.array(
            "incidents",
            incidents.into_iter().map(|incident| objects::incident(&self.run.engine, incident, asked.at)),
        )?;
        let alerts = self.run.alerts.iter();
        object.array("alerts", alerts.map(|change| objects::alert(&change.alert, change.at, change.ended)))?;
        object.end()
    }
}
