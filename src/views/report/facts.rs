//! What was said of a period, as one SHA-256: the same for as long as nothing of it is corrected, whatever becomes of the
//! catalogue, the targets and the time after it.

use std::fmt::Write;

use ring::digest::{Context, SHA256};

use crate::engine::{Engine, OutageFact, ServiceView};
use crate::model::calendar::Range;
use crate::model::incident::Particulars;

/// The digest of the facts of a range.
#[must_use]
pub fn facts(engine: &Engine, range: Range) -> String {
    let mut told: Vec<ServiceView<'_>> = engine.services().filter(ServiceView::has_history).collect();
    told.sort_unstable_by_key(|view| view.name());
    let mut context = Context::new(&SHA256);
    let mut line = String::new();
    let mut say = |line: &mut String| {
        line.push('\n');
        context.update(line.as_bytes());
        line.clear();
    };
    for view in told {
        for OutageFact { key, started, ended, cause, parts } in view.outage_facts(range) {
            // Writing to a string does not fail.
            let _ = write!(line, "outage {} {key:?} {started} {ended:?} {} {parts:?}", view.name(), cause.name());
            say(&mut line);
        }
        for record in view.reports_in(range) {
            let _ = write!(line, "report {} {} {}", view.name(), record.at, record.action.name());
            let _ =
                write!(line, " {:?} {:?} {:?}", record.by, record.detail, record.cause.map(|cause| cause.name()));
            if let Particulars::Score(score) = record.particulars {
                let _ = write!(line, " {score}");
            }
            say(&mut line);
        }
    }
    for said in engine.announcements(range) {
        let (from, until, announced, replaced) = (said.from, said.until, said.announced, said.replaced);
        let _ = write!(line, "maintenance {} {} {:?}", said.of_group, said.whom, said.key);
        let _ = write!(line, " {from} {until} {announced} {replaced:?}");
        say(&mut line);
    }
    for silence in engine.silences(range).iter().filter(|silence| silence.count > 0) {
        let _ =
            write!(line, "silence {:?} {:?} {} {}", silence.source, silence.group, silence.count, silence.length);
        say(&mut line);
    }
    context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
