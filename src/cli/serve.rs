//! `fournines serve`: the daemon.

use std::path::PathBuf;

use clap::Args;

use super::{Failure, asked_to_stop, runtime, sources};
use crate::clock::Clock;
use crate::config::Settings;
use crate::daemon::Daemon;
use crate::pipeline::Early;
use crate::telemetry::log_to_stderr;

/// Runs the daemon until it is told to stop
#[derive(Debug, Args)]
#[command(after_help = "With no configuration at all it runs: storage in ./fournines-data, listening on \
    127.0.0.1:9940, no alert receiver.\n\nExample:\n  fournines serve -c /etc/fournines/fournines.toml")]
pub(super) struct Arguments {
    /// The configuration, in TOML
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let draft = Settings::draft(&sources(arguments.config.as_ref(), None))?;
    // Both take seconds where there are a million services.
    let early = Early::begin(&draft.storage.path);
    // On a thread of its own, which the allocator gives all memory of back when a catalogue of a million is let go of.
    let settings = std::thread::scope(|scope| scope.spawn(|| draft.finish()).join());
    let settings = settings.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    log_to_stderr(settings.log_format, &settings.log_level).map_err(Failure::Wrong)?;
    runtime()?.block_on(async {
        let receivers = settings.alerting.receivers.clone();
        let daemon = Daemon::start(settings, Clock::system(), early).await;
        let daemon = daemon.map_err(|error| Failure::Failed(error.to_string()))?;
        tracing::info!(address = %daemon.address, version = env!("CARGO_PKG_VERSION"), "ready");
        if receivers.is_empty() {
            tracing::warn!("no alert receiver is configured: nobody is paged; add [[alerting.alertmanagers]] or [[alerting.webhooks]]");
        }
        until_told(&daemon).await;
        daemon.ended().await.map_err(|error| Failure::Failed(error.to_string()))
    })
}

/// Waits for the first signal, which asks the daemon to stop; a second one ends the process at once.
async fn until_told(daemon: &Daemon) {
    tokio::select! {
        () = asked_to_stop() => tracing::info!("stopping: finishing what was taken in; once more to end at once"),
        () = daemon.ending() => {}
    }
    daemon.stop();
    tokio::spawn(async {
        asked_to_stop().await;
        std::process::exit(1);
    });
}
