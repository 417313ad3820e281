//! Targets: the built-in profile, what the settings say otherwise, and overrides for some services.

use super::MANUAL_2025;
use super::levels::quoted;
use super::reader::{Mistakes, Reader};
use crate::model::level::Ratio;
use crate::model::target::{Override, Scope, Target, Targets, Value};
use crate::model::time::Span;

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
    let overrides = read_overrides(reader, &base);
    Ok(Targets { base, overrides })
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
            Ok([scope]) => overrides.push(Override { scope, values }),
            Err(_) => reader.wrong(&key, "say for whom: exactly one of service, group and tier"),
        }
    }
    overrides
}

/// A number for a target that is a ratio, a limit or a count like `like`.
fn read_value(reader: &mut Reader, key: &str, like: Value) -> Option<Value> {
    match like {
        Value::Ratio(_) => {
            let ratio = reader.take::<f64>(key, "a number from 0 to 1")?;
            let value = Ratio::new(ratio).map(Value::Ratio);
            if value.is_none() {
                reader.wrong(key, format!("{ratio} is not from 0 to 1 (99.99 % is 0.9999)"));
            }
            value
        }
        Value::Limit(_) => reader.parse(key).map(Value::Limit),
        Value::Count(_) => reader.take(key, "a whole number").map(Value::Count),
    }
}

/// The targets as TOML that [`read_base`] and [`read_overrides`] read.
pub(super) fn write(targets: &Targets) -> String {
    use std::fmt::Write;
    let mut text = String::new();
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
        text.push('\n');
    }
    text
}

fn written(value: Value) -> String {
    match value {
        Value::Ratio(ratio) => format!("{:?}", ratio.as_f64()),
        Value::Limit(limit) => format!("\"{limit}\""),
        Value::Count(count) => count.to_string(),
    }
}
