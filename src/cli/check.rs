//! `fournines check`: what the configuration says, or everything that is wrong with it.

use std::path::PathBuf;

use clap::Args;

use super::table::percent;
use super::{Failure, flow, settings};
use crate::config::{Alerting, DEFAULTS, LEVELS, MANUAL_2025, REGULATORS, ReceiverKind, Settings};
use crate::model::level::{Condition, Level};
use crate::model::policy::{Correlation, Policy};
use crate::model::procedure::Until;
use crate::model::target::{Scope, Value};

/// Checks configuration, catalogue, targets and level rules, and prints what they say
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  fournines check -c fournines.toml\n  fournines check --print-defaults\n  fournines check -c fournines.toml --flow > flow.mmd"
)]
pub(super) struct Arguments {
    /// The configuration, in TOML
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the built-in settings, the targets profile manual-2025, the level rules and the regulators' notices, as files,
    /// and nothing else
    #[arg(long)]
    print_defaults: bool,
    /// Print the procedure as a Mermaid flowchart, and nothing else: stages, who answers for each, and clocks
    #[arg(long, conflicts_with = "print_defaults")]
    flow: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    if arguments.print_defaults {
        print!(
            "{DEFAULTS}\n# ---- the targets profile manual-2025 ----\n\n{MANUAL_2025}\n# ---- the level rules ----\n\n{LEVELS}\n# ---- the regulators' notices ----\n\n{REGULATORS}"
        );
        return Ok(());
    }
    let settings = settings(arguments.config.as_ref(), None)?;
    if arguments.flow {
        print!("{}", flow::mermaid(&settings.policy));
    } else {
        print!("{}", understood(&settings));
    }
    Ok(())
}

fn understood(settings: &Settings) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    let register = if settings.auto_register { "others are taken in" } else { "others are rejected" };
    let _ = writeln!(text, "listen         {}", settings.server.listen);
    let _ = writeln!(text, "storage        {}", settings.storage.path.display());
    let _ = writeln!(text, "time zone      {}", settings.policy.time_zone);
    text.push_str(&receivers(&settings.alerting));
    let _ = writeln!(text, "catalogue      {} services; {register}", settings.policy.services.len());
    let Correlation { reopen, window, siblings } = settings.policy.correlation;
    let _ = writeln!(text, "same incident  down again within {reopen}; below something that is down");
    let _ = writeln!(text, "               {siblings} of one parent, or their parent after them, within {window}");
    let _ = writeln!(text, "\ntargets");
    for target in &settings.policy.targets.base {
        let _ = writeln!(
            text,
            "  {:<26} {:<10} §{:<9} {}",
            target.name,
            shown(target.value),
            target.clause,
            target.requirement
        );
    }
    for other in &settings.policy.targets.overrides {
        let (kind, name) = match &other.scope {
            Scope::Service(name) => ("service", name),
            Scope::Group(name) => ("group", name),
            Scope::Tier(name) => ("tier", name),
        };
        for (target, value) in &other.values {
            let _ = writeln!(text, "  {target:<26} {:<10} for {kind} {name}", shown(*value));
        }
    }
    for level in Level::ALL {
        let _ = writeln!(text, "\n{} level", level.name());
        for rule in settings.policy.levels.of(level) {
            let _ = writeln!(text, "  {}\n      {}", conditions(&rule.conditions), rule.cite);
        }
    }
    text.push_str(&procedure(&settings.policy));
    text
}

/// Who is told of what.
fn receivers(alerting: &Alerting) -> String {
    if alerting.receivers.is_empty() {
        return "receivers      none: nobody is paged\n".to_owned();
    }
    let mut text = String::new();
    for receiver in &alerting.receivers {
        let mut parts = match &receiver.kind {
            ReceiverKind::Alertmanager => vec![format!("Alertmanager {}", receiver.name)],
            ReceiverKind::Webhook { secret } => {
                let signed = if secret.is_some() { "signed" } else { "not signed: no secret_file" };
                vec![format!("webhook {} at {} ({signed})", receiver.name, receiver.access.url)]
            }
        };
        let values = |(label, values): &(String, Vec<String>)| format!("{label} is {}", values.join(" or "));
        parts.extend(receiver.matches.iter().map(values));
        parts.extend(receiver.unacknowledged_for.map(|wait| format!("unacknowledged for {wait}")));
        parts.extend(
            receiver.pages_per_hour.map(|pages| format!("at most {pages} pages an hour, but of first level")),
        );
        let title = if text.is_empty() { "receivers" } else { "" };
        text.push_str(&format!("{title:<14} {}\n", parts.join(", ")));
    }
    text
}

/// Who answers for what, by when, and whom to tell by when.
fn procedure(policy: &Policy) -> String {
    use std::fmt::Write;
    let mut text = String::from("\nprocedure\n");
    for rule in &policy.procedure.clocks {
        let _ = writeln!(text, "  {:<26} {}", rule.name.as_str(), flow::limits(policy, rule));
        match rule.until {
            Until::Reached(stage) => {
                if let Some(step) = policy.procedure.step(stage) {
                    let _ = writeln!(text, "      {}: {}", step.owner, step.done_when);
                }
            }
            Until::Notice => {
                for all in &rule.when {
                    let _ = writeln!(text, "      once {}", conditions(all));
                }
                if !rule.cite.is_empty() {
                    let _ = writeln!(text, "      {} ({})", rule.cite, rule.standing.name());
                }
            }
        }
    }
    text
}

fn shown(value: Value) -> String {
    match value {
        Value::Ratio(ratio) => format!("{} %", percent(ratio)),
        Value::Limit(limit) => limit.to_string(),
        Value::Count(count) => count.to_string(),
    }
}

fn conditions(conditions: &[Condition]) -> String {
    let all: Vec<String> = conditions
        .iter()
        .map(|condition| match condition {
            Condition::UsersOver(n) => format!("users > {n}"),
            Condition::UsersAtLeast(n) => format!("users >= {n}"),
            Condition::UserMinutesOver(n) => format!("user-minutes > {n}"),
            Condition::UserMinutesAtLeast(n) => format!("user-minutes >= {n}"),
            Condition::ShareOver(share) => format!("share > {}", share.as_f64()),
            Condition::LongerThan(span) => format!("time > {span}"),
            Condition::LastingAtLeast(span) => format!("time >= {span}"),
            Condition::RegionsAtLeast(n) => format!("regions >= {n}"),
            Condition::Kind(kind) => format!("kind is {kind}"),
            Condition::Tier(tier) => format!("tier is {tier}"),
            Condition::Tag(tag) => format!("in group {tag}"),
        })
        .collect();
    if all.is_empty() { "always".to_owned() } else { all.join(" and ") }
}
