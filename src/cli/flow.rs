//! The procedure as a chart: the same one that the clocks enforce (manual §4.3, R70).

use std::fmt::Write;

use crate::model::incident::Stage;
use crate::model::level::Level;
use crate::model::policy::Policy;
use crate::model::procedure::{ClockName, ClockRule, Until};
use crate::model::target::{REPAIR, RESPONSE, Value};
use crate::model::time::Span;

/// The procedure as a Mermaid flowchart: the stages in order with who answers for each and what makes it done, and the
/// clocks from what starts each to what stops it.
pub(super) fn mermaid(policy: &Policy) -> String {
    let mut text = String::from("flowchart TD\n    started([\"the first outage begins\"])\n");
    for stage in Stage::ALL {
        let step = policy.procedure.step(stage);
        let who = step.map_or_else(String::new, |step| {
            format!("<br/><i>{}</i><br/>{}", escaped(&step.owner), escaped(&step.done_when))
        });
        let _ = writeln!(text, "    {}[\"<b>{}</b>{who}\"]", stage.name(), stage.name());
    }
    let _ = writeln!(text, "    started --> detected");
    for pair in Stage::ALL.windows(2) {
        let _ = writeln!(text, "    {} --> {}", pair[0].name(), pair[1].name());
    }
    let _ = writeln!(text, "    restored -. \"down again before it is verified\" .-> detected");
    for (number, rule) in policy.procedure.clocks.iter().enumerate() {
        let until = match rule.until {
            Until::Reached(stage) => stage.name().to_owned(),
            Until::Notice => {
                let _ = writeln!(text, "    notice{number}[/\"{}\"/]", escaped(rule.name.as_str()));
                format!("notice{number}")
            }
        };
        let from = rule.from.name();
        let label = format!("{}: {}", rule.name, limits(policy, rule));
        let _ = writeln!(text, "    {from} -. \"{}\" .-> {until}", escaped(&label));
    }
    text
}

/// How long a clock may run: by level where that differs.
pub(super) fn limits(policy: &Policy, rule: &ClockRule) -> String {
    let target = match rule.name {
        ClockName::Response => limit_of(policy, RESPONSE),
        ClockName::Repair => limit_of(policy, REPAIR),
        ClockName::Named(_) => None,
    };
    let by_level = Level::ALL.map(|level| (level, rule.limit(level).or(target)));
    if by_level.iter().all(|(_, limit)| *limit == by_level[0].1) {
        return by_level[0].1.map_or_else(|| "no limit".to_owned(), |limit| format!("within {limit}"));
    }
    let some = by_level.iter().filter_map(|(level, limit)| Some(format!("{} level {}", level.name(), (*limit)?)));
    some.collect::<Vec<_>>().join(", ")
}

fn limit_of(policy: &Policy, name: &str) -> Option<Span> {
    policy.targets.base.iter().find(|target| target.name == name).and_then(|target| Value::limit(target.value))
}

/// A text as Mermaid takes it between quotes.
fn escaped(text: &str) -> String {
    text.replace('&', "#amp;").replace('"', "#quot;").replace('<', "#lt;").replace('>', "#gt;")
}
