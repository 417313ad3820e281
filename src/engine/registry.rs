//! The services: what the catalogue says of each, packed small, for an idle one is all that it costs.
//!
//! Words that many services share are kept once and named by number; so are lists of groups and parents.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use borsh::io::{self, Read, Write};
use borsh::{BorshDeserialize, BorshSerialize};
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use super::history::{Episode, History};
use super::measuring::Samples;
use super::sharing::{Chunks, Shared};
use crate::model::service::{ServiceFacts, ServiceName};
use crate::model::time::Instant;

/// A service.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Service {
    /// Where its name ends in the text of all names; it begins where that of the service before it ends.
    name_end: u32,
    /// Where its title stands in the text of all titles, and how long it is.
    title: (u32, u32),
    /// The description that it shares with others.
    description: u32,
    /// The list of the groups that it is in beside those that follow from its description.
    groups: u32,
    /// What it depends on.
    parents: Parents,
    /// Its users, or [`NO_USERS`].
    users: u64,
    /// Since when it is observed, or [`Instant::MIN`].
    pub(super) since: Instant,
    /// Absent for a service that never had an outage.
    pub(super) history: Option<Shared<History>>,
    /// Absent for a service that was never measured.
    pub(super) samples: Option<Shared<Samples>>,
}

/// What many services share word for word: numbers of words, and of the list of the groups that follow from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
struct Description {
    kind: u32,
    region: u32,
    tier: u32,
    owner: u32,
    groups: u32,
}

/// What a service depends on. Nearly all depend on nothing, or on one other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
enum Parents {
    None,
    One(u32),
    /// The list of that number.
    Listed(u32),
}

/// What services have in common as far as rules of levels ask: one of a class stands for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Class {
    pub(super) kind: u32,
    pub(super) region: u32,
    description: u32,
    groups: u32,
}

/// Stands for users that are not known: half of an option's size, a million times.
const NO_USERS: u64 = u64::MAX;

/// Every service, by place: in the order in which they were first named.
#[derive(Clone, Debug, Default)]
pub(super) struct Registry {
    pub(super) kept: Kept,
    /// Places by name. Looked up, never iterated.
    places: Shared<HashTable<u32>>,
    /// Those that depend on a service: `children[starts[place]..starts[place + 1]]`.
    pub(super) starts: Shared<Vec<u32>>,
    pub(super) children: Shared<Vec<u32>>,
    /// Users of all services of a kind, by the kind's word.
    users_of_kind: HashMap<u32, u64>,
}

/// What of it is in a snapshot; all else follows from it.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Kept {
    pub(super) services: Chunks<Service>,
    /// All names, one after the other, in the order of the places.
    names: Shared<String>,
    /// All titles, one after the other.
    titles: Shared<String>,
    words: Shared<Interned<Box<str>>>,
    descriptions: Shared<Interned<Description>>,
    group_lists: Shared<Interned<Vec<u32>>>,
    /// Lists of parents; of alternatives one is enough.
    parent_lists: Shared<Interned<Vec<Vec<u32>>>>,
    /// The groups' names, by place.
    group_names: Shared<Interned<Box<str>>>,
}

/// Values that many share, each kept once.
#[derive(Clone, Debug)]
struct Interned<T> {
    list: Vec<T>,
    /// Numbers by value. Looked up, never iterated.
    numbers: HashTable<u32>,
}

impl<T> Default for Interned<T> {
    fn default() -> Self {
        Self { list: Vec::new(), numbers: HashTable::new() }
    }
}

impl<T: Hash> Interned<T> {
    fn get(&self, number: u32) -> Option<&T> {
        self.list.get(number as usize)
    }

    fn find<V: Hash + PartialEq + ?Sized>(&self, value: &V) -> Option<u32>
    where
        T: Borrow<V>,
    {
        self.numbers.find(hash_of_value(value), |&number| self.list[number as usize].borrow() == value).copied()
    }

    fn push(&mut self, value: T) -> u32 {
        let number = index(self.list.len());
        let hash = hash_of_value(&value);
        self.list.push(value);
        self.numbers.insert_unique(hash, number, |&number| hash_of_value(&self.list[number as usize]));
        number
    }

    fn number(&mut self, value: &T) -> u32
    where
        T: PartialEq + Clone,
    {
        self.find(value).unwrap_or_else(|| self.push(value.clone()))
    }
}

impl Interned<Box<str>> {
    fn number_of(&mut self, word: &str) -> u32 {
        self.find(word).unwrap_or_else(|| self.push(word.into()))
    }
}

impl<T: PartialEq> PartialEq for Interned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.list == other.list
    }
}

impl<T: BorshSerialize> BorshSerialize for Interned<T> {
    fn serialize<W: Write>(&self, writer: &mut W) -> io::Result<()> {
        self.list.serialize(writer)
    }
}

impl<T: BorshDeserialize + Hash> BorshDeserialize for Interned<T> {
    fn deserialize_reader<R: Read>(reader: &mut R) -> io::Result<Self> {
        let mut shared = Self::default();
        for value in Vec::<T>::deserialize_reader(reader)? {
            shared.push(value);
        }
        Ok(shared)
    }
}

impl Registry {
    pub(super) fn new(kept: Kept) -> Self {
        let mut registry = Self { kept, ..Self::default() };
        for place in 0..registry.kept.services.len() {
            registry.enter(index(place));
        }
        registry.relate();
        registry
    }

    fn enter(&mut self, place: u32) {
        let kept = &self.kept;
        let hash = |place: &u32| hash_of(kept.name(*place));
        self.places.insert_unique(hash_of(kept.name(place)), place, hash);
    }

    /// Puts together what follows from the catalogue as a whole.
    fn relate(&mut self) {
        let services = &self.kept.services;
        let parents = |place: u32| self.parents_of(place).flatten().copied();
        let mut starts = vec![0_u32; services.len() + 1];
        for parent in (0..index(services.len())).flat_map(parents) {
            starts[parent as usize + 1] += 1;
        }
        for place in 1..starts.len() {
            starts[place] += starts[place - 1];
        }
        let mut next = starts.clone();
        let mut children = vec![0; starts.last().map_or(0, |&count| count as usize)];
        for place in 0..index(services.len()) {
            for parent in parents(place) {
                children[next[parent as usize] as usize] = place;
                next[parent as usize] += 1;
            }
        }
        self.starts = Shared::new(starts);
        self.children = Shared::new(children);
        self.users_of_kind.clear();
        for service in services.iter() {
            if let Some(users) = service.users() {
                let kind = self.kept.descriptions.get(service.description).map_or(0, |shared| shared.kind);
                let sum = self.users_of_kind.entry(kind).or_default();
                *sum = sum.saturating_add(users);
            }
        }
    }

    /// The same for a registry that holds a part of a network: the users of a kind are those of all of it.
    pub(super) fn relate_within(&mut self, network: &Self) {
        self.relate();
        for (number, word) in self.kept.words.list.iter().enumerate() {
            let known = network.kept.words.find(word);
            let users = known.and_then(|known| network.users_of_kind.get(&known).copied());
            self.users_of_kind.extend(users.map(|users| (index(number), users)));
        }
    }

    /// Takes in services with what is known of them, of which none was known here. They are not yet related.
    pub(super) fn enrol(&mut self, catalogue: &[(ServiceName, ServiceFacts)]) -> Vec<u32> {
        let places: Vec<u32> = catalogue.iter().map(|(name, _)| self.place(name)).collect();
        for (&place, (_, facts)) in places.iter().zip(catalogue) {
            self.describe(place, facts);
        }
        places
    }

    /// Takes in a catalogue in place of the one before. What it no longer names is known by its events alone.
    pub(super) fn adopt(&mut self, catalogue: &[(ServiceName, ServiceFacts)]) {
        let nothing = ServiceFacts::default();
        self.kept.titles.clear();
        for place in 0..self.kept.services.len() {
            self.describe(index(place), &nothing);
        }
        // All of them are taken in first, so that each can be named as a parent. A million take no more room than a
        // million do.
        let places: Vec<u32> = catalogue.iter().map(|(name, _)| self.place(name)).collect();
        for (&place, (_, facts)) in places.iter().zip(catalogue) {
            self.describe(place, facts);
        }
        self.kept.names.shrink_to_fit();
        self.kept.titles.shrink_to_fit();
        self.relate();
    }

    fn describe(&mut self, place: u32, facts: &ServiceFacts) {
        let parent = |name: &str| self.find(name);
        let parents: Vec<Vec<u32>> =
            facts.depends_on.iter().map(|names| names.split('|').filter_map(parent).collect()).collect();
        let kept = &mut self.kept;
        let described = kept.describe(facts);
        let built_in = described.groups;
        let mut groups: Vec<u32> = facts.groups.iter().map(|name| kept.group_names.number_of(name)).collect();
        groups.sort_unstable();
        groups.dedup();
        groups.retain(|group| !kept.list(built_in).contains(group));
        let title = (index(kept.titles.len()), index(facts.title.len()));
        kept.titles.push_str(&facts.title);
        let service = &mut kept.services[place as usize];
        service.title = title;
        service.description = kept.descriptions.number(&described);
        service.groups = kept.group_lists.number(&groups);
        service.parents = match &*parents {
            [] => Parents::None,
            [one] if one.len() == 1 => Parents::One(one[0]),
            _ => Parents::Listed(kept.parent_lists.number(&parents)),
        };
        service.users = facts.users.unwrap_or(NO_USERS);
        service.since = facts.since.unwrap_or(Instant::MIN);
    }

    /// The service's place, if it is known.
    pub(super) fn find(&self, name: &str) -> Option<u32> {
        self.places.find(hash_of(name), |&place| self.kept.name(place) == name).copied()
    }

    /// The service's place; one that is not known yet is taken in.
    pub(super) fn place(&mut self, name: &ServiceName) -> u32 {
        if let Some(place) = self.find(name.as_str()) {
            return place;
        }
        let kept = &mut self.kept;
        let place = index(kept.services.len());
        let plain = kept.describe(&ServiceFacts::default());
        kept.names.push_str(name.as_str());
        kept.services.push(Service {
            name_end: index(kept.names.len()),
            title: (0, 0),
            description: kept.descriptions.number(&plain),
            groups: kept.group_lists.number(&Vec::new()),
            parents: Parents::None,
            users: NO_USERS,
            since: Instant::MIN,
            history: None,
            samples: None,
        });
        self.enter(place);
        let count = self.starts.last().copied().unwrap_or(0);
        let ends = self.len() + 1;
        self.starts.resize(ends, count);
        place
    }

    pub(super) fn len(&self) -> usize {
        self.kept.services.len()
    }

    pub(super) fn service(&self, place: u32) -> &Service {
        &self.kept.services[place as usize]
    }

    /// The places of the groups that a service is in.
    pub(super) fn groups_of(&self, place: u32) -> impl Iterator<Item = u32> {
        let service = self.service(place);
        let described = self.kept.descriptions.get(service.description);
        let built_in = described.map_or(&[][..], |shared| self.kept.list(shared.groups));
        built_in.iter().chain(self.kept.list(service.groups)).copied()
    }

    /// The place of a group of that name; one that is not known yet is empty.
    pub(super) fn group(&mut self, name: &str) -> u32 {
        self.kept.group_names.number_of(name)
    }

    /// The place of a group, if there is one of that name.
    pub(super) fn find_group(&self, name: &str) -> Option<u32> {
        self.kept.group_names.find(name)
    }

    pub(super) fn group_names(&self) -> &[Box<str>] {
        &self.kept.group_names.list
    }

    pub(super) fn is_in(&self, place: u32, group: u32) -> bool {
        self.groups_of(place).any(|known| known == group)
    }

    /// Whether it is in a group of that name.
    pub(super) fn is_in_group(&self, place: u32, name: &str) -> bool {
        self.find_group(name).is_some_and(|group| self.is_in(place, group))
    }

    /// What it depends on; of several in one of them one is enough.
    pub(super) fn parents_of(&self, place: u32) -> impl Iterator<Item = &[u32]> {
        let (one, list): (&[u32], &[Vec<u32>]) = match &self.service(place).parents {
            Parents::None => (&[], &[]),
            Parents::One(parent) => (std::slice::from_ref(parent), &[]),
            Parents::Listed(list) => (&[], self.kept.parent_lists.get(*list).map_or(&[], |list| list)),
        };
        Some(one).filter(|one| !one.is_empty()).into_iter().chain(list.iter().map(|names| &**names))
    }

    /// Whether any service may depend on either of several others.
    pub(super) fn knows_alternatives(&self) -> bool {
        self.kept.parent_lists.list.iter().flatten().any(|names| names.len() > 1)
    }

    /// What is kept of a service that had an outage.
    pub(super) fn history(&self, place: u32) -> Option<&History> {
        self.service(place).history.as_deref()
    }

    /// When a service was down, as far as that has been put into clusters.
    pub(super) fn episodes(&self, place: u32) -> &[Episode] {
        self.history(place).map_or(&[], |history| &history.episodes)
    }

    /// The same, to be changed.
    pub(super) fn history_mut(&mut self, place: u32) -> Option<&mut History> {
        self.kept.services[place as usize].history.as_deref_mut()
    }

    /// The numbers of its kind and its region, and of all that decides in which groups it is.
    pub(super) fn class(&self, place: u32) -> Class {
        let service = self.service(place);
        let shared = self.kept.descriptions.get(service.description);
        let (kind, region) = shared.map_or((0, 0), |shared| (shared.kind, shared.region));
        Class { kind, region, description: service.description, groups: service.groups }
    }

    /// Users of all services of a kind, by its number.
    pub(super) fn users_of(&self, kind: u32) -> u64 {
        self.users_of_kind.get(&kind).copied().unwrap_or(0)
    }

    fn word(&self, place: u32, of: fn(&Description) -> u32) -> &str {
        let shared = self.kept.descriptions.get(self.service(place).description);
        shared.and_then(|shared| self.kept.words.get(of(shared))).map_or("", |word| word)
    }

    /// Its name.
    pub(super) fn name(&self, place: u32) -> &str {
        self.kept.name(place)
    }

    /// A name for people; empty when the catalogue has none.
    pub(super) fn title(&self, place: u32) -> &str {
        let (from, length) = self.service(place).title;
        self.kept.titles.get(from as usize..(from + length) as usize).unwrap_or("")
    }

    pub(super) fn kind(&self, place: u32) -> &str {
        self.word(place, |shared| shared.kind)
    }

    pub(super) fn region(&self, place: u32) -> &str {
        self.word(place, |shared| shared.region)
    }

    pub(super) fn tier(&self, place: u32) -> &str {
        self.word(place, |shared| shared.tier)
    }

    pub(super) fn owner(&self, place: u32) -> &str {
        self.word(place, |shared| shared.owner)
    }

    /// The groups that the catalogue names for a service: those that are not built in.
    pub(super) fn own_groups(&self, place: u32) -> impl Iterator<Item = &str> {
        self.kept.list(self.service(place).groups).iter().map(|&group| &*self.group_names()[group as usize])
    }

    /// What a service depends on, as the catalogue writes it.
    pub(super) fn depends_on(&self, place: u32) -> Vec<String> {
        let name = |&parent: &u32| self.name(parent);
        self.parents_of(place).map(|names| names.iter().map(name).collect::<Vec<_>>().join("|")).collect()
    }
}

impl Kept {
    fn name(&self, place: u32) -> &str {
        let start = place.checked_sub(1).map_or(0, |before| self.services[before as usize].name_end);
        &self.names[start as usize..self.services[place as usize].name_end as usize]
    }

    /// What the catalogue says of a service that it may say of others too.
    fn describe(&mut self, facts: &ServiceFacts) -> Description {
        let mut groups = vec![self.group_names.number_of("all")];
        for (prefix, name) in [("region", &facts.region), ("tier", &facts.tier), ("kind", &facts.kind)] {
            if !name.is_empty() {
                groups.push(self.group_names.number_of(&format!("{prefix}:{name}")));
            }
        }
        Description {
            kind: self.words.number_of(&facts.kind),
            region: self.words.number_of(&facts.region),
            tier: self.words.number_of(&facts.tier),
            owner: self.words.number_of(&facts.owner),
            groups: self.group_lists.number(&groups),
        }
    }

    /// The list of groups of that number.
    fn list(&self, number: u32) -> &[u32] {
        self.group_lists.get(number).map_or(&[], |list| list)
    }
}

impl Service {
    pub(super) const fn users(&self) -> Option<u64> {
        if self.users == NO_USERS { None } else { Some(self.users) }
    }
}

fn hash_of(name: &str) -> u64 {
    xxh3_64(name.as_bytes())
}

fn hash_of_value<T: Hash + ?Sized>(value: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// A place as it is kept. Four thousand million services are more than any network has.
#[allow(clippy::cast_possible_truncation, reason = "a process would run out of memory long before")]
pub(super) const fn index(place: usize) -> u32 {
    place as u32
}
