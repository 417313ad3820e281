//! What belongs together is found out: on a simulated network whose topology is known, against what the generator knows to
//! have caused what.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};

use fournines::config::{Settings, Sources, read_catalog};
use fournines::engine::{Engine, Input};
use fournines::ingest::decode::{Gate, Layout, decode};
use fournines::model::incident::{Incident, Status};
use fournines::model::time::{Instant, Span};
use fournines::simulate::Network;
use serde_json::Value;

/// An outage as it was told: its service, when it began, and what it follows from.
struct Told {
    service: String,
    root: String,
    users: u64,
    started: Instant,
}

/// How many pairs there are of so many.
const fn pairs(count: u64) -> u64 {
    count * count.saturating_sub(1) / 2
}

/// A ratio as hundredths of a percent, cut off.
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

#[test]
fn outages_of_one_cause_are_one_incident_with_its_root_and_its_users() {
    let start: Instant = "2026-03-02T00:00:00Z".parse().unwrap();
    let network = Network::new(3000, 11);
    let mut policy = Settings::load(&Sources::default()).unwrap().policy;
    policy.services = read_catalog("simulated", &network.catalog_csv()).unwrap();
    let reopen = policy.correlation.reopen;
    let mut engine = Engine::new();
    let mut effects = Vec::new();
    engine.apply(start, &Input::Policy(Box::new(policy)), &mut effects);
    let end = start.plus(Span::from_hours(30 * 24));
    let mut told: BTreeMap<String, Told> = BTreeMap::new();
    // The simulated network is a busy one, so that a demonstration has something to show. One in so many of its troubles
    // is what a real one has: some three faults of a site a month, and by day a few that take several.
    let happens = |root: &str| {
        root.bytes().fold(7_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into())) % 20 == 0
    };
    let mut left_out: BTreeSet<String> = BTreeSet::new();
    let all = network.events(start, 11).take_while(|event| event.time < end);
    for event in all.filter(|event| !event.line.contains(r#""type":"latency""#)) {
        let read: Value = serde_json::from_str(&event.line).unwrap();
        if read["root"].as_str().is_some_and(|root| !happens(root)) {
            left_out.insert(read["outage"].as_str().unwrap().to_owned());
        }
        if read["outage"].as_str().is_some_and(|outage| left_out.contains(outage)) {
            continue;
        }
        if read["type"] == "outage.started" && read["severity"].is_null() {
            let text = |name: &str| read[name].as_str().unwrap().to_owned();
            let users = read["users"].as_u64().unwrap();
            let outage = Told { service: text("service"), root: text("root"), users, started: event.time };
            told.insert(text("outage"), outage);
        }
        let mut decoded = decode(Layout::Lines, event.line.as_bytes(), &Gate::past("simulated".into()));
        engine.apply(event.time, &Input::Event(decoded.events.remove(0)), &mut effects);
    }
    engine.advance(end, &mut effects);

    // Which outage became part of which incident: that of its service which it fell into.
    let own = |incident: &&Incident| !matches!(incident.status, Status::Merged | Status::Withdrawn);
    let mut of: BTreeMap<&str, Vec<&Incident>> = BTreeMap::new();
    for incident in engine.incidents().filter(own) {
        for service in engine.services_of(incident.id) {
            of.entry(service).or_default().push(incident);
        }
    }
    let incident_of = |outage: &Told| {
        let within = |incident: &&&Incident| {
            incident.started <= outage.started && incident.restored.is_none_or(|end| end >= outage.started)
        };
        of.get(outage.service.as_str()).and_then(|own| own.iter().find(within)).copied()
    };
    let placed: Vec<(&Told, &Incident)> =
        told.values().filter_map(|outage| incident_of(outage).map(|incident| (outage, incident))).collect();
    // Planned work is no incident.
    let planned = told.len() - placed.len();

    let mut together: BTreeMap<_, u64> = BTreeMap::new();
    let (mut by_root, mut by_incident): (BTreeMap<&str, u64>, BTreeMap<_, u64>) = Default::default();
    for (outage, incident) in &placed {
        *together.entry((outage.root.as_str(), incident.id)).or_default() += 1;
        *by_root.entry(&outage.root).or_default() += 1;
        *by_incident.entry(incident.id).or_default() += 1;
    }
    // A service that flaps has a ticket for each time it drops out; that they are one incident is no mistake.
    let mut again = 0;
    let mut by_service: BTreeMap<(&str, _), Vec<&Told>> = BTreeMap::new();
    for (outage, incident) in &placed {
        by_service.entry((outage.service.as_str(), incident.id)).or_default().push(*outage);
    }
    for outages in by_service.values() {
        let mut same: BTreeMap<&str, u64> = BTreeMap::new();
        outages.iter().for_each(|outage| *same.entry(&outage.root).or_default() += 1);
        again += pairs(outages.len() as u64) - same.into_values().map(pairs).sum::<u64>();
    }
    let right: u64 = together.values().copied().map(pairs).sum();
    let joined: u64 = by_incident.values().copied().map(pairs).sum::<u64>() - again;
    let true_pairs: u64 = by_root.values().copied().map(pairs).sum();
    let (precision, recall) = (share(right, joined), share(right, true_pairs));

    // Of what took several services: is it one incident, does it name the root, and are the users those of the root?
    let mut incidents_of: BTreeMap<&str, BTreeSet<_>> = BTreeMap::new();
    for (outage, incident) in &placed {
        incidents_of.entry(&outage.root).or_default().insert(incident.id);
    }
    let (mut storms, mut whole, mut rooted, mut counted) = (0, 0, 0, 0);
    for (root, count) in by_root.iter().filter(|(_, count)| **count > 1) {
        let cause = &told[*root];
        let incidents = &incidents_of[root];
        storms += 1;
        whole += u64::from(incidents.len() == 1);
        let Some(incident) = incident_of(cause) else { continue };
        let suspected = incident.suspected_cause.as_ref().map(|name| name.as_str());
        rooted += u64::from(suspected == Some(cause.service.as_str()));
        counted += u64::from(incident.users == Some(cause.users));
        if incidents.len() > 1 || suspected != Some(&cause.service) || incident.users != Some(cause.users) {
            println!(
                "{root} of {count} at {}: {} incidents, suspected {suspected:?}, {:?} users of {}",
                cause.service,
                incidents.len(),
                incident.users,
                cause.users
            );
        }
    }
    println!(
        "{} outages ({planned} of planned work) in {} incidents; hold-down {reopen}\n\
         pairs: precision {precision:.4}, recall {recall:.4}\n\
         of {storms} that took several services: {whole} are one incident, {rooted} name the root, {counted} have its users",
        told.len(),
        by_incident.len(),
    );
    assert!(storms >= 20, "{storms}");
    assert!(precision > 0.95 && recall > 0.99, "precision {precision}, recall {recall}");
    assert!(whole * 20 >= storms * 19 && rooted * 20 >= storms * 19, "{whole} and {rooted} of {storms}");
}
