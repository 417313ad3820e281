//! The procedure as TOML and back: `[stages.…]`, the regulators' notices, and the record of both.

use super::REGULATORS;
use super::levels::{quoted, read_conditions, write_conditions};
use super::reader::{Mistakes, Reader};
use crate::model::incident::Stage;
use crate::model::level::Level;
use crate::model::policy::Policy;
use crate::model::procedure::{Again, ClockName, ClockRule, Milestone, Procedure, Standing, Step, Until};
use crate::model::time::Span;

/// The procedure that the settings say.
pub(super) fn read(reader: &mut Reader) -> Result<Procedure, Mistakes> {
    let mut procedure = Procedure::default();
    for stage in Stage::ALL {
        let key = format!("stages.{}", stage.name());
        if reader.has(&key) {
            read_stage(reader, &key, stage, &mut procedure);
        }
    }
    for notice in read_notices(reader, "reporting.notice").into_iter().chain(regulators(reader)?) {
        if procedure.clocks.iter().any(|known| known.name == notice.name) {
            reader
                .wrong("reporting.notice", format!("there are two clocks of the name {:?}", notice.name.as_str()));
        }
        procedure.clocks.push(notice);
    }
    Ok(procedure)
}

/// `[stages.…]`: every stage that is named has an owner, a criterion and a limit (R19, R137).
fn read_stage(reader: &mut Reader, key: &str, stage: Stage, procedure: &mut Procedure) {
    let at = |name: &str| format!("{key}.{name}");
    let (owner, done_when) = (reader.text(&at("owner")), reader.text(&at("done_when")));
    if owner.is_none() {
        reader
            .wrong(&at("owner"), "nobody answers for this stage: say who does, such as owner = \"field service\"");
    }
    if done_when.is_none() {
        reader.wrong(&at("done_when"), "nothing says when this stage is done: say so in a line");
    }
    let name = if stage == Stage::Repaired { "permanent_fix" } else { stage.name() };
    let since = |from| ClockRule::until_stage(ClockName::Named(name.into()), from, stage);
    let (mut rule, by_targets) = match stage {
        Stage::Acknowledged => (ClockRule::response(), true),
        Stage::Restored => (ClockRule::repair(), true),
        Stage::Detected => (since(Milestone::Started), false),
        Stage::Repaired => (since(Milestone::Reached(Stage::Mitigated)), false),
        Stage::Verified | Stage::Reviewed => (since(Milestone::Reached(Stage::Restored)), false),
        _ => (since(Milestone::Reached(Stage::Detected)), false),
    };
    rule.limits = read_limits(reader, key);
    if let Some(from) = read_milestone(reader, &at("from")) {
        rule.from = from;
    }
    if let Some(warn_at) = read_warn_at(reader, &at("warn_at")) {
        rule.warn_at = warn_at;
    }
    if rule.limits == [None; 3] && !by_targets {
        let how = "say limit = \"2h\", or limit.first = \"1h\" and so on for some levels";
        reader.wrong(&at("limit"), format!("nothing says by when this stage is due: {how}"));
    }
    procedure.clocks.retain(|known| known.name != rule.name);
    procedure.clocks.push(rule);
    if let (Some(owner), Some(done_when)) = (owner, done_when) {
        procedure.steps.push(Step { stage, owner, done_when });
    }
}

/// A limit for all levels, or one for each of some.
fn read_limits(reader: &mut Reader, key: &str) -> [Option<Span>; 3] {
    let levels = [Level::Third, Level::Second, Level::First];
    let by_level = levels.map(|level| format!("{key}.limit.{}", level.name()));
    if by_level.iter().any(|key| reader.has(key)) {
        by_level.map(|key| reader.parse(&key))
    } else {
        [reader.parse(&format!("{key}.limit")); 3]
    }
}

fn read_milestone(reader: &mut Reader, key: &str) -> Option<Milestone> {
    let name = reader.text(key)?;
    let milestone = Milestone::named(&name);
    if milestone.is_none() {
        let stages = Stage::ALL.map(Stage::name).join(", ");
        reader.wrong(key, format!("{name:?} is none of started, {stages}"));
    }
    milestone
}

fn read_warn_at(reader: &mut Reader, key: &str) -> Option<Vec<u8>> {
    let shares: Vec<f64> = reader.take(key, "a list of shares such as [0.5, 0.8]")?;
    let mut percents = Vec::new();
    for share in shares {
        let percent = (share * 100.0).round();
        if !(1.0..100.0).contains(&percent) {
            reader.wrong(key, format!("{share} is not a share of the limit between 0 and 1"));
            continue;
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to 99")]
        percents.push(percent as u8);
    }
    percents.sort_unstable();
    percents.dedup();
    Some(percents)
}

/// The notices that the regulators named in `reporting.regulators` ask for.
fn regulators(reader: &mut Reader) -> Result<Vec<ClockRule>, Mistakes> {
    const KEY: &str = "reporting.regulators";
    let wanted: Vec<String> = reader.take(KEY, "a list such as [\"cn\"]").unwrap_or_default();
    let mut own = Reader::of_toml("regulators.toml", REGULATORS)?;
    let all: Vec<(String, ClockRule)> = read_notices(&mut own, "notice")
        .into_iter()
        .map(|rule| (rule.name.as_str().split('.').next().unwrap_or_default().to_owned(), rule))
        .collect();
    own.finish()?;
    for name in &wanted {
        if !all.iter().any(|(regulator, _)| regulator == name) {
            let mut known: Vec<&str> = all.iter().map(|(regulator, _)| regulator.as_str()).collect();
            known.dedup();
            reader.wrong(KEY, format!("{name:?} is none of {}", known.join(", ")));
        }
    }
    Ok(all.into_iter().filter(|(regulator, _)| wanted.contains(regulator)).map(|(_, rule)| rule).collect())
}

/// Notices as tables: whom to tell by when, and on what conditions.
fn read_notices(reader: &mut Reader, list: &str) -> Vec<ClockRule> {
    let mut notices = Vec::new();
    for index in 0..reader.tables(list) {
        let key = format!("{list}[{index}]");
        let at = |name: &str| format!("{key}.{name}");
        let Some(name) = reader.text(&at("name")) else {
            reader.wrong(&key, "say its name, such as \"cn.oral\": what a notice.sent event says was sent");
            continue;
        };
        let mut rule = read_rule(reader, &key, ClockName::Named(name.into()), Until::Notice);
        if !reader.has(&at("standing")) {
            rule.standing = Standing::Own;
        }
        if rule.limits == [None; 3] {
            reader.wrong(&at("limit"), "nothing says by when it is due: say limit = \"24h\"");
        }
        notices.push(rule);
    }
    notices
}

/// What is alike in a notice and in a clock of a record.
fn read_rule(reader: &mut Reader, key: &str, name: ClockName, until: Until) -> ClockRule {
    let at = |name: &str| format!("{key}.{name}");
    let again_during = reader.parse(&at("again.during"));
    let again_then = reader.parse(&at("again.then"));
    let again = match (again_during, again_then) {
        (Some(during), Some(then)) => Some(Again { during, then }),
        (None, None) => None,
        _ => {
            reader.wrong(&at("again"), "say both: again.during = \"24h\" and again.then = \"24h\"");
            None
        }
    };
    let standing = reader.text(&at("standing")).map(|name| (Standing::named(&name), name));
    if let Some((None, name)) = &standing {
        reader.wrong(&at("standing"), format!("{name:?} is none of OWN, READ, RECALL"));
    }
    let mut when = Vec::new();
    for index in 0..reader.tables(&at("when")) {
        when.push(read_conditions(reader, &format!("{key}.when[{index}]")));
    }
    ClockRule {
        name,
        from: read_milestone(reader, &at("from")).unwrap_or(Milestone::Reached(Stage::Detected)),
        until,
        limits: read_limits(reader, key),
        when,
        again,
        warn_at: read_warn_at(reader, &at("warn_at")).unwrap_or_else(|| ClockRule::WARN_AT.to_vec()),
        cite: reader.text(&at("cite")).unwrap_or_default(),
        standing: standing.and_then(|(standing, _)| standing).unwrap_or(Standing::Own),
    }
}

/// The procedure of a record; of one from before there was any, the manual's two limits.
pub(super) fn read_record(reader: &mut Reader) -> Procedure {
    if !reader.has("procedure") {
        return Procedure::default();
    }
    let mut procedure = Procedure { steps: Vec::new(), clocks: Vec::new() };
    let stage_named = |name: &str| Stage::ALL.into_iter().find(|stage| stage.name() == name);
    for index in 0..reader.tables("procedure.step") {
        let mut field = |name: &str| reader.text(&format!("procedure.step[{index}].{name}")).unwrap_or_default();
        let (stage, owner, done_when) = (field("stage"), field("owner"), field("done_when"));
        procedure.steps.extend(stage_named(&stage).map(|stage| Step { stage, owner, done_when }));
    }
    for index in 0..reader.tables("procedure.clock") {
        let key = format!("procedure.clock[{index}]");
        let name = match reader.text(&format!("{key}.name")).unwrap_or_default() {
            name if name == ClockName::Response.as_str() => ClockName::Response,
            name if name == ClockName::Repair.as_str() => ClockName::Repair,
            name => ClockName::Named(name.into()),
        };
        let until = reader.text(&format!("{key}.until")).and_then(|name| stage_named(&name));
        let rule = read_rule(reader, &key, name, until.map_or(Until::Notice, Until::Reached));
        procedure.clocks.push(rule);
    }
    procedure
}

/// The procedure as TOML that [`read_record`] reads.
pub(super) fn write(policy: &Policy) -> String {
    use std::fmt::Write;
    let Procedure { steps, clocks } = &policy.procedure;
    let mut text = String::new();
    for Step { stage, owner, done_when } in steps {
        let _ = writeln!(text, "[[procedure.step]]\nstage = \"{}\"", stage.name());
        let _ = writeln!(text, "owner = {}\ndone_when = {}\n", quoted(owner), quoted(done_when));
    }
    for rule in clocks {
        let _ = writeln!(text, "[[procedure.clock]]\nname = {}", quoted(rule.name.as_str()));
        let _ = writeln!(text, "from = \"{}\"", rule.from.name());
        if let Until::Reached(stage) = rule.until {
            let _ = writeln!(text, "until = \"{}\"", stage.name());
        }
        for level in Level::ALL {
            if let Some(limit) = rule.limit(level) {
                let _ = writeln!(text, "limit.{} = \"{limit}\"", level.name());
            }
        }
        if let Some(Again { during, then }) = rule.again {
            let _ = writeln!(text, "again.during = \"{during}\"\nagain.then = \"{then}\"");
        }
        let shares: Vec<String> = rule.warn_at.iter().map(|percent| format!("0.{percent:02}")).collect();
        let _ = writeln!(text, "warn_at = [{}]", shares.join(", "));
        let _ = writeln!(text, "cite = {}\nstanding = \"{}\"\n", quoted(&rule.cite), rule.standing.name());
        for conditions in &rule.when {
            let _ = writeln!(text, "[[procedure.clock.when]]\n{}", write_conditions(conditions));
        }
    }
    text
}
