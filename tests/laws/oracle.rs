//! What a second-by-second bitmap says of a world: written without the engine, from the definitions.

use std::collections::BTreeMap;

use fournines::model::figures::{Figures, Lengths, State, Tallies};
use fournines::model::level::Ratio;
use fournines::model::target::Maintenance;
use fournines::model::time::Span;

use super::world::{DEGRADED_WEIGHT, GROUPS, HEARTBEAT, HORIZON, MAINTAINED, SERVICES, Saying, What, taken_back};

const SECOND: i128 = 1_000_000;

/// One service, second by second.
pub(crate) struct Bitmap {
    service: usize,
    down: Vec<bool>,
    degraded: Vec<bool>,
    excluded: Vec<bool>,
    unknown: Vec<bool>,
    /// The greatest weight of what is open, in parts of 10⁹.
    weight: Vec<u64>,
    /// Users that lose time.
    users: Vec<u64>,
    /// Start and end of every outage, in seconds.
    outages: Vec<(i64, Option<i64>)>,
}

/// How an outage that is open stands.
#[derive(Clone, Copy)]
struct Open {
    start: i64,
    down: bool,
    weight: Option<u64>,
    users: Option<u64>,
}

/// A second of one outage key: what was said of it.
#[derive(Clone, Default)]
struct Said {
    started: Vec<(bool, Option<u64>, Option<u64>)>,
    updated: Vec<(Option<bool>, Option<u64>)>,
    ended: bool,
}

fn place(second: i64) -> usize {
    usize::try_from(second.clamp(0, HORIZON)).unwrap()
}

/// Whether saying `number` counts nowhere: one that counts takes it back, and is of the same source.
fn retracted(world: &[Saying], number: usize) -> bool {
    world.iter().enumerate().any(|(by, saying)| {
        matches!(saying.what, What::Retracted(places) if taken_back(by, places) == Some(number))
            && saying.by_feed == world[number].by_feed
            && !retracted(world, by)
    })
}

fn is_in(service: usize, group: &str) -> bool {
    let known = &SERVICES[service];
    group == "all" || known.groups.contains(&group) || group.strip_prefix("kind:") == Some(known.kind)
}

/// Whether the maintenance that is said under `key` of service `of` is for `service`.
fn is_for(service: usize, of: usize, key: u8) -> bool {
    match MAINTAINED[key as usize] {
        "the service" => service == of || SERVICES[service].parents.contains(&SERVICES[of].name),
        group => is_in(service, group),
    }
}

/// When the service is maintained, second by second.
fn excluded(world: &[Saying], service: usize) -> Vec<bool> {
    let mut seconds = vec![false; place(HORIZON)];
    for key in 0..3 {
        // What is for one service only is said of that service; what is for a group is one, whoever says it.
        let scopes: Vec<usize> = if key == 0 { (0..SERVICES.len()).collect() } else { vec![0] };
        for of in scopes {
            if !is_for(service, of, key) {
                continue;
            }
            let mut notices: Vec<(i64, Option<(i64, i64)>)> = Vec::new();
            for (number, saying) in world.iter().enumerate() {
                if saying.key != key || key == 0 && saying.service != of || retracted(world, number) {
                    continue;
                }
                match saying.what {
                    What::Planned(wait, length) if wait >= 0 => {
                        notices.push((saying.at, Some((saying.at + wait, saying.at + wait + length))));
                    }
                    What::Cancelled => notices.push((saying.at, None)),
                    _ => {}
                }
            }
            // Of one instant a cancellation is the last word, and of two plans the later one.
            notices.sort_by_key(|&(at, plan)| (at, plan.is_none(), plan));
            for second in 0..HORIZON {
                let in_force = notices.iter().rev().find(|&&(at, _)| at <= second).and_then(|&(_, plan)| plan);
                if in_force.is_some_and(|(from, until)| from <= second && second < until) {
                    seconds[place(second)] = true;
                }
            }
        }
    }
    seconds
}

/// When the feed that speaks for the service was silent.
fn unknown(world: &[Saying], service: usize) -> Vec<bool> {
    let mut heard = vec![false; place(HORIZON)];
    if !is_in(service, "kind:radio") {
        return heard;
    }
    let signs = world.iter().filter(|saying| saying.by_feed).map(|saying| saying.at);
    // It is expected from the origin on.
    for sign in signs.chain([0]) {
        for second in sign..(sign + HEARTBEAT).min(HORIZON) {
            heard[place(second)] = true;
        }
    }
    heard.into_iter().map(|heard| !heard).collect()
}

pub(crate) fn bitmap(world: &[Saying], service: usize) -> Bitmap {
    let seconds = place(HORIZON);
    let mut map = Bitmap {
        service,
        down: vec![false; seconds],
        degraded: vec![false; seconds],
        excluded: excluded(world, service),
        unknown: unknown(world, service),
        weight: vec![0; seconds],
        users: vec![0; seconds],
        outages: Vec::new(),
    };
    for key in 0..3 {
        let mut said: BTreeMap<i64, Said> = BTreeMap::new();
        for (number, saying) in world.iter().enumerate() {
            if (saying.service, saying.key) != (service, key) || retracted(world, number) {
                continue;
            }
            let here = said.entry(saying.at).or_default();
            let thousands = |users: Option<u64>| users.map(|users| users * 1000);
            match saying.what {
                What::Down(users) => here.started.push((true, None, thousands(users))),
                What::Degraded(weight) => here.started.push((false, weight, None)),
                What::Updated(down, users) => here.updated.push((down, thousands(users))),
                What::Ended => here.ended = true,
                _ => {}
            }
        }
        map.play(&said);
    }
    map
}

impl Bitmap {
    /// Plays what was said of one outage key.
    fn play(&mut self, said: &BTreeMap<i64, Said>) {
        let mut open: Option<Open> = None;
        for second in 0..HORIZON {
            if let Some(said) = said.get(&second) {
                if open.is_none() && !said.started.is_empty() {
                    // Said in several ways at one instant, it is the gravest of all.
                    open = Some(Open {
                        start: second,
                        down: said.started.iter().any(|&(down, ..)| down),
                        weight: said.started.iter().filter_map(|&(_, weight, _)| weight).max(),
                        users: said.started.iter().filter_map(|&(.., users)| users).max(),
                    });
                }
                let mut updated = said.updated.clone();
                updated.sort_unstable();
                for (down, users) in updated {
                    if let Some(open) = &mut open {
                        open.down = down.unwrap_or(open.down);
                        open.users = users.or(open.users);
                    }
                }
                if said.ended
                    && let Some(over) = open.take()
                {
                    self.outages.push((over.start, Some(second)));
                }
            }
            if let Some(open) = open {
                let here = place(second);
                if open.down {
                    self.down[here] = true;
                    self.weight[here] = Ratio::WHOLE;
                    self.users[here] += open.users.or(SERVICES[self.service].users).unwrap_or(0);
                } else {
                    self.degraded[here] = true;
                    let weight = open.weight.unwrap_or(DEGRADED_WEIGHT) * 1_000_000;
                    self.weight[here] = self.weight[here].max(weight);
                }
            }
        }
        self.outages.extend(open.map(|open| (open.start, None)));
    }

    /// How it stands at a second.
    pub(crate) fn state(&self, second: i64) -> State {
        let here = place(second);
        match (self.unknown[here], self.excluded[here], self.down[here], self.degraded[here]) {
            (true, ..) => State::Unknown,
            (false, true, ..) => State::Maintenance,
            (false, false, true, _) => State::Down,
            (false, false, false, true) => State::Degraded,
            (false, false, false, false) => State::Up,
        }
    }

    /// The mode in which its promise counts maintenance.
    fn mode(&self) -> Maintenance {
        if is_in(self.service, "bare") { Maintenance::Ignore } else { Maintenance::Exclude }
    }

    /// Whether an outage is planned as things stand at `until`.
    fn planned(&self, (start, end): (i64, Option<i64>), until: i64) -> bool {
        let end = end.unwrap_or(until).min(until);
        if start == end { self.excluded[place(start)] } else { (start..end).all(|s| self.excluded[place(s)]) }
    }

    /// The lengths of the repairs in `(from, until]`, shortest first.
    fn repairs(&self, from: i64, until: i64) -> Vec<i64> {
        let ended = |&(start, end): &(i64, Option<i64>)| {
            let end = end.filter(|&end| from < end && end <= until)?;
            (!self.planned((start, Some(end)), end)).then_some(end - start)
        };
        let mut lengths: Vec<i64> = self.outages.iter().filter_map(ended).collect();
        lengths.sort_unstable();
        lengths
    }

    /// The figures of `[from, until)`, counted.
    pub(crate) fn count(&self, from: i64, until: i64) -> Figures {
        let since = SERVICES[self.service].since;
        let from = since.map_or(from, |since| from.max(since));
        if from >= until {
            return Figures::default();
        }
        let (first, last) = (place(from), place(until));
        let blind = |s: usize| self.excluded[s] || self.unknown[s];
        let count = |wanted: &dyn Fn(usize) -> bool| (first..last).filter(|&s| wanted(s)).count() as i128 * SECOND;
        let lengths = Lengths {
            observed: i128::from(until - from) * SECOND,
            excluded: count(&|s| self.excluded[s]),
            unknown: count(&|s| self.unknown[s]),
            blind: count(&blind),
            down: count(&|s| self.down[s] && !blind(s)),
            down_gross: count(&|s| self.down[s] && !self.unknown[s]),
            degraded: count(&|s| self.degraded[s] && !self.down[s] && !blind(s)),
            weighted: (first..last).filter(|&s| !blind(s)).map(|s| i128::from(self.weight[s])).sum::<i128>()
                * SECOND,
        };
        let begun = || self.outages.iter().filter(|&&(start, _)| from <= start && start < until);
        let planned = begun().filter(|&&outage| self.planned(outage, until)).count() as u64;
        let users = (first..last).filter(|&s| !blind(s)).map(|s| i128::from(self.users[s]));
        let mut tallies = of_repairs(&self.repairs(from, until));
        tallies.outages = begun().count() as u64 - planned;
        tallies.planned_outages = planned;
        tallies.user_micros = users.sum::<i128>() * SECOND;
        let working = lengths.observed - lengths.blind - lengths.down;
        Figures { lengths, tallies, weight: 1, working, mode: self.mode() }
    }
}

fn of_repairs(lengths: &[i64]) -> Tallies {
    // The smallest that at least so many percent of them do not exceed.
    let rank = |percent: usize| {
        let enough = |&(n, _): &(usize, &i64)| (n + 1) * 100 >= lengths.len() * percent;
        lengths.iter().enumerate().find(enough).map(|(_, &length)| Span::from_secs(length))
    };
    Tallies {
        repairs: lengths.len() as u64,
        repair_sum: lengths.iter().map(|&length| i128::from(length) * SECOND).sum(),
        repair_p50: rank(50),
        repair_p95: rank(95),
        repair_max: lengths.last().map(|&length| Span::from_secs(length)),
        repairs_within: (!lengths.is_empty())
            .then(|| lengths.iter().filter(|&&length| length <= 3600).count() as u64),
        ..Tallies::default()
    }
}

/// The figures of a group over `[from, until)`: counted service by service, by users where any of them has some.
pub(crate) fn count_group(maps: &[Bitmap], group: &str, from: i64, until: i64) -> Figures {
    assert!(GROUPS.contains(&group));
    let members: Vec<&Bitmap> = maps.iter().filter(|map| is_in(map.service, group)).collect();
    let users: u64 = members.iter().filter_map(|map| SERVICES[map.service].users).sum();
    let mut repairs = Vec::new();
    // The targets name the group `bare`, and no other.
    let mode = if group == "bare" { Maintenance::Ignore } else { Maintenance::Exclude };
    let mut sum = Figures { mode, ..Figures::default() };
    for map in &members {
        let own = map.count(from, until);
        let weight = if users > 0 { i128::from(SERVICES[map.service].users.unwrap_or(0)) } else { 1 };
        let times = |length: i128| length * weight;
        sum.lengths = sum.lengths.plus(Lengths {
            observed: times(own.lengths.observed),
            excluded: times(own.lengths.excluded),
            unknown: times(own.lengths.unknown),
            blind: times(own.lengths.blind),
            down: times(own.lengths.down),
            down_gross: times(own.lengths.down_gross),
            degraded: times(own.lengths.degraded),
            weighted: times(own.lengths.weighted),
        });
        sum.tallies.outages += own.tallies.outages;
        sum.tallies.planned_outages += own.tallies.planned_outages;
        sum.tallies.user_micros += own.tallies.user_micros;
        sum.working += own.working;
        let since = SERVICES[map.service].since;
        let from = since.map_or(from, |since| from.max(since));
        if from < until {
            repairs.extend(map.repairs(from, until));
        }
    }
    repairs.sort_unstable();
    let counted = of_repairs(&repairs);
    sum.tallies = Tallies {
        outages: sum.tallies.outages,
        planned_outages: sum.tallies.planned_outages,
        user_micros: sum.tallies.user_micros,
        ..counted
    };
    sum.weight = if users > 0 { i128::from(users) } else { members.len() as i128 };
    sum
}
