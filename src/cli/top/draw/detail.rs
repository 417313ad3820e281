//! All that is shown of one incident.

use ratatui::style::{Style as Look, Stylize};
use ratatui::text::{Line as Shown, Span as Piece};

use super::Style;
use crate::cli::top::rows::{Standing, grouped, length, level_name, level_sign, time, users};
use crate::cli::top::said::{Clock, Incident};
use crate::cli::top::text::{clean, left, wrap};
use crate::model::calendar::Calendar;
use crate::model::time::Instant;

/// The columns of what stands before each line's text.
const NAME_COLUMNS: usize = 13;
/// The most services that are named: who wants all of a hundred thousand asks the API.
const SERVICES_MAX: usize = 200;

/// Everything of an incident at `now`, in lines that fit.
pub(super) fn lines(
    incident: &Incident,
    now: Instant,
    calendar: &Calendar,
    style: Style,
    columns: usize,
) -> Vec<Shown<'static>> {
    let mut page = Page { lines: Vec::new(), columns };
    let at = |at: Instant| time(at, now, calendar);
    page.lines.push(Shown::from(vec![
        Piece::styled(level_sign(incident.level).trim_start(), style.level(incident.level)),
        Piece::raw(format!("  {}  {}", incident.status, incident.id)).bold(),
    ]));
    if let Some(drill) = &incident.drill {
        page.put("DRILL", drill);
    }
    if let Some(detail) = &incident.detail {
        page.put("said", detail);
    }
    let ago = length(now.since(incident.started.0));
    page.put("began", &format!("{}, {ago} ago; known {}", at(incident.started.0), at(incident.detected.0)));
    if let Some(restored) = incident.restored {
        let after = length(restored.0.since(incident.started.0));
        page.put("restored", &format!("{}, after {after}", at(restored.0)));
    }
    page.put(
        "users",
        &format!("{} at most; {:.0} user-minutes lost", users(incident, grouped), incident.user_minutes),
    );
    let suspected = incident.suspected_cause_service.as_deref();
    let suspected = suspected.map(|service| format!("; suspected service: {service}")).unwrap_or_default();
    page.put("cause", &format!("{}{suspected}", incident.cause));
    if incident.flaps > 0 {
        page.put("flaps", &format!("it came back {} times", incident.flaps));
    }
    if let Some(next) = incident.next_level {
        let wait = length(next.at.0.since(now));
        page.put(
            "next",
            &format!("{} at {}, in {wait}, if nothing changes", level_name(next.level), at(next.at.0)),
        );
    }
    page.title("Clocks");
    for clock in &incident.clocks {
        let standing = Standing::of(clock, now);
        page.put_in(&clock.name, &clock_words(clock, standing, &at), style.clock(standing));
    }
    page.title("Levels");
    for change in &incident.levels {
        page.put(&at(change.at.0), &format!("{}: {}", level_name(change.level), change.rule));
    }
    page.title("Stages");
    for stage in &incident.stages {
        let by = stage.by.as_deref().map(|by| format!(" by {by}")).unwrap_or_default();
        let detail = stage.detail.as_deref().map(|detail| format!(": {detail}")).unwrap_or_default();
        page.put(&at(stage.at.0), &format!("{}{by}{detail}", stage.stage));
    }
    page.title(&format!("Services: {}", grouped(incident.service_count)));
    for service in incident.services.iter().take(SERVICES_MAX) {
        page.lines.extend(wrap(&clean(&format!("  {service}")), columns, 4).into_iter().map(Shown::from));
    }
    if incident.services.len() > SERVICES_MAX {
        let more = grouped((incident.services.len() - SERVICES_MAX) as u64);
        page.lines.push(Shown::from(format!("  and {more} more")));
    }
    page.lines
}

fn clock_words(clock: &Clock, standing: Standing, at: &impl Fn(Instant) -> String) -> String {
    let mut words = standing.words();
    if let Some(stopped) = clock.stopped {
        words.push_str(&format!(" at {}, after {}", at(stopped.0), length(stopped.0.since(clock.started.0))));
    }
    if let Some(deadline) = clock.deadline {
        words.push_str(&format!("; limit {}", at(deadline.0)));
    }
    words.push_str(&format!("; until {}", clock.until));
    if let Some(cite) = &clock.cite {
        words.push_str(&format!(" ({cite})"));
    }
    words
}

/// Lines of at most so many columns.
struct Page {
    lines: Vec<Shown<'static>>,
    columns: usize,
}

impl Page {
    fn title(&mut self, text: &str) {
        self.lines.push(Shown::from(text.to_owned()).bold().underlined());
    }

    fn put(&mut self, name: &str, text: &str) {
        self.put_in(name, text, Look::new());
    }

    fn put_in(&mut self, name: &str, text: &str, look: Look) {
        // A longer name moves its own text on.
        let name = if name.len() > NAME_COLUMNS { clean(name) } else { left(&clean(name), NAME_COLUMNS) };
        let line = format!("  {name} {}", clean(text));
        let wrapped = wrap(&line, self.columns, NAME_COLUMNS + 3);
        self.lines.extend(wrapped.into_iter().map(|line| Shown::styled(line, look)));
    }
}
