//! Incidents, levels, clocks and alerts, told as stories. Times are written as hours and minutes of one day.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use fournines::config::{Settings, Sources};
use fournines::engine::{Engine, Input, Timer};
use fournines::ingest::decode::{Gate, Layout, decode};
use fournines::model::alert::AlertKey;
use fournines::model::effect::{Effect, EffectKind, Reason};
use fournines::model::event::{Cause, Outcome};
use fournines::model::incident::{Incident, Stage, Status};
use fournines::model::level::{Condition, Level, Ratio, Rule};
use fournines::model::policy::Policy;
use fournines::model::procedure::ClockName;
use fournines::model::service::{ServiceFacts, ServiceName};
use fournines::model::time::{Instant, Span};

/// A day on which things happen to one engine under the built-in policy.
struct Day {
    engine: Engine,
    effects: Vec<Effect>,
    firing: Vec<AlertKey>,
}

/// `10:00`, `10:00:00.000001`: that time of the day.
fn at(time: &str) -> Instant {
    let seconds = if time.len() == 5 { ":00" } else { "" };
    format!("2026-03-02T{time}{seconds}Z").parse().unwrap()
}

/// The built-in policy, but for the promise of availability, and for warnings before a limit passes: their alerts have
/// scenarios of their own.
fn policy() -> Policy {
    let mut policy = Settings::load(&Sources::default()).unwrap().policy;
    policy.targets.base.retain(|target| target.name != "availability");
    policy.procedure.clocks.iter_mut().for_each(|rule| rule.warn_at.clear());
    policy
}

impl Day {
    fn new() -> Self {
        Self::under(policy())
    }

    fn under(policy: Policy) -> Self {
        let mut day = Self { engine: Engine::new(), effects: Vec::new(), firing: Vec::new() };
        day.engine.apply(at("00:00"), &Input::Policy(Box::new(policy)), &mut day.effects);
        day
    }

    /// An event of service `s` that happened at `time` and arrives at once.
    fn say(&mut self, time: &str, kind: &str, more: &str) -> Outcome {
        self.hear(time, time, kind, more)
    }

    /// An event that happened at `time` and arrives at `received`.
    fn hear(&mut self, received: &str, time: &str, kind: &str, more: &str) -> Outcome {
        self.hear_of("s", (received, time), kind, more)
    }

    fn hear_of(&mut self, service: &str, (received, time): (&str, &str), kind: &str, more: &str) -> Outcome {
        let line = format!(r#"{{"type":"{kind}","service":"{service}","time":"{}"{more}}}"#, at(time));
        let mut decoded = decode(Layout::Lines, line.as_bytes(), &Gate::past("test".into()));
        assert!(decoded.rejected.is_empty(), "{line}: {:?}", decoded.rejected);
        let outcome = self.engine.apply(at(received), &Input::Event(decoded.events.remove(0)), &mut self.effects);
        self.engine.advance(at(received), &mut self.effects);
        outcome
    }

    fn until(&mut self, time: &str) {
        self.engine.advance(at(time), &mut self.effects);
    }

    fn incidents(&self) -> Vec<&Incident> {
        let mut incidents: Vec<&Incident> = self.engine.incidents().collect();
        incidents.sort_by_key(|incident| incident.started);
        incidents
    }

    /// The only incident.
    fn incident(&self) -> &Incident {
        let incidents = self.incidents();
        assert_eq!(incidents.len(), 1);
        incidents[0]
    }

    /// What was told since the last call: `+` fires, `-` is over, with since when.
    fn told(&mut self) -> Vec<String> {
        let time = |at: Instant| {
            let text = at.to_string()[11..].trim_end_matches('Z').to_owned();
            text.strip_suffix(":00").map(str::to_owned).unwrap_or(text)
        };
        let mut told = Vec::new();
        for effect in self.effects.drain(..) {
            match effect.kind {
                // One that fires on with other facts is not told again.
                EffectKind::Fire(alert) if self.firing.contains(&alert.key) => {}
                EffectKind::Fire(alert) => {
                    let (name, level) = (alert.key.name.name(), alert.key.level().unwrap().name());
                    told.push(format!("+{name} {level} {} at {}", time(alert.starts), time(effect.at)));
                    self.firing.push(alert.key);
                }
                EffectKind::Resolve(alert, ended) => {
                    told.push(format!(
                        "-{} {} {}",
                        alert.key.name.name(),
                        alert.key.level().unwrap().name(),
                        time(ended)
                    ));
                    self.firing.retain(|key| *key != alert.key);
                }
                EffectKind::Record(_) => {}
            }
        }
        told
    }
}

#[test]
fn a_level_rises_at_the_exact_instant_at_which_its_rule_comes_to_hold() {
    let mut day = Day::new();
    day.say("10:00", "outage.started", r#","users":120000"#);
    assert_eq!(day.told(), ["+ServiceInterruption third 10:00 at 10:00"]);
    // FCC: 900,000 user-minutes are reached after 7.5 minutes, but only half an hour counts; > 20 min comes first.
    assert_eq!(day.incident().next_level, Some((Level::Second, at("10:20:00.000001"))));
    assert_eq!(day.engine.next_deadline(), Some((at("10:20:00.000001"), Timer::Level)));
    day.until("10:20");
    assert!(day.told().is_empty());
    day.until("10:20:00.000001");
    assert_eq!(
        day.told(),
        [
            "+ServiceInterruption second 10:20:00.000001 at 10:20:00.000001",
            "-ServiceInterruption third 10:20:00.000001"
        ]
    );
    // More than 6,000,000 user-minutes at 120,000 users: just after 50 minutes, before the rule about an hour.
    assert_eq!(day.incident().next_level, Some((Level::First, at("10:50:00.000001"))));
    day.until("11:30");
    let told = day.told();
    let first = "+ServiceInterruption first 10:50:00.000001 at 10:50:00.000001";
    assert!(told.iter().any(|told| told == first), "{told:?}");
    let levels: Vec<(u8, Instant)> = day.incident().levels.iter().map(|l| (l.level.number(), l.at)).collect();
    assert_eq!(levels, [(3, at("10:00")), (2, at("10:20:00.000001")), (1, at("10:50:00.000001"))]);
    assert!(day.incident().levels[2].rule.contains("100,000 user-hours"));
    assert_eq!(day.incident().first_level, Level::Third);
}

#[test]
fn exactly_twenty_minutes_are_not_longer_than_twenty_minutes() {
    for (end, level) in [("10:20", Level::Third), ("10:20:00.000001", Level::Second)] {
        let mut day = Day::new();
        day.say("10:00", "outage.started", r#","users":30001"#);
        day.hear("10:19", "10:19", "heartbeat", r#","source":"x""#);
        day.say(end, "outage.ended", "");
        assert_eq!(day.incident().level, level, "ended at {end}");
    }
}

#[test]
fn what_is_known_late_has_the_level_that_it_has_by_then() {
    let mut day = Day::new();
    day.hear("12:00", "10:00", "outage.started", r#","users":120000"#);
    let incident = day.incident();
    assert_eq!((incident.level, incident.first_level), (Level::First, Level::First));
    assert_eq!((incident.started, incident.detected), (at("10:00"), at("12:00")));
    assert_eq!(day.told(), ["+ServiceInterruption first 10:50:00.000001 at 12:00"]);
}

#[test]
fn a_level_falls_only_when_a_later_fact_corrects_it() {
    let mut day = Day::new();
    day.say("10:00", "outage.started", r#","users":120000"#);
    day.until("10:30");
    day.told();
    // It had ended before the second level was reached; the message was late.
    day.hear("10:30", "10:15", "outage.ended", "");
    let incident = day.incident();
    assert_eq!((incident.level, incident.restored), (Level::Third, Some(at("10:15"))));
    assert!(incident.levels.last().unwrap().rule.contains("corrected by a later fact"));
    // Quiet since 10:15 is long enough by 10:30: nothing fires any more. An alert never ends before it began.
    assert_eq!(day.told(), ["-ServiceInterruption second 10:30"]);
    assert_eq!(day.engine.alerts().count(), 0);
}

#[test]
fn a_service_that_flaps_is_one_incident_and_one_page() {
    let mut day = Day::new();
    for minute in 0..20 {
        day.say(&format!("10:{:02}", minute * 3), "outage.started", "");
        day.say(&format!("10:{:02}", minute * 3 + 1), "outage.ended", "");
        day.say(&format!("10:{:02}", minute * 3 + 1), "repair.acknowledged", "");
    }
    day.until("10:59");
    assert_eq!(day.told().len(), 1);
    assert_eq!((day.incident().flaps, day.incident().status), (19, Status::Restored));
    // Ten minutes after the last end it is confirmed, with the true end.
    day.until("11:08");
    assert_eq!(day.told(), ["-ServiceInterruption third 10:58"]);
    assert_eq!(day.incident().verified, Some(at("11:08")));
    let month = fournines::model::time::Window::Month;
    let figures = day.engine.service("s").unwrap().figures(month, at("11:08"));
    assert_eq!((figures.tallies.outages, figures.lengths.down), (20, 20 * 60_000_000));
}

#[test]
fn down_again_when_it_was_quiet_for_long_enough_is_another_incident() {
    let mut day = Day::new();
    day.say("10:00", "outage.started", "");
    day.say("10:01", "outage.ended", "");
    day.say("10:11", "outage.started", "");
    assert_eq!(day.incidents().len(), 2);
    assert_eq!(day.incidents()[0].verified, Some(at("10:11")));
}

#[test]
fn an_operator_confirms_a_restoration_before_it_was_quiet_for_long() {
    let mut day = Day::new();
    day.say("10:00", "outage.started", "");
    day.say("10:05", "outage.ended", r#","cause":"human""#);
    day.told();
    day.say("10:06", "repair.verified", r#","by":"wang""#);
    assert_eq!(day.told(), ["-ServiceInterruption third 10:05"]);
    day.say("10:07", "outage.started", "");
    assert_eq!(day.incidents().len(), 2);
    assert_eq!(day.engine.counts().incidents.get(&(Level::Third, Cause::Human)), Some(&1));
}

#[test]
fn the_response_clock_runs_from_detection_to_acknowledgement() {
    let mut day = Day::new();
    day.say("10:00", "outage.started", "");
    day.until("10:30");
    assert_eq!(day.incident().clock(&ClockName::Response).unwrap().breached, None, "the limit itself is kept");
    day.until("10:31");
    assert_eq!(day.incident().clock(&ClockName::Response).unwrap().breached, Some(at("10:30")));
    assert!(day.told().contains(&"+ResponseOverdue third 10:30 at 10:30:00.000001".to_owned()));
    day.say("10:40", "repair.acknowledged", r#","by":"li""#);
    assert_eq!(day.told(), ["-ResponseOverdue third 10:40"]);
    let clock = day.incident().clock(&ClockName::Response).unwrap().clone();
    assert_eq!((clock.stopped, clock.breached), (Some(at("10:40")), Some(at("10:30"))), "late stays late");
    assert_eq!(day.incident().status, Status::Acknowledged);
    assert_eq!(day.engine.counts().breaches.get(&ClockName::Response), Some(&1));
}

#[test]
fn an_acknowledgement_that_arrives_late_stops_the_clock_when_it_was_given() {
    let mut day = Day::new();
    day.say("10:00", "outage.started", "");
    day.until("10:31");
    day.told();
    day.hear("10:32", "10:29", "repair.acknowledged", r#","by":"li""#);
    assert_eq!(day.incident().clock(&ClockName::Response).unwrap().breached, None);
    assert_eq!(day.told(), ["-ResponseOverdue third 10:30"]);
}

#[test]
fn nobody_is_told_that_a_restored_service_was_not_acknowledged() {
    let mut day = Day::new();
    day.say("10:00", "outage.started", "");
    day.say("10:25", "outage.ended", "");
    day.until("12:00");
    assert_eq!(day.told(), ["+ServiceInterruption third 10:00 at 10:00", "-ServiceInterruption third 10:25"]);
    assert_eq!(day.incident().clock(&ClockName::Response).unwrap().stopped, Some(at("10:25")));
}

#[test]
fn a_relapse_makes_the_repair_clock_run_on_as_if_it_had_never_stopped() {
    let mut day = Day::new();
    day.say("10:00", "outage.started", r#","users":10"#);
    day.say("13:58", "outage.ended", "");
    day.until("14:05");
    assert_eq!(day.incident().clock(&ClockName::Repair).unwrap().breached, None);
    // The limit of four hours passed while it was up, but it was not up for good.
    day.say("14:06", "outage.started", "");
    assert_eq!(day.incident().clock(&ClockName::Repair).unwrap().breached, Some(at("14:00")));
    assert!(day.told().contains(&"+RepairOverdue third 14:00 at 14:06".to_owned()));
    day.say("14:10", "outage.ended", "");
    day.until("14:20");
    assert!(day.told().contains(&"-RepairOverdue third 14:10".to_owned()));
    assert_eq!(day.incident().clock(&ClockName::Repair).unwrap().stopped, Some(at("14:10")));
}

#[test]
fn exactly_four_hours_are_within_four_hours() {
    let mut day = Day::new();
    day.say("10:00", "outage.started", r#","users":10"#);
    day.say("10:01", "repair.acknowledged", "");
    day.say("14:00", "outage.ended", "");
    day.until("15:00");
    assert_eq!(day.incident().clock(&ClockName::Repair).unwrap().breached, None);
    assert!(day.told().iter().all(|told| !told.contains("Overdue")));
}

#[test]
fn a_late_outage_between_two_incidents_makes_them_one() {
    let mut day = Day::new();
    day.say("10:00", "outage.started", "");
    day.say("10:05", "outage.ended", "");
    day.say("10:20", "outage.started", "");
    let (first, second) = (day.incidents()[0].id, day.incidents()[1].id);
    day.told();
    day.hear("10:21", "10:12", "outage.started", r#","outage":"late""#);
    day.hear("10:21", "10:13", "outage.ended", r#","outage":"late""#);
    let incidents = day.incidents();
    let merged = incidents.iter().find(|incident| incident.id == second).unwrap();
    assert_eq!((merged.status, merged.merged_into), (Status::Merged, Some(first)));
    let whole = incidents.iter().find(|incident| incident.id == first).unwrap();
    assert_eq!((whole.started, whole.restored, whole.flaps), (at("10:00"), None, 2));
    assert_eq!(day.engine.alerts().count(), 1, "one incident, one alert");
}

#[test]
fn what_names_an_incident_goes_with_it_where_it_is_merged() {
    let mut network = policy();
    let below = |(name, parents): (&str, &[&str])| {
        let depends_on = parents.iter().map(|&parent| parent.to_owned()).collect();
        (ServiceName::new(name).unwrap(), ServiceFacts { depends_on, ..ServiceFacts::default() })
    };
    let tree: [(&str, &[&str]); 4] = [("ring", &[]), ("a", &["ring"]), ("a/1", &["a"]), ("b", &["ring"])];
    network.services = tree.map(below).into();
    let mut day = Day::under(network);
    let say = |day: &mut Day, service: &str, time: &str, kind: &str, more: &str| {
        day.hear_of(service, (time, time), kind, more);
    };
    say(&mut day, "a", "10:00", "outage.started", "");
    say(&mut day, "a/1", "10:00:10", "outage.started", "");
    say(&mut day, "a", "10:00:20", "repair.dispatched", "");
    say(&mut day, "b", "10:01", "outage.started", "");
    let [first, second] = [0, 1].map(|place| day.incidents()[place].id);
    say(&mut day, "a", "10:01:10", "repair.acknowledged", &format!(r#","incident":"{second}","by":"wang""#));
    let acknowledged = |day: &Day, place: usize| day.incidents()[place].reached(Stage::Acknowledged).is_some();
    say(&mut day, "a/1", "10:01:20", "repair.dispatched", "");
    assert_eq!([acknowledged(&day, 0), acknowledged(&day, 1)], [false, true]);
    say(&mut day, "ring", "10:02", "outage.started", "");
    assert_eq!(day.incidents()[1].merged_into, Some(first));
    assert_eq!(day.incidents()[0].reached(Stage::Acknowledged).unwrap().by.as_deref(), Some("wang"));
}

#[test]
fn an_earlier_start_that_arrives_late_keeps_the_incident_and_its_page() {
    let mut day = Day::new();
    day.say("10:05", "outage.started", r#","outage":"a""#);
    let id = day.incident().id;
    day.told();
    day.hear("10:06", "10:00", "outage.started", r#","outage":"b""#);
    assert_eq!((day.incident().id, day.incident().started), (id, at("10:00")));
    assert!(day.effects.iter().all(|effect| !matches!(effect.kind, EffectKind::Resolve(..))));
}

#[test]
fn an_end_without_a_start_waits_for_it() {
    let mut day = Day::new();
    assert_eq!(day.say("10:10", "outage.ended", ""), Outcome::Orphan);
    assert!(day.incidents().is_empty());
    assert_eq!(day.hear("10:20", "10:00", "outage.started", ""), Outcome::Applied);
    assert_eq!((day.incident().started, day.incident().restored), (at("10:00"), Some(at("10:10"))));
}

#[test]
fn a_mark_a_little_ahead_of_now_takes_effect_when_its_time_comes() {
    let mut day = Day::new();
    day.hear("10:00", "10:00:30", "outage.started", "");
    assert!(day.incidents().is_empty());
    assert_eq!(day.engine.next_deadline(), Some((at("10:00:30"), Timer::Mark)));
    day.until("10:01");
    assert_eq!(day.incident().detected, at("10:00:30"));
}

#[test]
fn users_come_from_the_event_before_the_catalogue_and_are_not_added_up() {
    let mut policy = policy();
    let facts = ServiceFacts { users: Some(40_000), kind: "voice".to_owned(), ..ServiceFacts::default() };
    policy.services.push((ServiceName::new("s").unwrap(), facts));
    let mut day = Day::under(policy);
    day.say("10:00", "outage.started", r#","outage":"a""#);
    assert_eq!((day.incident().users, day.incident().users_estimated), (Some(40_000), true));
    day.say("10:10", "outage.started", r#","outage":"b","users":25000"#);
    day.say("10:20", "outage.started", r#","outage":"c","users":20000"#);
    day.say("10:30", "outage.ended", r#","outage":"b""#);
    // 40,000 for 10 min, then 25,000 for 20, then 20,000 for 30.
    let minutes = day.incident().user_minutes(at("11:00"));
    assert!((minutes - (400_000.0 + 500_000.0 + 600_000.0)).abs() < 1e-6, "{minutes}");
}

#[test]
fn a_degradation_pages_nobody() {
    let mut day = Day::new();
    day.say("10:00", "outage.started", r#","severity":"degraded""#);
    day.until("12:00");
    assert!(day.incidents().is_empty() && day.told().is_empty());
}

#[test]
fn a_drill_counts_nowhere_else() {
    let mut day = Day::new();
    assert_eq!(day.say("10:00", "outage.started", r#","drill":"spring""#), Outcome::Drill);
    assert!(day.incidents().is_empty() && day.engine.service("s").is_none());
}

#[test]
fn another_policy_holds_from_when_it_was_adopted() {
    let mut day = Day::new();
    day.say("10:00", "outage.started", r#","users":50"#);
    let mut stricter = policy();
    let rule = Rule { name: "first[1]".into(), cite: "x".into(), conditions: vec![Condition::UsersAtLeast(50)] };
    stricter.levels.first = vec![rule];
    day.engine.apply(at("10:05"), &Input::Policy(Box::new(stricter)), &mut day.effects);
    day.until("10:05");
    assert_eq!(day.incident().level, Level::First);
    let raised = day.effects.iter().any(|effect| effect.reason == Reason::Escalated(Level::First));
    assert!(raised);
    day.engine.apply(at("10:06"), &Input::Policy(Box::new(policy())), &mut day.effects);
    day.until("10:06");
    assert_eq!(day.incident().level, Level::Third);
    assert!(day.incident().levels.last().unwrap().rule.contains("the rules changed"));
}

#[test]
fn an_acknowledgement_by_key_is_about_the_outage_open_then() {
    let mut day = Day::new();
    day.say("08:00", "outage.started", r#","outage":"k""#);
    day.say("08:01", "outage.ended", r#","outage":"k""#);
    day.say("10:00", "outage.started", r#","outage":"k""#);
    day.say("10:01", "repair.acknowledged", r#","outage":"k","by":"li""#);
    assert_eq!(day.incidents()[0].reached(Stage::Acknowledged), None);
    assert_eq!(day.incidents()[1].reached(Stage::Acknowledged).unwrap().at, at("10:01"));
    // One that names the incident is about it, however late it is said.
    let id = day.incidents()[0].id;
    day.say("11:00", "repair.acknowledged", &format!(r#","incident":"{id}","by":"wang""#));
    assert_eq!(day.incidents()[0].reached(Stage::Acknowledged).unwrap().by.as_deref(), Some("wang"));
}

#[test]
fn a_mark_ahead_of_now_does_not_make_what_is_watched_forgotten() {
    let mut day = Day::new();
    day.say("10:00", "outage.started", "");
    day.say("10:01", "outage.ended", "");
    day.hear("10:10:30", "10:11:20", "outage.started", r#","outage":"ahead""#);
    day.until("10:11:10");
    assert_eq!(day.incidents()[0].verified, Some(at("10:11")));
    assert_eq!(day.engine.alerts().count(), 0);
    day.until("10:12");
    assert_eq!(day.incidents().len(), 2);
}

#[test]
fn an_interruption_that_was_confirmed_to_be_over_stays_apart_from_the_next() {
    let mut day = Day::new();
    day.say("10:00", "outage.started", r#","outage":"a""#);
    // Its first outage turns out to have begun earlier, so its id is not the one that its start would give.
    day.hear("10:01", "09:59", "outage.started", r#","outage":"b""#);
    day.say("10:05", "outage.ended", r#","outage":"a""#);
    day.say("10:05", "outage.ended", r#","outage":"b""#);
    day.say("10:06", "repair.verified", "");
    day.say("10:07", "outage.started", r#","outage":"c""#);
    day.effects.clear();
    day.say("10:20", "outage.started", r#","outage":"d""#);
    assert_eq!(day.incidents().len(), 2);
    assert_eq!(day.incidents()[0].restored, Some(at("10:05")));
}

#[test]
fn a_breach_that_was_past_when_it_was_reported_is_counted_once_that_is_certain() {
    let repairs = |day: &Day| day.engine.counts().breaches.get(&ClockName::Repair).copied().unwrap_or(0);
    // Over for long and heard of start first: for a moment it looks as if it still went on.
    let mut day = Day::new();
    day.hear("12:00", "06:00", "outage.started", r#","outage":"short""#);
    day.hear("12:00", "06:01", "outage.ended", r#","outage":"short""#);
    assert_eq!(repairs(&day), 0, "a minute is within four hours, whenever it is heard of");
    day.hear("12:00", "07:00", "outage.started", r#","outage":"long""#);
    day.hear("12:00", "11:30", "outage.ended", r#","outage":"long""#);
    assert_eq!(repairs(&day), 1);
    // It still goes on when it is heard of: certain once it is over, and then counted once.
    day.hear("18:00", "13:00", "outage.started", r#","outage":"late""#);
    day.say("18:30", "outage.ended", r#","outage":"late""#);
    day.until("19:00");
    assert_eq!(repairs(&day), 2);
    day.hear("19:30", "18:35", "repair.acknowledged", "");
    day.until("23:00");
    assert_eq!(repairs(&day), 2);
}

#[test]
fn a_rule_looks_at_the_kind_of_the_service_and_at_the_users_of_that_kind() {
    let facts =
        |kind: &str, users| ServiceFacts { kind: kind.to_owned(), users: Some(users), ..ServiceFacts::default() };
    let under = |conditions: &[Condition]| {
        let mut policy = policy();
        let services = [("other", facts("data", 10_000)), ("s", facts("voice", 60)), ("t", facts("voice", 40))];
        policy.services = services.map(|(name, facts)| (ServiceName::new(name).unwrap(), facts)).into();
        policy.levels.first.clear();
        policy.levels.second =
            vec![Rule { name: "second[1]".into(), cite: String::new(), conditions: conditions.to_vec() }];
        let mut day = Day::under(policy);
        day.say("10:00", "outage.started", "");
        day.incident().level
    };
    let share = |share| Condition::ShareOver(Ratio::new(share).unwrap());
    assert_eq!(under(&[share(0.59)]), Level::Second);
    assert_eq!(under(&[share(0.6)]), Level::Third, "60 of 100 are not more than 60 %");
    assert_eq!(under(&[Condition::Kind("voice".into())]), Level::Second);
    assert_eq!(under(&[Condition::Kind("data".into())]), Level::Third);
}

#[test]
fn a_rise_that_is_learned_of_late_is_dated_by_when_its_rule_came_to_hold() {
    let mut policy = policy();
    policy.levels.first.clear();
    let conditions = vec![Condition::UsersOver(1000), Condition::LastingAtLeast(Span::from_mins(30))];
    policy.levels.second = vec![Rule { name: "second[1]".into(), cite: String::new(), conditions }];
    let mut day = Day::under(policy);
    day.say("10:00", "outage.started", r#","users":10"#);
    day.hear("11:00", "10:10", "outage.updated", r#","users":2000"#);
    let last = day.incident().levels.last().unwrap().clone();
    assert_eq!((last.level, last.at), (Level::Second, at("10:30")));
}

#[test]
fn a_restoration_may_be_confirmed_at_the_instant_at_which_it_took_place() {
    let mut day = Day::new();
    day.say("10:00", "outage.started", "");
    day.say("10:05", "outage.ended", "");
    day.say("10:05", "repair.verified", r#","by":"wang""#);
    assert_eq!(day.incident().verified, Some(at("10:05")));
    assert!(!day.incident().is_live());
}
