//! `fournines demo`: the real daemon on a temporary folder, fed over HTTP by a simulated network, sped up.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::poster::Poster;
use super::{Failure, asked_to_stop, runtime};
use crate::clock::Clock;
use crate::config::{LogFormat, Settings, Sources};
use crate::daemon::Daemon;
use crate::simulate::Network;
use crate::telemetry::log_to_stderr;

/// How often what happened in the network is sent.
const BEAT: Duration = Duration::from_millis(250);

/// Runs the daemon on a temporary folder, fed by a simulated national network, until Ctrl-C
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  fournines demo --sites 300 --speed 60")]
pub(super) struct Arguments {
    /// How many sites the network has
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    sites: u32,
    /// How many times faster than real time it runs
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=3600))]
    speed: u32,
    /// The same seed gives the same network and the same troubles
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:9940")]
    listen: SocketAddr,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::Failed(error.to_string());
    log_to_stderr(LogFormat::Text, "warn").map_err(Failure::Wrong)?;
    let folder = tempfile::tempdir().map_err(|error| failed(&error))?;
    let network = Network::new(arguments.sites as usize, arguments.seed);
    let catalog = folder.path().join("services.csv");
    std::fs::write(&catalog, network.catalog_csv()).map_err(|error| failed(&error))?;
    let settings = settings(arguments, folder.path(), catalog)?;
    runtime()?.block_on(async {
        let clock = Clock::fast(arguments.speed);
        let daemon = Daemon::start(settings, clock.clone(), None).await.map_err(|error| failed(&error))?;
        println!("{}", what_to_open(arguments, &daemon, network.service_count(), folder.path()));
        let feed = feed(&network, arguments.seed, &clock, format!("http://{}", daemon.address));
        tokio::select! {
            fed = feed => fed?,
            () = asked_to_stop() => eprintln!("\nstopping"),
            () = daemon.ending() => {}
        }
        daemon.stop();
        daemon.ended().await.map_err(|error| failed(&error))
    })
}

fn settings(arguments: &Arguments, folder: &Path, catalog: PathBuf) -> Result<Settings, Failure> {
    let mut settings = Settings::load(&Sources { catalog: Some(catalog), ..Sources::default() })?;
    if !arguments.listen.ip().is_loopback() {
        return Err(Failure::Wrong(format!("--listen {}: the demo listens on loopback only", arguments.listen)));
    }
    settings.server.listen = arguments.listen;
    settings.storage.path = folder.join("data");
    Ok(settings)
}

/// Sends what happens in the network when it happens.
async fn feed(network: &Network, seed: u64, clock: &Clock, url: String) -> Result<(), Failure> {
    let poster = Poster::new(&url, None).map_err(Failure::Failed)?;
    let mut events = network.events(clock.now(), seed).peekable();
    loop {
        let now = clock.now();
        let mut lines = Vec::new();
        while let Some(event) = events.next_if(|event| event.time <= now) {
            lines.extend_from_slice(event.line.as_bytes());
            lines.push(b'\n');
        }
        if !lines.is_empty() {
            let answer = poster.post(&lines).await.map_err(Failure::Failed)?;
            if let Some(rejection) = answer.rejected.first() {
                return Err(Failure::Failed(format!("an event was rejected: {}", rejection.error)));
            }
        }
        tokio::time::sleep(BEAT).await;
    }
}

fn what_to_open(arguments: &Arguments, daemon: &Daemon, services: usize, folder: &Path) -> String {
    let base = format!("http://{}", daemon.address);
    let Arguments { sites, speed, seed, .. } = arguments;
    format!(
        "A simulated network of {sites} sites ({services} services, seed {seed}) runs {speed} times as fast as real time.\n\
         Give it a minute, then open\n\n  \
         {base}/                                    the board\n  \
         {base}/api/v1/status                       how it is doing\n  \
         {base}/api/v1/incidents?status=open        what is out\n  \
         {base}/api/v1/incidents?level=1            major interruptions\n  \
         {base}/api/v1/services?state=down          services that are down, with their figures\n  \
         {base}/metrics                             for Prometheus: deploy/prometheus/prometheus.yml\n\n\
         Everything is kept in {} until Ctrl-C.",
        folder.display()
    )
}
