//! Holds what receivers were told against what the engine decided. Pure: it reads records and says what is wrong, and
//! which wrongs are Alertmanager's own and why.
//!
//! What it excuses, each only where the records show it, and each counted:
//! - A page that came twice because the Alertmanager that told it first was killed or paused around that: it had no
//!   time to tell its peer, or to write down, that it had.
//! - The same because the one that told it second was: it asked its log before it had read what its peer told it.
//! - The same because the pager refused the second one before it accepted the first: an Alertmanager asks its log
//!   once, and then tries until it is heard.
//! - The same because it was over while the second one waited for the first to tell it: an Alertmanager looks at what
//!   fires before it waits, and at its log after, which says by then that the page is over. It tells the end again too.
//! - The same because the second one could not be told that it was over, as the first was: the way to it failed.
//! - A page that never came because nobody could be told while it fired: it was over at once; or it was brief, the daemon
//!   or every way to an Alertmanager failed, and between its start and its end none accepted anything from the daemon.
//!   Nothing then tells its end either.
//! - The same because every Alertmanager that accepted it was told at once that it was over: none had looked in between.
//!   One that has only just started is slower to look.
//! - A notification that came from both within so short a time that neither could have heard of the other: each looks
//!   when it is its own time, and the waits for each other keep them apart only if they were told at the same time.
//! - An end that the engine decided anew, earlier, when a late event came: an Alertmanager keeps the latest end it saw.
//! - An end and the next page of the same labels that never came because one followed the other at once: an
//!   Alertmanager looks at what fires every group interval, and sees one page that goes on.
//! - An end that never came because an earlier end of the same page had come, and it fired again and was over again
//!   between two looks: to an Alertmanager it was over all the time.
//! - A page that never came because every Alertmanager that had accepted it was killed before it could tell: it keeps no alerts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Display, Formatter};

use fournines::model::time::{Instant, Span};

use super::records::{Decision, Page, Party, Records, Telling, Trouble, WATCHDOG};

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdict {
    /// Pages and ends that were owed.
    pub(crate) pages: usize,
    pub(crate) ends: usize,
    /// What was owed and is not there yet. Time may mend it; nothing else is mended by time.
    pub(crate) missing: Vec<String>,
    pub(crate) wrong: Vec<String>,
    /// What these are about.
    pub(crate) about: BTreeSet<Page>,
    pub(crate) excused: BTreeMap<&'static str, Vec<String>>,
}

/// How long after it was answered a notification is not yet known to the peer and in the file: Alertmanager tells its
/// peers within some 200 ms and writes its log every second here; the rest is for a busy machine.
const SPREADING: Span = Span::from_secs(2);
/// How long an Alertmanager waits for its peers: half a second for each one before it, those included that died a short
/// while ago; and how long a door may take to pass it on.
const WAITING: Span = Span::from_secs(4);
/// What follows within this time is joined: the group interval and the wait for peers.
const JOINING: Span = Span::from_secs(5);
/// How long it takes at least until an Alertmanager hears of what its peer told: gossip goes every 50 ms.
const HEARING: Span = Span::from_millis(200);
const JOINED: &str = "one page to an Alertmanager: it was over, and fired again at once";
/// The longest pause between an Alertmanager's tries of one notification.
const RETRY: Span = Span::from_secs(5);
/// How long the daemon may take from a decision to a message: it may be at another one.
const TURN: Span = Span::from_secs(1);
/// What is over so soon is over before the daemon, or an Alertmanager, looks again.
const AT_ONCE: Span = Span::from_millis(20);
/// How soon that is for an Alertmanager that was there again a short while ago, and how short that is.
const AT_ONCE_STARTING: Span = Span::from_millis(200);
const STARTING: Span = Span::from_secs(1);
/// How long after a receiver failed the daemon may wait before it tries again.
const BACKOFF: Span = Span::from_secs(8);
/// A page that ended sooner than about this, and was told to nobody, need not be told as over.
const BRIEF: Span = Span::from_secs(10);
const ABOUT: Span = Span::from_secs(2);
/// How long an Alertmanager may take to tell what it accepted: the wait for its peer, the start, and some more.
const TELLING: Span = Span::from_secs(6);

impl Verdict {
    pub(crate) fn is_good(&self) -> bool {
        self.missing.is_empty() && self.wrong.is_empty()
    }
}

impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} pages and {} ends were owed", self.pages, self.ends)?;
        write!(f, "; {} are missing, {} are wrong", self.missing.len(), self.wrong.len())?;
        for (why, which) in &self.excused {
            write!(f, "\n  excused {}: {why}", which.len())?;
        }
        for line in self.missing.iter().map(|line| ("missing", line)).chain(self.wrong.iter().map(|l| ("wrong", l)))
        {
            write!(f, "\n  {}: {}", line.0, line.1)?;
        }
        Ok(())
    }
}

/// What was decided of one page.
#[derive(Default)]
struct Owed<'r> {
    fired: Vec<&'r Decision>,
    ended: Vec<&'r Decision>,
}

impl Owed<'_> {
    fn over(&self) -> Option<(Instant, Instant)> {
        let last = self.ended.last().filter(|_| self.ended.len() >= self.fired.len())?;
        Some((last.at, last.ended?))
    }

    /// From when until when it could be told.
    fn life(&self) -> (Instant, Instant) {
        let from = self.fired.first().map_or(Instant::MIN, |first| first.at);
        (from, self.over().map_or(Instant::MAX, |(at, _)| at))
    }

    /// Whether all that was decided after an end that was told is one short time of firing, soon after: an Alertmanager
    /// that looks before it and after it sees no change.
    fn was_unseen_since(&self, told: Option<Instant>) -> bool {
        let Some(told) = self.ended.iter().rfind(|end| told.is_some() && end.ended == told) else { return false };
        let mut again = self.fired.iter().filter(|fires| fires.at >= told.at);
        let (Some(fires), None) = (again.next(), again.next()) else { return false };
        let is_soon = fires.at.since(told.at) <= JOINING;
        self.over().is_some_and(|(at, _)| is_soon && at.since(fires.at) <= JOINING)
    }
}

fn is_decided(owed: &Owed<'_>, end: Option<Instant>) -> bool {
    owed.ended.iter().any(|decision| decision.ended == end)
}

impl Records {
    fn owed(&self) -> BTreeMap<&Page, Owed<'_>> {
        let mut owed: BTreeMap<&Page, Owed<'_>> = BTreeMap::new();
        for decision in &self.decisions {
            let owed = owed.entry(&decision.page).or_default();
            if decision.ended.is_some() { &mut owed.ended } else { &mut owed.fired }.push(decision);
        }
        owed
    }

    /// What was told to one of `to`, by page, in the order in which it came.
    fn told(&self, to: &[Party]) -> BTreeMap<&Page, Vec<&Telling>> {
        let mut told: BTreeMap<&Page, Vec<&Telling>> = BTreeMap::new();
        for telling in self.tellings.iter().filter(|telling| to.contains(&telling.to)) {
            told.entry(&telling.page).or_default().push(telling);
        }
        for told in told.values_mut() {
            told.sort_by_key(|telling| telling.answered);
        }
        told
    }

    fn trouble(&self, whom: &[Party], from: Instant, until: Instant) -> Option<&Trouble> {
        let meets =
            |trouble: &&Trouble| whom.contains(&trouble.whom) && trouble.from <= until && trouble.until >= from;
        self.troubles.iter().find(meets)
    }

    /// Whether nobody could be told from an instant until another: that was not long, the daemon or every way failed,
    /// and nobody heard anything. Each way is who is on it.
    fn was_unheard(&self, ways: &[&[Party]], (from, until): (Instant, Instant)) -> bool {
        if until.since(from) < AT_ONCE {
            return true;
        }
        let failed = self.trouble(&[Party::Daemon], from.minus(TURN), until).is_some()
            || ways.iter().all(|way| self.trouble(way, from.minus(BACKOFF), until).is_some());
        // Its turn begins when the daemon is there again.
        let meets = |trouble: &&Trouble| {
            trouble.whom == Party::Daemon && trouble.from <= until && trouble.until >= from.minus(TURN)
        };
        let there = self.troubles.iter().filter(meets).map(|trouble| trouble.until).max();
        let turn = there.map_or(from, |there| there.max(from)).plus(TURN);
        let in_time = |at: Instant| at >= turn && at <= until;
        let heard = |telling: &Telling| {
            // The watchdog goes before everything else, so that it says nothing of what comes after it.
            let more = telling.page.labels.get("alertname").is_none_or(|name| name != WATCHDOG);
            let told = ways.iter().any(|way| way.contains(&telling.to));
            told && telling.acknowledged && more && in_time(telling.arrived)
        };
        failed && until.since(from) < BRIEF.plus(ABOUT) && !self.tellings.iter().any(heard)
    }

    /// Judges what the pair of Alertmanagers delivered.
    pub(crate) fn pair(&self) -> Verdict {
        let mut verdict = Verdict::default();
        let (owed, told, posted) = (self.owed(), self.told(&[Party::Pager]), self.told(&[Party::A, Party::B]));
        verdict.undecided(&owed, &told, |page, end| {
            // What is joined begins as the one and ends as the other.
            let same = |other: &Decision| other.page.labels == page.labels && other.ended.is_some();
            let mut others = self.decisions.iter().filter(|other| same(other) && other.ended == end);
            others.any(|other| {
                // It fires when that is decided: its start may have been learned late.
                let fires = owed.get(&other.page).map_or(Instant::MIN, |owed| owed.life().0);
                other.page.starts > page.starts && self.is_joined(&other.page, fires, false)
            })
        });
        for (page, owed) in &owed {
            let none = Vec::new();
            let told: Vec<&Telling> =
                told.get(page).unwrap_or(&none).iter().copied().filter(|telling| telling.acknowledged).collect();
            let posted = posted.get(page).unwrap_or(&none);
            verdict.pages += 1;
            verdict.ends += usize::from(owed.over().is_some());
            let fired: Vec<&Telling> = told.iter().copied().filter(|telling| telling.ended.is_none()).collect();
            if fired.is_empty() {
                let why = self.why_untold(owed, posted);
                match why.or_else(|| self.is_joined(page, owed.life().0, false).then_some(JOINED)) {
                    Some(why) => verdict.excuse(why, page.to_string()),
                    None => verdict.miss(page, format!("the page {page}")),
                }
            }
            self.doubles(&mut verdict, (page, owed), &fired, &told);
            let ends: BTreeSet<Instant> = owed.ended.iter().filter_map(|decision| decision.ended).collect();
            for &end in &ends {
                let same: Vec<&Telling> =
                    told.iter().copied().filter(|telling| telling.ended == Some(end)).collect();
                self.doubles(&mut verdict, (page, owed), &same, &told);
            }
            let Some((at, end)) = owed.over() else {
                if told.last().is_some_and(|last| last.ended.is_some()) {
                    verdict.miss(page, format!("the page {page}, which fires again"));
                }
                continue;
            };
            if !fired.is_empty() && told.last().is_none_or(|last| last.ended != Some(end)) {
                let line = format!("the end at {end} of the page {page}");
                let revised =
                    told.last().is_some_and(|last| last.ended > Some(end) && is_decided(owed, last.ended));
                if self.is_joined(page, at, true) {
                    verdict.excuse(JOINED, line);
                } else if owed.was_unseen_since(told.last().and_then(|last| last.ended)) {
                    verdict.excuse("its end had come: it fired again and was over again at once", line);
                } else if revised {
                    verdict.excuse("the end was decided anew, earlier, and the later one was told", line);
                } else {
                    verdict.miss(page, line);
                }
            }
        }
        verdict
    }

    /// Why nobody was paged, where there is a reason.
    fn why_untold(&self, owed: &Owed<'_>, posted: &[&Telling]) -> Option<&'static str> {
        let (fired, over) = owed.life();
        let known: Vec<&&Telling> =
            posted.iter().filter(|telling| telling.ended.is_none() && telling.taken).collect();
        if known.is_empty() {
            let ways: [&[Party]; 2] = [&[Party::A, Party::DoorA], &[Party::B, Party::DoorB]];
            let excused = over < Instant::MAX && self.was_unheard(&ways, (fired, over));
            return excused.then_some("over before any Alertmanager could be told");
        }
        let over_at_once = |known: &&&Telling| {
            let starting = self.trouble(&[known.to], known.arrived.minus(STARTING), known.arrived).is_some();
            let at_once = if starting { AT_ONCE_STARTING } else { AT_ONCE };
            posted.iter().any(|end| {
                end.to == known.to
                    && end.acknowledged
                    && end.ended.is_some()
                    && end.answered >= known.answered
                    && end.answered.since(known.arrived) < at_once
            })
        };
        if known.iter().all(over_at_once) {
            return Some("over before any Alertmanager that knew of it looked");
        }
        let killed = |telling: &&Telling| {
            let trouble = self.trouble(&[telling.to], telling.arrived, telling.answered.plus(TELLING).min(over));
            trouble.is_some_and(|trouble| trouble.what == "killed")
        };
        (over < Instant::MAX && known.into_iter().all(killed))
            .then_some("every Alertmanager that knew of it was killed before it told, and then it was over")
    }

    /// Whether the engine decided the opposite of another page of the same labels around an instant: for an end, that
    /// one fires after it; for a page, that one was over before it.
    fn is_joined(&self, page: &Page, at: Instant, is_end: bool) -> bool {
        let near = |decision: &Decision| {
            let gap = if is_end { decision.at.since(at) } else { at.since(decision.at) };
            gap >= Span::ZERO && gap <= JOINING && decision.ended.is_none() == is_end
        };
        let same = |decision: &Decision| decision.page.labels == page.labels && decision.page != *page;
        self.decisions.iter().any(|decision| same(decision) && near(decision))
    }

    /// Accounts for what came more often than it was decided. `same` are those of `told` that say the same.
    fn doubles(
        &self,
        verdict: &mut Verdict,
        (page, owed): (&Page, &Owed<'_>),
        same: &[&Telling],
        told: &[&Telling],
    ) {
        let is_page = same.first().is_some_and(|first| first.ended.is_none());
        let times = if is_page { owed.fired.len() } else { 1 };
        for pair in same.windows(2).skip(times.saturating_sub(1)) {
            let (first, second) = (pair[0], pair[1]);
            let what = if is_page { "the page" } else { "the end of the page" };
            let line = format!(
                "{what} {page} came from {:?} at {} and from {:?} at {}",
                first.from, first.answered, second.from, second.answered
            );
            match self.why_twice(owed, first, second, told) {
                Some(why) => verdict.excuse(why, line),
                None => verdict.fail(page, line),
            }
        }
    }

    fn why_twice(
        &self,
        owed: &Owed<'_>,
        first: &Telling,
        second: &Telling,
        told: &[&Telling],
    ) -> Option<&'static str> {
        let around = (first.arrived, first.answered.plus(SPREADING).min(second.answered));
        if self.trouble(&[first.from], around.0, around.1).is_some() {
            return Some("twice: the Alertmanager that told it first was killed or paused around that");
        }
        if self.trouble(&[second.from], around.0, around.1).is_some() {
            return Some("twice: the Alertmanager that told it second was killed or paused around the first");
        }
        let waited =
            |decision: &&&Decision| decision.at >= second.arrived.minus(WAITING) && decision.at <= second.arrived;
        let between = |telling: &&&Telling| {
            telling.answered >= first.answered && telling.answered <= second.answered && telling.page == second.page
        };
        // Whoever told it first: the log says by now that it is over, so that firing is news to the one that waited.
        let by_other = |telling: &&Telling| telling.ended.is_some() && telling.from != second.from;
        if first.ended.is_none()
            && owed.ended.iter().any(|end| waited(&end))
            && told.iter().filter(between).any(by_other)
        {
            return Some("twice: it was over while the second Alertmanager waited for the first to tell it");
        }
        let door = if second.from == Party::A { Party::DoorA } else { Party::DoorB };
        // It looks once, and then tries until it is heard.
        let tried = self.tried_since(second);
        let untold = |end: &&Decision| {
            let knew =
                |t: &Telling| t.to == second.from && t.taken && t.page == second.page && t.ended == end.ended;
            end.at <= tried
                && !self.tellings.iter().any(|t| knew(t) && t.answered <= tried)
                && self.trouble(&[door, second.from, Party::Daemon], end.at, tried).is_some()
        };
        if first.ended.is_none() && owed.ended.iter().any(untold) && told.iter().filter(between).any(by_other) {
            return Some("twice: the second Alertmanager could not be told that it was over, as the first was");
        }
        let again = |telling: &&Telling| telling.ended.is_none();
        if first.ended.is_some() && told.iter().filter(between).any(again) {
            return Some("the end twice: the page had come again, as accounted for above");
        }
        if first.from != second.from && second.arrived.since(first.answered) < HEARING {
            return Some("twice: both told it at the same moment");
        }
        let refused = self.troubles.iter().any(|trouble| {
            trouble.whom == Party::Pager && trouble.from <= first.answered && trouble.until >= tried.minus(RETRY)
        });
        (refused && first.from != second.from)
            .then_some("twice: the pager refused the second Alertmanager before it accepted from the first")
    }

    /// Since when an Alertmanager had tried what it told in the end: each time it was refused.
    fn tried_since(&self, telling: &Telling) -> Instant {
        let mut since = telling.arrived;
        loop {
            let before = self.tellings.iter().filter(|before| {
                before.from == telling.from
                    && before.to == telling.to
                    && before.page == telling.page
                    && !before.acknowledged
                    && before.arrived < since
                    && since.since(before.arrived) <= RETRY
            });
            let Some(earliest) = before.map(|before| before.arrived).min() else { return since };
            since = earliest;
        }
    }

    /// Judges what the daemon's own webhook was told.
    pub(crate) fn desk(&self) -> Verdict {
        let mut verdict = Verdict::default();
        let (mut owed, told) = (self.owed(), self.told(&[Party::Desk]));
        // The watchdog is told to Alertmanagers only.
        owed.retain(|page, _| page.labels["alertname"] != WATCHDOG);
        verdict.undecided(&owed, &told, |_, _| false);
        verdict.ids(&told);
        for (page, owed) in &owed {
            let none = Vec::new();
            let told = told.get(page).unwrap_or(&none);
            let ids = |ended: Option<Instant>| -> BTreeSet<&Option<String>> {
                told.iter().filter(|t| t.acknowledged && t.ended == ended).map(|t| &t.id).collect()
            };
            verdict.pages += 1;
            let fired = ids(None).len();
            if fired > owed.fired.len() {
                verdict.fail(page, format!("the page {page} came as {fired} messages"));
            }
            let life = owed.life();
            if fired == 0 {
                let unheard = life.1 < Instant::MAX && self.was_unheard(&[&[Party::Desk]], life);
                if unheard {
                    verdict.excuse("over before the webhook could be told", page.to_string());
                } else {
                    verdict.miss(page, format!("the page {page}"));
                }
            }
            for end in owed.ended.iter().filter_map(|decision| decision.ended).collect::<BTreeSet<_>>() {
                let count = ids(Some(end)).len();
                // What fired again and was over by the same instant has two ends, which have an id each.
                if count > owed.ended.iter().filter(|decision| decision.ended == Some(end)).count() {
                    verdict.fail(page, format!("the end of the page {page} came as {count} messages"));
                }
            }
            let Some((_, end)) = owed.over() else { continue };
            verdict.ends += 1;
            let tried = told.iter().any(|telling| telling.ended.is_none());
            let brief = life.1.since(life.0) < BRIEF.plus(ABOUT);
            if ids(Some(end)).is_empty() && (tried || !brief) {
                verdict.miss(page, format!("the end at {end} of the page {page}"));
            }
        }
        verdict
    }
}

impl Verdict {
    fn miss(&mut self, page: &Page, line: String) {
        self.about.insert(page.clone());
        self.missing.push(line);
    }

    fn fail(&mut self, page: &Page, line: String) {
        self.about.insert(page.clone());
        self.wrong.push(line);
    }

    fn excuse(&mut self, why: &'static str, line: String) {
        self.excused.entry(why).or_default().push(line);
    }

    /// What was told and never decided.
    fn undecided(
        &mut self,
        owed: &BTreeMap<&Page, Owed<'_>>,
        told: &BTreeMap<&Page, Vec<&Telling>>,
        is_joined: impl Fn(&Page, Option<Instant>) -> bool,
    ) {
        for (page, told) in told {
            let owed = owed.get(page);
            for telling in told {
                let decided = owed.is_some_and(|owed| match telling.ended {
                    None => !owed.fired.is_empty(),
                    end => is_decided(owed, end),
                });
                if !decided && telling.ended.is_some() && is_joined(page, telling.ended) {
                    self.excuse(JOINED, page.to_string());
                } else if !decided {
                    let what = telling.ended.map_or("fires".to_owned(), |end| format!("was over at {end}"));
                    let Telling { from, to, arrived, .. } = telling;
                    self.fail(page, format!("{from:?} told {to:?} at {arrived} that {page} {what}"));
                }
            }
        }
    }

    /// Every try of a message has its id, and no other message has it.
    fn ids(&mut self, told: &BTreeMap<&Page, Vec<&Telling>>) {
        let mut of: BTreeMap<&str, (&Page, Option<Instant>)> = BTreeMap::new();
        for telling in told.values().flatten() {
            let Some(id) = &telling.id else {
                self.fail(&telling.page, format!("a message of the page {} is not signed well", telling.page));
                continue;
            };
            let what = (&telling.page, telling.ended);
            if *of.entry(id).or_insert(what) != what {
                let page = &telling.page;
                self.fail(page, format!("two messages have the id {id}: one is of the page {page}"));
            }
        }
    }
}

#[cfg(test)]
mod tests;
