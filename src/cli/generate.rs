//! `fournines generate`: writes what happens in a simulated network as NDJSON.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, IsTerminal, Write, stdout};
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::ProgressBar;

use super::Failure;
use super::output::unwritten;
use super::send::bar;
use crate::model::time::{Instant, Span};
use crate::simulate::Network;

/// What is written at once.
const BUFFER_BYTES: usize = 256 * 1024;
/// The bar moves after so many events: some dozen times a second.
const BAR_EVENTS: u64 = 50_000;

/// Writes the events of a simulated national network as NDJSON, for load tests and demos
#[derive(Debug, Args)]
#[command(
    after_help = "The same options give the same bytes. Mostly latency samples, one a site every five minutes; the rest \
    are outages, repairs and maintenance of a lively day. A daemon takes no event that lies ahead of its clock: mind \
    --start.\n\nExamples:\n  \
    fournines generate --events 1000000 --output events.ndjson --catalog services.csv\n  \
    fournines generate --sites 5000 --for 6h | fournines send -"
)]
pub(super) struct Arguments {
    /// How many sites the network has
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    sites: u32,
    /// The same seed gives the same network and the same troubles
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// When it begins
    #[arg(long, value_name = "TIME", default_value = "2026-01-01T00:00:00Z")]
    start: Instant,
    #[command(flatten)]
    end: End,
    /// How often the latency of each site is told: the longer, the more of the events are outages and repairs
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = some_time)]
    sample_every: Span,
    /// Where the events go, instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Where the network's catalogue goes, as CSV
    #[arg(long, value_name = "FILE")]
    catalog: Option<PathBuf>,
}

/// When it ends: one of these.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct End {
    /// How many events are written
    #[arg(long, value_name = "N")]
    events: Option<u64>,
    /// How much time of the network is told
    #[arg(long = "for", value_name = "DURATION")]
    length: Option<Span>,
    /// The instant before which all events lie
    #[arg(long, value_name = "TIME")]
    until: Option<Instant>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let limits = Limits::of(arguments)?;
    let network = Network::new(arguments.sites as usize, arguments.seed);
    if let Some(path) = &arguments.catalog {
        std::fs::write(path, network.catalog_csv()).map_err(|error| unwritable(path, &error))?;
    }
    let quiet = arguments.output.is_none() && stdout().is_terminal();
    let bar = if quiet { ProgressBar::hidden() } else { limits.bar(arguments) };
    let written = match &arguments.output {
        Some(path) => {
            let file = File::create(path).map_err(|error| unwritable(path, &error))?;
            write(arguments, &network, &limits, &bar, file).map_err(|error| unwritable(path, &error))
        }
        None => match write(arguments, &network, &limits, &bar, stdout().lock()) {
            // Whoever read it has enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            written => written.map_err(unwritten),
        },
    };
    bar.finish_and_clear();
    written
}

fn write(
    arguments: &Arguments,
    network: &Network,
    limits: &Limits,
    bar: &ProgressBar,
    out: impl Write,
) -> std::io::Result<()> {
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, out);
    let events = network.events(arguments.start, arguments.seed).sampled_every(arguments.sample_every);
    for (number, event) in (0..limits.events).zip(events) {
        if event.time >= limits.until {
            break;
        }
        out.write_all(event.line.as_bytes())?;
        out.write_all(b"\n")?;
        if number % BAR_EVENTS == 0 {
            bar.set_position(limits.position(arguments, number, event.time));
        }
    }
    out.flush()
}

/// Whichever is reached first.
struct Limits {
    events: u64,
    until: Instant,
}

impl Limits {
    fn of(arguments: &Arguments) -> Result<Self, Failure> {
        let End { events, length, until } = arguments.end;
        let until = length.map(|length| arguments.start.plus(length)).or(until);
        if until.is_some_and(|until| until <= arguments.start) {
            let start = arguments.start;
            return Err(Failure::Wrong(format!("nothing to write: the end is not after --start {start}")));
        }
        Ok(Self { events: events.unwrap_or(u64::MAX), until: until.unwrap_or(Instant::MAX) })
    }

    fn bar(&self, arguments: &Arguments) -> ProgressBar {
        if self.until == Instant::MAX {
            return bar(self.events, "{wide_bar} {human_pos}/{human_len} events  {per_sec}  {eta} left");
        }
        bar(minutes(self.until.since(arguments.start)), "{wide_bar} {percent} %  {eta} left")
    }

    /// How far the bar is, in what it counts.
    fn position(&self, arguments: &Arguments, events: u64, time: Instant) -> u64 {
        if self.until == Instant::MAX { events } else { minutes(time.since(arguments.start)) }
    }
}

fn minutes(span: Span) -> u64 {
    u64::try_from(span.as_micros() / 60_000_000).unwrap_or(0)
}

fn some_time(text: &str) -> Result<Span, String> {
    match text.parse()? {
        Span::ZERO => Err("it cannot be told all the time: say a duration such as `5m`".to_owned()),
        span => Ok(span),
    }
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Failed(format!("{}: {error}", path.display()))
}
