//! Tests of `outbox.rs`.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::config::{Access, Damping, Settings, Sources};
use crate::model::alert::{About, AlertFacts, AlertName, IncidentFacts};
use crate::model::because::Because;
use crate::model::delivery::Deliveries as _;
use crate::model::effect::Reason;
use crate::model::event::Cause;
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

/// A receiver of that kind, reached nowhere.
pub(super) fn receiver(kind: ReceiverKind) -> Receiver {
    Receiver {
        name: "r".to_owned(),
        kind,
        access: Access { url: String::new(), credentials: None, authorities: None, identity: None },
        matches: Vec::new(),
        unacknowledged_for: None,
        pages_per_hour: None,
    }
}

fn webhook() -> Receiver {
    receiver(ReceiverKind::Webhook { secret: None })
}

fn alerting(receiver: Receiver, damping: Damping) -> Alerting {
    let texts = Settings::load(&Sources::default()).unwrap().alerting.texts;
    Alerting { texts, resend_interval: RESEND, damping, acknowledge_by_silence: None, receivers: vec![receiver] }
}

fn load(file: &std::path::Path, settings: &Alerting) -> Outbox {
    let connection = Connection::open(file).unwrap();
    // No power failure here: syncs would only cost time.
    connection.execute_batch("PRAGMA synchronous = OFF").unwrap();
    prepare(&connection).unwrap();
    Outbox::load(connection, settings.clone(), Telemetry::new().unwrap()).unwrap()
}

fn outbox_of(settings: &Alerting) -> (tempfile::TempDir, Outbox) {
    let folder = tempfile::tempdir().unwrap();
    let outbox = load(&folder.path().join("db"), settings);
    outbox.recovered(at(0), LAPSE, std::iter::empty()).unwrap();
    (folder, outbox)
}

fn settings() -> Alerting {
    alerting(receiver(ReceiverKind::Alertmanager), Damping::default())
}

fn outbox() -> (tempfile::TempDir, Outbox) {
    outbox_of(&settings())
}

fn due(outbox: &Outbox, now: Instant) -> Vec<Message> {
    outbox.due(0, now, usize::MAX, &BTreeSet::new()).messages
}

/// What is due at `when`, as incident and whether it is over; all of it is accepted.
fn told(outbox: &Outbox, when: i64) -> Vec<(u64, bool)> {
    let due = due(outbox, at(when));
    outbox.accepted(0, &due, "200 OK", at(when));
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
    // An end is told again for a quarter of an hour, each time after the interval.
    let again: Vec<i64> = (1..60).filter(|&minute| told(&outbox, minute) == [(1, true)]).collect();
    assert_eq!(again, (2..16).collect::<Vec<_>>());
    assert_eq!(outbox.state().entries.len(), 0, "then nothing is left of it");
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
    assert_eq!(due(&outbox, at(24 * 60)).len(), 1);
    assert_eq!(due(&outbox, at(24 * 60 + 2)).len(), 0);
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
    checkpoint(&mut before, &folder.path().join("db"));
    drop(before);
    let after = load(&folder.path().join("db"), &settings());
    after.recovered(at(0), LAPSE, [&known, &missed].into_iter()).unwrap();
    assert_eq!(told(&after, 0), [(3, false), (2, true)], "news goes before ends");
}

#[test]
fn the_end_of_what_fired_before_a_restart_is_told_though_no_answer_ever_came() {
    let (folder, mut before) = outbox();
    before.take(&[fire(&alert(1, 0), 0)]);
    assert_eq!(due(&before, at(9)).len(), 1);
    drop(before);
    let mut after = load(&folder.path().join("db"), &settings());
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

/// The engine says that an incident's alert fires, or that it is over if it fires.
fn flip(firing: &mut BTreeMap<u64, Alert>, incident: u64, time: Instant) -> Effect {
    match firing.remove(&incident) {
        Some(alert) => Effect { at: time, reason: Reason::Verified, kind: EffectKind::Resolve(alert, time) },
        None => {
            let alert = Alert { starts: time, ..alert(incident, 0) };
            firing.insert(incident, alert.clone());
            Effect { at: time, reason: Reason::Opened, kind: EffectKind::Fire(alert) }
        }
    }
}

fn checkpoint(outbox: &mut Outbox, file: &std::path::Path) {
    let mut connection = Connection::open(file).unwrap();
    connection.execute_batch("PRAGMA synchronous = OFF").unwrap();
    let transaction = connection.transaction().unwrap();
    outbox.rows().write(&transaction, &|_| Vec::new()).unwrap();
    transaction.commit().unwrap();
    outbox.settle(true);
}

/// A receiver as Alertmanager is one: what it was told fires until it is told otherwise, or until it lapses.
#[derive(Default)]
struct Held(BTreeMap<u64, Instant>);

impl Held {
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

mod damping;

proptest! {
    // Each of them writes to the disk many times.
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever is lost on the way and whenever the process dies, in the end a receiver holds just what fires.
    #[test]
    fn in_the_end_a_receiver_holds_just_what_fires(steps in proptest::collection::vec(step(), 1..60)) {
        let (folder, mut outbox) = outbox();
        let file = folder.path().join("db");
        let mut receiver = Held::default();
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
                    let effect = flip(&mut firing, incident, time);
                    outbox.take(std::slice::from_ref(&effect));
                    journal.push(effect);
                }
                Step::Deliver => {
                    let due = due(&outbox, time);
                    receiver.hear(&due, time);
                    outbox.accepted(0, &due, "200 OK", time);
                    outbox.write_down().unwrap();
                }
                Step::AnswerLost => receiver.hear(&due(&outbox, time), time),
                Step::Lost => {
                    due(&outbox, time);
                }
                Step::Checkpoint => {
                    checkpoint(&mut outbox, &file);
                    journal.clear();
                }
                Step::Crash => {
                    outbox = load(&file, &settings());
                    outbox.take(&journal);
                    outbox.recovered(time, LAPSE, firing.values()).unwrap();
                }
            }
        }
        let end = Instant::from_micros(0).plus(Span::from_secs(now * 15));
        prop_assert_eq!(receiver.firing(end), firing.keys().copied().collect::<BTreeSet<_>>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// A webhook learns of each firing that lasted, and of each end, in order and each at most once by its id, whatever is
    /// lost on the way and whenever the process dies.
    #[test]
    fn a_webhook_hears_of_every_firing_and_every_end_once(steps in proptest::collection::vec(step(), 1..60)) {
        let settings = alerting(webhook(), Damping::default());
        let (folder, mut outbox) = outbox_of(&settings);
        let file = folder.path().join("db");
        let mut heard: BTreeMap<String, (u64, Instant, bool)> = BTreeMap::new();
        let mut order: BTreeMap<u64, Vec<(Instant, bool)>> = BTreeMap::new();
        let mut firing: BTreeMap<u64, Alert> = BTreeMap::new();
        let mut lasted: BTreeSet<(u64, Instant)> = BTreeSet::new();
        let mut journal: Vec<Effect> = Vec::new();
        let mut now = 0;
        let mut hear = |messages: &[Message]| {
            for message in messages {
                let (incident, over) = (message.alert.key.incident().unwrap().0, message.tell == Tell::End);
                let said = (incident, message.alert.starts, over);
                let id = format!("{} {over}", message.page);
                if heard.insert(id, said).is_none() {
                    order.entry(incident).or_default().push((message.alert.starts, over));
                }
            }
        };
        for step in steps.into_iter().chain([Step::Deliver; 3]) {
            now += 1;
            let time = Instant::from_micros(0).plus(Span::from_secs(now * 15));
            match step {
                Step::Flip(incident) => {
                    lasted.extend(firing.get(&incident).map(|alert| (incident, alert.starts)));
                    let effect = flip(&mut firing, incident, time);
                    outbox.take(std::slice::from_ref(&effect));
                    journal.push(effect);
                }
                Step::Deliver => {
                    // As many rounds as one alert can have waiting.
                    for _ in 0..60 {
                        let due = due(&outbox, time);
                        hear(&due);
                        outbox.accepted(0, &due, "200 OK", time);
                    }
                    outbox.write_down().unwrap();
                }
                Step::AnswerLost => hear(&due(&outbox, time)),
                Step::Lost => drop(due(&outbox, time)),
                Step::Checkpoint => {
                    checkpoint(&mut outbox, &file);
                    journal.clear();
                }
                Step::Crash => {
                    outbox = load(&file, &settings);
                    outbox.take(&journal);
                    outbox.recovered(time, LAPSE, firing.values()).unwrap();
                }
            }
        }
        for (incident, said) in &order {
            let mut sorted = said.clone();
            sorted.sort();
            prop_assert_eq!(said, &sorted, "{} out of order", incident);
        }
        let ends: BTreeSet<(u64, Instant)> =
            heard.values().filter(|said| said.2).map(|said| (said.0, said.1)).collect();
        prop_assert_eq!(&ends, &lasted);
        let fires: BTreeSet<(u64, Instant)> = heard.values().filter(|said| !said.2).map(|said| (said.0, said.1)).collect();
        for (incident, alert) in &firing {
            prop_assert!(fires.contains(&(*incident, alert.starts)));
        }
    }
}
