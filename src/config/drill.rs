//! Drill scenarios: what is played in an exercise, and when (manual §4.5(2)).

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::reader::{Mistakes, Reader};
use crate::model::time::Span;

/// For how long people are waited for after the last step when the scenario does not say: the manual's response limit.
const WAIT: Span = Span::from_mins(30);
/// The latest step and the longest wait: a drill about which nothing is said for a day is over.
const LENGTH_MAX: Span = Span::from_hours(24);
/// Characters of a name: it is a label of alerts, and read on pagers.
const NAME_CHARS_MAX: usize = 64;

/// What can be played, and what may be said of each beside `type`, `service` and `after`.
const EVENTS: [(&str, &[&str]); 13] = [
    ("outage.started", &["outage", "severity", "weight", "users", "cause", "detail"]),
    ("outage.updated", &["outage", "severity", "weight", "users", "cause", "detail"]),
    ("outage.ended", &["outage", "cause", "detail"]),
    ("repair.acknowledged", &["outage", "by", "detail"]),
    ("repair.dispatched", &["outage", "by", "detail"]),
    ("repair.located", &["outage", "by", "detail", "cause"]),
    ("repair.mitigated", &["outage", "by", "detail"]),
    ("repair.repaired", &["outage", "by", "detail"]),
    ("repair.verified", &["outage", "by", "detail"]),
    ("repair.reviewed", &["outage", "by", "detail"]),
    ("repair.held", &["outage", "by", "reason"]),
    ("repair.resumed", &["outage", "by"]),
    ("repair.reclassified", &["outage", "by", "reason", "level"]),
];

/// The emergency plan that a drill practises (manual §4.5(1), R79).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Service interruption.
    Interruption,
    /// Fault of equipment.
    Fault,
    /// Major event.
    MajorEvent,
    /// Information security.
    Security,
}

impl Plan {
    /// Every plan.
    pub const ALL: [Self; 4] = [Self::Interruption, Self::Fault, Self::MajorEvent, Self::Security];

    /// The plan's name in scenarios: their `kind`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Interruption => "interruption",
            Self::Fault => "fault",
            Self::MajorEvent => "major_event",
            Self::Security => "security",
        }
    }
}

/// A drill as it is written down.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// What it is called: up to 64 letters, digits and `. _ -`.
    pub name: String,
    /// The plan that it practises.
    pub plan: Plan,
    /// What it is about, for people.
    pub description: String,
    /// Held against this response limit instead of the daemon's.
    pub response: Option<Span>,
    /// Held against this repair limit instead of the daemon's.
    pub repair: Option<Span>,
    /// For how long people are waited for after the last step.
    pub wait: Span,
    /// What is played, in order.
    pub steps: Vec<Step>,
}

/// One thing that is played.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Where it stands: file and line.
    pub place: String,
    /// How long after the start of the drill.
    pub after: Span,
    /// The event, but for its time and the drill's name.
    pub event: Map<String, Value>,
}

impl Step {
    /// The service, and the outage's key.
    #[must_use]
    pub fn outage(&self) -> (&str, &str) {
        let text = |key: &str| self.event.get(key).and_then(Value::as_str).unwrap_or("");
        (text("service"), text("outage"))
    }

    /// The event's type.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.event.get("type").and_then(Value::as_str).unwrap_or("")
    }
}

/// Reads a scenario. `file` is how mistakes name it. That its events are good is for the decoder to say.
///
/// # Errors
/// With every mistake, by line and key.
pub fn read_scenario(file: &str, text: &str) -> Result<Scenario, Mistakes> {
    let mut reader = Reader::of_toml(file, text)?;
    let name = reader.text("name").unwrap_or_default();
    let plain = |c: char| c.is_alphanumeric() || "._-".contains(c);
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX || !name.chars().all(plain) {
        let remedy =
            format!("a drill's name is 1 to {NAME_CHARS_MAX} letters, digits and `. _ -`, such as \"ring-cut\"");
        reader.wrong("name", remedy);
    }
    let kind = reader.text("kind").unwrap_or_default();
    let plan = Plan::ALL.into_iter().find(|plan| plan.name() == kind);
    if plan.is_none() {
        reader.wrong("kind", format!("{kind:?} is none of {}", Plan::ALL.map(Plan::name).join(", ")));
    }
    let description = reader.text("description").unwrap_or_default();
    if description.is_empty() {
        reader.wrong("description", "is missing: say in a sentence what is practised");
    }
    let (response, repair) = (reader.parse("targets.response"), reader.parse("targets.repair"));
    let wait = reader.parse("wait").unwrap_or(WAIT);
    if wait > LENGTH_MAX {
        reader.wrong(
            "wait",
            format!("{wait} is longer than {LENGTH_MAX}, after which a drill that is quiet is over"),
        );
    }
    let steps = steps(&mut reader);
    reader.finish()?;
    Ok(Scenario { name, plan: plan.unwrap_or(Plan::Interruption), description, response, repair, wait, steps })
}

fn steps(reader: &mut Reader) -> Vec<Step> {
    let count = reader.tables("step");
    if count == 0 {
        reader.wrong("step", "there is none: write [[step]] above each thing that is played");
    }
    let mut steps: Vec<Step> = Vec::with_capacity(count);
    let mut open: BTreeSet<(String, String)> = BTreeSet::new();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for number in 0..count {
        let at = |key: &str| format!("step[{number}].{key}");
        let after = if reader.has(&at("after")) { reader.parse(&at("after")) } else { None };
        if after.is_none() && !reader.has(&at("after")) {
            reader
                .wrong(&at("after"), "is missing: how long after the start of the drill, such as \"2m\" or \"0s\"");
        }
        let after: Span = after.unwrap_or_default();
        let before = steps.last().map_or(Span::ZERO, |step| step.after);
        if after < before {
            reader.wrong(
                &at("after"),
                format!("{after} counts from the start of the drill, and the step before is at {before}"),
            );
        } else if after > LENGTH_MAX {
            reader.wrong(&at("after"), format!("{after} is later than {LENGTH_MAX}, the longest drill"));
        }
        let kind = reader.text(&at("type")).unwrap_or_default();
        let Some((_, fields)) = EVENTS.iter().find(|(name, _)| *name == kind) else {
            let names = EVENTS.map(|(name, _)| name).join(", ");
            reader.wrong(&at("type"), format!("{kind:?} is none of {names}"));
            continue;
        };
        let mut event = Map::from_iter([("type".to_owned(), json!(kind))]);
        for key in ["service"].iter().chain(*fields) {
            if let Some(value) = reader.take::<Value>(&at(key), "a text or a number") {
                event.insert((*key).to_owned(), value);
            }
        }
        let step = Step { place: reader.place(&at("type")), after, event };
        let (service, outage) = step.outage();
        let named = (service.to_owned(), outage.to_owned());
        let known = match &*kind {
            "outage.started" => {
                seen.insert(service.to_owned());
                open.insert(named);
                true
            }
            "outage.updated" => open.contains(&named),
            "outage.ended" => open.remove(&named),
            _ => seen.contains(service),
        };
        if !known && !service.is_empty() {
            reader.wrong(
                &at("service"),
                format!("no step before says `outage.started` of {service}, with the same `outage` if any"),
            );
        }
        steps.push(step);
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "name = \"ring\"\nkind = \"fault\"\ndescription = \"d\"\n\n[targets]\nresponse = \"10m\"\n\n\
        [[step]]\nafter = \"0s\"\ntype = \"outage.started\"\nservice = \"a\"\nusers = 7\n\n\
        [[step]]\nafter = \"2m\"\ntype = \"repair.acknowledged\"\nservice = \"a\"\nby = \"li\"\n";

    fn mistakes(from: &str, to: &str) -> String {
        assert!(GOOD.contains(from), "{from}");
        read_scenario("s.toml", &GOOD.replacen(from, to, 1)).unwrap_err().to_string()
    }

    #[test]
    fn a_scenario_is_read() {
        let scenario = read_scenario("s.toml", GOOD).unwrap();
        assert_eq!(
            (scenario.plan, scenario.response, scenario.repair),
            (Plan::Fault, Some(Span::from_mins(10)), None)
        );
        assert_eq!((scenario.wait, scenario.steps.len()), (WAIT, 2));
        assert_eq!((scenario.steps[1].after, &*scenario.steps[1].place), (Span::from_mins(2), "s.toml:16"));
        assert_eq!(
            Value::Object(scenario.steps[0].event.clone()),
            json!({"type": "outage.started", "service": "a", "users": 7})
        );
    }

    #[test]
    fn what_is_wrong_is_named_by_line_and_key() {
        for (from, to, expected) in [
            (
                "\"fault\"",
                "\"flood\"",
                "s.toml:2: kind: \"flood\" is none of interruption, fault, major_event, security",
            ),
            ("name = \"ring\"", "name = \"a b\"", "s.toml:1: name: a drill's name is 1 to 64"),
            ("description = \"d\"", "", "description: is missing"),
            ("after = \"0s\"\n", "", "step[0].after: is missing"),
            ("\"2m\"", "\"2\"", "s.toml:15: step[1].after: `2` is not a duration"),
            ("\"0s\"", "\"3m\"", "s.toml:15: step[1].after: 2m counts from the start of the drill"),
            ("\"2m\"", "\"25h\"", "s.toml:15: step[1].after: 25h is later than 24h"),
            ("users", "usres", "s.toml:12: step[0].usres: unknown key; did you mean `step[0].users`?"),
            (
                "repair.acknowledged",
                "repair.done",
                "s.toml:16: step[1].type: \"repair.done\" is none of outage.started",
            ),
            ("service = \"a\"\nby", "service = \"b\"\nby", "s.toml:17: step[1].service: no step before says"),
        ] {
            let found = mistakes(from, to);
            assert!(found.contains(expected), "{found}\nlacks {expected}");
        }
        assert!(read_scenario("s.toml", "name = \"x\"").unwrap_err().to_string().contains("step: there is none"));
    }
}
