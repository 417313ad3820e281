//! Charts as SVG, drawn here: pages and reports share them, they take the page's colours in light and dark, their text can
//! be read and searched, and each says in words what it shows.

use std::fmt::Write as _;

use askama::filters::Safe;

use super::frame::Page;
use super::saying::Html;
use crate::engine::ServiceView;
use crate::model::calendar::{Calendar, Range, Unit};
use crate::model::figures::{Lengths, State};
use crate::model::time::{Instant, Span};

/// How far back strips and charts of days go.
const DAYS: usize = 90;
/// A day's place in a strip, and how much of it is drawn.
const STRIDE: usize = 6;
const WIDTH: usize = 5;
/// How wide a chart is, and where its scale ends.
const WIDE: f64 = 900.0;
const LEFT: f64 = 46.0;

/// A day as a strip shows it.
pub(super) struct Day {
    pub(super) range: Range,
    pub(super) lengths: Lengths,
}

impl Day {
    /// Those days of a service.
    pub(super) fn of(view: ServiceView<'_>, days: &[Range]) -> Vec<Self> {
        days.iter().map(|&range| Self { range, lengths: view.lengths(range) }).collect()
    }

    /// The gravest thing of the day; none when it was not observed.
    fn state(&self) -> Option<State> {
        let lengths = &self.lengths;
        Some(match lengths {
            Lengths { observed: 0, .. } => return None,
            Lengths { down: 1.., .. } => State::Down,
            Lengths { degraded: 1.., .. } => State::Degraded,
            Lengths { unknown: 1.., .. } => State::Unknown,
            Lengths { excluded: 1.., .. } => State::Maintenance,
            _ => State::Up,
        })
    }
}

/// The last days of the calendar, today among them as far as it has come.
pub(super) fn days(calendar: &Calendar, at: Instant) -> Vec<Range> {
    let today = calendar.containing(Unit::Day, at);
    let mut days = vec![Range { until: at, ..today }];
    while days.len() < DAYS {
        let before = days[days.len() - 1].from.minus(Span::TICK);
        days.push(calendar.containing(Unit::Day, before));
    }
    days.reverse();
    days
}

/// What each day was like, in a line. Bad days are higher than good ones, so that they are seen without colour too.
pub(super) fn strip(page: &Page, days: &[Day]) -> Html {
    let count = |wanted: State| days.iter().filter(|day| day.state() == Some(wanted)).count();
    let (down, degraded) = (count(State::Down), count(State::Degraded));
    let label = format!(
        "{} {} · {} {} · {} {}",
        days.len(),
        page.t("days", "天"),
        down,
        page.t("with outages", "天有中断"),
        degraded,
        page.t("degraded", "天劣化"),
    );
    let width = days.len() * STRIDE;
    let mut svg = format!(
        "<svg class=\"strip\" viewBox=\"0 0 {width} 20\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{label}\">"
    );
    // Days of one kind beside one another are one shape: most services have only one.
    let mut place = 0;
    while place < days.len() {
        let state = days[place].state();
        let alike = days[place..].iter().take_while(|day| day.state() == state).count();
        let (class, top) = match state {
            None => ("bit-none", 14),
            Some(State::Up) => ("bit-up", 8),
            Some(State::Down) => ("bit-down", 0),
            Some(State::Degraded) => ("bit-degraded", 4),
            Some(State::Maintenance) => ("bit-maintenance", 8),
            Some(State::Unknown) => ("bit-unknown", 8),
        };
        let mut path = String::new();
        for day in place..place + alike {
            let _ = write!(path, "M{} {top}h{WIDTH}V20h-{WIDTH}z", day * STRIDE);
        }
        let _ = write!(svg, "<path class=\"{class}\" d=\"{path}\"/>");
        place += alike;
    }
    svg.push_str("</svg>");
    Safe(svg)
}

/// What the colours of strips and charts mean.
pub(super) fn legend(page: &Page) -> Html {
    let known = [
        ("bit-up", page.t("up", "正常")),
        ("bit-down", page.t("down", "中断")),
        ("bit-degraded", page.t("degraded", "劣化")),
        ("bit-maintenance", page.t("maintenance", "维护")),
        ("bit-unknown", page.t("unknown", "未知")),
        ("bit-none", page.t("not observed", "未观测")),
    ];
    let mut text = String::from("<p class=\"legend\">");
    for (class, word) in known {
        let _ = write!(
            text,
            "<span><svg viewBox=\"0 0 10 10\" aria-hidden=\"true\"><rect class=\"{class}\" width=\"10\" height=\"10\"/></svg> {word}</span>"
        );
    }
    text.push_str("</p>");
    Safe(text)
}

/// Downtime day by day, if there was any, on a scale of the square root, so that a minute is seen beside a day.
pub(super) fn downtime(page: &Page, days: &[Day]) -> Option<Html> {
    days.iter().find(|day| day.lengths.down + day.lengths.degraded > 0)?;
    const HIGH: f64 = 170.0;
    const BOTTOM: f64 = 22.0;
    let day = Span::from_hours(24).as_secs_f64();
    let height = |seconds: f64| (seconds / day).min(1.0).sqrt() * (HIGH - BOTTOM - 8.0);
    let step = (WIDE - LEFT) / days.len().max(1) as f64;
    let mut svg = format!(
        "<svg class=\"chart\" viewBox=\"0 0 {WIDE} {HIGH}\" role=\"img\" aria-label=\"{}\">",
        page.t("Downtime day by day", "每日中断时长")
    );
    for (seconds, name) in [(600.0, "10 min"), (3600.0, "1 h"), (6.0 * 3600.0, "6 h"), (day, "24 h")] {
        let y = HIGH - BOTTOM - height(seconds);
        let _ = write!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{WIDE}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>",
            LEFT - 5.0,
            y + 4.0
        );
    }
    for (place, day) in days.iter().enumerate() {
        let x = LEFT + step * place as f64;
        let seconds = |micros: i128| micros as f64 / 1e6;
        let (down, degraded) = (seconds(day.lengths.down), seconds(day.lengths.degraded));
        let date = &page.calendar.stamp(day.range.from)[..10];
        let (tall, all) = (height(down), height(down + degraded));
        if all > 0.0 {
            let said = format!("{date} · {} {}", page.t("down", "中断"), page.micros(day.lengths.down));
            let _ = write!(svg, "<g><title>{said}</title>");
            let bar = |class: &str, high: f64, foot: f64| {
                let y = HIGH - BOTTOM - foot - high;
                format!(
                    "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
                    step * 0.84,
                    high
                )
            };
            if down > 0.0 {
                svg.push_str(&bar("bit-down", tall.max(2.0), 0.0));
            }
            if degraded > 0.0 {
                svg.push_str(&bar("bit-degraded", (all - tall).max(2.0), tall));
            }
            svg.push_str("</g>");
        }
        if date.ends_with("-01") || date.ends_with("-15") {
            let _ = write!(svg, "<text x=\"{x:.1}\" y=\"{:.1}\">{}</text>", HIGH - 6.0, &date[5..]);
        }
    }
    svg.push_str("</svg>");
    Some(Safe(svg))
}

/// How long each repair took, in order of time, with the limit where there is one.
pub(super) fn repairs(page: &Page, lengths: &[Span], limit: Option<Span>) -> Html {
    const HIGH: f64 = 150.0;
    const BOTTOM: f64 = 8.0;
    let longest = lengths.iter().copied().chain(limit).map(Span::as_secs_f64).fold(60.0, f64::max);
    let height = |span: Span| (span.as_secs_f64() / longest).sqrt() * (HIGH - BOTTOM - 10.0);
    let step = ((WIDE - LEFT) / lengths.len().max(1) as f64).min(24.0);
    let mut svg = format!(
        "<svg class=\"chart\" viewBox=\"0 0 {WIDE} {HIGH}\" role=\"img\" aria-label=\"{}\">",
        page.t("How long repairs took", "历次修复时长")
    );
    for (place, &span) in lengths.iter().enumerate() {
        let (x, high) = (LEFT + step * place as f64, height(span).max(2.0));
        let class = if limit.is_some_and(|limit| span > limit) { "bit-down" } else { "bit-up" };
        let _ = write!(
            svg,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{high:.1}\"><title>{}</title></rect>",
            HIGH - BOTTOM - high,
            step * 0.8,
            page.span(span)
        );
    }
    if let Some(limit) = limit {
        let y = HIGH - BOTTOM - height(limit);
        let _ = write!(
            svg,
            "<line class=\"limit\" x1=\"{LEFT}\" x2=\"{WIDE}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text x=\"2\" y=\"{:.1}\">{}</text>",
            y + 4.0,
            page.span(limit)
        );
    }
    svg.push_str("</svg>");
    Safe(svg)
}
