//! What waits, what is withheld, what is lost and told again, and what is shed.

use super::*;
use crate::notify::decision::concerns;

/// An interruption of some level, detected at once.
fn interruption(incident: u64, level: Level, starts: i64) -> Alert {
    let mut alert = alert(incident, starts);
    if let About::Incident { level: of, .. } = &mut alert.key.about {
        *of = level;
    }
    alert.facts.incident = Some(IncidentFacts {
        users: None,
        users_estimated: false,
        next_level: None,
        quiet_since: None,
        detected: at(starts),
        acknowledged: None,
        acknowledged_by: None,
        services: 1,
        region: "north".into(),
        groups: vec!["gold".into()],
        cause: Cause::Unknown,
        clocks: Vec::new(),
        maintenance: None,
        detail: None,
    });
    alert
}

fn with(alert: &Alert, change: impl FnOnce(&mut IncidentFacts)) -> Alert {
    let mut alert = alert.clone();
    change(alert.facts.incident.as_mut().unwrap());
    alert
}

/// The minutes at which a page is told of what fires from minute 0 on, when it is looked at each minute up to `until`.
fn paged(outbox: &Outbox, minutes: std::ops::Range<i64>) -> Vec<i64> {
    minutes.filter(|&minute| told(outbox, minute).iter().any(|(_, over)| !over)).collect()
}

fn names(outbox: &Outbox) -> Vec<&'static str> {
    outbox.suppressed().iter().map(|suppressed| suppressed.why.name()).collect()
}

#[test]
fn a_webhook_is_told_once_that_it_fires_and_once_that_it_is_over() {
    let (_folder, mut outbox) = outbox_of(&alerting(webhook(), Damping::default()));
    outbox.take(&[fire(&alert(1, 0), 0)]);
    assert_eq!(told(&outbox, 0), [(1, false)]);
    assert_eq!(told(&outbox, 30), []);
    outbox.take(&[resolve(&alert(1, 0), 31)]);
    assert_eq!(told(&outbox, 31), [(1, true)]);
    assert_eq!(told(&outbox, 40), []);
}

#[test]
fn what_fired_for_long_while_a_receiver_was_away_is_told_as_over_only() {
    let (_folder, mut outbox) = outbox_of(&alerting(webhook(), Damping::default()));
    outbox.take(&[fire(&alert(1, 0), 0), resolve(&alert(1, 0), 5)]);
    assert_eq!(told(&outbox, 60), [(1, true)]);
}

#[test]
fn what_is_over_before_it_was_confirmed_pages_nobody_and_is_listed() {
    let confirm = Damping { confirm: Span::from_mins(3), ..Damping::default() };
    let (_folder, mut outbox) = outbox_of(&alerting(webhook(), confirm));
    outbox.take(&[fire(&alert(1, 0), 0), fire(&alert(2, 0), 0)]);
    assert_eq!(told(&outbox, 2), []);
    outbox.take(&[resolve(&alert(1, 0), 2)]);
    assert_eq!(told(&outbox, 3), [(2, false)]);
    assert_eq!(names(&outbox), ["confirm"]);
}

#[test]
fn the_next_one_of_the_same_thing_waits_for_the_hold_down() {
    let hold_down = Damping { hold_down: Span::from_mins(10), ..Damping::default() };
    let (_folder, mut outbox) = outbox_of(&alerting(webhook(), hold_down));
    outbox.take(&[fire(&alert(1, 0), 0)]);
    assert_eq!(told(&outbox, 0), [(1, false)]);
    outbox.take(&[resolve(&alert(1, 0), 1)]);
    assert_eq!(told(&outbox, 1), [(1, true)]);
    // The same service, another incident, which is over in time.
    outbox.take(&[fire(&alert(2, 3), 3)]);
    assert_eq!(told(&outbox, 3), []);
    outbox.take(&[resolve(&alert(2, 3), 5)]);
    assert_eq!(told(&outbox, 5), []);
    // And one that lasts. A graver level is another thing, and waits for nothing.
    outbox.take(&[fire(&alert(3, 6), 6), fire(&interruption(4, Level::First, 6), 6)]);
    assert_eq!(told(&outbox, 6), [(4, false)]);
    assert_eq!(paged(&outbox, 7..20), [11]);
    assert_eq!(names(&outbox), ["hold_down"]);
}

#[test]
fn a_page_budget_holds_back_all_but_the_first_level() {
    let frugal = Receiver { pages_per_hour: Some(2), ..webhook() };
    let (_folder, mut outbox) = outbox_of(&alerting(frugal, Damping::default()));
    let third = |incident| fire(&interruption(incident, Level::Third, 0), 0);
    outbox.take(&[third(1), third(2), third(3), fire(&interruption(4, Level::First, 0), 0), third(5)]);
    let told_now: Vec<u64> = told(&outbox, 0).into_iter().map(|(incident, _)| incident).collect();
    assert_eq!(told_now, [4, 1], "the first level counts, and goes first");
    outbox.take(&[fire(&interruption(6, Level::First, 1), 1), resolve(&interruption(3, Level::Third, 0), 1)]);
    assert_eq!(told(&outbox, 1), [(6, false)]);
    assert_eq!(names(&outbox), ["budget"]);
    assert_eq!(told(&outbox, 59), []);
    assert_eq!(told(&outbox, 60), [(2, false)], "an hour after the first two there is room for one");
}

#[test]
fn the_next_receiver_is_told_of_what_nobody_acknowledged() {
    let next = Receiver { unacknowledged_for: Some(Span::from_mins(15)), ..webhook() };
    let expires = Damping { acknowledgement_expires: Some(Span::from_hours(1)), ..Damping::default() };
    let (_folder, mut outbox) = outbox_of(&alerting(next, expires));
    let known = interruption(1, Level::Second, 0);
    outbox.take(&[fire(&known, 0)]);
    assert_eq!(paged(&outbox, 0..30), [15]);
    // Acknowledged, and then forgotten.
    outbox.take(&[fire(&with(&known, |facts| facts.acknowledged = Some(at(30))), 30)]);
    assert_eq!(paged(&outbox, 30..200), [30 + 60 + 15]);

    let early = interruption(2, Level::Second, 200);
    outbox.take(&[fire(&early, 200)]);
    let early = with(&early, |facts| facts.acknowledged = Some(at(205)));
    outbox.take(&[fire(&early, 205)]);
    assert!(paged(&outbox, 200..270).is_empty());
    outbox.take(&[resolve(&early, 270)]);
    assert_eq!(told(&outbox, 270), [], "who was not told that it fires is not told that it is over");
    assert_eq!(names(&outbox), ["acknowledged"]);
    let overdue = Alert { key: AlertKey { name: AlertName::RepairOverdue, ..known.key.clone() }, ..known };
    outbox.take(&[fire(&overdue, 300)]);
    assert!(paged(&outbox, 300..400).is_empty(), "only interruptions are escalated");
}

#[test]
fn nobody_is_called_during_maintenance_and_what_is_still_down_then_pages() {
    let next = Receiver { unacknowledged_for: Some(Span::from_mins(15)), ..webhook() };
    let (_folder, mut outbox) = outbox_of(&alerting(next, Damping::default()));
    let planned = |facts: &mut IncidentFacts| facts.maintenance = Some((at(10), at(40)));
    outbox.take(&[fire(&with(&interruption(1, Level::First, 0), planned), 0)]);
    assert_eq!(paged(&outbox, 0..60), [40]);
}

#[test]
fn a_receiver_hears_of_what_it_asked_for_only() {
    let says = |label: &str, values: &[&str]| {
        let matches = vec![(label.to_owned(), values.iter().map(|&value| value.to_owned()).collect())];
        concerns(&Receiver { matches, ..webhook() }, &interruption(1, Level::First, 0))
    };
    assert!(says("level", &["first"]) && says("level", &["third", "first"]) && !says("level", &["third"]));
    assert!(says("region", &["north"]) && !says("region", &["south"]));
    assert!(says("group", &["gold"]) && !says("group", &["silver"]));
    assert!(says("cause", &["unknown"]) && says("service", &["s"]) && !says("metric", &["s"]));
}

#[test]
fn what_an_alertmanager_lost_is_told_again_and_pages_nobody_anew() {
    let (_folder, mut outbox) = outbox();
    outbox.take(&[fire(&alert(1, 0), 0), fire(&alert(2, 0), 0)]);
    assert_eq!(told(&outbox, 0).len(), 2);
    let second = |later: i64| at(0).plus(Span::from_secs(later));
    let held = BTreeMap::from([(labels_hash(&alert(1, 0).key.labels()), Muted::default())]);
    assert_eq!(outbox.holds(0, second(5), &held, false), 0, "another replica may have told it that it is over");
    assert_eq!(outbox.holds(0, second(10), &held, false), 1);
    let again = due(&outbox, second(10));
    assert_eq!(again.iter().map(|message| message.tell).collect::<Vec<_>>(), [Tell::Again]);
    outbox.accepted(0, &again, "200 OK", second(10));
    assert_eq!(outbox.holds(0, second(15), &BTreeMap::new(), true), 2, "at once after a restart");
}

#[test]
fn what_does_not_fit_is_shed_but_never_the_first_level_nor_an_end() {
    let (_folder, outbox) = outbox();
    let mut shared = Arc::try_unwrap(outbox.shared).unwrap();
    shared.most = 10;
    let mut outbox = Outbox { shared: Arc::new(shared) };
    outbox.take(&[fire(&alert(0, 0), 0)]);
    assert_eq!(told(&outbox, 0), [(0, false)]);
    outbox.take(&[resolve(&alert(0, 0), 1)]);
    let firsts: Vec<Effect> = (1..9).map(|incident| fire(&interruption(incident, Level::First, 1), 1)).collect();
    outbox.take(&firsts);
    outbox.take(&[fire(&interruption(9, Level::Third, 2), 2)]);
    outbox.take(&[fire(&interruption(10, Level::First, 3), 3)]);
    assert_eq!(names(&outbox), ["shed"]);
    let mut now = told(&outbox, 3);
    now.sort_unstable();
    let firing = (1..11).filter(|&incident| incident != 9).map(|incident| (incident, false));
    assert_eq!(now, [(0, true)].into_iter().chain(firing).collect::<Vec<_>>());
}
