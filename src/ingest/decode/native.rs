//! The native event: a JSON object of the contract.

mod raw;
mod sample;

use std::sync::Arc;

pub(super) use raw::Raw;
use raw::Text;
use sample::Sample;

use super::{Bad, Gate};
use crate::model::event::{
    About, Acted, Body, CaseKind, CaseStep, Cause, Event, Maintained, OutageFacts, OutageStarted, Severity,
};
use crate::model::event_id::EventId;
use crate::model::incident::{Action, Improvement, Particulars, Review, Stage};
use crate::model::level::{Level, Ratio};
use crate::model::service::ServiceName;
use crate::model::time::{Instant, Span};

/// Every type of the contract, to name the nearest when one is misspelt.
pub(super) const TYPES: [&str; 25] = [
    "outage.started",
    "outage.updated",
    "outage.ended",
    "repair.acknowledged",
    "repair.dispatched",
    "repair.located",
    "repair.mitigated",
    "repair.repaired",
    "repair.verified",
    "repair.reviewed",
    "repair.held",
    "repair.resumed",
    "repair.reclassified",
    "notice.sent",
    "latency",
    "measurement",
    "maintenance.planned",
    "maintenance.cancelled",
    "case.opened",
    "case.responded",
    "case.handled",
    "case.resolved",
    "survey",
    "heartbeat",
    "retraction",
];

const LATENCY: &str = "latency";
const MEASUREMENT: &str = "measurement";

/// The longest key of an outage, incident, maintenance or case, and the longest name of a person or metric, in
/// characters: as long as a service's name.
const KEY_CHARS_MAX: usize = 256;
/// The longest `id`, in characters.
const ID_CHARS_MAX: usize = 128;

/// Reads events one by one.
pub(super) struct Reader<'g> {
    gate: &'g Gate,
    /// The last source named: mostly the next one too.
    source: Arc<str>,
}

/// What every event has, as it is written.
struct Head<'r> {
    kind: Option<&'r str>,
    id: Option<&'r str>,
    time: Option<&'r str>,
    drill: Option<&'r str>,
    source: Option<&'r str>,
}

type Refusal<T> = Result<T, String>;

impl<'g> Reader<'g> {
    pub(super) fn new(gate: &'g Gate) -> Self {
        Self { gate, source: gate.source.clone() }
    }

    /// Reads one event.
    pub(super) fn read(&mut self, text: &str) -> Result<Event, Bad> {
        if !text.starts_with('{') {
            let start: String = text.chars().take(20).collect();
            return Err(Bad::Unreadable(format!("not a JSON object: it begins with {start:?}")));
        }
        let Some(sample) = Sample::plain(text) else { return self.read_any(text) };
        let Sample { kind, id, time, service, source, drill, ms, count, metric, value } = sample;
        let event = self.check(&Head { kind, id, time, drill, source }, |reader, kind| {
            let service = reader.service(service)?.ok_or("`service` is missing")?;
            if kind == LATENCY { latency(service, ms, count) } else { measurement(service, metric, value) }
        });
        event.map_err(Bad::Refused)
    }

    /// Reads an event of any type, written in any way.
    fn read_any(&mut self, text: &str) -> Result<Event, Bad> {
        match serde_json::from_str::<Raw<'_>>(text) {
            Ok(raw) => {
                let Raw { kind, id, time, drill, source, .. } = &raw;
                let [kind, id, time, drill, source] = [kind, id, time, drill, source].map(said);
                let head = Head { kind, id, time, drill, source };
                self.check(&head, |reader, kind| reader.body(kind, &raw)).map_err(Bad::Refused)
            }
            Err(error) => Err(explain(text, &error)),
        }
    }

    fn check(&mut self, raw: &Head<'_>, body: impl FnOnce(&Self, &str) -> Refusal<Body>) -> Refusal<Event> {
        let kind = required(raw.kind, "type", "such as `outage.started`")?;
        let time = instant(raw.time, "time")?;
        if let Some(latest) = self.gate.latest
            && time > latest
        {
            return Err(format!(
                "`time` {time} lies too far ahead of the time of receipt; {latest} is the latest taken"
            ));
        }
        let id = raw.id.map(|id| held(id, "id", ID_CHARS_MAX)).transpose()?;
        let drill = raw.drill.map(|drill| bounded(drill, "drill", KEY_CHARS_MAX)).transpose()?;
        let body = body(self, kind)?;
        let source = match raw.source {
            Some(source) if *source == *self.source => self.source.clone(),
            Some(source) => {
                self.source = Arc::from(&*bounded(source, "source", KEY_CHARS_MAX)?);
                self.source.clone()
            }
            None if matches!(body, Body::Heartbeat) => {
                return Err("`source` is missing: whose heartbeat is it?".into());
            }
            None => self.gate.source.clone(),
        };
        let id = id.map_or(EventId::NONE, |id| EventId::new(&source, id));
        Ok(Event { id, source, time, drill, body })
    }

    fn body(&self, kind: &str, raw: &Raw<'_>) -> Refusal<Body> {
        let service = || self.service(said(&raw.service))?.ok_or_else(|| "`service` is missing".to_owned());
        let outage = || match &raw.outage {
            Some(key) if key.0.is_empty() => Ok(Box::default()),
            Some(key) => bounded(&key.0, "outage", KEY_CHARS_MAX),
            None => Ok(Box::default()),
        };
        let acted_on = |action, particulars| {
            let detail = if matches!(action, Action::Held | Action::Reclassified(_)) {
                raw.reason.as_ref().or(raw.detail.as_ref())
            } else {
                raw.detail.as_ref()
            };
            Ok(Body::Acted(Box::new(Acted {
                service: service()?,
                action,
                about: about(raw)?,
                by: person(raw)?,
                detail: detail.map(Text::boxed),
                cause: cause(raw)?,
                particulars,
            })))
        };
        let acted = |action| acted_on(action, Particulars::None);
        let stage = |stage| acted(Action::Reached(stage));
        let case = |step| {
            let kind = match raw.case_kind.as_ref().map(|kind| &*kind.0) {
                Some("complaint") => Some(CaseKind::Complaint),
                Some("request") => Some(CaseKind::Request),
                Some("delivery") => Some(CaseKind::Delivery),
                Some(other) => {
                    return Err(format!("`kind` {other:?} is none of complaint, request and delivery"));
                }
                None if step == CaseStep::Opened => {
                    return Err("`kind` is missing: complaint, request or delivery".to_owned());
                }
                None => None,
            };
            let case = required_key(said(&raw.case), "case")?;
            Ok(Body::Case { case, kind, step, service: self.service(said(&raw.service))? })
        };
        match kind {
            "outage.started" => Ok(Body::OutageStarted(Box::new(OutageStarted {
                service: service()?,
                outage: outage()?,
                facts: facts(raw)?,
            }))),
            "outage.updated" => {
                Ok(Body::OutageUpdated { service: service()?, outage: outage()?, facts: Box::new(facts(raw)?) })
            }
            "outage.ended" => Ok(Body::OutageEnded { service: service()?, outage: outage()?, cause: cause(raw)? }),
            "repair.acknowledged" => stage(Stage::Acknowledged),
            "repair.dispatched" => stage(Stage::Dispatched),
            "repair.located" => stage(Stage::Located),
            "repair.mitigated" => stage(Stage::Mitigated),
            "repair.repaired" => stage(Stage::Repaired),
            "repair.verified" => stage(Stage::Verified),
            "repair.reviewed" => acted_on(Action::Reached(Stage::Reviewed), review(raw)?),
            "notice.sent" => {
                let notice = required_key(said(&raw.notice), "notice")?;
                acted_on(Action::Notified, Particulars::Notice(notice))
            }
            "repair.held" => acted(Action::Held),
            "repair.resumed" => acted(Action::Resumed),
            "repair.reclassified" => {
                let level = raw.level.ok_or("`level` is missing: 1, 2 or 3")?;
                let known =
                    Level::numbered(level).ok_or_else(|| format!("`level` {level} is none of 1, 2 and 3"))?;
                acted(Action::Reclassified(known))
            }
            LATENCY => latency(service()?, raw.ms, raw.count),
            MEASUREMENT => measurement(service()?, said(&raw.metric), raw.value),
            "maintenance.planned" => {
                let (from, until) = (instant(said(&raw.from), "from")?, instant(said(&raw.until), "until")?);
                if until <= from {
                    return Err(format!("`until` {until} is not after `from` {from}"));
                }
                let maintenance = required_key(said(&raw.maintenance), "maintenance")?;
                Ok(Body::MaintenancePlanned { of: self.maintained(raw)?, maintenance, from, until })
            }
            "maintenance.cancelled" => {
                let maintenance = required_key(said(&raw.maintenance), "maintenance")?;
                Ok(Body::MaintenanceCancelled { of: self.maintained(raw)?, maintenance })
            }
            "case.opened" => case(CaseStep::Opened),
            "case.responded" => case(CaseStep::Responded),
            "case.handled" => case(CaseStep::Handled),
            "case.resolved" => case(CaseStep::Resolved),
            "survey" => {
                let score = raw.score.ok_or("`score` is missing")?;
                if !(0.0..=100.0).contains(&score) {
                    return Err(format!("`score` {score} is not from 0 to 100"));
                }
                if raw.incident.is_some() || raw.outage.is_some() {
                    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 10 000")]
                    let hundredths = (score * 100.0).round() as u32;
                    return acted_on(Action::Surveyed, Particulars::Score(hundredths));
                }
                Ok(Body::Survey { score, service: self.service(said(&raw.service))? })
            }
            "heartbeat" => Ok(Body::Heartbeat),
            "retraction" => {
                let of = raw.of.as_ref().ok_or("`of` is missing: the id that is taken back")?;
                Ok(Body::Retraction { of: bounded(&of.0, "of", ID_CHARS_MAX)? })
            }
            unknown => Err(unknown_type(unknown)),
        }
    }

    fn maintained(&self, raw: &Raw<'_>) -> Refusal<Maintained> {
        match (self.service(said(&raw.service))?, &raw.group) {
            (Some(service), None) => Ok(Maintained::Service(service)),
            (None, Some(group)) => Ok(Maintained::Group(bounded(&group.0, "group", KEY_CHARS_MAX)?)),
            (None, None) => Err("`service` is missing; maintenance of many may name a `group` instead".to_owned()),
            (Some(_), Some(_)) => Err("there are both `service` and `group`: say one of them".to_owned()),
        }
    }

    fn service(&self, name: Option<&str>) -> Refusal<Option<ServiceName>> {
        let Some(name) = name else { return Ok(None) };
        let name = ServiceName::new(name).map_err(|error| format!("`service`: {error}"))?;
        match &self.gate.known {
            Some(known) if !known.contains(&name) => {
                Err(format!("`service` {name} is not in the catalogue, and catalog.auto_register is false"))
            }
            _ => Ok(Some(name)),
        }
    }
}

/// What a review says; what it does not say yet is empty.
fn review(raw: &Raw<'_>) -> Refusal<Particulars> {
    if raw.root_cause.is_none() && raw.improvements.is_none() {
        return Ok(Particulars::None);
    }
    let text = |text: &Option<Text<'_>>| text.as_ref().map(Text::boxed).unwrap_or_default();
    let improvements = raw.improvements.iter().flatten().map(|one| {
        let due = text(&one.due);
        if !due.is_empty() && due.parse::<jiff::civil::Date>().is_err() {
            return Err(format!("`improvements`: `due` {due:?} is not a date such as 2026-04-01"));
        }
        Ok(Improvement { action: text(&one.action), owner: text(&one.owner), due })
    });
    let improvements = improvements.collect::<Refusal<Vec<Improvement>>>()?;
    Ok(Particulars::Review(Box::new(Review { root_cause: text(&raw.root_cause), improvements })))
}

fn measurement(service: ServiceName, metric: Option<&str>, value: Option<f64>) -> Refusal<Body> {
    let value = value.ok_or("`value` is missing")?;
    Ok(Body::Measurement { service, metric: required_key(metric, "metric")?, value })
}

fn latency(service: ServiceName, ms: Option<f64>, count: Option<u64>) -> Refusal<Body> {
    let ms = ms.ok_or("`ms` is missing")?;
    // A sample of more than ten years is a fault of the sender, and would not fit.
    if !(0.0..=3.2e11).contains(&ms) {
        return Err(format!("`ms` {ms} is not a time of 0 ms or more"));
    }
    #[allow(clippy::cast_possible_truncation, reason = "at most 3.2e14, checked above")]
    let took = Span::from_micros((ms * 1000.0).round() as i64);
    match count {
        Some(0) => Err("`count` is 0".to_owned()),
        count => Ok(Body::Latency { service, took, count: count.unwrap_or(1) }),
    }
}

fn facts(raw: &Raw<'_>) -> Refusal<OutageFacts> {
    let severity = match raw.severity.as_ref().map(|severity| &*severity.0) {
        None => None,
        Some("down") => Some(Severity::Down),
        Some("degraded") => Some(Severity::Degraded),
        Some(other) => return Err(format!("`severity` {other:?} is neither down nor degraded")),
    };
    let weight = match raw.weight {
        Some(weight) => Some(Ratio::new(weight).ok_or_else(|| format!("`weight` {weight} is not from 0 to 1"))?),
        None => None,
    };
    let detail = raw.detail.as_ref().map(Text::boxed);
    Ok(OutageFacts { severity, weight, users: raw.users, cause: cause(raw)?, detail })
}

fn cause(raw: &Raw<'_>) -> Refusal<Option<Cause>> {
    let Some(said) = &raw.cause else { return Ok(None) };
    match Cause::ALL.into_iter().find(|cause| cause.name() == said.0) {
        Some(cause) => Ok(Some(cause)),
        None => {
            let names: Vec<&str> = Cause::ALL.iter().map(|cause| cause.name()).collect();
            Err(format!("`cause` {:?} is none of {}", said.0, names.join(", ")))
        }
    }
}

fn about(raw: &Raw<'_>) -> Refusal<About> {
    match (&raw.incident, &raw.outage) {
        (Some(id), _) => Ok(About::Incident(bounded(&id.0, "incident", KEY_CHARS_MAX)?)),
        (None, Some(key)) if !key.0.is_empty() => Ok(About::Outage(bounded(&key.0, "outage", KEY_CHARS_MAX)?)),
        (None, Some(_)) => Ok(About::Outage(Box::default())),
        (None, None) => Ok(About::Service),
    }
}

fn person(raw: &Raw<'_>) -> Refusal<Option<Box<str>>> {
    said(&raw.by).map(|by| bounded(by, "by", KEY_CHARS_MAX)).transpose()
}

/// What a member says, if it is there.
fn said<'r>(field: &'r Option<Text<'_>>) -> Option<&'r str> {
    field.as_ref().map(|text| &*text.0)
}

fn required<'r>(field: Option<&'r str>, name: &str, hint: &str) -> Refusal<&'r str> {
    field.ok_or_else(|| format!("`{name}` is missing, {hint}"))
}

fn required_key(field: Option<&str>, name: &str) -> Refusal<Box<str>> {
    bounded(field.ok_or_else(|| format!("`{name}` is missing"))?, name, KEY_CHARS_MAX)
}

fn bounded(text: &str, name: &str, chars_max: usize) -> Refusal<Box<str>> {
    held(text, name, chars_max).map(Box::from)
}

/// A text that is not empty, and not too long.
fn held<'t>(text: &'t str, name: &str, chars_max: usize) -> Refusal<&'t str> {
    if text.is_empty() {
        return Err(format!("`{name}` is empty"));
    }
    let long = text.len() > chars_max && text.chars().count() > chars_max;
    if long { Err(format!("`{name}` has more than {chars_max} characters")) } else { Ok(text) }
}

fn instant(field: Option<&str>, name: &str) -> Refusal<Instant> {
    required(field, name, "in RFC 3339 with an offset, such as `2026-01-31T12:00:00Z`")?
        .parse()
        .map_err(|error| format!("`{name}`: {error}"))
}

fn unknown_type(unknown: &str) -> String {
    let shown: String = unknown.chars().take(40).collect();
    let nearest = TYPES
        .iter()
        .map(|known| (strsim::normalized_damerau_levenshtein(known, &shown), known))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|&(likeness, _)| likeness > 0.5);
    match nearest {
        Some((_, known)) => format!("`type` {shown:?} is unknown; did you mean `{known}`?"),
        None => format!("`type` {shown:?} is unknown"),
    }
}

/// What is wrong with a text that is no event: the fast reader does not say which field, so it is read again.
fn explain(text: &str, error: &serde_json::Error) -> Bad {
    if error.is_data() {
        let mut slow = serde_json::Deserializer::from_str(text);
        if let Err(named) = serde_path_to_error::deserialize::<_, Raw<'_>>(&mut slow) {
            return Bad::Refused(format!("`{}`: {}", named.path(), named.inner()));
        }
    }
    Bad::Unreadable(format!("not JSON: {error}"))
}

#[cfg(test)]
mod tests;
