//! Level rules as TOML, and back.

use super::LEVELS;
use super::reader::{Mistakes, Reader};
use crate::model::level::{Condition, Level, LevelRules, Ratio, Rule};
use crate::model::time::Span;

/// The rules in force: the built-in ones, but for each level that the settings have a rule of.
pub(super) fn read(reader: &mut Reader) -> Result<LevelRules, Mistakes> {
    let mut rules = built_in()?;
    for level in Level::ALL {
        if reader.has(&format!("levels.{}", level.name())) {
            let own = read_level(reader, level);
            match level {
                Level::First => rules.first = own,
                Level::Second => rules.second = own,
                Level::Third => rules.third = own,
            }
        } else {
            reader.tables(&format!("levels.{}", level.name()));
        }
    }
    Ok(rules)
}

fn built_in() -> Result<LevelRules, Mistakes> {
    let mut reader = Reader::of_toml("levels.toml", LEVELS)?;
    let rules = LevelRules {
        first: read_level(&mut reader, Level::First),
        second: read_level(&mut reader, Level::Second),
        third: read_level(&mut reader, Level::Third),
    };
    reader.finish()?;
    Ok(rules)
}

pub(super) fn read_level(reader: &mut Reader, level: Level) -> Vec<Rule> {
    let key = format!("levels.{}", level.name());
    (0..reader.tables(&key)).map(|index| read_rule(reader, level, &format!("{key}[{index}]"), index)).collect()
}

/// The conditions that a table names.
pub(super) fn read_conditions(reader: &mut Reader, key: &str) -> Vec<Condition> {
    const NUMBER: &str = "a whole number";
    let at = |name: &str| format!("{key}.{name}");
    let mut conditions = Vec::new();
    conditions.extend(reader.take(&at("users_over"), NUMBER).map(Condition::UsersOver));
    conditions.extend(reader.take(&at("users_at_least"), NUMBER).map(Condition::UsersAtLeast));
    conditions.extend(reader.take(&at("user_minutes_over"), NUMBER).map(Condition::UserMinutesOver));
    conditions.extend(reader.take(&at("user_minutes_at_least"), NUMBER).map(Condition::UserMinutesAtLeast));
    if let Some(share) = reader.take::<f64>(&at("share_over"), "a number from 0 to 1") {
        match Ratio::new(share) {
            Some(share) => conditions.push(Condition::ShareOver(share)),
            None => reader.wrong(&at("share_over"), format!("{share} is not from 0 to 1")),
        }
    }
    conditions.extend(reader.parse::<Span>(&at("longer_than")).map(Condition::LongerThan));
    conditions.extend(reader.parse::<Span>(&at("lasting_at_least")).map(Condition::LastingAtLeast));
    conditions.extend(reader.take(&at("regions_at_least"), NUMBER).map(Condition::RegionsAtLeast));
    conditions.extend(reader.text(&at("kind")).map(Condition::Kind));
    conditions.extend(reader.text(&at("tier")).map(Condition::Tier));
    conditions.extend(reader.text(&at("tag")).map(Condition::Tag));
    conditions
}

fn read_rule(reader: &mut Reader, level: Level, key: &str, index: usize) -> Rule {
    let conditions = read_conditions(reader, key);
    let cite = reader.text(&format!("{key}.cite")).unwrap_or_default();
    if conditions.is_empty() && level != Level::Third {
        reader.wrong(
            key,
            format!("has no condition, so that every interruption would be of the {} level", level.name()),
        );
    }
    Rule { name: format!("{}[{}]", level.name(), index + 1), cite, conditions }
}

/// The rules as TOML that [`read_level`] reads.
pub(super) fn write(rules: &LevelRules) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    for level in Level::ALL {
        for rule in rules.of(level) {
            let _ = writeln!(text, "[[levels.{}]]", level.name());
            text.push_str(&write_conditions(&rule.conditions));
            let _ = writeln!(text, "cite = {}\n", quoted(&rule.cite));
        }
    }
    text
}

/// Conditions as lines that [`read_conditions`] reads.
pub(super) fn write_conditions(conditions: &[Condition]) -> String {
    let line = |condition: &Condition| match condition {
        Condition::UsersOver(n) => format!("users_over = {n}\n"),
        Condition::UsersAtLeast(n) => format!("users_at_least = {n}\n"),
        Condition::UserMinutesOver(n) => format!("user_minutes_over = {n}\n"),
        Condition::UserMinutesAtLeast(n) => format!("user_minutes_at_least = {n}\n"),
        Condition::ShareOver(share) => format!("share_over = {:?}\n", share.as_f64()),
        Condition::LongerThan(span) => format!("longer_than = \"{span}\"\n"),
        Condition::LastingAtLeast(span) => format!("lasting_at_least = \"{span}\"\n"),
        Condition::RegionsAtLeast(n) => format!("regions_at_least = {n}\n"),
        Condition::Kind(kind) => format!("kind = {}\n", quoted(kind)),
        Condition::Tier(tier) => format!("tier = {}\n", quoted(tier)),
        Condition::Tag(tag) => format!("tag = {}\n", quoted(tag)),
    };
    conditions.iter().map(line).collect()
}

/// A text as TOML writes it.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
