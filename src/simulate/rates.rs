//! Rates: what comes again and again, and how often.
//!
//! They are those of a lively day, far above what a real operator would bear, so that a demo has something to show.
//! They are set for 300 sites and grow with the network.

use super::events::Events;
use crate::model::time::Span;

/// The network size that rates are set for.
const SITES: i64 = 300;
/// How often each site's latency is told, unless another pace is asked for.
pub(super) const SAMPLE_EVERY: Span = Span::from_mins(5);

/// A sort of trouble, or a measurement, that comes again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Process {
    /// One site fails by itself.
    SiteFault,
    /// One site drops out several times, minutes apart.
    Flapping,
    /// A service is there, but worse than promised.
    Degradation,
    /// Some aggregation fails, and its sites with it.
    Storm,
    /// The same in a large city, long enough for the second level.
    GraveStorm,
    /// A core fails, and some of its cities with it.
    CoreFailure,
    /// The same with many users, long enough for the first level.
    GraveCoreFailure,
    /// Work on a site is announced.
    Maintenance,
    /// The latency of the next site is told.
    Sample,
}

impl Process {
    pub(super) const ALL: [Self; 9] = [
        Self::SiteFault,
        Self::Flapping,
        Self::Degradation,
        Self::Storm,
        Self::GraveStorm,
        Self::CoreFailure,
        Self::GraveCoreFailure,
        Self::Maintenance,
        Self::Sample,
    ];
}

impl Events {
    /// How long till a process first sets in.
    pub(super) fn first_wait(&mut self, process: Process) -> Span {
        match process {
            // A demo that shows nothing for an hour loses its audience.
            Process::GraveStorm => self.chance.span(Span::from_mins(5), Span::from_mins(30)),
            Process::GraveCoreFailure => self.chance.span(Span::from_hours(1), Span::from_hours(8)),
            _ => self.wait(process),
        }
    }

    /// How long till a process sets in again. The grave ones keep within bounds, since a promise is made for them:
    /// a second level in any three hours, a first level on any day. All others come as they like.
    pub(super) fn wait(&mut self, process: Process) -> Span {
        let (minutes, hours) = (Span::from_mins, Span::from_hours);
        let sites = i64::try_from(self.topology.sites.len()).unwrap_or(i64::MAX);
        // Sites fail in proportion to their number. Of storms a small network has as many as one of 300 sites.
        let among_sites = |mean: Span| over(Span::from_micros(mean.as_micros() * SITES), sites);
        let among_cities = |wait: Span| over(wait, sites / SITES);
        match process {
            Process::SiteFault => self.chance.exponential(among_sites(minutes(12))),
            Process::Flapping => self.chance.exponential(among_sites(hours(2))),
            Process::Degradation => self.chance.exponential(among_sites(minutes(50))),
            Process::Maintenance => self.chance.exponential(among_sites(hours(3))),
            Process::Storm => self.chance.exponential(among_cities(hours(6))),
            Process::GraveStorm => self.chance.span(among_cities(minutes(80)), among_cities(minutes(165))),
            Process::CoreFailure => self.chance.exponential(among_cities(hours(18))),
            Process::GraveCoreFailure => self.chance.span(among_cities(hours(12)), among_cities(hours(22))),
            // One wait for all sites in turn, so that the queue stays short.
            Process::Sample => over(self.sample_every, sites),
        }
    }
}

/// A span shared out among `parts`.
fn over(span: Span, parts: i64) -> Span {
    Span::from_micros((span.as_micros() / parts.max(1)).max(1))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use super::super::testing::{read, start, stream, text};
    use super::*;
    use crate::model::time::Instant;

    /// An outage as the stream tells it.
    #[derive(Debug)]
    struct Told {
        service: String,
        severity: String,
        users: u64,
        from: Instant,
        until: Option<Instant>,
        acknowledged: Option<Instant>,
    }

    impl Told {
        fn longer_than(&self, minutes: i64) -> bool {
            self.until.is_some_and(|until| until.since(self.from) > Span::from_mins(minutes))
        }
    }

    /// All outages that start within `hours`, each followed to its end.
    fn outages(events: Events, hours: i64) -> Vec<Told> {
        let until = start().plus(Span::from_hours(hours));
        let mut told: BTreeMap<(String, String), Told> = BTreeMap::new();
        let mut open = 0_u32;
        for simulated in events {
            if simulated.time >= until && open == 0 {
                break;
            }
            assert!(simulated.time < until.plus(Span::from_hours(24 * 7)), "an outage never ends");
            // Samples are by far the most, and tell nothing of outages.
            if simulated.line.contains("\"latency\"") {
                continue;
            }
            let event = read(&simulated);
            let Some(outage) = event["outage"].as_str() else {
                continue;
            };
            let key = (text(&event, "service").to_owned(), outage.to_owned());
            match text(&event, "type") {
                "outage.started" if simulated.time < until => {
                    let severity = event["severity"].as_str().unwrap_or("down").to_owned();
                    let users = event["users"].as_u64().unwrap();
                    let (service, from) = (key.0.clone(), simulated.time);
                    let started = Told { service, severity, users, from, until: None, acknowledged: None };
                    assert!(told.insert(key, started).is_none(), "started twice: {}", simulated.line);
                    open += 1;
                }
                "outage.ended" => {
                    let Some(outage) = told.get_mut(&key) else {
                        continue;
                    };
                    assert!(outage.until.replace(simulated.time).is_none(), "ended twice: {}", simulated.line);
                    open -= 1;
                }
                "repair.acknowledged" => {
                    let Some(outage) = told.get_mut(&key) else {
                        continue;
                    };
                    outage.acknowledged = Some(simulated.time);
                }
                _ => {}
            }
        }
        told.into_values().collect()
    }

    #[test]
    fn every_outage_ends_whatever_the_size() {
        for (sites, seed) in [(1, 1), (12, 2), (300, 3), (2_000, 4)] {
            let outages = outages(stream(sites, seed), 6);
            assert!(!outages.is_empty());
            assert!(outages.iter().all(|o| o.until.is_some_and(|until| until > o.from)), "{sites} sites");
        }
    }

    #[test]
    fn a_day_of_300_sites_is_as_lively_as_promised() {
        for seed in 1..=6 {
            let outages = outages(stream(300, seed), 24);
            let topology = stream(300, seed).topology;
            let users: HashMap<&str, u64> = topology.services.iter().map(|s| (&*s.id, s.users)).collect();
            assert!(outages.iter().all(|o| o.users <= users[&*o.service]), "more users than there are");

            // Several incidents are open at most times.
            let minutes = (60..24 * 60).map(|m| start().plus(Span::from_mins(m)));
            let open =
                |at: Instant| outages.iter().filter(|o| o.from <= at && o.until.is_none_or(|u| u > at)).count();
            let lively = minutes.filter(|&at| open(at) >= 3).count();
            assert!(lively > 23 * 60 * 8 / 10, "seed {seed}: {lively} lively minutes");

            // The second level comes to hold in any three hours, the first once a day.
            let down = || outages.iter().filter(|o| o.severity == "down");
            let mut second: Vec<Instant> = down()
                .filter(|o| o.users > 30_000 && o.longer_than(20))
                .map(|o| o.from.plus(Span::from_mins(20)))
                .collect();
            second.sort();
            let mut last = start();
            for at in second.into_iter().chain([start().plus(Span::from_hours(24))]) {
                assert!(at.since(last) <= Span::from_hours(3), "seed {seed}: quiet from {last} to {at}");
                last = at;
            }
            let first = down().filter(|o| o.users >= 100_000 && o.longer_than(60)).count();
            assert!((1..=12).contains(&first), "seed {seed}: {first} of the first level");

            // A core failure is of the size of a province.
            for core in down().filter(|o| o.service.ends_with("/core")) {
                assert!((50_000..=1_000_000).contains(&core.users), "{core:?}");
                assert!(core.longer_than(9) && !core.longer_than(120), "{core:?}");
            }
        }
    }

    #[test]
    fn repairs_and_answers_take_as_long_as_promised() {
        let outages: Vec<Told> = (1..=5).flat_map(|seed| outages(stream(300, seed), 48)).collect();
        let share = |part: usize, whole: usize| part * 1000 / whole.max(1);

        let long: Vec<_> = outages.iter().filter(|o| o.severity == "down" && o.longer_than(30)).collect();
        let answered = |o: &Told| o.acknowledged.is_some_and(|at| at.since(o.from) <= Span::from_mins(30));
        let late = share(long.iter().filter(|o| !answered(o)).count(), long.len());
        assert!((40..=140).contains(&late), "{late} ‰ answered late or never");

        let sites = || outages.iter().filter(|o| o.service.contains("/site-"));
        let over_four_hours = share(sites().filter(|o| o.longer_than(240)).count(), sites().count());
        assert!((2..=80).contains(&over_four_hours), "{over_four_hours} ‰ over four hours");
    }
}
