//! `fournines send`: posts recorded events to a daemon.

use std::io::{BufRead, BufReader, IsTerminal, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::ProgressBar;

use super::poster::{Answer, Poster};
use super::{Failure, runtime};

/// The size of one body: some thousands of events, so that an answer comes several times a second.
const BODY_BYTES: usize = 512 * 1024;

/// Posts events to a daemon in batches, with retries, and says what was rejected and where
#[derive(Debug, Args)]
#[command(after_help = "Sending a file again is harmless as long as its events have an `id`.\n\nExample:\n  \
    fournines send --url http://127.0.0.1:9940 events.ndjson")]
pub(super) struct Arguments {
    /// The daemon
    #[arg(long, value_name = "U", default_value = "http://127.0.0.1:9940")]
    url: String,
    /// A file with the token to send along
    #[arg(long, value_name = "F")]
    token_file: Option<PathBuf>,
    /// NDJSON files; `-` is standard input
    #[arg(required = true, value_name = "EVENTS")]
    events: Vec<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let token = arguments.token_file.as_deref().map(read_token).transpose()?;
    let poster = Poster::new(&arguments.url, token).map_err(Failure::Wrong)?;
    let bar = progress(&arguments.events);
    let total = runtime()?.block_on(async {
        let mut total = Answer::default();
        for path in &arguments.events {
            send_file(&poster, path, &bar, &mut total).await?;
        }
        Ok::<_, Failure>(total)
    })?;
    bar.finish_and_clear();
    println!("accepted {}, duplicates {}, rejected {}", total.accepted, total.duplicates, total.rejected_total);
    if total.rejected_total > 0 {
        return Err(Failure::Failed(format!("{} events were rejected", total.rejected_total)));
    }
    Ok(())
}

/// The token in a file.
pub(super) fn read_token(path: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(path);
    text.map(|text| text.trim().to_owned()).map_err(|error| Failure::Wrong(format!("{}: {error}", path.display())))
}

async fn send_file(poster: &Poster, path: &Path, bar: &ProgressBar, total: &mut Answer) -> Result<(), Failure> {
    let name = path.display();
    let failed = |error: std::io::Error| Failure::Failed(format!("{name}: {error}"));
    let mut input = open(path).map_err(failed)?;
    let mut first_line = 1;
    loop {
        let mut body = Vec::with_capacity(BODY_BYTES);
        let mut lines = 0;
        while body.len() < BODY_BYTES && input.read_until(b'\n', &mut body).map_err(failed)? > 0 {
            lines += 1;
        }
        if body.is_empty() {
            return Ok(());
        }
        let answer = poster.post(&body).await.map_err(|error| {
            Failure::Failed(format!("{name}: from line {first_line} on nothing was sent: {error}"))
        })?;
        for rejection in &answer.rejected {
            bar.suspend(|| eprintln!("{name}:{}: {}", first_line + rejection.line - 1, rejection.error));
        }
        let unlisted = answer.rejected_total.saturating_sub(answer.rejected.len() as u64);
        if unlisted > 0 {
            bar.suspend(|| {
                eprintln!("{name}: and {unlisted} more in lines {first_line} to {}", first_line + lines - 1);
            });
        }
        bar.inc(body.len() as u64);
        total.accepted += answer.accepted;
        total.duplicates += answer.duplicates;
        total.rejected_total += answer.rejected_total;
        first_line += lines;
    }
}

/// A file to read, or with `-` standard input.
pub(super) fn open(path: &Path) -> std::io::Result<BufReader<Box<dyn Read + Send>>> {
    let input: Box<dyn Read + Send> =
        if path == Path::new("-") { Box::new(std::io::stdin()) } else { Box::new(std::fs::File::open(path)?) };
    Ok(BufReader::new(input))
}

/// A progress bar over the bytes of all files; hidden when nobody looks.
pub(super) fn progress(files: &[PathBuf]) -> ProgressBar {
    let bytes = files.iter().filter_map(|path| std::fs::metadata(path).ok()).map(|data| data.len()).sum();
    bar(bytes, "{wide_bar} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left")
}

/// A progress bar of a length; hidden when nobody looks.
pub(super) fn bar(length: u64, style: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(length);
    bar.set_style(
        indicatif::ProgressStyle::with_template(style).unwrap_or_else(|_| indicatif::ProgressStyle::default_bar()),
    );
    bar
}
