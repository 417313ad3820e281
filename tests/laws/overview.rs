//! What people see as a whole is what they would count by looking at everything.

use std::collections::BTreeMap;

use fournines::engine::{Engine, Standing};
use fournines::model::figures::State;
use fournines::model::incident::{Incident, IncidentId, Status};
use fournines::model::time::Span;
use proptest::collection::vec;
use proptest::prelude::*;

use super::world::{END, at, run, world};

/// How many services stand how, one by one.
fn standing(engine: &Engine) -> Standing {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let now = engine.now();
    for view in engine.services().filter(|view| view.since().is_none_or(|since| since <= now)) {
        *counts.entry(view.state(now).name()).or_default() += 1;
    }
    let count = |state: State| counts.get(state.name()).copied().unwrap_or(0);
    Standing {
        services: engine.services().len() as u64,
        down: count(State::Down),
        degraded: count(State::Degraded),
        maintenance: count(State::Maintenance),
        unknown: count(State::Unknown),
    }
}

/// Those that go on or were restored within a day, of all.
fn recent(engine: &Engine) -> Vec<IncidentId> {
    let lately = |incident: &&Incident| match incident.status {
        Status::Merged | Status::Withdrawn => false,
        status if status.is_open() => true,
        _ => incident.restored.is_some_and(|end| engine.now().since(end) < Span::from_hours(24)),
    };
    engine.incidents().filter(lately).map(|incident| incident.id).collect()
}

fn is_right(engine: &Engine) -> Result<(), TestCaseError> {
    prop_assert_eq!(engine.standing(engine.now()), standing(engine), "at {}", engine.now());
    let found: Vec<IncidentId> = engine.recent_incidents().map(|incident| incident.id).collect();
    prop_assert_eq!(found, recent(engine), "at {}", engine.now());
    Ok(())
}

proptest! {
    /// However it came about, and across restarts.
    #[test]
    fn an_overview_is_what_one_counts(world in world(), restarts in vec(any::<bool>(), 41)) {
        let mut restarts = restarts.into_iter();
        let mut checked = Ok(());
        let (mut engine, _) = run(&world, |engine, _, _| {
            if restarts.next() == Some(true) {
                *engine = Engine::restore(&engine.snapshot()).unwrap();
            }
            // Once all of the instant has come.
            let mut settled = engine.to_read();
            settled.advance(engine.now(), &mut Vec::new());
            if checked.is_ok() {
                checked = is_right(&settled);
            }
        });
        checked?;
        for hours in [1, 12, 20, 24, 26, 40] {
            engine.advance(at(END + hours * 3600), &mut Vec::new());
            is_right(&engine)?;
        }
    }
}
