//! Draws what is shown. Nothing is said by colour alone, and no sign needs more than ASCII but for names.

mod detail;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style as Look, Stylize};
use ratatui::text::{Line as Shown, Span as Piece};
use ratatui::widgets::Paragraph;

use super::rows::{Row, Standing, brief, length, level_sign, time};
use super::said::{Incident, Receiver};
use super::state::{Input, Line, State, Typed, View};
use super::text::{clean, cut, flow, left, right, width, wrap};
use crate::cli::table::list;
use crate::model::time::Instant;

/// Where the second line of an incident begins.
const MOVED_IN: usize = 4;
/// The columns of the mark of what is selected, of a level's sign, and the blanks after it.
const SIGN_COLUMNS: usize = 14;
/// The columns that a service's name has at least, before what is beside it gives way.
const NAME_COLUMNS_MIN: usize = 16;
/// The most columns of why a connection is lost.
const WHY_COLUMNS_MAX: usize = 200;
/// From how many columns on there are words for what else is in short.
const WIDE_FROM: usize = 110;
/// From how many columns on there is room for a next level where there is none.
const ALIGNED_FROM: usize = 80;
/// The columns of users and services beside a name.
const USERS_COLUMNS: usize = 13;
const SERVICES_COLUMNS: usize = 8;
/// The columns of the head where there is no terminal that says how many it has.
const PLAIN_COLUMNS: usize = 100;

const HELP: [&str; 12] = [
    "j k, arrows   select the next, the one before; g, G the first, the last",
    "Enter         all of the selected incident; again, or Esc, goes back",
    "a             acknowledge it: asks who you are, once, and for a note",
    "/             show only what has this text in a service, region, level, cause, id; Esc shows all again",
    "q, Ctrl-C     quit; Esc too, from the list",
    "",
    "!!! FIRST, !! SECOND, ! THIRD are the response levels; \"second 09:05\" is the level that comes next, and when, \
     if nothing changes.",
    "resp, rep: of the response and the repair limit how long is left, by how much it is OVER, held, or stopped; \
     LATE is after the limit.",
    "~ before users: estimated from the catalogue. +41: so many services more. suspected: on which the others hang.",
    "",
    "Within a level what nobody is on comes first. Times are of the network's zone, in the first line.",
    "The list follows the daemon's stream of changes; when the connection is lost, the top says so and since when, and \
     what is shown is OLD until it is back.",
];

/// How it looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// Whether there are colours.
    pub(super) coloured: bool,
}

impl Style {
    fn colour(self, colour: Color) -> Look {
        if self.coloured { Look::new().fg(colour) } else { Look::new() }
    }

    fn level(self, level: u8) -> Look {
        match level {
            1 => self.colour(Color::Red).bold(),
            2 => self.colour(Color::Yellow).bold(),
            _ => self.colour(Color::Cyan),
        }
    }

    fn clock(self, standing: Standing) -> Look {
        if standing.is_broken() { self.colour(Color::Red).bold() } else { Look::new() }
    }
}

/// Draws everything, when this machine's clock says `local`.
pub(super) fn all(frame: &mut Frame<'_>, state: &mut State, local: Instant, style: Style) {
    let area = frame.area();
    let columns = usize::from(area.width);
    let mut head: Vec<Shown<'_>> =
        flow(&header(state, local), columns).into_iter().map(|line| Shown::from(line).bold()).collect();
    if let Some(lost) = lost(state, local) {
        let look = style.colour(Color::Red).bold().reversed();
        head.extend(wrap(&lost, columns, 2).into_iter().map(|line| Shown::styled(left(&line, columns), look)));
    }
    let head_lines = u16::try_from(head.len()).unwrap_or(u16::MAX);
    let parts = [Constraint::Max(head_lines), Constraint::Fill(1), Constraint::Length(1)];
    let [top, middle, bottom] = Layout::vertical(parts).areas(area);
    frame.render_widget(Paragraph::new(head), top);
    let lines = match state.view {
        View::Help(from) => {
            let indent = |line: &str| if line.contains("   ") { 14 } else { 2 };
            let lines = HELP.iter().flat_map(|line| wrap(line, columns, indent(line))).map(Shown::from).collect();
            let (lines, from) = from_line(lines, from, middle);
            state.view = View::Help(from);
            lines
        }
        View::Detail(from) => {
            let now = state.now(local);
            let lines = match state.selected(now) {
                Some(incident) => detail::lines(incident, now, &state.calendar, style, columns),
                None => vec![Shown::from(cut("It is no incident of its own any more. Esc goes back.", columns))],
            };
            let (lines, from) = from_line(lines, from, middle);
            state.view = View::Detail(from);
            lines
        }
        View::List => listed(state, local, style, middle),
    };
    let paragraph = Paragraph::new(lines);
    frame.render_widget(if state.is_old() { paragraph.dim() } else { paragraph }, middle);
    foot(frame, state, local, bottom);
}

/// The lines from one on, and which that is: it goes no further than what is in sight needs.
fn from_line(mut lines: Vec<Shown<'static>>, from: usize, area: Rect) -> (Vec<Shown<'static>>, usize) {
    let from = from.min(lines.len().saturating_sub(usize::from(area.height)));
    lines.drain(..from);
    (lines, from)
}

/// The header, part by part.
fn header(state: &State, local: Instant) -> Vec<String> {
    let address = state.address.trim_start_matches("http://").trim_end_matches('/');
    let mut parts = vec![format!("fournines {address}")];
    let Some(figures) = &state.figures else {
        parts.push("connecting".to_owned());
        return parts;
    };
    let stamp = state.calendar.stamp(state.now(local));
    let (time, offset) = stamp.split_at_checked(19).unwrap_or((&stamp, ""));
    parts.push(format!("{time} {offset} {}", state.calendar.zone()));
    let [first, second, third] = state.open_by_level();
    parts.push(format!("open: first {first}, second {second}, third {third}"));
    let many = |count: u64, one: &str, more: &str| format!("{count} {}", if count == 1 { one } else { more });
    parts.push(many(figures.status.services, "service", "services"));
    parts.push(many(figures.status.alerts_firing, "alert firing", "alerts firing"));
    parts.push(receivers(&figures.receivers.receivers));
    parts
}

/// How those who are told are doing.
fn receivers(receivers: &[Receiver]) -> String {
    let of = |up: Option<bool>| receivers.iter().filter(move |receiver| receiver.up == up);
    let down: Vec<String> = of(Some(false)).map(|receiver| clean(&receiver.name)).collect();
    let (up, untried) = (of(Some(true)).count(), of(None).count());
    match (receivers.len(), untried) {
        (0, _) => "nobody is paged: no receivers".to_owned(),
        (all, _) if !down.is_empty() => format!("receivers: {up} of {all} up, DOWN: {}", down.join(", ")),
        (_, 0) => format!("receivers: {up} up"),
        _ => format!("receivers: {up} up, {untried} not tried yet"),
    }
}

/// That the connection is lost.
fn lost(state: &State, local: Instant) -> Option<String> {
    let Line::Lost { since, why, again } = &state.line else { return None };
    let now = state.now(local);
    let next = match length(again.since(local)) {
        soon if soon == "0s" => "trying again".to_owned(),
        wait => format!("trying again in {wait}"),
    };
    let old = if state.figures.is_some() { " What is shown is OLD." } else { "" };
    let (when, ago) = (time(*since, now, &state.calendar), length(now.since(*since)));
    Some(format!("NO CONNECTION since {when} ({ago}), {next}: {}.{old}", cut(&clean(why), WHY_COLUMNS_MAX)))
}

/// The list, of which the selected incident is in sight.
fn listed(state: &State, local: Instant, style: Style, area: Rect) -> Vec<Shown<'static>> {
    if state.figures.is_none() {
        return Vec::new();
    }
    let (now, columns) = (state.now(local), usize::from(area.width));
    let selected = state.selected(now).map(|incident| &*incident.id);
    let (open, restored) = (state.open(), state.restored(now));
    let title = |name: &str, count: usize| {
        let filter = match &*state.filter {
            "" => String::new(),
            filter => format!(", with \"{filter}\""),
        };
        let old = if state.is_old() { " OLD" } else { "" };
        Shown::from(cut(&format!("{name}: {count}{filter}{old}"), columns)).bold().underlined()
    };
    let mut lines = vec![title("OPEN", open.len())];
    // Which lines the selected incident takes.
    let mut in_sight = 0..0;
    let entry = |lines: &mut Vec<Shown<'static>>, incident: &Incident, in_sight: &mut std::ops::Range<usize>| {
        let is_selected = selected == Some(&*incident.id);
        let from = lines.len();
        lines.extend(entry(&Row::of(incident, now, &state.calendar), is_selected, style, columns));
        if is_selected {
            *in_sight = from..lines.len();
        }
    };
    for incident in &open {
        entry(&mut lines, incident, &mut in_sight);
    }
    let more = state.open_by_level().iter().sum::<u64>().saturating_sub(open.len() as u64);
    if open.is_empty() && state.filter.is_empty() {
        lines.push(Shown::from("  Nothing is out."));
    } else if more > 0 && state.filter.is_empty() {
        lines.push(Shown::from(cut(&format!("  and {more} more, which are not listed here"), columns)));
    }
    if !restored.is_empty() {
        lines.push(title("RESTORED in the last day", restored.len()));
    }
    for incident in &restored {
        entry(&mut lines, incident, &mut in_sight);
    }
    let height = usize::from(area.height);
    // The title stays in sight with the first of them.
    let from = in_sight.end.saturating_sub(height);
    lines.drain(..from.min(lines.len()));
    lines
}

/// An incident in the list: two lines while it is open, one when it is restored.
fn entry(row: &Row, is_selected: bool, style: Style, columns: usize) -> Vec<Shown<'static>> {
    let beside = match &row.restored {
        Some(at) => vec![format!("restored {at} after {}", row.age)],
        None => vec![
            row.brief_state.clone(),
            right(&format!("{} users", row.brief_users), USERS_COLUMNS),
            right(&format!("{} svc", brief(row.services)), SERVICES_COLUMNS),
        ],
    };
    // What is beside the name gives way before the name is cut short.
    let room = columns.saturating_sub(SIGN_COLUMNS + NAME_COLUMNS_MIN.min(width(&row.what)) + 2);
    let beside = fitting(beside, room).join("  ");
    let name_columns = columns.saturating_sub(SIGN_COLUMNS + width(&beside) + 2);
    let mark = if is_selected { "> " } else { "  " };
    let mut first = Shown::from(vec![
        Piece::raw(mark),
        Piece::styled(level_sign(row.level), style.level(row.level)),
        Piece::raw(format!("  {}  {beside}", left(&row.what, name_columns))),
    ]);
    if is_selected {
        first = first.patch_style(Look::new().add_modifier(Modifier::REVERSED));
    }
    if row.restored.is_some() {
        return vec![first];
    }
    vec![first, second_line(row, style, columns)]
}

/// The clocks, the next level, and since when: in words where there is room, else in short. Each has its columns, so
/// that one runs down a list with the eye.
fn second_line(row: &Row, style: Style, columns: usize) -> Shown<'static> {
    let is_wide = columns >= WIDE_FROM;
    let (response, repair, since) = if is_wide {
        (("response ", 23), ("repair ", 21), format!("from {}, {}", row.started, row.age))
    } else {
        (("resp ", 17), ("rep ", 16), format!("{} {}", row.started, row.age))
    };
    let clock = |(name, columns): (&str, usize), standing: Option<Standing>| {
        let words = standing.map_or_else(String::new, |standing| {
            format!("{name}{}", if is_wide { standing.words() } else { standing.short() })
        });
        (left(&words, columns), standing.map_or_else(Look::new, |standing| style.clock(standing)))
    };
    let then = if columns >= ALIGNED_FROM { "then " } else { "" };
    let next = row.next.as_deref().map_or_else(String::new, |next| format!("{then}{next}"));
    let mut parts = vec![clock(response, row.response), clock(repair, row.repair)];
    if columns >= ALIGNED_FROM {
        parts.push((left(&next, 23), Look::new()));
    } else if !next.is_empty() {
        parts.push((next, Look::new()));
    }
    parts.push((since, Look::new()));
    let mut taken = MOVED_IN;
    let mut line = vec![Piece::raw(" ".repeat(MOVED_IN))];
    for (text, look) in parts {
        // The last one needs no blanks after it.
        if taken + width(&text) <= columns {
            taken += width(&text) + 2;
            line.extend([Piece::styled(text, look), Piece::raw("  ")]);
        }
    }
    Shown::from(line)
}

/// The first of the parts: as many as fit with two blanks between them.
fn fitting(parts: Vec<String>, columns: usize) -> Vec<String> {
    let mut taken = 0;
    let fits = |part: &String| {
        taken += width(part) + 2;
        taken <= columns + 2
    };
    parts.into_iter().take_while(fits).collect()
}

/// The last line: what is typed, what somebody is told, or the keys.
fn foot(frame: &mut Frame<'_>, state: &State, local: Instant, area: Rect) {
    let columns = usize::from(area.width);
    if let Some(Input { what, text }) = &state.input {
        let prompt = match what {
            Typed::Filter => "Show only what has: ",
            Typed::Name(_) => "Acknowledge as (Esc: not): ",
            Typed::Note(_) => "Note, or just Enter (Esc: not): ",
        };
        // The end of what is typed stays in sight, with a column for the cursor.
        let room = columns.saturating_sub(width(prompt) + 1);
        let mut seen = &**text;
        while width(seen) > room {
            seen = seen.char_indices().nth(1).map_or("", |(at, _)| &seen[at..]);
        }
        let line = cut(&format!("{prompt}{seen}"), columns);
        let cursor = u16::try_from(width(&line)).unwrap_or(u16::MAX).min(area.width.saturating_sub(1));
        frame.set_cursor_position((area.x.saturating_add(cursor), area.y));
        frame.render_widget(Paragraph::new(line).bold(), area);
        return;
    }
    let keys = match state.view {
        View::Help(_) => "any other key goes back|j/k scroll",
        View::Detail(_) => "Esc back|q quit|a acknowledge|j/k scroll|? help",
        View::List => "? help|q quit|a acknowledge|Enter detail|/ filter|j/k select",
    };
    let keys = || fitting(keys.split('|').map(str::to_owned).collect(), columns).join("  ");
    let line = state.said(local).map_or_else(keys, |said| cut(&clean(said), columns));
    frame.render_widget(Paragraph::new(left(&line, columns)).reversed(), area);
}

/// All of it once, without a terminal.
pub(super) fn plain(state: &State, local: Instant) -> String {
    let now = state.now(local);
    let row = |incident: &&Incident| Row::of(incident, now, &state.calendar);
    let sign = |row: &Row| level_sign(row.level).trim_end().to_owned();
    let clock = |standing: Option<Standing>| standing.map_or("-".to_owned(), Standing::words);
    let mut text = flow(&header(state, local), PLAIN_COLUMNS).join("\n");
    text.push_str("\n\n");
    let open: Vec<Vec<String>> = state
        .open()
        .iter()
        .map(row)
        .map(|row| {
            vec![
                sign(&row),
                row.state.clone(),
                row.started.clone(),
                row.age.clone(),
                right(&row.users, 10),
                right(&row.services.to_string(), 8),
                clock(row.response),
                clock(row.repair),
                row.next.clone().unwrap_or_else(|| "-".to_owned()),
                row.what,
            ]
        })
        .collect();
    let heading =
        ["level", "state", "from", "for", "     users", "services", "response", "repair", "next level", "service"];
    text.push_str(&if open.is_empty() { "Nothing is out.\n".to_owned() } else { list(&heading, &open) });
    let restored: Vec<Vec<String>> = state
        .restored(now)
        .iter()
        .map(row)
        .map(|row| {
            vec![
                sign(&row),
                row.restored.clone().unwrap_or_default(),
                row.age.clone(),
                right(&row.users, 10),
                row.what,
            ]
        })
        .collect();
    if !restored.is_empty() {
        text.push('\n');
        text.push_str(&list(&["level", "restored", "after", "     users", "service"], &restored));
    }
    text
}
