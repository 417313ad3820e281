//! What is heard from the daemon: all figures when the connection stands, then every change as it comes about. Lost
//! connections are made anew, after pauses that grow.
//!
//! Must not enter: what is shown of it.

use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::said::{Change, Incident, Page, Receivers, Status};
use crate::cli::poster::Poster;
use crate::clock::Clock;
use crate::model::time::{Instant, Span};

/// How often the figures of the header are read.
const FIGURES_EVERY: Duration = Duration::from_secs(5);
/// How often the incidents are read anew, in case the stream kept something back.
const INCIDENTS_EVERY: Duration = Duration::from_secs(30);
/// How long a request may take: whoever looks wants to know that there is no answer.
const ANSWER_AWAITED: Duration = Duration::from_secs(10);
/// After how long a silence the stream is taken for dead: the daemon sends a comment every 15 s.
const SILENCE_MAX: Span = Span::from_secs(40);
/// The pauses before a connection is tried again: from the first, doubled up to the last.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_LAST: Duration = Duration::from_secs(30);
/// The most incidents of one level that are read: more than anybody looks through, and a storm has a hundred thousand.
pub(super) const OF_A_LEVEL_MAX: usize = 500;
/// The most restored incidents that are read.
const RESTORED_MAX: usize = 100;
/// For how long a restored incident is shown.
pub(super) const RESTORED_FOR: Span = Span::from_hours(24);
/// The longest line of the stream: an incident of a million services fits in.
const LINE_BYTES_MAX: usize = 128 * 1024 * 1024;

/// What was heard.
#[derive(Debug)]
pub(super) enum Heard {
    /// The figures of the header.
    Figures(Figures),
    /// Every incident that is shown.
    Incidents(Vec<Incident>),
    /// One of them changed, or is new.
    Changed(Box<Incident>),
    /// The connection is lost: why, and after how long it is tried again.
    Lost(String, Duration),
    /// What the daemon answered to an acknowledgement.
    Answered(Result<Box<Incident>, String>),
}

/// How daemon and receivers are doing.
#[derive(Clone, Debug)]
pub(super) struct Figures {
    pub(super) status: Status,
    pub(super) receivers: Receivers,
    /// This machine's time when the daemon's was read.
    pub(super) read: Instant,
}

/// Tells what it hears for as long as somebody listens.
pub(super) async fn follow(poster: &Poster, clock: &Clock, told: &mpsc::Sender<Heard>) {
    let mut last = None;
    let mut pause = PAUSE_FIRST;
    loop {
        let mut stands = false;
        let Err(why) = connection(poster, clock, told, &mut last, &mut stands).await;
        if stands {
            pause = PAUSE_FIRST;
        }
        if told.send(Heard::Lost(why, pause)).await.is_err() {
            return;
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_LAST);
    }
}

/// Follows one connection until it is lost, and says why it was.
async fn connection(
    poster: &Poster,
    clock: &Clock,
    told: &mpsc::Sender<Heard>,
    last: &mut Option<String>,
    stands: &mut bool,
) -> Result<std::convert::Infallible, String> {
    let tell = async |heard| told.send(heard).await.map_err(|_| "nobody listens".to_owned());
    // First the stream, then what there is: so nothing that changes in between is missed.
    let mut stream = in_time(poster.follow("/api/v1/stream", last.as_deref())).await?;
    let now = figures(poster, clock).await?;
    let mut network_now = now.status.now.0;
    tell(Heard::Figures(now)).await?;
    tell(Heard::Incidents(incidents(poster, network_now).await?)).await?;
    *stands = true;
    let mut blocks = Blocks::default();
    let mut heard = clock.now();
    let [mut figures_due, mut incidents_due] = [FIGURES_EVERY, INCIDENTS_EVERY].map(|every| {
        let mut due = interval(every);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        due.reset();
        due
    });
    loop {
        tokio::select! {
            chunk = stream.chunk() => {
                let chunk = chunk.map_err(|error| format!("the stream broke: {error}"))?;
                let chunk = chunk.ok_or("the daemon ended the stream")?;
                heard = clock.now();
                for block in blocks.push(&chunk)? {
                    match &*block.event {
                        "incident" => {
                            let change: Change = serde_json::from_str(&block.data)
                                .map_err(|error| format!("a change cannot be read: {error}"))?;
                            tell(Heard::Changed(Box::new(change.incident))).await?;
                        }
                        "reset" => tell(Heard::Incidents(incidents(poster, network_now).await?)).await?,
                        _ => {}
                    }
                    if !block.id.is_empty() {
                        *last = Some(block.id);
                    }
                }
            }
            _ = figures_due.tick() => {
                if clock.now().since(heard) > SILENCE_MAX {
                    return Err("the stream fell silent".to_owned());
                }
                let now = figures(poster, clock).await?;
                network_now = now.status.now.0;
                tell(Heard::Figures(now)).await?;
            }
            _ = incidents_due.tick() => tell(Heard::Incidents(incidents(poster, network_now).await?)).await?,
        }
    }
}

/// How daemon and receivers are doing.
pub(super) async fn figures(poster: &Poster, clock: &Clock) -> Result<Figures, String> {
    let status = in_time(poster.get("/api/v1/status")).await?;
    let read = clock.now();
    Ok(Figures { status, receivers: in_time(poster.get("/api/v1/receivers")).await?, read })
}

/// The incidents that are shown: the open ones, those of drills too, and those lately restored.
pub(super) async fn incidents(poster: &Poster, now: Instant) -> Result<Vec<Incident>, String> {
    let open = |only: &str| format!("/api/v1/incidents?status=open&{only}&limit={OF_A_LEVEL_MAX}");
    let mut paths: Vec<String> = [1, 2, 3].map(|level| open(&format!("level={level}"))).into();
    paths.push(open("drill=*"));
    let from = now.minus(RESTORED_FOR);
    for status in ["restored", "reviewed"] {
        paths.push(format!("/api/v1/incidents?status={status}&from={from}&limit={RESTORED_MAX}"));
    }
    let mut incidents = Vec::new();
    for path in paths {
        incidents.extend(in_time(poster.get::<Page>(&path)).await?.incidents);
    }
    Ok(incidents)
}

/// Writes down that somebody has taken an incident on, and gives it as it stands then.
pub(super) async fn acknowledge(poster: &Poster, id: &str, by: &str, note: &str) -> Result<Incident, String> {
    let mut body = json!({ "by": by });
    if !note.is_empty() {
        body["detail"] = note.into();
    }
    in_time(poster.ask(&format!("/api/v1/incidents/{id}/acknowledge"), &body)).await
}

async fn in_time<T>(asked: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let none = |_| Err(format!("no answer within {} s", ANSWER_AWAITED.as_secs()));
    timeout(ANSWER_AWAITED, asked).await.unwrap_or_else(none)
}

/// Takes a stream of server-sent events apart.
#[derive(Debug, Default)]
struct Blocks {
    line: Vec<u8>,
    block: Block,
}

/// One event.
#[derive(Debug, Default, PartialEq, Eq)]
struct Block {
    event: String,
    id: String,
    data: String,
}

impl Blocks {
    /// The events that are complete with these bytes. A line, and a letter, may end in the middle of them.
    fn push(&mut self, bytes: &[u8]) -> Result<Vec<Block>, String> {
        let mut complete = Vec::new();
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.line.extend_from_slice(part);
            if self.line.len() > LINE_BYTES_MAX {
                return Err("a line of the stream has no end".to_owned());
            }
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                let line = String::from_utf8(line).map_err(|_| "the stream is not UTF-8".to_owned())?;
                complete.extend(self.take(line.trim_end_matches(['\r', '\n'])));
            }
        }
        Ok(complete)
    }

    /// The event that ends with this line, if it is the empty one after something.
    fn take(&mut self, line: &str) -> Option<Block> {
        if line.is_empty() {
            return Some(std::mem::take(&mut self.block)).filter(|block| *block != Block::default());
        }
        // A comment begins with the colon, and so has no name.
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => value.clone_into(&mut self.block.event),
            "id" => value.clone_into(&mut self.block.id),
            "data" if self.block.data.is_empty() => value.clone_into(&mut self.block.data),
            "data" => self.block.data.extend(["\n", value]),
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_whole_however_the_bytes_come() {
        let text = "id: 1-0\n\n: still here\n\nevent: incident\r\nid:2-0\r\ndata: {\"a\":\r\ndata: \"中断\"}\r\n\r\n\nid: 3";
        let block =
            |event: &str, id: &str, data: &str| Block { event: event.into(), id: id.into(), data: data.into() };
        let expected = [block("", "1-0", ""), block("incident", "2-0", "{\"a\":\n\"中断\"}")];
        for size in 1..text.len() {
            let mut blocks = Blocks::default();
            let found: Vec<Block> =
                text.as_bytes().chunks(size).flat_map(|chunk| blocks.push(chunk).unwrap()).collect();
            assert_eq!(found, expected, "{size} bytes at a time");
        }
    }
}
