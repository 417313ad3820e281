//! Tests of `outbox.rs`.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::model::alert::{About, AlertFacts, AlertName};
use crate::model::because::Because;
use crate::model::effect::Reason;
use crate::model::incident::IncidentId;
use crate::model::level::Level;
use crate::model::service::ServiceName;

const RESEND: Span = Span::from_mins(1);
const LAPSE: Span = Span::from_mins(4);

fn at(minutes: i64) -> Instant {
    Instant::from_micros(0).plus(Span::from_mins(minutes))
}

fn alert(incident: u64, starts: i64) -> Alert {
    let key = AlertKey {
        name: AlertName::ServiceInterruption,
        about: About::Incident {
            id: IncidentId(incident),
            level: Level::Third,
            scope: ServiceName::new("s").unwrap(),
            region: String::new(),
            drill: None,
        },
    };
    let facts =
        AlertFacts { started: at(starts), because: Because::Rule(String::new()), spent_at: None, incident: None };
    Alert { key, starts: at(starts), facts }
}

fn fire(alert: &Alert, when: i64) -> Effect {
    Effect { at: at(when), reason: Reason::Opened, kind: EffectKind::Fire(alert.clone()) }
}

fn resolve(alert: &Alert, when: i64) -> Effect {
    Effect { at: at(when), reason: Reason::Verified, kind: EffectKind::Resolve(alert.clone(), at(when)) }
}

fn load(file: &std::path::Path) -> Outbox {
    let connection = Connection::open(file).unwrap();
    // No power failure here: syncs would only cost time.
    connection.execute_batch("PRAGMA synchronous = OFF").unwrap();
    prepare(&connection).unwrap();
    Outbox::load(connection, vec!["r".to_owned()], Telemetry::new().unwrap()).unwrap()
}

fn outbox() -> (tempfile::TempDir, Outbox) {
    let folder = tempfile::tempdir().unwrap();
    let outbox = load(&folder.path().join("db"));
    outbox.recovered(at(0), LAPSE, std::iter::empty()).unwrap();
    (folder, outbox)
}

/// What is due at `when`, as incident and whether it is over; all of it is accepted.
fn told(outbox: &Outbox, when: i64) -> Vec<(u64, bool)> {
    let due = outbox.due(0, at(when), RESEND, usize::MAX);
    outbox.accepted(0, &due, at(when));
    outbox.write_down().unwrap();
    due.iter().map(|message| (message.alert.key.incident().unwrap().0, message.ended.is_some())).collect()
}

#[test]
fn what_fires_is_told_at_once_and_again_until_its_end_is() {
    let (_folder, mut outbox) = outbox();
    outbox.take(&[fire(&alert(1, 0), 0)]);
    assert_eq!(told(&outbox, 0), [(1, false)]);
    assert_eq!(told(&outbox, 0), []);
    assert_eq!(told(&outbox, 1), [(1, false)]);
    outbox.take(&[resolve(&alert(1, 0), 1)]);
    assert_eq!(told(&outbox, 1), [(1, true)]);
    assert_eq!(told(&outbox, 9), []);
}

#[test]
fn what_was_over_before_anybody_was_told_is_not_told_at_all() {
    let (_folder, mut outbox) = outbox();
    outbox.take(&[fire(&alert(1, 0), 0), resolve(&alert(1, 0), 0)]);
    assert_eq!(told(&outbox, 0), []);
}

#[test]
fn an_end_that_nobody_takes_is_given_up_in_the_end() {
    let (_folder, mut outbox) = outbox();
    outbox.take(&[fire(&alert(1, 0), 0)]);
    assert_eq!(told(&outbox, 0), [(1, false)]);
    outbox.take(&[resolve(&alert(1, 0), 1)]);
    assert_eq!(outbox.due(0, at(60), RESEND, usize::MAX).len(), 1);
    assert_eq!(outbox.due(0, at(62), RESEND, usize::MAX).len(), 0);
}

#[test]
fn one_that_fires_again_and_ends_unheard_still_has_its_first_end_told() {
    let (_folder, mut outbox) = outbox();
    outbox.take(&[fire(&alert(1, 0), 0)]);
    assert_eq!(told(&outbox, 0), [(1, false)]);
    outbox.take(&[resolve(&alert(1, 0), 1), fire(&alert(1, 1), 1), resolve(&alert(1, 1), 1)]);
    assert_eq!(told(&outbox, 1), [(1, true)]);
}

#[test]
fn after_a_restart_nobody_is_told_twice_and_what_fires_is_what_the_engine_says() {
    let (folder, mut before) = outbox();
    let (known, wrong, missed) = (alert(1, 0), alert(2, 0), alert(3, 0));
    before.take(&[fire(&known, 0), fire(&wrong, 0)]);
    assert_eq!(told(&before, 0), [(1, false), (2, false)]);
    let mut connection = Connection::open(folder.path().join("db")).unwrap();
    let checkpoint = connection.transaction().unwrap();
    before.write(&checkpoint).unwrap();
    checkpoint.commit().unwrap();
    drop(before);
    let after = load(&folder.path().join("db"));
    after.recovered(at(0), LAPSE, [&known, &missed].into_iter()).unwrap();
    assert_eq!(told(&after, 0), [(2, true), (3, false)]);
}

#[test]
fn the_end_of_what_fired_before_a_restart_is_told_though_no_answer_ever_came() {
    let (folder, mut before) = outbox();
    before.take(&[fire(&alert(1, 0), 0)]);
    assert_eq!(before.due(0, at(9), RESEND, usize::MAX).len(), 1);
    drop(before);
    let mut after = load(&folder.path().join("db"));
    after.take(&[fire(&alert(1, 0), 0)]);
    after.recovered(at(10), LAPSE, [&alert(1, 0)].into_iter()).unwrap();
    after.take(&[resolve(&alert(1, 0), 11)]);
    assert_eq!(told(&after, 11), [(1, true)]);
}

/// What happens to an outbox and its one receiver.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The engine says that an alert fires, or is over.
    Flip(u64),
    /// What is due is delivered and written down.
    Deliver,
    /// What is due reaches the receiver, but its answer is lost.
    AnswerLost,
    /// What is due does not reach the receiver.
    Lost,
    /// A checkpoint is written.
    Checkpoint,
    /// The process dies, and the journal after the last checkpoint is read back.
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..3_u64).prop_map(Step::Flip),
        3 => Just(Step::Deliver),
        1 => Just(Step::AnswerLost),
        1 => Just(Step::Lost),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::Crash),
    ]
}

/// A receiver as Alertmanager is one: what it was told fires until it is told otherwise, or until it lapses.
#[derive(Default)]
struct Receiver(BTreeMap<u64, Instant>);

impl Receiver {
    fn hear(&mut self, messages: &[Message], now: Instant) {
        for message in messages {
            let incident = message.alert.key.incident().unwrap().0;
            match message.ended {
                None => self.0.insert(incident, now.plus(LAPSE)),
                Some(_) => self.0.remove(&incident),
            };
        }
    }

    fn firing(&self, now: Instant) -> BTreeSet<u64> {
        self.0.iter().filter(|&(_, &until)| until > now).map(|(&incident, _)| incident).collect()
    }
}

proptest! {
    // Each of them writes to the disk many times.
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever is lost on the way and whenever the process dies, in the end a receiver holds just what fires.
    #[test]
    fn in_the_end_a_receiver_holds_just_what_fires(steps in proptest::collection::vec(step(), 1..60)) {
        let (folder, mut outbox) = outbox();
        let file = folder.path().join("db");
        let mut receiver = Receiver::default();
        let mut firing: BTreeMap<u64, Alert> = BTreeMap::new();
        let mut journal: Vec<Effect> = Vec::new();
        let mut now = 0;
        // At the end the way is free once.
        for step in steps.into_iter().chain([Step::Deliver]) {
            // Four steps a minute, so that resends and lapses come into it.
            now += 1;
            let time = Instant::from_micros(0).plus(Span::from_secs(now * 15));
            match step {
                Step::Flip(incident) => {
                    let effect = match firing.remove(&incident) {
                        Some(alert) => Effect {
                            at: time, reason: Reason::Verified, kind: EffectKind::Resolve(alert, time),
                        },
                        None => {
                            let alert = Alert { starts: time, ..alert(incident, 0) };
                            firing.insert(incident, alert.clone());
                            Effect { at: time, reason: Reason::Opened, kind: EffectKind::Fire(alert) }
                        }
                    };
                    outbox.take(std::slice::from_ref(&effect));
                    journal.push(effect);
                }
                Step::Deliver => {
                    let due = outbox.due(0, time, RESEND, usize::MAX);
                    receiver.hear(&due, time);
                    outbox.accepted(0, &due, time);
                    outbox.write_down().unwrap();
                }
                Step::AnswerLost => receiver.hear(&outbox.due(0, time, RESEND, usize::MAX), time),
                Step::Lost => {
                    outbox.due(0, time, RESEND, usize::MAX);
                }
                Step::Checkpoint => {
                    let mut connection = Connection::open(&file).unwrap();
                    connection.execute_batch("PRAGMA synchronous = OFF").unwrap();
                    let transaction = connection.transaction().unwrap();
                    outbox.write(&transaction).unwrap();
                    transaction.commit().unwrap();
                    journal.clear();
                }
                Step::Crash => {
                    outbox = load(&file);
                    outbox.take(&journal);
                    outbox.recovered(time, LAPSE, firing.values()).unwrap();
                }
            }
        }
        let end = Instant::from_micros(0).plus(Span::from_secs(now * 15));
        prop_assert_eq!(receiver.firing(end), firing.keys().copied().collect::<BTreeSet<_>>());
    }
}
