//! Storms: what takes many services at once, from a city's aggregation or a province's core down.

use std::sync::Arc;

use super::events::Events;
use super::network::City;
use super::response::{Answer, Outage, Trouble};
use super::troubles::TROUBLES;
use crate::model::time::{Instant, Span};

/// The fewest users that a core failure cuts off, where a province has as many.
pub(super) const CORE_USERS_MIN: u64 = 50_000;
/// The most users that a core failure cuts off: what is more has another way out.
const CORE_USERS_MAX: u64 = 1_000_000;
/// How often a fitting city or province is drawn for before the largest is taken.
const TRIES: usize = 50;
/// What the alarms of services behind a failed one say.
const UPSTREAM_LOST: &str = "no answer, upstream is down";

impl Events {
    /// A city with more than `users` users drops out; the largest one where there is none such.
    pub(super) fn storm(&mut self, at: Instant, until: Instant, users: u64) {
        let topology = Arc::clone(&self.topology);
        let drawn = (0..TRIES).find_map(|_| {
            let city = self.frail_cities[self.chance.front_heavy(self.frail_cities.len())];
            let City { aggregation, users: has, .. } = topology.cities[city];
            (has > users && !self.is_down(aggregation)).then_some(city)
        });
        let largest = || (0..topology.cities.len()).max_by_key(|&city| topology.cities[city].users);
        let Some(city) = drawn.or_else(largest) else {
            return;
        };
        let trouble = self.chance.pick(&TROUBLES);
        let aggregation = topology.cities[city].aggregation;
        let (root, answer) = self.outage_with_response(&self.whole(aggregation, at, until, trouble));
        self.sites_follow(city, at, until, trouble, (&root, answer));
    }

    /// A core fails, and with it so many of its cities that `users` or more are cut off.
    pub(super) fn core_failure(&mut self, at: Instant, until: Instant, users: u64) {
        let topology = Arc::clone(&self.topology);
        let drawn = (0..TRIES).find_map(|_| {
            let province = &topology.provinces[self.chance.index(topology.provinces.len())];
            (province.users >= users && !self.is_down(province.core)).then_some(province)
        });
        let largest = || topology.provinces.iter().max_by_key(|province| province.users);
        let Some(province) = drawn.or_else(largest) else {
            return;
        };
        let mut cities: Vec<usize> = province.cities.clone().collect();

        self.chance.shuffle(&mut cities);
        let wanted = self.chance.skewed(users, CORE_USERS_MAX);
        let mut cut_off = 0;
        cities.retain(|&city| {
            let more = topology.cities[city].users;
            let taken = cut_off < wanted && cut_off + more <= CORE_USERS_MAX;
            cut_off += if taken { more } else { 0 };
            taken
        });
        let trouble = self.chance.pick(&TROUBLES);
        let mut outage = self.whole(province.core, at, until, trouble);
        outage.users = cut_off;
        let (root, answer) = self.outage_with_response(&outage);
        for city in cities {
            let aggregation = topology.cities[city].aggregation;
            let followed = self.follows(aggregation, at, until, trouble);
            self.outage_with_answer(&followed, (&root, answer));
            self.sites_follow(city, followed.from, followed.until, trouble, (&root, answer));
        }
    }

    fn sites_follow(
        &mut self,
        city: usize,
        from: Instant,
        until: Instant,
        trouble: Trouble,
        of: (&str, Option<Answer>),
    ) {
        for site in self.topology.cities[city].sites.clone() {
            let outage = self.follows(site, from, until, trouble);
            self.outage_with_answer(&outage, of);
        }
    }

    /// The outage of a service whose parent is out from `from` to `until`: it is noticed, and is over, within half a
    /// minute of it.
    fn follows(&mut self, service: usize, from: Instant, until: Instant, trouble: Trouble) -> Outage {
        let from = from.plus(self.chance.span(Span::from_secs(1), Span::from_secs(29)));
        let until = until.plus(self.chance.span(Span::from_secs(1), Span::from_secs(29)));
        self.whole(service, from, until, Trouble { symptom: UPSTREAM_LOST, ..trouble })
    }
}
