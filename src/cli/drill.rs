//! `fournines drill run`: plays a scenario against a running daemon, and says how people and daemon did.

mod evaluation;
mod play;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::output::{print, unwritten};
use super::poster::Poster;
use super::replay::Format;
use super::send::read_token;
use super::{Failure, asked_to_stop, runtime};
use crate::config::{Mistake, Mistakes, Scenario, read_scenario};
use crate::ingest::decode::{Gate, Layout, decode};
use evaluation::Evaluation;
use play::Player;

/// Plays a drill against a running daemon, and prints its evaluation
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  fournines drill run deploy/drills/ring-cut.toml")]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(Run),
}

/// Plays a scenario in real time, waits for people to respond, and prints the evaluation
#[derive(Debug, Args)]
#[command(
    after_help = "Its events carry `drill`, the scenario's name and when this run began, so they count in no figure of \
    the network, and what they page has the label `drill`. People respond as they would in earnest; a scenario may \
    also respond by itself. After the last step they are waited for until every interruption of the drill is \
    confirmed to be over, or `wait` has passed; what is still out then, or at Ctrl-C, is ended.\n\nWith --speed the \
    times of the evaluation are the scenario's: so many times those that passed. The daemon's own limits and levels \
    go on in real time.\n\nIt exits with 0 when the scenario was played to its end, whatever came of it, and with 1 \
    when it could not be.\n\nExamples:\n  \
    fournines drill run deploy/drills/ring-cut.toml\n  fournines drill run --url http://127.0.0.1:9940 --format json \
    deploy/drills/ddos.toml"
)]
struct Run {
    /// The daemon
    #[arg(long, value_name = "U", default_value = "http://127.0.0.1:9940")]
    url: String,
    /// A file with the token to send along
    #[arg(long, value_name = "F")]
    token_file: Option<PathBuf>,
    /// How many times faster than real time it is played
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=3600))]
    speed: u32,
    /// How the evaluation is written
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// The scenario, in TOML
    #[arg(value_name = "SCENARIO.toml")]
    scenario: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Command::Run(arguments) = &arguments.command;
    let scenario = read(&arguments.scenario)?;
    let token = arguments.token_file.as_deref().map(read_token).transpose()?;
    let poster = Poster::new(&arguments.url, token).map_err(Failure::Wrong)?;
    runtime()?.block_on(async {
        let mut player = Player::new(&scenario, &poster, arguments.speed);
        player.look_around().await.map_err(Failure::Failed)?;
        let played = tokio::select! {
            played = player.play() => played,
            () = asked_to_stop() => Err("it was stopped before its end".to_owned()),
        };
        let finish = async {
            let incidents = player.incidents_at_last().await;
            player.tidy_up(incidents.as_deref().unwrap_or_default()).await;
            incidents
        };
        let incidents = tokio::select! {
            incidents = finish => incidents,
            () = asked_to_stop() => Err(format!("stopped again: what the drill {} began goes on", player.drill)),
        };
        let incidents = incidents.map_err(|error| Failure::Failed(played.clone().err().unwrap_or(error)))?;
        let evaluation = Evaluation::of(&scenario, &player, &incidents, played.is_ok());
        print(&match arguments.format {
            Format::Json => format!("{}\n", evaluation.json()),
            Format::Table => evaluation.table(),
        })
        .map_err(unwritten)?;
        played.map_err(Failure::Failed)
    })
}

/// Reads a scenario, and checks all of it before anything is sent.
fn read(path: &Path) -> Result<Scenario, Failure> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| Failure::Wrong(format!("{file}: {error}")))?;
    let scenario = read_scenario(&file, &text).map_err(|mistakes| wrong(&mistakes))?;
    let mut mistakes = Vec::new();
    for (number, step) in scenario.steps.iter().enumerate() {
        // The daemon reads it by the same code.
        let event = play::event(step, crate::model::time::Instant::from_micros(0), "", number);
        let decoded = decode(Layout::Json, event.to_string().as_bytes(), &Gate::past("drill".into()));
        mistakes.extend(decoded.rejected.into_iter().map(|rejection| Mistake {
            place: step.place.clone(),
            key: format!("step[{number}]"),
            problem: rejection.error,
        }));
    }
    if mistakes.is_empty() { Ok(scenario) } else { Err(wrong(&Mistakes(mistakes))) }
}

fn wrong(mistakes: &Mistakes) -> Failure {
    let count = mistakes.0.len();
    let noun = if count == 1 { "mistake" } else { "mistakes" };
    Failure::Wrong(format!("{mistakes}\n{count} {noun} in the scenario; nothing was sent"))
}
