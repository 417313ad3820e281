//! `fournines top`: what is out, in a terminal; once and plainly where there is none.
//!
//! `feed` hears the daemon, `said` is what it says, `state` what is made of it and of keys, `rows` and `draw` show that.

mod draw;
mod feed;
#[cfg(test)]
mod night;
mod rows;
mod said;
mod state;
#[cfg(test)]
mod tests;
mod text;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use crossterm::event::{Event, EventStream, KeyEventKind};
use futures_util::StreamExt;
use ratatui::DefaultTerminal;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::output::{print, unwritten};
use super::poster::Poster;
use super::send::read_token;
use super::{Failure, asked_to_stop, environment, runtime};
use crate::clock::Clock;
use draw::Style;
use feed::Heard;
use state::{State, Wish};

/// How much news may wait to be shown: the stream waits too then, and what is too much for it begins with a reset.
const NEWS_MAX: usize = 256;
/// How often clocks are counted down.
const COUNTED_EVERY: Duration = Duration::from_secs(1);

/// Shows what is out, with the clocks counting down, in a terminal
#[derive(Debug, Args)]
#[command(
    after_help = "Changes appear as they come about. Times are of the network's zone, which the first line names.\n\
    Keys: j k or arrows select, Enter shows all of an incident, a acknowledges it, / filters, ? explains, q quits.\n\n\
    Where standard output is no terminal, what is out is printed once. NO_COLOR is heeded.\n\nExamples:\n  \
    fournines top --url http://127.0.0.1:9940\n  fournines top | head"
)]
pub(super) struct Arguments {
    /// The daemon
    #[arg(long, value_name = "U", default_value = "http://127.0.0.1:9940")]
    url: String,
    /// A file with the token to send along
    #[arg(long, value_name = "F")]
    token_file: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let token = arguments.token_file.as_deref().map(read_token).transpose()?;
    let poster = Arc::new(Poster::new(&arguments.url, token).map_err(Failure::Wrong)?);
    let clock = Clock::system();
    let mut state = State::new(&arguments.url, environment("USER"));
    runtime()?.block_on(async {
        if !std::io::stdout().is_terminal() {
            let figures = feed::figures(&poster, &clock).await.map_err(Failure::Failed)?;
            let incidents = feed::incidents(&poster, figures.status.now.0).await.map_err(Failure::Failed)?;
            for heard in [Heard::Figures(figures), Heard::Incidents(incidents)] {
                state.hear(heard, clock.now());
            }
            return print(&draw::plain(&state, clock.now())).map_err(unwritten);
        }
        let failed = |error: std::io::Error| Failure::Failed(format!("the terminal: {error}"));
        let style = Style { coloured: environment("NO_COLOR").is_none() };
        // It also restores the terminal when something panics.
        let mut terminal = ratatui::try_init().map_err(failed)?;
        let shown = show(&mut terminal, &mut state, style, &poster, &clock).await;
        ratatui::restore();
        shown.map_err(failed)
    })
}

/// Shows what is heard and does what keys say, until somebody quits.
async fn show(
    terminal: &mut DefaultTerminal,
    state: &mut State,
    style: Style,
    poster: &Arc<Poster>,
    clock: &Clock,
) -> std::io::Result<()> {
    let (told, mut news) = mpsc::channel(NEWS_MAX);
    let follower = {
        let (poster, clock, told) = (poster.clone(), clock.clone(), told.clone());
        tokio::spawn(async move { feed::follow(&poster, &clock, &told).await })
    };
    let mut keys = EventStream::new();
    let mut second = interval(COUNTED_EVERY);
    second.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let stop = asked_to_stop();
    tokio::pin!(stop);
    loop {
        terminal.draw(|frame| draw::all(frame, state, clock.now(), style))?;
        tokio::select! {
            event = keys.next() => match event.transpose()? {
                // The terminal is gone.
                None => break,
                Some(Event::Key(key)) if key.kind != KeyEventKind::Release => match state.key(key, clock.now()) {
                    Some(Wish::Quit) => break,
                    Some(Wish::Acknowledge { id, by, note }) => {
                        let (poster, told) = (poster.clone(), told.clone());
                        tokio::spawn(async move {
                            let answer = feed::acknowledge(&poster, &id, &by, &note).await;
                            // Whoever asked may have quit.
                            let _ = told.send(Heard::Answered(answer.map(Box::new))).await;
                        });
                    }
                    None => {}
                },
                Some(_) => {}
            },
            Some(heard) = news.recv() => {
                state.hear(heard, clock.now());
                // Drawn once for all that is there: a storm brings more than a screen can follow.
                for _ in 0..NEWS_MAX {
                    let Ok(heard) = news.try_recv() else { break };
                    state.hear(heard, clock.now());
                }
            }
            _ = second.tick() => {}
            () = &mut stop => break,
        }
    }
    follower.abort();
    Ok(())
}
