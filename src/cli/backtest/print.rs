//! What `fournines backtest` prints, for people and as JSON.

use serde_json::{Value, json};

use super::Comparison;
use super::alerts::{self, Count, Episode, Kind};
use super::figures::{self, Over, Standing};
use crate::cli::output::Object;
use crate::cli::table::{budget_percent, list, or_dash, percent, standing, table, whom};
use crate::model::calendar::Calendar;
use crate::model::level::Ratio;
use crate::model::time::{Instant, Span};
use crate::views::json::labels;

/// Rows of one table, unless all are wanted.
const ROWS_MAX: usize = 50;

impl Comparison<'_> {
    /// The calendar by which people are told times: that of what was in force.
    fn calendar(&self) -> Calendar {
        self.engines[0].calendar()
    }

    /// How many services there are before and after.
    fn services(&self) -> [usize; 2] {
        self.engines.map(|engine| engine.services().len())
    }

    pub(super) fn table(&self) -> String {
        let mut parts = vec![self.heading()];
        if self.alerts.is_empty() && self.figures.is_empty() {
            parts.push(
                "nothing would have differed: the same alerts at the same instants, the same figures\n".to_owned(),
            );
        }
        if !self.counts.is_empty() {
            parts.push(counted(&self.counts));
        }
        if !self.alerts.is_empty() {
            let rows = self.alerts.iter().filter_map(|difference| self.alert_row(difference));
            let heading = ["DIFFERENCE", "ALERT", "SCOPE", "LEVEL", "BEFORE", "AFTER", "BECAUSE"];
            parts.push(self.cut("alerts that would have differed", self.alerts.len(), &heading, rows));
        }
        if !self.figures.is_empty() {
            let rows = self.figures.iter().map(figures_row);
            let heading =
                ["OF", "OVER", "TARGET %", "AVAILABILITY %", "BUDGET LEFT %", "REPAIRS IN TIME %", "VERDICT"];
            parts.push(self.cut("figures that would have differed", self.figures.len(), &heading, rows));
        }
        parts.join("\n")
    }

    fn heading(&self) -> String {
        let calendar = self.calendar();
        let local = |at: Option<Instant>| or_dash(at.map(|at| calendar.local(at).to_string()));
        let [before, after] = self.configurations();
        let services = changed(&self.services().map(|count| count.to_string()));
        format!(
            "{} events from {} to {}, {services} services, figures at {}; times in {}\nbefore: {before}\nafter:  {after}\n",
            self.summary.events,
            local(self.summary.first),
            local(self.summary.last),
            calendar.local(self.at),
            calendar.zone(),
        )
    }

    fn alert_row(&self, difference: &alerts::Difference) -> Option<Vec<String>> {
        let calendar = self.calendar();
        let fired = |episode: &Option<Episode>| {
            or_dash(episode.as_ref().map(|episode| calendar.local(episode.fired).to_string()))
        };
        let Episode { alert, .. } = difference.either()?;
        Some(vec![
            described(difference.kind()?),
            alert.key.name.name().to_owned(),
            whom(&alert.key),
            standing(&alert.key),
            fired(&difference.before),
            fired(&difference.after),
            alert.facts.because.to_string(),
        ])
    }

    /// A table of no more rows than people read.
    fn cut(&self, what: &str, count: usize, heading: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
        let most = if self.arguments.all { count } else { ROWS_MAX };
        let rows: Vec<Vec<String>> = rows.take(most).collect();
        let mut text = format!("{count} {what}\n{}", list(heading, &rows));
        if count > rows.len() {
            text += &format!("… and {} more: --all shows them\n", count - rows.len());
        }
        text
    }

    pub(super) fn json(&self) -> std::io::Result<()> {
        let text = |at: Option<Instant>| at.map(|at| at.to_string());
        let pair = |[before, after]: [Value; 2]| json!({ "before": before, "after": after });
        let mut object = Object::begin();
        object.member("at", self.at.to_string())?;
        object.member("events", self.summary.events)?;
        object.member("first", text(self.summary.first))?;
        object.member("last", text(self.summary.last))?;
        object.member("services", pair(self.services().map(Value::from)))?;
        object.member("configuration", pair(self.configurations().map(Value::from)))?;
        object.member("differs", !(self.alerts.is_empty() && self.figures.is_empty()))?;
        object.array("counts", self.counts.iter().map(count_object))?;
        object.array("alerts", self.alerts.iter().map(alert_object))?;
        object.array("figures", self.figures.iter().map(figures_object))?;
        object.end()
    }
}

/// How often each sort of alert fired.
fn counted(counts: &[Count]) -> String {
    let row = |count: &Count| {
        let more = match count.after.cmp(&count.before) {
            std::cmp::Ordering::Less => format!("{} saved", count.before - count.after),
            std::cmp::Ordering::Equal => "-".to_owned(),
            std::cmp::Ordering::Greater => format!("{} added", count.after - count.before),
        };
        let name = format!("{} {}", count.name.name(), count.standing);
        vec![name, count.before.to_string(), count.after.to_string(), more]
    };
    let rows: Vec<Vec<String>> = counts.iter().map(row).collect();
    table(&["ALERTS FIRED", "BEFORE", "AFTER", "DIFFERENCE"], &rows)
}

fn described(kind: Kind) -> String {
    match kind {
        Kind::OnlyBefore => "only before".to_owned(),
        Kind::OnlyAfter => "only after".to_owned(),
        Kind::Earlier(by) => format!("earlier by {}", readable(by)),
        Kind::Later(by) => format!("later by {}", readable(by)),
        Kind::Level(was, is) => format!("{} → {}", was.name(), is.name()),
    }
}

/// A span to the second, where it has any: JSON has all of it.
fn readable(span: Span) -> Span {
    let second = Span::from_secs(1).as_micros();
    let micros = span.as_micros();
    if micros < second { span } else { Span::from_micros((micros + second / 2) / second * second) }
}

fn figures_row(difference: &figures::Difference) -> Vec<String> {
    let of = if difference.is_group { format!("group {}", difference.name) } else { difference.name.clone() };
    let over = match difference.over {
        Over::ThirtyDays => "30d",
        Over::Month => "month so far",
    };
    let cell = |text: &dyn Fn(&Standing) -> Option<String>| {
        changed(&[&difference.before, &difference.after].map(|side| or_dash(side.as_ref().and_then(text))))
    };
    vec![
        of,
        over.to_owned(),
        cell(&|standing| standing.target.map(percent)),
        cell(&|standing| standing.figures.sla_availability_percent()),
        cell(&|standing| budget_percent(&standing.figures, standing.target)),
        cell(&|standing| standing.figures.mttr_within_target().map(|ratio| format!("{:.1}", ratio * 100.0))),
        cell(&|standing| standing.verdict().map(str::to_owned)),
    ]
}

/// What was and what would be, once where that is the same.
fn changed([before, after]: &[String; 2]) -> String {
    if before == after { before.clone() } else { format!("{before} → {after}") }
}

fn count_object(count: &Count) -> Value {
    json!({
        "alertname": count.name.name(),
        "standing": count.standing,
        "before": count.before,
        "after": count.after,
    })
}

fn alert_object(difference: &alerts::Difference) -> Value {
    let kind = match difference.kind() {
        Some(Kind::OnlyBefore) => "only_before",
        Some(Kind::OnlyAfter) => "only_after",
        Some(Kind::Earlier(_)) => "earlier",
        Some(Kind::Later(_)) => "later",
        Some(Kind::Level(..)) => "level",
        None => "none",
    };
    let shift = difference.before.as_ref().zip(difference.after.as_ref());
    let either = difference.either().map(|episode| &episode.alert.key);
    json!({
        "difference": kind,
        "shift_seconds": shift.map(|(before, after)| after.fired.since(before.fired).as_secs_f64()),
        "alertname": either.map(|key| key.name.name()),
        "incident": either.and_then(|key| key.incident()).map(|id| id.to_string()),
        "scope": either.map(|key| key.scope()),
        "before": difference.before.as_ref().map(episode_object),
        "after": difference.after.as_ref().map(episode_object),
    })
}

fn episode_object(episode: &Episode) -> Value {
    json!({
        "fired": episode.fired.to_string(),
        "starts": episode.alert.starts.to_string(),
        "ends": episode.ended.map(|ended| ended.to_string()),
        "labels": labels(&episode.alert.key),
        "because": episode.alert.facts.because.to_string(),
    })
}

fn figures_object(difference: &figures::Difference) -> Value {
    let standing = |standing: &Standing| {
        let Standing { figures, target } = standing;
        json!({
            "target": target.map(Ratio::as_f64),
            "maintenance": figures.mode.name(),
            "sla_availability": figures.sla_availability(),
            "budget_remaining_ratio": target.and_then(|target| figures.budget_remaining_ratio(target)),
            "mttr_within_target_ratio": figures.mttr_within_target(),
            "verdict": standing.verdict(),
        })
    };
    let of = if difference.is_group { "group" } else { "service" };
    json!({
        of: difference.name,
        "over": difference.over.name(),
        "before": difference.before.as_ref().map(standing),
        "after": difference.after.as_ref().map(standing),
    })
}
