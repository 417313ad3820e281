//! What a template may name. `config/defaults.toml` documents each; a test holds that.

use std::collections::BTreeMap;

use minijinja::Value;

use super::Language;
use super::because::{cause, clock, level, span, why, window};
use crate::model::alert::{About, Alert, IncidentFacts};
use crate::model::calendar::Calendar;
use crate::model::level::Level;
use crate::model::time::{Instant, Span};

/// Every variable. All of them are always there; one of which nothing is known is `none`.
pub const VARIABLES: [&str; 37] = [
    "acknowledged",
    "acknowledged_by",
    "alertname",
    "because",
    "cause",
    "clock",
    "clocks",
    "detail",
    "detected",
    "drill",
    "ended",
    "group",
    "groups",
    "incident",
    "lasted",
    "level",
    "level_name",
    "maintenance_from",
    "maintenance_until",
    "metric",
    "next_level",
    "next_level_at",
    "next_level_name",
    "quiet_since",
    "region",
    "resolved",
    "scope",
    "service",
    "services",
    "severity",
    "since",
    "spent_at",
    "started",
    "used",
    "users",
    "users_estimated",
    "window",
];

/// The variables of an alert.
pub(super) fn of(
    alert: &Alert,
    ended: Option<Instant>,
    language: Language,
    calendar: &Calendar,
) -> BTreeMap<&'static str, Value> {
    let local = |at: Instant| Value::from(calendar.stamp(at));
    let some_local = |at: Option<Instant>| Value::from(at.map(local));
    let named = |found: Level| level(found, language);
    let labels = alert.key.labels();
    let label = |name: &str| Value::from(labels.iter().find(|(of, _)| *of == name).map(|(_, value)| value.clone()));
    let level = alert.key.level();
    let facts = alert.facts.incident.as_ref();
    let quiet_since = facts.and_then(|facts| facts.quiet_since);
    // To the second, which is near enough for people.
    let whole = |span: Span| Span::from_micros(span.as_micros() / 1_000_000 * 1_000_000);
    let lasted = quiet_since.or(ended).map(|end| span(whole(end.since(alert.facts.started)), language));
    let budgeted = match &alert.key.about {
        About::Budget { window: length, .. } => Some(window(*length, language)),
        _ => None,
    };
    let region = match &alert.key.about {
        About::Incident { region, .. } => Some(&**region).filter(|region| !region.is_empty()),
        _ => None,
    };
    let mut all = BTreeMap::from([
        ("alertname", Value::from(alert.key.name.name())),
        ("because", Value::from(why(&alert.facts.because, language, calendar))),
        ("clock", Value::from(alert.key.clock().map(|(name, _)| clock(name, language)))),
        ("drill", Value::from(alert.key.drill())),
        ("ended", some_local(ended)),
        ("group", Value::from(alert.key.group())),
        ("incident", label("incident")),
        ("lasted", Value::from(lasted)),
        ("level", Value::from(level.map(Level::number))),
        ("level_name", Value::from(level.map(named))),
        ("metric", label("metric")),
        ("quiet_since", some_local(quiet_since)),
        ("region", Value::from(region)),
        ("resolved", Value::from(ended.is_some())),
        ("scope", Value::from(alert.key.scope())),
        ("service", Value::from(alert.key.service())),
        ("severity", label("severity")),
        ("since", local(alert.starts)),
        ("spent_at", some_local(alert.facts.spent_at)),
        ("started", local(alert.facts.started)),
        ("used", Value::from(alert.key.clock().and_then(|(_, used)| used))),
        ("window", Value::from(budgeted)),
    ]);
    all.extend(of_incident(facts, language, calendar));
    all
}

/// What is known of an incident; of none, nothing.
fn of_incident(
    facts: Option<&IncidentFacts>,
    language: Language,
    calendar: &Calendar,
) -> [(&'static str, Value); 15] {
    let local = |at: Instant| Value::from(calendar.stamp(at));
    let known = |at: Option<Instant>| Value::from(at.filter(|&at| at < Instant::MAX).map(local));
    let next = facts.and_then(|facts| facts.next_level);
    let maintenance = facts.and_then(|facts| facts.maintenance);
    let groups = facts.into_iter().flat_map(|facts| &facts.groups).map(|group| Value::from(&**group));
    let running = facts.into_iter().flat_map(|facts| &facts.clocks).map(|(name, deadline)| {
        Value::from(BTreeMap::from([("name", Value::from(clock(name, language))), ("ends", local(*deadline))]))
    });
    [
        ("acknowledged", known(facts.and_then(|facts| facts.acknowledged))),
        ("acknowledged_by", Value::from(facts.and_then(|facts| facts.acknowledged_by.as_deref()))),
        ("cause", Value::from(facts.and_then(|facts| cause(facts.cause, language)))),
        ("clocks", Value::from(running.collect::<Vec<_>>())),
        ("detail", Value::from(facts.and_then(|facts| facts.detail.as_deref()))),
        ("detected", known(facts.map(|facts| facts.detected))),
        ("groups", Value::from(groups.collect::<Vec<_>>())),
        ("maintenance_from", known(maintenance.map(|(from, _)| from))),
        ("maintenance_until", known(maintenance.map(|(_, until)| until))),
        ("next_level", Value::from(next.map(|(level, _)| level.number()))),
        ("next_level_at", known(next.map(|(_, at)| at))),
        ("next_level_name", Value::from(next.map(|(found, _)| level(found, language)))),
        ("services", Value::from(facts.map(|facts| facts.services))),
        ("users", Value::from(facts.and_then(|facts| facts.users))),
        ("users_estimated", Value::from(facts.is_some_and(|facts| facts.users_estimated))),
    ]
}
