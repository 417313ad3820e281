//! Which outages are one incident, and whom it costs what, found by trying every pair at every instant: written from
//! the definitions, without the engine's way of keeping clusters.

use std::collections::BTreeSet;

use fournines::engine::{Engine, Input};
use fournines::model::incident::Status;
use fournines::model::level::LevelRules;
use fournines::model::policy::{Correlation, Policy};
use fournines::model::service::{ServiceFacts, ServiceName};
use fournines::model::target::Targets;
use fournines::model::time::{Instant, Span};
use proptest::collection::vec;
use proptest::prelude::*;

use super::world::{at, decoded};

/// Each service, and what it depends on: a root, two branches with leaves, one that hangs on either branch, one below
/// that, and one by itself.
const NETWORK: [(&str, &[&str]); 11] = [
    ("a", &["p"]),
    ("b", &["p"]),
    ("c", &["p"]),
    ("d", &["q"]),
    ("e", &["q"]),
    ("m", &["p|q"]),
    ("n", &["m"]),
    ("p", &["r"]),
    ("q", &["r"]),
    ("r", &[]),
    ("solo", &[]),
];
const REOPEN: i64 = 600;
const WINDOW: i64 = 300;
const SIBLINGS: usize = 3;
/// When everything has arrived.
const LATE: i64 = 40_000;

/// A service was down, or somebody confirmed that it is up again.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    Down { service: usize, from: i64, until: Option<i64>, retracted: bool },
    Confirmed { service: usize, at: i64 },
}

fn told() -> impl Strategy<Value = Told> {
    let second = || prop_oneof![(0..40_i64).prop_map(|n| n * 150), 0..6000_i64];
    let length = prop_oneof![
        2 => (0..12_i64).prop_map(|n| n * 150),
        3 => 0..1500_i64,
        1 => Just(0_i64),
    ];
    let until = prop_oneof![8 => length.prop_map(Some), 1 => Just(None)];
    prop_oneof![
        8 => (0..NETWORK.len(), second(), until, prop::bool::weighted(0.1)).prop_map(
            |(service, from, length, retracted)| Told::Down {
                service,
                from,
                until: length.map(|length| from + length),
                retracted,
            }
        ),
        1 => (0..NETWORK.len(), second()).prop_map(|(service, at)| Told::Confirmed { service, at }),
    ]
}

/// What is told, and in which order and how many at one instant it arrives.
pub(crate) fn storms() -> impl Strategy<Value = (Vec<Told>, Vec<usize>, Vec<bool>)> {
    vec(told(), 1..25).prop_flat_map(|all| {
        let count = all.len() * 3;
        (Just(all), Just((0..count).collect::<Vec<_>>()).prop_shuffle(), vec(any::<bool>(), count))
    })
}

/// Those that are seldom drawn.
pub(crate) fn rare() -> [(Vec<Told>, Vec<usize>, Vec<bool>); 2] {
    let down = |service, from, until| Told::Down { service, from, until, retracted: false };
    // A confirmation and the end that it confirms are heard of at one instant, what came back is known before.
    let confirmed =
        vec![Told::Confirmed { service: 10, at: 1226 }, down(10, 1200, Some(1200)), down(10, 1430, Some(1840))];
    // Two of three siblings are known, then something much later, then something long before that goes on, and only
    // then the third sibling.
    let siblings = vec![
        down(5, 3669, None),
        down(1, 5886, Some(5886)),
        down(0, 3570, Some(3570)),
        down(1, 3450, Some(4699)),
        down(6, 2623, Some(3523)),
    ];
    [
        (confirmed, vec![7, 6, 3, 0, 4], vec![false, false, false, false, true]),
        (siblings, vec![3, 4, 6, 7, 9, 10, 12, 0, 13], vec![false; 9]),
    ]
}

fn users(service: usize) -> i128 {
    1 << service
}

fn policy() -> Policy {
    let facts = |place: usize| ServiceFacts {
        users: Some(1 << place),
        depends_on: NETWORK[place].1.iter().map(|&name| name.to_owned()).collect(),
        ..ServiceFacts::default()
    };
    Policy {
        services: (0..NETWORK.len())
            .map(|place| (ServiceName::new(NETWORK[place].0).unwrap(), facts(place)))
            .collect(),
        levels: LevelRules::default(),
        targets: Targets::default(),
        correlation: Correlation {
            reopen: Span::from_secs(REOPEN),
            window: Span::from_secs(WINDOW),
            siblings: SIBLINGS as u64,
        },
        ..Policy::default()
    }
}

/// The lines of one thing that is told; empty ones say nothing.
fn lines(number: usize, told: &Told) -> [String; 3] {
    match *told {
        Told::Down { service, from, until, retracted } => {
            let line = |kind: &str, time: i64| {
                format!(
                    r#"{{"type":"outage.{kind}","time":"{}","source":"s","service":"{}","outage":"k{number}","id":"{kind}{number}"}}"#,
                    at(time),
                    NETWORK[service].0
                )
            };
            let back = format!(r#"{{"type":"retraction","time":"{}","source":"s","of":"started{number}"}}"#, at(0));
            [
                line("started", from),
                until.map_or(String::new(), |until| line("ended", until)),
                if retracted { back } else { String::new() },
            ]
        }
        Told::Confirmed { service, at: when } => [
            format!(
                r#"{{"type":"repair.verified","time":"{}","source":"s","service":"{}","id":"v{number}"}}"#,
                at(when),
                NETWORK[service].0
            ),
            String::new(),
            String::new(),
        ],
    }
}

/// An incident as this law sees it: when it began and ended, its services, how often they came back, the most users at
/// once, and user-microseconds lost by the end.
pub(crate) type Seen = (Instant, Option<Instant>, BTreeSet<String>, u64, i128, i128);

/// What the engine makes of it.
pub(crate) fn found(all: &[Told], order: &[usize], together: &[bool]) -> BTreeSet<Seen> {
    let mut engine = Engine::new();
    engine.apply(at(0), &Input::Policy(Box::new(policy())), &mut Vec::new());
    let mut received = 10_000;
    for (&place, &together) in order.iter().zip(together) {
        let line = &lines(place / 3, &all[place / 3])[place % 3];
        if line.is_empty() {
            continue;
        }
        received += i64::from(!together);
        engine.apply(at(received), &decoded(line), &mut Vec::new());
    }
    engine.advance(at(LATE), &mut Vec::new());
    let own = engine.incidents().filter(|i| !matches!(i.status, Status::Merged | Status::Withdrawn));
    own.map(|incident| {
        let services = engine.services_of(incident.id).map(str::to_owned).collect();
        let open = incident
            .accruing
            .map_or(0, |(users, since)| i128::from(users) * i128::from(at(LATE).since(since).as_micros()));
        let users = i128::from(incident.users.unwrap_or(0));
        (incident.started, incident.restored, services, incident.flaps, users, incident.user_micros + open)
    })
    .collect()
}

// ---- by brute force ----

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Spell {
    from: i64,
    service: usize,
    /// Later than anything while it goes on.
    until: i64,
}

struct World {
    spells: Vec<Spell>,
    confirmed: Vec<(usize, i64)>,
    /// To which incident each spell belongs, of those begun so far.
    of: Vec<Option<usize>>,
    /// What is suspected: a child of a service, when, and by way of which spell.
    suspected: Vec<(usize, i64, usize)>,
}

fn clauses(service: usize) -> Vec<Vec<usize>> {
    let place = |name: &str| NETWORK.iter().position(|(known, _)| *known == name).unwrap();
    NETWORK[service].1.iter().map(|clause| clause.split('|').map(place).collect()).collect()
}

fn hangs_on(service: usize, ancestor: usize) -> bool {
    clauses(service).iter().flatten().any(|&parent| parent == ancestor || hangs_on(parent, ancestor))
}

impl World {
    fn last(&self, service: usize, until: i64) -> Option<usize> {
        let begun = |&spell: &usize| self.spells[spell].service == service && self.spells[spell].from <= until;
        (0..self.spells.len()).filter(begun).max_by_key(|&spell| self.spells[spell].from)
    }

    fn is_live(&self, incident: usize, t: i64) -> bool {
        let members = (0..self.spells.len()).filter(|&spell| self.of[spell] == Some(incident));
        let end = members.map(|spell| self.spells[spell].until).max().unwrap();
        let over = self.confirmed.iter().any(|&(service, v)| {
            end <= v && v < t && self.last(service, v).is_some_and(|spell| self.of[spell] == Some(incident))
        });
        t < end || t < end.saturating_add(REOPEN) && !over
    }

    fn live_at(&self, service: usize, t: i64) -> Option<usize> {
        self.of[self.last(service, t)?].filter(|&incident| self.is_live(incident, t))
    }

    fn above(&self, service: usize, t: i64) -> BTreeSet<usize> {
        let mut all = BTreeSet::new();
        for clause in clauses(service) {
            let each = clause.iter().map(|&parent| {
                let mut some = self.above(parent, t);
                some.extend(self.live_at(parent, t));
                some
            });
            let each: Vec<BTreeSet<usize>> = each.collect();
            if each.iter().all(|some| !some.is_empty()) {
                all.extend(each.into_iter().flatten());
            }
        }
        all
    }

    fn join(&mut self, incidents: &BTreeSet<usize>) -> bool {
        let Some(&first) = incidents.first() else { return false };
        for of in self.of.iter_mut().filter(|of| of.is_some_and(|of| incidents.contains(&of))) {
            *of = Some(first);
        }
        incidents.len() > 1
    }

    /// Everything that joins at `t`, once.
    fn join_at(&mut self, t: i64) -> bool {
        let mut more = false;
        for spell in 0..self.spells.len() {
            let Spell { from, service, .. } = self.spells[spell];
            let Some(own) = self.of[spell] else { continue };
            if from == t {
                let mut joins = self.above(service, t);
                joins.insert(own);
                let before = (0..self.spells.len())
                    .filter(|&other| self.spells[other].service == service && self.spells[other].from < t)
                    .max_by_key(|&other| self.spells[other].from);
                let before = before.and_then(|other| self.of[other]).filter(|&other| self.is_live(other, t));
                joins.extend(before);
                more |= self.join(&joins);
            } else if from >= t - WINDOW && self.is_live(own, t) {
                let above = self.above(service, t);
                let begins = |other: &usize| {
                    let ancestor = self.spells[*other];
                    let known = self.of[*other].is_some_and(|of| above.contains(&of));
                    ancestor.from == t && hangs_on(service, ancestor.service) && known
                };
                if (0..self.spells.len()).any(|other| begins(&other)) {
                    let mut joins = above;
                    joins.insert(own);
                    more |= self.join(&joins);
                }
            }
        }
        for parent in 0..NETWORK.len() {
            let is_child = |service: usize| clauses(service).iter().flatten().any(|&known| known == parent);
            let real =
                (0..self.spells.len()).map(|spell| (self.spells[spell].service, self.spells[spell].from, spell));
            let recent = real.chain(self.suspected.iter().copied()).filter(|&(child, from, spell)| {
                is_child(child) && t - WINDOW <= from && from <= t && self.of[spell].is_some()
            });
            let recent: Vec<(usize, i64, usize)> = recent.collect();
            let live = recent.iter().filter(|(.., spell)| self.of[*spell].is_some_and(|of| self.is_live(of, t)));
            let live: Vec<&(usize, i64, usize)> = live.collect();
            let children: BTreeSet<usize> = live.iter().map(|(child, ..)| *child).collect();
            let Some(&&(.., via)) = live.iter().find(|(_, from, _)| *from == t) else { continue };
            if children.len() >= SIBLINGS {
                let joins = live.iter().filter_map(|(.., spell)| self.of[*spell]).collect();
                more |= self.join(&joins);
                let fresh = |from: i64| t - WINDOW <= from && from <= t;
                let real = self.spells.iter().any(|spell| spell.service == parent && fresh(spell.from));
                let known = self.suspected.iter().any(|&(child, from, _)| child == parent && fresh(from));
                if !real && !known {
                    self.suspected.push((parent, t, via));
                    more = true;
                }
            }
        }
        more
    }

    /// The users of an incident at an instant; what lasts no time counts at its instant if so `just`.
    fn users(&self, incident: usize, t: i64, just: bool) -> i128 {
        let down = |service: usize, just: bool| {
            (0..self.spells.len()).any(|spell| {
                let Spell { from, service: other, until } = self.spells[spell];
                let covers = from <= t && t < until || just && from == t && until == t;
                other == service && self.of[spell] == Some(incident) && covers
            })
        };
        fn hidden(service: usize, down: &dyn Fn(usize) -> bool) -> bool {
            let out = |&parent: &usize| down(parent) || hidden(parent, down);
            clauses(service).iter().any(|clause| clause.iter().all(out))
        }
        let counts = |&service: &usize| down(service, just) && !hidden(service, &|parent| down(parent, false));
        (0..NETWORK.len()).filter(counts).map(users).sum()
    }
}

/// What the definitions make of it.
pub(crate) fn expected(all: &[Told]) -> BTreeSet<Seen> {
    let mut spells: Vec<Spell> = Vec::new();
    for service in 0..NETWORK.len() {
        let mut own: Vec<(i64, i64)> = all
            .iter()
            .filter_map(|told| match *told {
                Told::Down { service: known, from, until, retracted: false } if known == service => {
                    Some((from, until.unwrap_or(i64::MAX)))
                }
                _ => None,
            })
            .collect();
        own.sort_unstable();
        let first = spells.len();
        for (from, until) in own {
            match spells[first..].last_mut() {
                Some(last) if from <= last.until => last.until = last.until.max(until),
                _ => spells.push(Spell { from, service, until }),
            }
        }
    }
    let confirmed = all.iter().filter_map(|told| match *told {
        Told::Confirmed { service, at } => Some((service, at)),
        Told::Down { .. } => None,
    });
    let of = vec![None; spells.len()];
    let mut world = World { confirmed: confirmed.collect(), of, suspected: Vec::new(), spells };
    let starts: BTreeSet<i64> = world.spells.iter().map(|spell| spell.from).collect();
    for t in starts {
        for spell in 0..world.spells.len() {
            if world.spells[spell].from == t {
                world.of[spell] = Some(spell);
            }
        }
        while world.join_at(t) {}
    }
    let edges: BTreeSet<i64> =
        world.spells.iter().flat_map(|spell| [spell.from, spell.until.min(LATE)]).chain([LATE]).collect();
    let edges: Vec<i64> = edges.into_iter().collect();
    let incidents: BTreeSet<usize> = world.of.iter().flatten().copied().collect();
    let seen = incidents.into_iter().map(|incident| {
        let members = (0..world.spells.len()).filter(|&spell| world.of[spell] == Some(incident));
        let members: Vec<Spell> = members.map(|spell| world.spells[spell]).collect();
        let services: BTreeSet<String> = members.iter().map(|spell| NETWORK[spell.service].0.to_owned()).collect();
        let flaps = (members.len() - services.len()) as u64;
        let until = members.iter().map(|spell| spell.until).max().unwrap();
        let restored = (until < i64::MAX).then(|| at(until));
        let peak = edges.iter().map(|&t| world.users(incident, t, true)).max().unwrap();
        let lost: i128 = edges
            .windows(2)
            .map(|edge| world.users(incident, edge[0], false) * i128::from(edge[1] - edge[0]) * 1_000_000)
            .sum();
        (at(members.iter().map(|spell| spell.from).min().unwrap()), restored, services, flaps, peak, lost)
    });
    seen.collect()
}

/// A network in layers, each of whose services hangs on both of the layer above: the ways up double with each layer.
pub(crate) fn layered(layers: usize) -> (Engine, Vec<String>) {
    let name = |layer: usize, side: usize| format!("l{layer}-{side}");
    let service = |(layer, side): (usize, usize)| {
        let above = if layer == 0 { Vec::new() } else { vec![name(layer - 1, 0), name(layer - 1, 1)] };
        let facts = ServiceFacts { users: Some(1), depends_on: above, ..ServiceFacts::default() };
        (ServiceName::new(&name(layer, side)).unwrap(), facts)
    };
    let places: Vec<(usize, usize)> = (0..layers).flat_map(|layer| [(layer, 0), (layer, 1)]).collect();
    let services = places.iter().copied().map(service).collect();
    let mut engine = Engine::new();
    let policy = Policy { services, ..Policy::default() };
    engine.apply(at(0), &Input::Policy(Box::new(policy)), &mut Vec::new());
    (engine, places.into_iter().map(|(layer, side)| name(layer, side)).collect())
}
