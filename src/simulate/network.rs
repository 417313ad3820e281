//! The network: provinces, their cities, and the sites that people hang on.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use super::chance::Chance;
use super::events::Events;
use super::geography::PROVINCES;
use crate::model::time::Instant;

/// How many sites share an aggregation, about: what makes a city storm a matter of the second level.
const SITES_A_CITY: usize = 12;
/// How many cities a province has before the network grows into another one.
const CITIES_A_PROVINCE: usize = 4;
/// The fewest and the most users of a site.
const USERS: (u64, u64) = (500, 20_000);

/// A simulated national network: sites hang on the aggregation of their city, and that on the core of its province.
#[derive(Clone, Debug)]
pub struct Network {
    topology: Arc<Topology>,
}

/// Who hangs on whom. Places are those in `services`, where every service comes after the one that it hangs on.
#[derive(Debug, Default)]
pub(super) struct Topology {
    pub(super) services: Vec<Service>,
    pub(super) cities: Vec<City>,
    pub(super) provinces: Vec<Province>,
    /// The places of all sites.
    pub(super) sites: Vec<usize>,
}

/// One row of the catalogue.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) id: Box<str>,
    pub(super) kind: &'static str,
    pub(super) province: &'static str,
    /// Empty for a core.
    pub(super) city: Box<str>,
    pub(super) tier: &'static str,
    pub(super) users: u64,
    /// The place of the service that it hangs on.
    pub(super) parent: Option<usize>,
}

/// An aggregation and its sites.
#[derive(Debug)]
pub(super) struct City {
    pub(super) aggregation: usize,
    pub(super) sites: Range<usize>,
    pub(super) users: u64,
}

/// A core and the cities behind it, as places in `cities`.
#[derive(Debug)]
pub(super) struct Province {
    pub(super) core: usize,
    pub(super) cities: Range<usize>,
    pub(super) users: u64,
}

impl Network {
    /// A network of `sites` sites, at least one, and the aggregations and cores that they need. The seed decides how
    /// many users, which kind and which tier each site has; who exists follows mostly from the number of sites, so
    /// that `guangdong/guangzhou/site-001` is there in all of them.
    #[must_use]
    pub fn new(sites: usize, seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let sites = sites.max(1);
        let cities = sites.div_ceil(SITES_A_CITY);
        let provinces = cities.div_ceil(CITIES_A_PROVINCE).min(PROVINCES.len());
        let mut sizes = sizes(sites, cities, &mut chance).into_iter();
        let mut topology = Topology::default();
        for (place, (province, names)) in PROVINCES.iter().take(provinces).enumerate() {
            let cities = cities / provinces + usize::from(place < cities % provinces);
            let named = (0..cities).map(|nth| city_name(names, nth));
            topology.add_province(province, named.zip(&mut sizes), &mut chance);
        }
        Self { topology: Arc::new(topology) }
    }

    /// How many services the catalogue has: sites, aggregations and cores.
    #[must_use]
    pub fn service_count(&self) -> usize {
        self.topology.services.len()
    }

    /// The catalogue as CSV, header first. No field needs quotes: names hold neither a comma nor a quote.
    #[must_use]
    pub fn catalog_csv(&self) -> String {
        let mut csv = String::from("id,name,kind,region,tier,users,groups,depends_on,since,owner\n");
        for service in &self.topology.services {
            let Service { id, kind, province, city, tier, users, parent } = service;
            let name = title(id);
            let groups = match parent {
                None => format!("backbone;{province}"),
                Some(_) if *kind == "aggregation" => format!("metro;{province};{province}/{city}"),
                Some(_) => format!("access;{province};{province}/{city}"),
            };
            let depends_on = parent.and_then(|place| self.topology.services.get(place)).map_or("", |p| &*p.id);
            // Writing to a String cannot fail.
            let _ =
                writeln!(csv, "{id},{name},{kind},{province},{tier},{users},{groups},{depends_on},,{province}-noc");
        }
        csv
    }

    /// What happens to the network from `start` on, in order of time and without end.
    #[must_use]
    pub fn events(&self, start: Instant, seed: u64) -> Events {
        Events::new(Arc::clone(&self.topology), start, seed)
    }
}

impl Topology {
    fn add_province(
        &mut self,
        province: &'static str,
        cities: impl Iterator<Item = (String, usize)>,
        chance: &mut Chance,
    ) {
        let core = self.services.len();
        let first = self.cities.len();
        self.services.push(Service {
            id: format!("{province}/core").into(),
            kind: "core",
            province,
            city: "".into(),
            tier: "gold",
            users: 0,
            parent: None,
        });
        for (city, sites) in cities {
            self.add_city(core, &city, sites, chance);
        }
        let users = self.cities.iter().skip(first).map(|city| city.users).sum();
        self.services[core].users = users;
        self.provinces.push(Province { core, cities: first..self.cities.len(), users });
    }

    fn add_city(&mut self, core: usize, city: &str, sites: usize, chance: &mut Chance) {
        let province = self.services[core].province;
        let aggregation = self.services.len();
        let first = aggregation + 1;
        self.services.push(Service {
            id: format!("{province}/{city}/agg").into(),
            kind: "aggregation",
            province,
            city: city.into(),
            tier: "gold",
            users: 0,
            parent: Some(core),
        });
        for number in 1..=sites {
            self.sites.push(self.services.len());
            self.services.push(Service {
                id: format!("{province}/{city}/site-{number:03}").into(),
                kind: chance.pick(&KINDS),
                province,
                city: city.into(),
                tier: chance.pick(&TIERS),
                users: chance.skewed(USERS.0, USERS.1),
                parent: Some(aggregation),
            });
        }
        let users = self.services.iter().skip(first).map(|site| site.users).sum();
        self.services[aggregation].users = users;
        self.cities.push(City { aggregation, sites: first..first + sites, users });
    }
}

/// The kinds of sites, each as often as it is found.
const KINDS: [&str; 10] = [
    "broadband",
    "broadband",
    "broadband",
    "broadband",
    "mobile",
    "mobile",
    "mobile",
    "voice",
    "voice",
    "enterprise",
];
/// The tiers of sites, each as often as it is sold.
const TIERS: [&str; 10] =
    ["bronze", "bronze", "bronze", "bronze", "bronze", "bronze", "silver", "silver", "silver", "gold"];

/// How many sites each city has: one at the least, some cities three times as large as others.
fn sizes(sites: usize, cities: usize, chance: &mut Chance) -> Vec<usize> {
    let weights: Vec<u64> = (0..cities).map(|_| chance.number(50, 150)).collect();
    let whole = weights.iter().sum::<u64>().max(1);
    let spare = sites.saturating_sub(cities);
    let share = |weight: u64| {
        let exact = spare as u128 * u128::from(weight) / u128::from(whole);
        1 + usize::try_from(exact).unwrap_or(spare)
    };
    let mut sizes: Vec<usize> = weights.into_iter().map(share).collect();
    // Rounding leaves fewer over than there are cities.
    let left = sites.saturating_sub(sizes.iter().sum());
    sizes.iter_mut().take(left).for_each(|size| *size += 1);
    sizes
}

/// The name of a province's `nth` city. When the names run out, a city gets a second ring, then a third.
fn city_name(names: &[&str; 6], nth: usize) -> String {
    let name = names[nth % names.len()];
    match nth / names.len() {
        0 => name.to_owned(),
        rings => format!("{name}-{}", rings + 1),
    }
}

/// `guangdong/shenzhen/site-007` as people write it: `Guangdong Shenzhen site 007`.
fn title(id: &str) -> String {
    let mut title = String::with_capacity(id.len());
    let last = id.matches('/').count();
    for (place, part) in id.split('/').enumerate() {
        if place > 0 {
            title.push(' ');
        }
        let mut letters = part.chars().map(|c| if c == '-' { ' ' } else { c });
        if place < last {
            title.extend(letters.next().map(|c| c.to_ascii_uppercase()));
        }
        title.extend(letters);
    }
    title
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::model::service::ServiceName;

    fn rows(csv: &str) -> Vec<Vec<&str>> {
        csv.lines().skip(1).map(|line| line.split(',').collect()).collect()
    }

    #[test]
    fn the_catalogue_holds_together() {
        for sites in [0, 1, 7, 300, 5000] {
            let network = Network::new(sites, 3);
            let csv = network.catalog_csv();
            let rows = rows(&csv);
            assert_eq!(rows.len(), network.service_count());
            assert_eq!(rows.iter().filter(|row| row[0].contains("/site-")).count(), sites.max(1));
            let mut known = HashSet::new();
            for row in &rows {
                assert_eq!(row.len(), 10, "{row:?}");
                assert!(ServiceName::new(row[0]).is_ok(), "{row:?}");
                assert!(row[7].is_empty() == (row[2] == "core"), "{row:?}");
                assert!(row[7].is_empty() || known.contains(row[7]), "{row:?}");
                assert!(known.insert(row[0]), "{row:?}");
            }
        }
    }

    #[test]
    fn users_add_up() {
        let network = Network::new(300, 3);
        let csv = network.catalog_csv();
        let rows = rows(&csv);
        for row in &rows {
            let users: u64 = row[5].parse().unwrap();
            let below =
                rows.iter().filter(|other| other[7] == row[0]).map(|other| other[5].parse::<u64>().unwrap());
            if row[0].contains("/site-") {
                assert!((500..=20_000).contains(&users), "{row:?}");
            } else {
                assert_eq!(users, below.sum::<u64>(), "{row:?}");
            }
        }
    }

    #[test]
    fn the_seed_decides() {
        assert_eq!(Network::new(300, 3).catalog_csv(), Network::new(300, 3).catalog_csv());
        assert_ne!(Network::new(300, 3).catalog_csv(), Network::new(300, 4).catalog_csv());
        assert_eq!(title("guangdong/shenzhen-2/site-007"), "Guangdong Shenzhen 2 site 007");
    }
}
