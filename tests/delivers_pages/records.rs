//! What was decided, what was told and what was made to fail.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Display, Formatter};

use fournines::model::time::Instant;

/// Who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Party {
    /// A daemon.
    Daemon,
    /// The Alertmanagers, and the doors on the way to them.
    A,
    B,
    DoorA,
    DoorB,
    /// Where the Alertmanagers deliver.
    Pager,
    /// The daemon's own webhook.
    Desk,
}

/// What makes a page the same one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Page {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) starts: Instant,
}

/// What the engine decided: that the page fires, or with `ended` that it is over.
#[derive(Clone, Debug)]
pub(crate) struct Decision {
    pub(crate) page: Page,
    pub(crate) ended: Option<Instant>,
    pub(crate) at: Instant,
}

/// What somebody told somebody.
#[derive(Clone, Debug)]
pub(crate) struct Telling {
    pub(crate) from: Party,
    pub(crate) to: Party,
    pub(crate) page: Page,
    pub(crate) ended: Option<Instant>,
    pub(crate) arrived: Instant,
    pub(crate) answered: Instant,
    /// The other one accepted it.
    pub(crate) taken: bool,
    /// And said so.
    pub(crate) acknowledged: bool,
    /// The message's own id, where it has one.
    pub(crate) id: Option<String>,
}

/// Something was made to fail.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    pub(crate) whom: Party,
    pub(crate) what: &'static str,
    pub(crate) from: Instant,
    pub(crate) until: Instant,
}

/// All that is known when everything is over.
#[derive(Clone, Debug, Default)]
pub(crate) struct Records {
    pub(crate) decisions: Vec<Decision>,
    pub(crate) tellings: Vec<Telling>,
    pub(crate) troubles: Vec<Trouble>,
}

/// It fires as long as there is a daemon.
pub(crate) const WATCHDOG: &str = "Watchdog";

impl Display for Page {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let shown = self.labels.iter().filter(|(name, _)| !matches!(name.as_str(), "source" | "severity"));
        let labels: Vec<String> = shown.map(|(_, value)| value.clone()).collect();
        write!(f, "{} since {}", labels.join(" "), self.starts)
    }
}

impl Records {
    /// Makes one of what two daemons decided from the same stream: they learn of things at instants of their own, so
    /// that what holds since it was learned has two starts, and either is right. What is not about an incident is
    /// left out: it hangs on all that was learned before.
    pub(crate) fn merge(&mut self, second: &[Decision]) {
        let kept = |page: &Page| page.labels.contains_key("incident");
        self.decisions.retain(|decision| kept(&decision.page));
        self.tellings.retain(|telling| kept(&telling.page));
        let mut same: BTreeMap<(Page, Option<Instant>), (Page, Option<Instant>)> = BTreeMap::new();
        for other in second {
            let is_same = |own: &&Decision| {
                own.page.labels == other.page.labels && own.ended.is_some() == other.ended.is_some()
            };
            if let Some(own) = self.decisions.iter().find(is_same) {
                for page in [&own.page, &other.page] {
                    for ended in [own.ended, other.ended] {
                        same.insert((page.clone(), ended), (own.page.clone(), own.ended));
                    }
                }
            } else if kept(&other.page) {
                self.decisions.push(other.clone());
            }
        }
        for telling in &mut self.tellings {
            if let Some((page, ended)) = same.get(&(telling.page.clone(), telling.ended)) {
                (telling.page, telling.ended) = (page.clone(), *ended);
            }
        }
    }

    /// Everything that was told of some pages, for people.
    pub(crate) fn history(&self, about: &BTreeSet<Page>) -> String {
        let mut lines = Vec::new();
        for decision in self.decisions.iter().filter(|decision| about.contains(&decision.page)) {
            let Decision { page, ended, at } = decision;
            lines.push((page, *at, format!("decided {ended:?}")));
        }
        for telling in self.tellings.iter().filter(|telling| about.contains(&telling.page)) {
            let Telling { from, to, ended, arrived, taken, acknowledged, .. } = telling;
            let line = format!("{from:?} to {to:?} taken {taken} acknowledged {acknowledged} {ended:?}");
            lines.push((&telling.page, *arrived, line));
        }
        lines.sort();
        lines.iter().map(|(page, at, line)| format!("{page}\n  {at} {line}\n")).collect()
    }
}
