//! What is on the screen, and what keys and news make of it. Pure: time comes in, wishes go out.

use std::collections::BTreeMap;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::feed::{Figures, Heard, OF_A_LEVEL_MAX, RESTORED_FOR};
use super::said::Incident;
use crate::model::calendar::Calendar;
use crate::model::time::{Instant, Span};

/// How many incidents are kept. Those of a storm beyond that are counted by the daemon, and not listed; the gravest are.
const KEPT_MAX: usize = 5000;
/// How many lines a page key moves.
const PAGE: usize = 10;
/// From when on the pace of the daemon's clock can be told.
const PACE_AFTER: Span = Span::from_secs(2);
/// For how long an answer to what somebody did is shown.
const SAID_FOR: Span = Span::from_secs(10);
/// The longest text that is typed.
const TYPED_MAX: usize = 500;

/// All that is shown.
#[derive(Debug)]
pub(super) struct State {
    /// The daemon's address.
    pub(super) address: String,
    /// The latest figures; absent before the first.
    pub(super) figures: Option<Figures>,
    pub(super) calendar: Calendar,
    pub(super) line: Line,
    pub(super) view: View,
    pub(super) input: Option<Input>,
    pub(super) filter: String,
    /// Who acknowledges: asked for once.
    name: Name,
    /// What somebody is told in the last line, and until when by this machine's clock.
    said: Option<(String, Instant)>,
    incidents: BTreeMap<String, Incident>,
    selected: Option<String>,
    pace: Option<Pace>,
}

/// How the connection is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// It was never there.
    Connecting,
    /// Changes come.
    Live,
    /// It is lost: since when by the network's clock, why, and when by this machine's it is tried again.
    Lost { since: Instant, why: String, again: Instant },
}

/// What fills the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    List,
    /// The selected incident, from that line on.
    Detail(usize),
    /// What the keys do, from that line on.
    Help(usize),
}

/// What is typed in the last line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Input {
    pub(super) what: Typed,
    pub(super) text: String,
}

/// What it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Typed {
    Filter,
    /// Who acknowledges the incident of this id.
    Name(String),
    /// What they say about it.
    Note(String),
}

/// What somebody wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Quit,
    Acknowledge { id: String, by: String, note: String },
}

#[derive(Debug)]
enum Name {
    /// This is what it may be.
    Guessed(String),
    Known(String),
}

/// How the daemon's clock goes beside this machine's: that of a demo is faster.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// Both clocks at the first reading of this connection.
    first: (Instant, Instant),
    /// Both at the last.
    last: (Instant, Instant),
    speed: i64,
}

impl Pace {
    fn read(self, network: Instant, local: Instant) -> Self {
        let passed = local.since(self.first.1);
        let speed = if passed < PACE_AFTER {
            self.speed
        } else {
            let half = passed.as_micros() / 2;
            ((network.since(self.first.0).as_micros() + half) / passed.as_micros()).max(1)
        };
        Self { last: (network, local), speed, ..self }
    }
}

impl State {
    /// Nothing is known yet. `guessed` is who may be sitting here.
    pub(super) fn new(address: &str, guessed: Option<String>) -> Self {
        Self {
            address: address.to_owned(),
            figures: None,
            calendar: Calendar::default(),
            line: Line::Connecting,
            view: View::List,
            input: None,
            filter: String::new(),
            name: Name::Guessed(guessed.unwrap_or_default()),
            said: None,
            incidents: BTreeMap::new(),
            selected: None,
            pace: None,
        }
    }

    /// The network's time when this machine's clock says `local`.
    pub(super) fn now(&self, local: Instant) -> Instant {
        self.pace.map_or(local, |pace| {
            let passed = local.since(pace.last.1).as_micros();
            pace.last.0.plus(Span::from_micros(passed.saturating_mul(pace.speed)))
        })
    }

    /// Takes news in.
    pub(super) fn hear(&mut self, heard: Heard, local: Instant) {
        match heard {
            Heard::Figures(figures) => self.read(figures),
            Heard::Incidents(incidents) => {
                self.line = Line::Live;
                self.incidents = incidents.into_iter().map(|incident| (incident.id.clone(), incident)).collect();
            }
            Heard::Changed(incident) => self.keep(*incident),
            Heard::Lost(why, pause) => {
                let again = local.plus(Span::from_micros(i64::try_from(pause.as_micros()).unwrap_or(i64::MAX)));
                let since = match &self.line {
                    Line::Lost { since, .. } => *since,
                    Line::Live | Line::Connecting => self.now(local),
                };
                self.line = Line::Lost { since, why, again };
            }
            Heard::Answered(Ok(incident)) => {
                self.say("acknowledged", local);
                self.keep(*incident);
            }
            Heard::Answered(Err(error)) => self.say(&format!("not acknowledged: {error}"), local),
        }
    }

    fn read(&mut self, figures: Figures) {
        let (network, local) = (figures.status.now.0, figures.read);
        // After a lost connection it may be another daemon, or the same at another pace.
        let known = self.pace.filter(|_| self.line == Line::Live);
        let fresh =
            Pace { first: (network, local), last: (network, local), speed: self.pace.map_or(1, |p| p.speed) };
        self.pace = Some(known.map_or(fresh, |pace| pace.read(network, local)));
        if let Some(zone) = &figures.status.time_zone {
            // A zone that this command does not know yet is left out: times are then of UTC, and say so.
            self.calendar = Calendar::new(zone).unwrap_or_default();
        }
        self.figures = Some(figures);
    }

    fn keep(&mut self, incident: Incident) {
        let has_place = self.incidents.len() < KEPT_MAX || incident.level == 1;
        if !incident.is_open() && !incident.is_restored() {
            self.incidents.remove(&incident.id);
        } else if has_place || self.incidents.contains_key(&incident.id) {
            self.incidents.insert(incident.id.clone(), incident);
        }
    }

    fn say(&mut self, text: &str, local: Instant) {
        self.said = Some((text.to_owned(), local.plus(SAID_FOR)));
    }

    /// What somebody is told when this machine's clock says `local`.
    pub(super) fn said(&self, local: Instant) -> Option<&str> {
        self.said.as_ref().filter(|(_, until)| local < *until).map(|(text, _)| &**text)
    }

    /// Whether the figures may be old.
    pub(super) fn is_old(&self) -> bool {
        matches!(self.line, Line::Lost { .. })
    }

    /// How many of the network's incidents are open at each level, the gravest first: as changes tell, or, where there
    /// are more than are listed, as the daemon counts.
    pub(super) fn open_by_level(&self) -> [u64; 3] {
        let counted = self.figures.as_ref().map(|figures| &figures.status.incidents_open);
        let counted = counted.map_or([0; 3], |open| [open.first, open.second, open.third]);
        [1, 2, 3].map(|level: u8| {
            let known = self
                .incidents
                .values()
                .filter(|incident| incident.is_open() && incident.level == level && incident.drill.is_none());
            let known = known.count();
            if known < OF_A_LEVEL_MAX { known as u64 } else { counted[usize::from(level) - 1].max(known as u64) }
        })
    }

    /// The open incidents: those of drills last, the gravest first, of those what nobody is on yet, of those the latest.
    pub(super) fn open(&self) -> Vec<&Incident> {
        let mut open: Vec<&Incident> =
            self.incidents.values().filter(|incident| incident.is_open() && self.wants(incident)).collect();
        open.sort_by_key(|incident| {
            let is_taken = incident.status != "open";
            (incident.drill.is_some(), incident.level, is_taken, std::cmp::Reverse(incident.started), &incident.id)
        });
        open
    }

    /// What was restored in the last day, the latest first.
    pub(super) fn restored(&self, now: Instant) -> Vec<&Incident> {
        let lately = |incident: &&Incident| {
            incident.restored.is_some_and(|at| now.since(at.0) < RESTORED_FOR) && self.wants(incident)
        };
        let mut restored: Vec<&Incident> =
            self.incidents.values().filter(|incident| incident.is_restored()).filter(lately).collect();
        restored.sort_by_key(|incident| (std::cmp::Reverse(incident.restored), &incident.id));
        restored
    }

    /// The selected incident: where that is gone, the first.
    pub(super) fn selected(&self, now: Instant) -> Option<&Incident> {
        let shown = self.shown(now);
        let chosen = shown.iter().find(|incident| Some(&incident.id) == self.selected.as_ref());
        // In the detail of one that was withdrawn another one must not appear.
        let first = shown.first().filter(|_| self.selected.is_none() || self.view == View::List);
        chosen.or(first).copied()
    }

    fn shown(&self, now: Instant) -> Vec<&Incident> {
        let mut shown = self.open();
        shown.extend(self.restored(now));
        shown
    }

    fn wants(&self, incident: &Incident) -> bool {
        let filter = self.filter.to_lowercase();
        let has = |text: &str| text.to_lowercase().contains(&filter);
        let texts = [&incident.id, &incident.status, &incident.cause];
        let optional = [&incident.detail, &incident.suspected_cause_service, &incident.drill];
        filter.is_empty()
            || texts.into_iter().any(|text| has(text))
            || optional.into_iter().flatten().any(|text| has(text))
            || has(super::rows::level_name(incident.level))
            || incident.services.iter().chain(&incident.regions).any(|text| has(text))
    }

    /// Takes a key, when this machine's clock says `local`.
    pub(super) fn key(&mut self, key: KeyEvent, local: Instant) -> Option<Wish> {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        if control && key.code == KeyCode::Char('c') {
            return Some(Wish::Quit);
        }
        if let Some(input) = self.input.take() {
            return self.typed(input, key, local);
        }
        match (self.view, key.code) {
            (View::List, KeyCode::Esc) if !self.filter.is_empty() => self.filter.clear(),
            (View::List, KeyCode::Esc) | (_, KeyCode::Char('q')) => return Some(Wish::Quit),
            (View::Detail(_), KeyCode::Esc | KeyCode::Enter | KeyCode::Left | KeyCode::Char('h')) => {
                self.view = View::List;
            }
            (View::List, KeyCode::Enter | KeyCode::Right | KeyCode::Char('l')) => {
                self.selected = self.selected(self.now(local)).map(|incident| incident.id.clone());
                if self.selected.is_some() {
                    self.view = View::Detail(0);
                }
            }
            (View::List | View::Detail(_), KeyCode::Char('?')) => self.view = View::Help(0),
            (View::List, KeyCode::Char('/')) => {
                self.input = Some(Input { what: Typed::Filter, text: self.filter.clone() });
            }
            (View::List | View::Detail(_), KeyCode::Char('a')) => self.acknowledge(local),
            (_, code) => self.go(code, local),
        }
        None
    }

    /// Moves the selection, or the detail.
    fn go(&mut self, code: KeyCode, local: Instant) {
        let by = |at: usize| match code {
            KeyCode::Char('j') | KeyCode::Down => Some(at.saturating_add(1)),
            KeyCode::Char('k') | KeyCode::Up => Some(at.saturating_sub(1)),
            KeyCode::PageDown | KeyCode::Char(' ') => Some(at.saturating_add(PAGE)),
            KeyCode::PageUp => Some(at.saturating_sub(PAGE)),
            KeyCode::Home | KeyCode::Char('g') => Some(0),
            KeyCode::End | KeyCode::Char('G') => Some(usize::MAX),
            _ => None,
        };
        match self.view {
            View::Detail(at) => return self.view = View::Detail(by(at).unwrap_or(at)),
            View::Help(at) => return self.view = by(at).map_or(View::List, View::Help),
            View::List => {}
        }
        let now = self.now(local);
        let shown = self.shown(now);
        let at = shown.iter().position(|incident| Some(&incident.id) == self.selected.as_ref()).unwrap_or(0);
        let to = by(at).unwrap_or(at).min(shown.len().saturating_sub(1));
        self.selected = shown.get(to).map(|incident| incident.id.clone());
    }

    /// Begins to ask what an acknowledgement takes.
    fn acknowledge(&mut self, local: Instant) {
        let Some(incident) = self.selected(self.now(local)) else { return self.say("there is no incident", local) };
        let id = incident.id.clone();
        if !incident.is_open() {
            return self.say("it is restored: there is nothing to acknowledge", local);
        }
        // What comes in meanwhile must not move the selection elsewhere.
        self.selected = Some(id.clone());
        self.input = Some(match &self.name {
            Name::Guessed(name) => Input { what: Typed::Name(id), text: name.clone() },
            Name::Known(_) => Input { what: Typed::Note(id), text: String::new() },
        });
    }

    /// Takes a key of what is typed.
    fn typed(&mut self, mut input: Input, key: KeyEvent, local: Instant) -> Option<Wish> {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Esc => {
                if input.what == Typed::Filter {
                    self.filter.clear();
                }
                return None;
            }
            KeyCode::Enter => return self.entered(input, local),
            KeyCode::Backspace => {
                input.text.pop();
            }
            KeyCode::Char('u') if control => input.text.clear(),
            KeyCode::Char(c) if !control && !c.is_control() && input.text.len() < TYPED_MAX => input.text.push(c),
            _ => {}
        }
        if input.what == Typed::Filter {
            self.filter.clone_from(&input.text);
        }
        self.input = Some(input);
        None
    }

    fn entered(&mut self, input: Input, local: Instant) -> Option<Wish> {
        let text = input.text.trim().to_owned();
        match (input.what, &self.name) {
            (Typed::Filter, _) => self.filter = text,
            (Typed::Name(_), _) if text.is_empty() => self.say("not acknowledged: nobody's name was given", local),
            (Typed::Name(id), _) => {
                self.name = Name::Known(text);
                self.input = Some(Input { what: Typed::Note(id), text: String::new() });
            }
            (Typed::Note(id), Name::Known(name) | Name::Guessed(name)) => {
                return Some(Wish::Acknowledge { id, by: name.clone(), note: text });
            }
        }
        None
    }
}
