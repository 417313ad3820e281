//! The services: searched, filtered, in an order that is asked for, a page at a time.

use std::cmp::Reverse;
use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State as Shared};
use axum::response::Response;
use memchr::memchr2_iter;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::super::api::{Reading, bad};
use super::super::offenders::least;
use super::charts::{self, Day};
use super::frame::{Asked, Page, Place};
use super::saying::{Budget, Html};
use super::shown;
use crate::engine::{Engine, ServiceView};
use crate::model::calendar::Range;
use crate::model::figures::{Figures, State};
use crate::model::incident::Incident;
use crate::model::level::Ratio;
use crate::model::time::{Instant, Window};
use crate::problem::Problem;

/// Services of a page.
const ROWS: usize = 50;
/// Pages that one may turn to: whoever looks further searches.
const PAGES_MAX: usize = 200;
/// Groups that one may choose from by list; the others can still be named in the address.
const GROUPS_MAX: usize = 200;
/// Over what a row's figures are.
const WINDOW: Window = Window::Month;

/// What is asked for; what is empty is not.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    search: String,
    group: String,
    state: String,
    tier: String,
    sort: String,
    page: Option<usize>,
}

/// In which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Name,
    Downtime,
    Budget,
}

impl Order {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Name, "name"), (Self::Downtime, "downtime"), (Self::Budget, "budget")];
}

#[derive(Template)]
#[template(path = "services.html")]
struct Services {
    page: Page,
    wanted: Wanted,
    order: Order,
    groups: Vec<String>,
    tiers: Vec<String>,
    states: [State; 5],
    rows: Vec<Row>,
    found: u64,
    turned: usize,
    has_more: bool,
    days: usize,
}

struct Row {
    name: String,
    title: String,
    region: String,
    tier: String,
    state: State,
    figures: Figures,
    target: Option<Ratio>,
    budget: Option<Budget>,
    strip: Html,
    incident: Option<String>,
}

impl Services {
    /// The address of this page with another order, from its beginning.
    fn sorted(&self, order: &str) -> String {
        self.address(order, 1)
    }

    fn turned_to(&self, turned: usize) -> String {
        self.address(&self.wanted.sort, turned)
    }

    fn address(&self, order: &str, turned: usize) -> String {
        let Wanted { search, group, state, tier, .. } = &self.wanted;
        let parts =
            [("search", search.as_str()), ("group", group), ("state", state), ("tier", tier), ("sort", order)];
        let written = parts
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
        let mut query: Vec<String> = written.collect();
        if turned > 1 {
            query.push(format!("page={turned}"));
        }
        if query.is_empty() { "/services".to_owned() } else { format!("/services?{}", query.join("&")) }
    }

    fn direction(&self, order: Order) -> &'static str {
        match (self.order == order, order) {
            (false, _) => "none",
            (true, Order::Downtime) => "descending",
            (true, _) => "ascending",
        }
    }

    fn is_state(&self, state: &State) -> bool {
        self.wanted.state == state.name()
    }
}

/// The services that were asked for.
pub(super) async fn services(
    Shared(reading): Shared<Arc<Reading>>,
    asked: Asked,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(wanted) = wanted?;
    let engine = reading.copy();
    let page = asked.page(Place::Services, &reading, &engine);
    of(&engine, page, wanted).map(|services| shown(&services))
}

fn of(engine: &Engine, page: Page, wanted: Wanted) -> Result<Services, Problem> {
    let at = page.now;
    let state = match State::ALL.into_iter().find(|state| state.name() == wanted.state) {
        None if !wanted.state.is_empty() => {
            let names = State::ALL.map(State::name).join(", ");
            return Err(bad(format!("state: {:?} is none of {names}", wanted.state)));
        }
        state => state,
    };
    let order = match Order::ALL.into_iter().find(|(_, name)| *name == wanted.sort) {
        None if !wanted.sort.is_empty() => {
            let names = Order::ALL.map(|(_, name)| name).join(", ");
            return Err(bad(format!("sort: {:?} is none of {names}", wanted.sort)));
        }
        order => order.map_or(Order::Name, |(order, _)| order),
    };
    let turned = wanted.page.unwrap_or(1).clamp(1, PAGES_MAX);
    let sought = Sought::new(&wanted.search);
    let found: Vec<ServiceView<'_>> = engine
        .services()
        .filter(|view| {
            sought.is_in(view)
                && (wanted.tier.is_empty() || view.tier() == wanted.tier)
                && (wanted.group.is_empty() || view.is_in(&wanted.group))
                && state.is_none_or(|state| view.state(at) == state)
        })
        .collect();
    let count = found.len();
    let rows = chosen(found, order, turned * ROWS, at);
    let days = charts::days(&page.calendar, at);
    let rows = rows.into_iter().skip((turned - 1) * ROWS);
    let rows = rows.map(|view| Row::of(view, &page, &days)).collect();
    let mut groups: Vec<String> = engine.groups().map(|group| group.name().to_owned()).collect();
    groups.sort_unstable();
    let mut tiers: Vec<String> =
        groups.iter().filter_map(|name| name.strip_prefix("tier:")).map(str::to_owned).collect();
    tiers.sort_unstable();
    groups.truncate(GROUPS_MAX);
    Ok(Services {
        wanted,
        order,
        groups,
        tiers,
        states: State::ALL,
        rows,
        found: count as u64,
        turned,
        has_more: count > turned * ROWS && turned < PAGES_MAX,
        days: days.len(),
        page,
    })
}

/// The first `max` of them in that order. Only those are put in order: the network may have a million.
fn chosen(found: Vec<ServiceView<'_>>, order: Order, max: usize, at: Instant) -> Vec<ServiceView<'_>> {
    match order {
        Order::Name => {
            let mut first = least(found.into_iter(), max, ServiceView::name);
            first.sort_unstable_by_key(ServiceView::name);
            first
        }
        Order::Downtime => {
            let mut first = least(found.into_iter(), max, |view| (Reverse(view.downtime(WINDOW, at)), view.name()));
            first.sort_by_cached_key(|view| (Reverse(view.downtime(WINDOW, at)), view.name()));
            first
        }
        Order::Budget => {
            let mut first = least(found.into_iter(), max, |view| (spent(view, at), view.name()));
            first.sort_by_cached_key(|view| (spent(view, at), view.name()));
            first
        }
    }
}

/// How much of its budget is left, in millionths, for an order; more than anything for whom nothing is promised.
fn spent(view: &ServiceView<'_>, at: Instant) -> i128 {
    if !view.has_history() {
        return i128::MAX - i128::from(view.target(at).is_some());
    }
    let Some(target) = view.target(at) else { return i128::MAX };
    let range = Range { from: at.minus(WINDOW.length()), until: at };
    let (left, whole) = view.lengths(range).budget(view.maintenance(at), target);
    if whole > 0 { (left * 1_000_000).div_euclid(whole) } else { i128::MAX }
}

/// Words that must all stand in a service's name, title, region or owner, whatever the case.
struct Sought(Vec<String>);

impl Sought {
    fn new(text: &str) -> Self {
        Self(text.split_whitespace().map(str::to_lowercase).collect())
    }

    fn is_in(&self, view: &ServiceView<'_>) -> bool {
        self.0.iter().all(|word| {
            [view.name(), view.title(), view.region(), view.owner()].into_iter().any(|text| holds(text, word))
        })
    }
}

/// Whether a text holds a word in lower case. Nearly all names are ASCII, and none of those is copied for it: there may be
/// a million to look at.
fn holds(text: &str, word: &str) -> bool {
    let (text_bytes, word_bytes) = (text.as_bytes(), word.as_bytes());
    let Some(&first) = word_bytes.first() else { return true };
    let is_here = |at: usize| {
        let part = text_bytes.get(at..at + word_bytes.len());
        part.is_some_and(|part| part.eq_ignore_ascii_case(word_bytes))
    };
    memchr2_iter(first, first.to_ascii_uppercase(), text_bytes).any(is_here)
        || !text.is_ascii() && text.to_lowercase().contains(word)
}

impl Row {
    fn of(view: ServiceView<'_>, page: &Page, days: &[Range]) -> Self {
        let at = page.now;
        let figures = view.figures(WINDOW, at);
        let target = view.target(at);
        let open = |incident: &Incident| incident.status.is_open();
        Self {
            name: view.name().to_owned(),
            title: view.title().to_owned(),
            region: view.region().to_owned(),
            tier: view.tier().to_owned(),
            state: view.state(at),
            budget: Budget::of(&figures, target),
            figures,
            target,
            strip: charts::strip(page, &Day::of(view, days)),
            incident: view
                .incidents()
                .rev()
                .find(|incident| open(incident))
                .map(|incident| incident.id.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_whatever_its_case() {
        assert!(holds("guangdong/Shenzhen/OLT-7", "shenzhen"));
        assert!(holds("广东/深圳", "深圳"));
        assert!(holds("ÉCOLE", "école"));
        assert!(!holds("guangdong", "shenzhen"));
        assert!(holds("anything", ""));
    }
}
