//! `fournines backtest`: which alerts and figures would have differed under another configuration.
//!
//! Two engines go over the same inputs side by side. They differ in the policy that they are given and in nothing else.

mod alerts;
mod figures;
mod print;

use std::path::PathBuf;

use clap::Args;

use super::output::unwritten;
use super::recording::{Batch, Recording, Summary};
use super::replay::Format;
use super::run::Run;
use super::{Failure, settings};
use crate::engine::{Engine, Input};
use crate::model::policy::Policy;
use crate::model::time::Instant;

/// Prints which alerts and figures would have differed under another configuration
#[derive(Debug, Args)]
#[command(
    after_help = "Before is what the policies of a storage directory's journal gave, or with NDJSON what --base gives, \
    or else the built-in configuration. After is what the new configuration would have given from the beginning. A \
    configuration that names no catalogue is run with the other one's. That something differs is no failure.\n\n\
    Examples:\n  fournines backtest -c new.toml fournines-data\n  fournines backtest -c new.toml --base fournines.toml \
    --catalog services.csv --at 2026-04-01T00:00:00Z events.ndjson"
)]
pub(super) struct Arguments {
    /// The new configuration, in TOML
    #[arg(short = 'c', long = "config", value_name = "NEW")]
    config: PathBuf,
    /// The configuration to compare it with; for NDJSON only
    #[arg(long, value_name = "OLD")]
    base: Option<PathBuf>,
    /// A catalogue, instead of the configurations'
    #[arg(long, value_name = "FILE")]
    catalog: Option<PathBuf>,
    /// How the answer is written
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Every row of every table, however many; JSON always has them
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    recording: Recording,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let new = settings(Some(&arguments.config), arguments.catalog.as_ref())?.policy;
    let mut pair = match arguments.recording.storage() {
        None => Pair::of_files(arguments, new)?,
        Some(_) if arguments.base.is_some() => {
            return Err(Failure::Wrong(
                "--base: a storage directory is compared with the policies in its own journal; leave it out"
                    .to_owned(),
            ));
        }
        Some(_) => Pair { new, begun: false, before: Run::default(), after: Run::default() },
    };
    let summary = arguments.recording.read(None, |batch| pair.apply(batch))?;
    let at = arguments.recording.at(&summary);
    let [before, after] = [pair.before, pair.after].map(|run| {
        let mut ended = run.finish(at);
        // A drill wakes those who wait for it: it says nothing of what a rule costs.
        ended.alerts.retain(|change| change.alert.key.drill().is_none());
        ended
    });
    let comparison = Comparison {
        arguments,
        summary: &summary,
        at,
        counts: alerts::counts(&before.alerts, &after.alerts),
        alerts: alerts::differences(&before.alerts, &after.alerts),
        figures: figures::differences(&before.engine, &after.engine, at),
        engines: [&before.engine, &after.engine],
    };
    match arguments.format {
        Format::Json => comparison.json(),
        Format::Table => super::output::print(&comparison.table()),
    }
    .map_err(unwritten)?;
    summary.complete()
}

/// Both runs.
struct Pair {
    new: Policy,
    /// Whether the new policy is in force already.
    begun: bool,
    before: Run,
    after: Run,
}

impl Pair {
    fn of_files(arguments: &Arguments, mut new: Policy) -> Result<Self, Failure> {
        let mut base = settings(arguments.base.as_ref(), arguments.catalog.as_ref())?.policy;
        if new.services.is_empty() {
            new.services.clone_from(&base.services);
        } else if base.services.is_empty() {
            base.services.clone_from(&new.services);
        }
        Ok(Self { before: Run::under(base), after: Run::under(new.clone()), begun: true, new })
    }

    /// Gives both the same, but for policies.
    fn apply(&mut self, batch: Batch<'_>) {
        if self.begun && !batch.inputs.iter().any(|(_, input)| matches!(input, Input::Policy(_))) {
            self.after.apply(batch);
            self.before.apply(batch);
            return;
        }
        let mut inputs = batch.inputs.to_vec();
        for (_, input) in &mut inputs {
            if let Input::Policy(policy) = input {
                **policy = self.instead_of(policy);
                self.begun = true;
            }
        }
        if let (false, Some(&(received, _))) = (self.begun, inputs.first()) {
            inputs.insert(0, (received, Input::Policy(Box::new(self.new.clone()))));
            self.begun = true;
        }
        self.after.apply(Batch { inputs: &inputs, ..batch });
        self.before.apply(batch);
    }

    /// The new policy in place of one in the journal.
    fn instead_of(&self, decided: &Policy) -> Policy {
        let services = if self.new.services.is_empty() { &decided.services } else { &self.new.services };
        Policy { services: services.clone(), ..self.new.clone() }
    }
}

/// What comes of it.
struct Comparison<'a> {
    arguments: &'a Arguments,
    summary: &'a Summary,
    /// Before and after.
    engines: [&'a Engine; 2],
    at: Instant,
    counts: Vec<alerts::Count>,
    alerts: Vec<alerts::Difference>,
    figures: Vec<figures::Difference>,
}

impl Comparison<'_> {
    /// What before and after were run under.
    fn configurations(&self) -> [String; 2] {
        let Arguments { config, base, recording, .. } = self.arguments;
        let before = match (recording.storage(), base) {
            (Some(folder), _) => format!("the policies in {}", folder.display()),
            (None, Some(base)) => base.display().to_string(),
            (None, None) => "the built-in configuration".to_owned(),
        };
        [before, config.display().to_string()]
    }
}
