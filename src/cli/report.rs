//! `fournines report`: what a period came to, asked of a daemon or made anew from a storage folder's journal.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::output::unwritten;
use super::poster::Poster;
use super::recording::{Beginning, Recording};
use super::run::Run;
use super::send::read_token;
use super::{Failure, runtime, settings};
use crate::clock::Clock;
use crate::journal::file_in;
use crate::model::calendar::Calendar;
use crate::model::time::Instant;
use crate::store::reports::{Frozen, Reports, head_at};
use crate::views::report::routes::{Format, Language, language, possible};
use crate::views::report::{Origin, Previous, Report, Wanted, make};

/// What may stand in a path as it is.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b':');

/// Prints what a period came to: every target with its verdict, worst services, causes, repairs, incidents
#[derive(Debug, Args)]
#[command(
    after_help = "With --url the daemon is asked. Otherwise the report is made anew from the journal of the storage folder \
    that the configuration names; of a month or quarter that is frozen, as it was known then, and the command fails if that \
    is not what was frozen. A range ends before its second date.\n\nExamples:\n  fournines report 2026-03 --url \
    http://127.0.0.1:9940\n  fournines report 2026-Q1 -c fournines.toml --format csv > 2026-Q1.csv\n  fournines report \
    2026-03-01..2026-03-15 -c fournines.toml --format md"
)]
pub(super) struct Arguments {
    /// The period: 2026-03, 2026-Q1, 2026, 2026-03-14, or FROM..UNTIL of dates in the network's zone or RFC 3339 instants
    #[arg(value_name = "PERIOD")]
    period: String,
    /// The daemon to ask
    #[arg(long, value_name = "U", conflicts_with_all = ["config", "as_known_at", "at"])]
    url: Option<String>,
    /// A file with the token to send along
    #[arg(long, value_name = "F", requires = "url")]
    token_file: Option<PathBuf>,
    /// The configuration that names the storage folder
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How it is written; csv begins with the mark of UTF-8, for spreadsheets
    #[arg(long, default_value = "md", value_name = "html|csv|json|md", value_parser = Format::named)]
    format: Format,
    /// The language of HTML
    #[arg(long, default_value = "en", value_name = "en|zh", value_parser = language)]
    lang: Language,
    /// Which revision of a frozen one, from 1 on; the last one if it is not said. 0 is what the journal amounts to
    #[arg(long, value_name = "N")]
    revision: Option<u32>,
    /// Leave out what was received after this instant
    #[arg(long, value_name = "TIME")]
    as_known_at: Option<Instant>,
    /// The instant at which it is made, for a period that was not over then. Without it: as it was known, or now
    #[arg(long, value_name = "TIME")]
    at: Option<Instant>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let written = match &arguments.url {
        Some(url) => asked(arguments, url)?,
        None => made(arguments)?,
    };
    let mut out = std::io::stdout().lock();
    out.write_all(&written).and_then(|()| out.flush()).map_err(unwritten)
}

/// As the daemon answers.
fn asked(arguments: &Arguments, url: &str) -> Result<Vec<u8>, Failure> {
    let token = arguments.token_file.as_deref().map(read_token).transpose()?;
    let poster = Poster::new(url, token).map_err(Failure::Wrong)?;
    let period = utf8_percent_encode(&arguments.period, KEPT);
    let revision = arguments.revision.map(|number| format!("&revision={number}")).unwrap_or_default();
    let lang = if arguments.lang == Language::Chinese { "zh" } else { "en" };
    let path = format!("/api/v1/reports/{period}?format={}&lang={lang}{revision}", arguments.format.name());
    let answer = runtime()?.block_on(poster.fetch(&path));
    answer.map(|body| body.to_vec()).map_err(Failure::Failed)
}

/// Made anew.
fn made(arguments: &Arguments) -> Result<Vec<u8>, Failure> {
    let settings = settings(arguments.config.as_ref(), None)?;
    let base = settings.server.external_url.clone().unwrap_or_else(|| format!("http://{}", settings.server.listen));
    let folder = &settings.storage.path;
    let calendar = Calendar::new(&settings.policy.time_zone).unwrap_or_default();
    let wanted = Wanted::read(&calendar, &arguments.period).map_err(|error| Failure::Wrong(error.to_string()))?;
    let broken = |error: rusqlite::Error| Failure::Failed(format!("{}: {error}", file_in(folder).display()));
    let reports = Reports::open(&file_in(folder)).map_err(broken)?;
    let report = match chosen(arguments, &wanted, reports.all().map_err(broken)?)? {
        Some(frozen) => {
            let before = frozen.revision.checked_sub(1).filter(|&before| before > 0);
            let before = match before {
                Some(_) => reports.get(&frozen.period, before).map_err(broken)?,
                None => None,
            };
            let again = again(folder, &wanted, &frozen, before.as_ref())?;
            let kept = reports.get(&frozen.period, Some(frozen.revision)).map_err(broken)?;
            let bytes = json(&again)?;
            if kept.is_none_or(|(_, body)| body != bytes) {
                return Err(Failure::Failed(format!(
                    "{}: revision {} of {} is not what the journal amounts to as known at {}; `fournines verify` says \
                     what is damaged, and --as-known-at {} with --revision 0 prints what it amounts to",
                    folder.display(),
                    frozen.revision,
                    frozen.period,
                    frozen.known_at,
                    frozen.known_at
                )));
            }
            bytes
        }
        None => json(&from_journal(folder, &wanted, arguments.as_known_at, arguments.at)?)?,
    };
    arguments.format.write(&report, &base, arguments.lang).map_err(Failure::Failed)
}

/// The frozen revision that is asked for.
fn chosen(arguments: &Arguments, wanted: &Wanted, all: Vec<Frozen>) -> Result<Option<Frozen>, Failure> {
    let known = |frozen: &Frozen| arguments.as_known_at.is_none_or(|known| frozen.known_at <= known);
    let mut own = all.into_iter().filter(|frozen| frozen.period == wanted.name);
    match arguments.revision {
        Some(0) => Ok(None),
        None if arguments.at.is_some() => Ok(None),
        None => Ok(own.rfind(known)),
        Some(number) => match own.find(|frozen| frozen.revision == number) {
            Some(frozen) => Ok(Some(frozen)),
            None => Err(Failure::Wrong(format!("--revision: {} has no revision {number}", wanted.name))),
        },
    }
}

/// A frozen revision, made anew.
fn again(
    folder: &Path,
    wanted: &Wanted,
    frozen: &Frozen,
    before: Option<&(Frozen, Vec<u8>)>,
) -> Result<Report, Failure> {
    let range = crate::model::calendar::Range { from: frozen.from, until: frozen.until };
    let wanted = Wanted { range, ..wanted.clone() };
    let report = from_journal(folder, &wanted, Some(frozen.known_at), Some(frozen.made))?;
    let previous = before.map(|(frozen, body)| Previous { number: frozen.revision, sha256: &frozen.sha256, body });
    let failed = |problem: String| Failure::Failed(format!("{}: {problem}", folder.display()));
    let revised = report.revised(previous).map_err(|error| failed(error.to_string()))?;
    revised.ok_or_else(|| failed(format!("revision {} of {} corrects nothing", frozen.revision, frozen.period)))
}

fn from_journal(
    folder: &Path,
    wanted: &Wanted,
    as_known_at: Option<Instant>,
    at: Option<Instant>,
) -> Result<Report, Failure> {
    let recording = Recording::of(folder.to_owned(), as_known_at);
    let mut run = Run::default();
    let beginning = recording.beginning()?.map(|Beginning { engine, after }| {
        let now = engine.now();
        run = Run::from(engine);
        (after, now)
    });
    let summary = recording.read(beginning, |batch| run.apply(batch))?;
    let known_at = as_known_at.or(summary.received).unwrap_or(Instant::from_micros(0));
    let engine = run.finish(known_at).engine;
    let sequence = summary.sequence.max(beginning.map_or(0, |(after, _)| after));
    let now = at.or(as_known_at).unwrap_or_else(|| Clock::system().now()).max(known_at);
    let problem = possible(&engine, wanted, now);
    problem.map_err(|problem| Failure::Wrong(format!("{}: {problem}", folder.display())))?;
    let origin = Origin { known_at, sequence, head: head_at(folder, sequence) };
    Ok(make(engine, wanted, now, &origin))
}

fn json(report: &Report) -> Result<Vec<u8>, Failure> {
    report.to_json().map_err(|error| Failure::Failed(error.to_string()))
}
