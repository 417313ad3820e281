//! The command line: one file a subcommand, each of which reads its arguments and calls the room that does it.
//! Data goes to standard output, everything else to standard error.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is the command line")]

mod backtest;
mod check;
mod demo;
mod drill;
mod flow;
mod generate;
mod output;
mod poster;
mod recording;
mod replay;
mod report;
mod run;
mod send;
mod serve;
mod table;
mod top;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Mistakes, Settings, Sources};

/// Computes network SLA figures exactly, in event time, and pages the instant a rule comes to hold.
#[derive(Debug, Parser)]
#[command(name = "fournines", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Arguments),
    Demo(demo::Arguments),
    Check(check::Arguments),
    Replay(replay::Arguments),
    Backtest(backtest::Arguments),
    Report(report::Arguments),
    Send(send::Arguments),
    Top(top::Arguments),
    Verify(verify::Arguments),
    Drill(drill::Arguments),
    Generate(generate::Arguments),
}

/// Why a command did not succeed.
#[derive(Debug)]
enum Failure {
    /// The call or the configuration is wrong: exit 2.
    Wrong(String),
    /// It failed while running: exit 1.
    Failed(String),
}

/// Reads the arguments and does what they say.
#[must_use]
pub fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Backtest(arguments) => backtest::run(&arguments),
        Command::Report(arguments) => report::run(&arguments),
        Command::Send(arguments) => send::run(&arguments),
        Command::Top(arguments) => top::run(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Drill(arguments) => drill::run(&arguments),
        Command::Generate(arguments) => generate::run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Wrong(error)) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
        Err(Failure::Failed(error)) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

impl From<Mistakes> for Failure {
    fn from(mistakes: Mistakes) -> Self {
        let count = mistakes.0.len();
        let noun = if count == 1 { "mistake" } else { "mistakes" };
        Self::Wrong(format!("{mistakes}\n{count} {noun} in the configuration"))
    }
}

/// The settings that a command works by.
fn settings(file: Option<&PathBuf>, catalog: Option<&PathBuf>) -> Result<Settings, Mistakes> {
    Settings::load(&sources(file, catalog))
}

/// Where settings come from, besides the built-in ones.
fn sources(file: Option<&PathBuf>, catalog: Option<&PathBuf>) -> Sources {
    Sources {
        file: file.cloned(),
        catalog: catalog.cloned(),
        environment: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
    }
}

/// A variable of the environment; one that is empty is none.
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A runtime for commands that wait for something.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Runtime::new().map_err(|error| Failure::Failed(format!("no runtime: {error}")))
}

/// Waits for the operator or the system to ask for the end.
async fn asked_to_stop() {
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signals) => {
                signals.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}
