//! Targets: the built-in profile, what the settings say otherwise, and overrides for some services.

use super::MANUAL_2025;
use super::levels::quoted;
use super::reader::{Mistakes, Reader};
use crate::model::calendar::Calendar;
use crate::model::level::Ratio;
use crate::model::policy::Feed;
use crate::model::target::{LatencyTarget, Maintenance, MeasurementLimit, Override, Scope, Target, Targets, Value};
use crate::model::time::{Span, Window};

/// The targets in force.
pub(super) fn read(reader: &mut Reader) -> Result<Targets, Mistakes> {
    let mut base = built_in()?;
    match reader.text("targets.profile").as_deref() {
        Some("manual-2025") => {}
        Some(other) => {
            reader.wrong("targets.profile", format!("there is no profile {other:?}; there is \"manual-2025\""));
        }
        None => reader.wrong("targets.profile", "say which profile, such as \"manual-2025\""),
    }
    for target in &mut base {
        let key = format!("targets.{}", target.name);
        if let Some(value) = read_value(reader, &key, target.value) {
            target.value = value;
        }
    }
    Ok(read_rest(reader, base))
}

/// What there is beside the numbers of the profile.
pub(super) fn read_rest(reader: &mut Reader, base: Vec<Target>) -> Targets {
    let defaults = Targets::default();
    let window = reader.text("targets.budget_window");
    let budget_window = match window.as_deref().map(Window::named) {
        Some(Some(window)) => window,
        None => defaults.budget_window,
        Some(None) => {
            let names: Vec<&str> = Window::ALL.iter().map(|window| window.name()).collect();
            reader.wrong("targets.budget_window", format!("is none of {}", names.join(", ")));
            defaults.budget_window
        }
    };
    Targets {
        overrides: read_overrides(reader, &base),
        base,
        maintenance: maintenance(reader, "targets.maintenance").unwrap_or_default(),
        degraded_weight: ratio(reader, "targets.degraded_weight").unwrap_or_default(),
        budget_window,
        risk_horizon: reader.parse("targets.risk_horizon").unwrap_or(defaults.risk_horizon),
        watch_services: reader.take("targets.watch_services", "true or false").unwrap_or(defaults.watch_services),
        latency: latency(reader, "targets.latency"),
        measurements: measurements(reader),
        effective_from: reader.parse("targets.effective_from"),
    }
}

fn maintenance(reader: &mut Reader, key: &str) -> Option<Maintenance> {
    let text = reader.text(key)?;
    let mode = Maintenance::ALL.into_iter().find(|mode| mode.name() == text);
    if mode.is_none() {
        let names: Vec<&str> = Maintenance::ALL.iter().map(|mode| mode.name()).collect();
        reader.wrong(key, format!("{text:?} is none of {}", names.join(", ")));
    }
    mode
}

fn ratio(reader: &mut Reader, key: &str) -> Option<Ratio> {
    let value = reader.take::<f64>(key, "a number from 0 to 1")?;
    let ratio = Ratio::new(value);
    if ratio.is_none() {
        reader.wrong(key, format!("{value} is not from 0 to 1 (99.99 % is 0.9999)"));
    }
    ratio
}

/// A promise about latency: both its limit and the share of samples within it, or none.
fn latency(reader: &mut Reader, key: &str) -> Option<LatencyTarget> {
    let limit = reader.parse::<Span>(&format!("{key}.limit"));
    let share = ratio(reader, &format!("{key}.ratio"));
    match (limit, share) {
        (Some(limit), Some(ratio)) => Some(LatencyTarget { limit, ratio }),
        (None, None) => None,
        _ => {
            reader.wrong(key, "say both: limit = \"100ms\" and ratio = 0.95, the share of samples within it");
            None
        }
    }
}

fn measurements(reader: &mut Reader) -> Vec<MeasurementLimit> {
    let mut limits = Vec::new();
    for index in 0..reader.tables("targets.measurement") {
        let key = format!("targets.measurement[{index}]");
        let metric = reader.text(&format!("{key}.metric"));
        let mut number =
            |name: &str| reader.take::<f64>(&format!("{key}.{name}"), "a number").filter(|n| n.is_finite());
        let (over, under, clear) = (number("over"), number("under"), number("clear"));
        let (above, limit) = match (over, under) {
            (Some(limit), None) => (true, limit),
            (None, Some(limit)) => (false, limit),
            _ => {
                reader.wrong(&key, "say beyond what it is out of range: exactly one of over and under");
                continue;
            }
        };
        let clear = clear.unwrap_or(limit);
        if above && clear > limit || !above && clear < limit {
            reader.wrong(&format!("{key}.clear"), format!("{clear} lies beyond the limit {limit} itself"));
        }
        match metric {
            Some(metric) => limits.push(MeasurementLimit { metric, above, limit, clear }),
            None => reader.wrong(&key, "say which metric, such as \"packet_loss_ratio\""),
        }
    }
    limits
}

/// The zone of calendar days, months, quarters and years.
pub(super) fn time_zone(reader: &mut Reader) -> String {
    let zone = reader.text("time_zone").unwrap_or_default();
    if let Err(error) = Calendar::new(&zone) {
        reader.wrong("time_zone", error.to_string());
    }
    zone
}

/// The sources that are expected to speak.
pub(super) fn feeds(reader: &mut Reader) -> Vec<Feed> {
    let mut feeds: Vec<Feed> = Vec::new();
    for index in 0..reader.tables("sources.feed") {
        let key = format!("sources.feed[{index}]");
        let source = reader.text(&format!("{key}.source"));
        let heartbeat = reader.parse::<Span>(&format!("{key}.heartbeat")).filter(|span| *span > Span::ZERO);
        let group = reader.text(&format!("{key}.group")).unwrap_or_else(|| "all".to_owned());
        match (source, heartbeat) {
            (Some(source), Some(_)) if feeds.iter().any(|feed| feed.source == source) => {
                reader.wrong(&key, format!("there are two feeds of the source {source:?}"));
            }
            (Some(source), Some(heartbeat)) => feeds.push(Feed { source, heartbeat, group }),
            _ => reader.wrong(&key, "say whose: source = \"…\", and how long it may be silent: heartbeat = \"5m\""),
        }
    }
    feeds
}

fn built_in() -> Result<Vec<Target>, Mistakes> {
    let mut reader = Reader::of_toml("manual-2025.toml", MANUAL_2025)?;
    let base = read_base(&mut reader);
    reader.finish()?;
    Ok(base)
}

/// Targets written out as `[[target]]` tables.
pub(super) fn read_base(reader: &mut Reader) -> Vec<Target> {
    let mut base = Vec::new();
    for index in 0..reader.tables("target") {
        let at = |name: &str| format!("target[{index}].{name}");
        let ratio = reader.take::<f64>(&at("ratio"), "a number from 0 to 1").and_then(Ratio::new).map(Value::Ratio);
        let limit = reader.parse::<Span>(&at("limit")).map(Value::Limit);
        let count = reader.take::<u64>(&at("count"), "a whole number").map(Value::Count);
        let name = reader.text(&at("name")).unwrap_or_default();
        let mut field = |name: &str| reader.text(&at(name)).unwrap_or_default();
        let (clause, requirement, phrase) = (field("clause"), field("requirement"), field("phrase"));
        match ratio.or(limit).or(count) {
            Some(value) => base.push(Target { name, value, clause, requirement, phrase }),
            None => reader.wrong(&format!("target[{index}]"), "has none of ratio, limit and count"),
        }
    }
    base
}

/// `[[targets.override]]` tables: one of service, group and tier, and any targets of the profile.
pub(super) fn read_overrides(reader: &mut Reader, base: &[Target]) -> Vec<Override> {
    let mut overrides = Vec::new();
    for index in 0..reader.tables("targets.override") {
        let key = format!("targets.override[{index}]");
        let service = reader.text(&format!("{key}.service")).map(Scope::Service);
        let group = reader.text(&format!("{key}.group")).map(Scope::Group);
        let tier = reader.text(&format!("{key}.tier")).map(Scope::Tier);
        let scopes: Vec<Scope> = [service, group, tier].into_iter().flatten().collect();
        let mut values = Vec::new();
        for target in base {
            let value = read_value(reader, &format!("{key}.{}", target.name), target.value);
            values.extend(value.map(|value| (target.name.clone(), value)));
        }
        match <[Scope; 1]>::try_from(scopes) {
            Ok([scope]) => overrides.push(Override {
                scope,
                values,
                maintenance: maintenance(reader, &format!("{key}.maintenance")),
                latency: latency(reader, &format!("{key}.latency")),
            }),
            Err(_) => reader.wrong(&key, "say for whom: exactly one of service, group and tier"),
        }
    }
    overrides
}

/// A number for a target that is a ratio, a limit or a count like `like`.
fn read_value(reader: &mut Reader, key: &str, like: Value) -> Option<Value> {
    match like {
        Value::Ratio(_) => ratio(reader, key).map(Value::Ratio),
        Value::Limit(_) => reader.parse(key).map(Value::Limit),
        Value::Count(_) => reader.take(key, "a whole number").map(Value::Count),
    }
}

/// The targets as TOML that [`read_base`] and [`read_rest`] read.
pub(super) fn write(targets: &Targets) -> String {
    use std::fmt::Write;
    let mut text = String::from("[targets]\n");
    let _ = writeln!(text, "maintenance = {}", quoted(targets.maintenance.name()));
    let _ = writeln!(text, "degraded_weight = {:?}", targets.degraded_weight.as_f64());
    let _ = writeln!(text, "budget_window = {}", quoted(targets.budget_window.name()));
    let _ = writeln!(text, "risk_horizon = \"{}\"", targets.risk_horizon);
    let _ = writeln!(text, "watch_services = {}", targets.watch_services);
    if let Some(from) = targets.effective_from {
        let _ = writeln!(text, "effective_from = \"{from}\"");
    }
    text.push_str(&write_latency("latency", targets.latency));
    text.push('\n');
    for limit in &targets.measurements {
        let side = if limit.above { "over" } else { "under" };
        let _ = writeln!(text, "[[targets.measurement]]\nmetric = {}", quoted(&limit.metric));
        let _ = writeln!(text, "{side} = {:?}\nclear = {:?}\n", limit.limit, limit.clear);
    }
    for target in &targets.base {
        let kind = match target.value {
            Value::Ratio(_) => "ratio",
            Value::Limit(_) => "limit",
            Value::Count(_) => "count",
        };
        let _ = writeln!(text, "[[target]]\nname = {}", quoted(&target.name));
        let _ = writeln!(text, "{kind} = {}", written(target.value));
        let _ = writeln!(text, "clause = {}", quoted(&target.clause));
        let _ = writeln!(text, "requirement = {}", quoted(&target.requirement));
        let _ = writeln!(text, "phrase = {}\n", quoted(&target.phrase));
    }
    for other in &targets.overrides {
        let (key, name) = match &other.scope {
            Scope::Service(name) => ("service", name),
            Scope::Group(name) => ("group", name),
            Scope::Tier(name) => ("tier", name),
        };
        let _ = writeln!(text, "[[targets.override]]\n{key} = {}", quoted(name));
        for (name, value) in &other.values {
            let _ = writeln!(text, "{name} = {}", written(*value));
        }
        if let Some(mode) = other.maintenance {
            let _ = writeln!(text, "maintenance = {}", quoted(mode.name()));
        }
        text.push_str(&write_latency("latency", other.latency));
        text.push('\n');
    }
    text
}

fn write_latency(key: &str, target: Option<LatencyTarget>) -> String {
    target.map_or_else(String::new, |LatencyTarget { limit, ratio }| {
        format!("{key}.limit = \"{limit}\"\n{key}.ratio = {:?}\n", ratio.as_f64())
    })
}

fn written(value: Value) -> String {
    match value {
        Value::Ratio(ratio) => format!("{:?}", ratio.as_f64()),
        Value::Limit(limit) => format!("\"{limit}\""),
        Value::Count(count) => count.to_string(),
    }
}
