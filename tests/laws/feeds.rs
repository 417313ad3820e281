//! What is told of a feed's silence, against an answer by brute force from all that was heard by then.

use std::collections::BTreeSet;

use fournines::engine::{Engine, Input};
use fournines::model::alert::{Alert, AlertName};
use fournines::model::effect::{Effect, EffectKind};
use fournines::model::policy::Policy;
use fournines::model::time::{Instant, Span};
use proptest::prelude::*;

use super::world::{HEARTBEAT, HORIZON, Saying, at, engine, input, policy};

const TICK: Span = Span::from_micros(1);

/// The feed's signs of life that were received, in seconds, the policy that began to expect it among them.
fn signs(world: &[Saying], order: &[(i64, usize)], by: Instant) -> BTreeSet<i64> {
    let heard = order.iter().filter(|&&(received, number)| at(received) <= by && world[number].by_feed);
    heard.map(|&(_, number)| world[number].at).chain([0]).collect()
}

/// From when on nothing of it is known, if no more is heard.
fn silent_from(signs: &BTreeSet<i64>) -> Instant {
    at(signs.last().unwrap() + HEARTBEAT)
}

/// Since when it has been heard without a gap, up to its last sign.
fn heard_since(signs: &BTreeSet<i64>) -> Instant {
    let mut since = *signs.last().unwrap();
    while let Some(&earlier) = signs.range(since - HEARTBEAT..since).next() {
        since = earlier;
    }
    at(since)
}

fn firing(engine: &Engine) -> Option<&Alert> {
    let mut all = engine.alerts().filter(|alert| alert.key.name == AlertName::SourceSilent);
    let first = all.next();
    assert!(all.next().is_none(), "one feed has one alert");
    first
}

/// Holds what fires now against what was heard.
fn is_right(engine: &Engine, signs: &BTreeSet<i64>) -> Result<(), TestCaseError> {
    let (now, from) = (engine.now(), silent_from(signs));
    let found = firing(engine).map(|alert| alert.facts.started);
    let expected = (from < now).then_some(from);
    // At the very instant it depends on whether it was silent just before.
    prop_assert!(found == expected || from == now, "{:?}, not {:?} at {}", found, expected, now);
    Ok(())
}

/// Plays sayings as they are received, and looks at every one of them, at `looks`, and wherever something falls due.
fn play(world: &[Saying], order: &[(i64, usize)], looks: &[i64]) -> Result<(), TestCaseError> {
    let mut engine = engine();
    let mut effects = Vec::new();
    let received: BTreeSet<Instant> = order.iter().map(|&(received, _)| at(received)).collect();
    let looks: BTreeSet<Instant> = looks.iter().map(|&micros| at(0).plus(Span::from_micros(micros))).collect();
    let end = received.last().copied().unwrap_or(at(0)).plus(Span::from_secs(3 * HEARTBEAT));
    for stop in received.iter().chain(&looks).chain([&end]).collect::<BTreeSet<_>>() {
        while let Some((due, _)) = engine.next_deadline().filter(|&(due, _)| due < *stop) {
            engine.advance(due, &mut effects);
            is_right(&engine, &signs(world, order, due))?;
        }
        for &(_, number) in order.iter().filter(|&&(received, _)| at(received) == *stop) {
            engine.apply(*stop, &input(number, &world[number], true), &mut effects);
        }
        engine.advance(*stop, &mut effects);
        is_right(&engine, &signs(world, order, *stop))?;
    }
    its_edges_are_exact(&effects, |by| signs(world, order, by))
}

/// It begins at the first instant of the silence, and ends when what broke it happened.
fn its_edges_are_exact(effects: &[Effect], heard: impl Fn(Instant) -> BTreeSet<i64>) -> Result<(), TestCaseError> {
    let mut since = None;
    for effect in effects {
        match &effect.kind {
            EffectKind::Fire(alert) if alert.key.name == AlertName::SourceSilent => {
                if since.is_none() {
                    prop_assert_eq!(alert.starts, silent_from(&heard(alert.starts)));
                    prop_assert_eq!(effect.at, alert.starts.plus(TICK), "told as soon as it lasted");
                }
                since = since.or(Some(alert.starts));
                prop_assert_eq!(Some(alert.starts), since, "it goes on");
            }
            EffectKind::Resolve(alert, ended) if alert.key.name == AlertName::SourceSilent => {
                let began = since.take().ok_or_else(|| TestCaseError::fail("over, but never told"))?;
                let expected = heard_since(&heard(effect.at)).min(effect.at).max(began);
                prop_assert_eq!((alert.starts, *ended), (began, expected), "at {}", effect.at);
            }
            _ => {}
        }
    }
    Ok(())
}

proptest! {
    /// `SourceSilent` fires exactly while the feed is silent by all that was received by then.
    #[test]
    fn silence_is_told_while_it_lasts(
        world in super::world::world(),
        looks in proptest::collection::vec(0..HORIZON * 1_000_000, 0..20),
    ) {
        play(&world, &super::world::arrivals(&world), &looks)?;
    }

    /// So it does in whatever order it was received.
    #[test]
    fn silence_is_told_in_any_order_of_arrival(
        (world, order) in super::world::world().prop_flat_map(|world| {
            let numbers: Vec<usize> = (0..world.len()).collect();
            (Just(world), Just(numbers).prop_shuffle())
        }),
        step in 1..900_i64,
    ) {
        let order: Vec<(i64, usize)> =
            order.into_iter().enumerate().map(|(place, number)| (step * place as i64, number)).collect();
        play(&world, &order, &[])?;
    }
}

/// A source that is not expected any more is silent no more; one that is expected on other terms is silent on.
#[test]
fn a_feed_that_is_not_expected_is_not_silent() {
    let silent = at(HEARTBEAT + 10);
    let adopt = |engine: &mut Engine, policy: Policy| {
        let mut effects = Vec::new();
        engine.apply(silent, &Input::Policy(Box::new(policy)), &mut effects);
        engine.advance(silent, &mut effects);
        effects.retain(|effect| match &effect.kind {
            EffectKind::Fire(alert) | EffectKind::Resolve(alert, _) => alert.key.name == AlertName::SourceSilent,
            EffectKind::Record(_) => false,
        });
        effects
    };
    let mut engine = engine();
    engine.advance(silent, &mut Vec::new());
    let alert = firing(&engine).unwrap().clone();
    let mut other = policy();
    other.feeds[0].group = "all".to_owned();
    assert_eq!(adopt(&mut engine, other.clone()), []);
    assert_eq!(firing(&engine), Some(&alert));
    other.feeds.clear();
    let told = adopt(&mut engine, other);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].kind, EffectKind::Resolve(alert, silent));
    assert_eq!(firing(&engine), None);
}
