//! `fournines replay`: the same engine over recorded events, offline, as fast as it goes.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::send::{open, progress};
use super::table::table;
use super::{Failure, settings};
use crate::daemon::decode_stored;
use crate::engine::{Engine, Input};
use crate::ingest::decode::{Gate, Layout, decode};
use crate::journal::open_reader;
use crate::model::alert::{Alert, AlertKey};
use crate::model::effect::{Effect, EffectKind};
use crate::model::time::{Instant, Window};
use crate::pipeline::apply_batch;
use crate::views::json as objects;

/// How much of a file is decoded at once.
const CHUNK_BYTES: usize = 4 * 1024 * 1024;
/// Rejected lines that are named; all of them are counted.
const NAMED_MAX: u64 = 20;

/// Runs the engine over recorded events, or over a storage directory's journal, and prints figures
#[derive(Debug, Args)]
#[command(
    after_help = "An NDJSON event counts as received at its own `time`, in the order of the file. A storage \
    directory's journal is read as it was received, under the policies that were in force.\n\nExamples:\n  \
    fournines replay events.ndjson\n  fournines replay --catalog services.csv --at 2026-04-01T00:00:00Z --format json \
    events.ndjson\n  fournines replay --as-known-at 2026-04-01T00:00:00Z fournines-data"
)]
pub(super) struct Arguments {
    /// The configuration, in TOML
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    config: Option<PathBuf>,
    /// A catalogue, instead of the configuration's
    #[arg(long, value_name = "FILE")]
    catalog: Option<PathBuf>,
    /// The instant of the figures; later events are left out. Without it, the time of the last event
    #[arg(long, value_name = "TIME")]
    at: Option<Instant>,
    /// Leave out what was received after this instant
    #[arg(long, value_name = "TIME")]
    as_known_at: Option<Instant>,
    /// How the answer is written
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// NDJSON files, `-` for standard input, or one storage directory
    #[arg(required = true, value_name = "EVENTS")]
    events: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut replay = Replay {
        arguments,
        engine: Engine::new(),
        last: None,
        alerts: Vec::new(),
        firing: BTreeMap::new(),
        rejected: 0,
    };
    match &*arguments.events {
        [folder] if folder.is_dir() => replay.journal(folder)?,
        files => {
            let settings = settings(arguments.config.as_ref(), arguments.catalog.as_ref())?;
            replay.apply(Instant::MIN, ("config", None), vec![Input::Policy(Box::new(settings.policy))]);
            let bar = progress(files);
            for path in files {
                replay.file(path, &bar)?;
            }
            bar.finish_and_clear();
        }
    }
    let at = arguments.at.or(replay.last).unwrap_or(Instant::from_micros(0));
    let mut effects = Vec::new();
    replay.engine.advance(at, &mut effects);
    replay.note(&effects);
    match arguments.format {
        Format::Json => println!("{}", replay.json(at)),
        Format::Table => print!("{}", replay.table(at)),
    }
    if replay.rejected > 0 {
        return Err(Failure::Failed(format!("{} events were rejected and are in no figure", replay.rejected)));
    }
    Ok(())
}

struct Replay<'a> {
    arguments: &'a Arguments,
    engine: Engine,
    /// The latest time of an event, or of receipt.
    last: Option<Instant>,
    /// What fired and what was over, in order.
    alerts: Vec<Value>,
    firing: BTreeMap<AlertKey, Alert>,
    rejected: u64,
}

impl Replay<'_> {
    /// Reads a storage directory's journal.
    fn journal(&mut self, folder: &Path) -> Result<(), Failure> {
        let failed = |error: crate::journal::JournalError| Failure::Failed(error.to_string());
        let journal = open_reader(folder).map_err(failed)?;
        journal
            .read_after(0, |stored| {
                if self.arguments.as_known_at.is_some_and(|known| stored.received > known) {
                    return Ok(());
                }
                let mut inputs = decode_stored(&stored)?;
                inputs.retain(|input| self.wanted(input));
                let source = (&*stored.source, stored.key.as_deref());
                self.last = self.last.max(Some(stored.received));
                self.apply(stored.received, source, inputs);
                Ok(())
            })
            .map_err(failed)
    }

    /// Reads an NDJSON file, piece by piece.
    fn file(&mut self, path: &Path, bar: &ProgressBar) -> Result<(), Failure> {
        let name = path.display().to_string();
        let failed = |error: std::io::Error| Failure::Failed(format!("{name}: {error}"));
        let mut input = open(path).map_err(failed)?;
        let gate = Gate::past(name.as_str().into());
        let mut piece = Vec::new();
        let mut line = 0;
        loop {
            let read = input.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut piece).map_err(failed)?;
            bar.inc(read as u64);
            let end = match piece.iter().rposition(|&byte| byte == b'\n') {
                Some(last) if read > 0 => last + 1,
                None if read > 0 => continue,
                _ => piece.len(),
            };
            let decoded = decode(Layout::Lines, &piece[..end], &gate);
            for rejection in &decoded.rejected {
                if self.rejected < NAMED_MAX {
                    bar.suspend(|| eprintln!("{name}:{}: {}", line + rejection.line, rejection.error));
                }
                self.rejected += 1;
            }
            self.rejected += decoded.rejected_total - decoded.rejected.len() as u64;
            for event in decoded.events {
                let time = event.time;
                let input = Input::Event(event);
                let known = self.arguments.as_known_at.is_none_or(|known| time <= known);
                if known && self.wanted(&input) {
                    self.last = self.last.max(Some(time));
                    self.apply(time, (&name, None), vec![input]);
                }
            }
            line += piece[..end].iter().filter(|&&byte| byte == b'\n').count() as u64;
            piece.drain(..end);
            if read == 0 {
                return Ok(());
            }
        }
    }

    fn wanted(&self, input: &Input) -> bool {
        match (input, self.arguments.at) {
            (Input::Event(event), Some(at)) => event.time <= at,
            _ => true,
        }
    }

    fn apply(&mut self, received: Instant, source: (&str, Option<&str>), inputs: Vec<Input>) {
        let mut effects = Vec::new();
        // What was received after the instant asked for is known, but the figures stay those of that instant.
        let received = self.arguments.at.map_or(received, |at| received.min(at));
        apply_batch(&mut self.engine, received, source, inputs, &mut effects, |_, _| {});
        self.note(&effects);
    }

    /// Keeps what began and what was over; an alert that fires on with other facts is neither.
    fn note(&mut self, effects: &[Effect]) {
        for effect in effects {
            match &effect.kind {
                EffectKind::Fire(alert) => {
                    if self.firing.insert(alert.key.clone(), alert.clone()).is_none() {
                        self.alerts.push(objects::alert(alert, effect.at, None));
                    }
                }
                EffectKind::Resolve(alert, ended) => {
                    self.firing.remove(&alert.key);
                    self.alerts.push(objects::alert(alert, effect.at, Some(*ended)));
                }
                EffectKind::Record(_) => {}
            }
        }
    }

    fn json(&self, at: Instant) -> Value {
        let mut services: Vec<_> = self.engine.services().collect();
        services.sort_by_key(|view| view.name());
        let mut incidents: Vec<_> = self.engine.incidents().collect();
        incidents.sort_by_key(|incident| (incident.started, incident.id));
        json!({
            "at": at.to_string(),
            "services": services.into_iter().map(|view| objects::service(&self.engine, view, at)).collect::<Vec<_>>(),
            "groups": self.engine.groups().map(|view| objects::group(&self.engine, view, at)).collect::<Vec<_>>(),
            "incidents": incidents.into_iter().map(|incident| objects::incident(incident, at)).collect::<Vec<_>>(),
            "alerts": self.alerts,
        })
    }

    fn table(&self, at: Instant) -> String {
        let mut services: Vec<_> = self.engine.services().collect();
        services.sort_by_key(|view| view.name());
        let heading =
            ["SERVICE", "STATE", "24h %", "7d %", "30d %", "90d %", "DOWN 30d", "OUTAGES 30d", "MTTR 30d"];
        let rows: Vec<Vec<String>> = services
            .iter()
            .map(|view| {
                let percent =
                    |window| view.figures(window, at).availability_percent().unwrap_or_else(|| "-".into());
                let month = view.figures(Window::Month, at);
                let mttr = month.mttr_seconds().map_or_else(|| "-".to_owned(), |s| format!("{s:.0} s"));
                vec![
                    view.name().to_string(),
                    view.state(at).name().to_owned(),
                    percent(Window::Day),
                    percent(Window::Week),
                    percent(Window::Month),
                    percent(Window::Quarter),
                    format!("{:.0} s", month.downtime_seconds()),
                    month.tallies.outages.to_string(),
                    mttr,
                ]
            })
            .collect();
        let open = self.engine.incidents().filter(|incident| incident.status.is_open()).count();
        let all = self.engine.incidents().count();
        format!(
            "{}\nat {at}: {} services, {all} incidents, {open} of them open, {} alerts fired\n",
            table(&heading, &rows),
            rows.len(),
            self.alerts.iter().filter(|alert| alert["status"] == "firing").count()
        )
    }
}
