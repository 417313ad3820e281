//! Troubles: what goes wrong in a network, and how it goes. How often is in `rates`, what takes many in `storms`.

use super::events::{Change, Events};
use super::rates::Process;
use super::response::{Outage, Trouble, share};
use super::storms::CORE_USERS_MIN;
use crate::model::event::Cause;
use crate::model::time::{Instant, Span};

/// More users than this for over 20 minutes is an interruption of the second level.
const SECOND_LEVEL_USERS: u64 = 30_000;
/// This many users for over an hour is one of the first level.
const FIRST_LEVEL_USERS: u64 = 100_000;

/// What may be found behind a fault, each as often as it is.
pub(super) const TROUBLES: [Trouble; 12] = [
    trouble(Cause::External, "loss of signal on the uplink", "fibre cut by roadworks"),
    trouble(Cause::External, "loss of signal on the uplink", "fibre cut by a landslip"),
    trouble(Cause::External, "site unreachable, battery alarm before", "mains power failed, batteries empty"),
    trouble(Cause::External, "power alarm", "mains power failed, generator did not start"),
    trouble(Cause::Equipment, "line card not responding", "line card replaced"),
    trouble(Cause::Equipment, "optical power below threshold", "optical module replaced"),
    trouble(Cause::Equipment, "temperature alarm, then unreachable", "fan tray replaced"),
    trouble(Cause::Technical, "routing sessions lost", "routing process restarted after a software fault"),
    trouble(Cause::Technical, "unreachable after a software upgrade", "software rolled back"),
    trouble(Cause::Human, "unreachable after a change", "wrong configuration rolled back"),
    trouble(Cause::Human, "loss of signal on one port", "patch cord pulled by mistake, plugged in again"),
    trouble(Cause::Unknown, "unreachable", "came back by itself"),
];
const CONGESTIONS: [Trouble; 4] = [
    trouble(Cause::Congestion, "packet loss in the busy hour", "traffic moved to another link"),
    trouble(Cause::Congestion, "uplink above nine tenths of its capacity", "second uplink taken into use"),
    trouble(Cause::Technical, "voice quality below target", "queue settings corrected"),
    trouble(Cause::Equipment, "bit errors on the uplink", "connector cleaned"),
];
const FLAPPING: Trouble = trouble(Cause::Equipment, "link flaps", "link up again");
const PLANNED_WORK: [Trouble; 3] = [
    trouble(Cause::Technical, "planned work: software upgrade", "software upgraded"),
    trouble(Cause::Equipment, "planned work: batteries", "batteries replaced"),
    trouble(Cause::Equipment, "planned work: more capacity", "line card added"),
];

const fn trouble(cause: Cause, symptom: &'static str, finding: &'static str) -> Trouble {
    Trouble { cause, symptom, finding }
}

impl Events {
    /// Lets a process set in.
    pub(super) fn begin(&mut self, process: Process, at: Instant) {
        match process {
            Process::SiteFault => self.site_fault(at),
            Process::Flapping => {
                let (site, more) = (self.frail_site(), self.chance.number(2, 6));
                self.flap(at, site, more);
            }
            Process::Degradation => self.degradation(at),
            Process::Storm => {
                let lasting = self.chance.lognormal(Span::from_mins(15), 0.8);
                self.storm(at, at.plus(lasting.max(Span::from_mins(2))), 0);
            }
            Process::GraveStorm => {
                let lasting = self.chance.lognormal(Span::from_mins(32), 0.4);
                self.storm(at, at.plus(lasting.max(Span::from_mins(22))), SECOND_LEVEL_USERS);
            }
            Process::CoreFailure => {
                let until = at.plus(self.chance.span(Span::from_mins(10), Span::from_mins(55)));
                self.core_failure(at, until, CORE_USERS_MIN);
            }
            Process::GraveCoreFailure => {
                let until = at.plus(self.chance.span(Span::from_mins(62), Span::from_mins(119)));
                self.core_failure(at, until, FIRST_LEVEL_USERS);
            }
            Process::Maintenance => self.maintenance(at),
            Process::Sample => self.sample(at),
        }
    }

    fn site_fault(&mut self, at: Instant) {
        let site = self.frail_site();
        // Behind one fault a second one cannot be seen.
        if !self.is_down(site) {
            let lasting = self.chance.lognormal(Span::from_mins(25), 1.25).min(Span::from_hours(24));
            let trouble = self.chance.pick(&TROUBLES);
            self.outage_with_response(&self.whole(site, at, at.plus(lasting), trouble));
        }
    }

    /// Lets a flapping site drop out, and `left` times more after that.
    pub(super) fn flap(&mut self, at: Instant, site: usize, left: u64) {
        let until = at.plus(self.chance.span(Span::from_secs(15), Span::from_mins(3)));
        if !self.is_down(site) {
            self.outage_with_response(&self.whole(site, at, until, FLAPPING));
        }
        if left > 0 {
            let again = until.plus(self.chance.span(Span::from_mins(1), Span::from_mins(8)));
            self.plan_flap(again, site, left - 1);
        }
    }

    fn degradation(&mut self, at: Instant) {
        let site = self.frail_site();
        let aggregation = self.topology.services[site].parent.filter(|_| self.chance.percent(20));
        let service = aggregation.unwrap_or(site);
        if !self.is_down(service) && !self.is_degraded(service) {
            let until = at.plus(self.chance.lognormal(Span::from_mins(40), 0.8));
            let trouble = self.chance.pick(&CONGESTIONS);
            let mut outage = self.whole(service, at, until, trouble);
            outage.degraded = Some(self.chance.number(10, 80));
            self.outage_with_response(&outage);
        }
    }

    /// Work on a site, announced in time. Some of it is called off, some takes longer than it was given.
    fn maintenance(&mut self, at: Instant) {
        let site = self.frail_site();
        let from = next_quarter(at.plus(self.chance.span(Span::from_mins(30), Span::from_hours(6))));
        let length = Span::from_mins(30 * self.chance.number(2, 6).cast_signed());
        let work = self.chance.pick(&PLANNED_WORK);
        let number = self.next_ticket();
        let about = format!(r#""service":"{}","maintenance":"MW-{number:06}""#, self.id(site));
        let until = from.plus(length);
        let times = format!(r#""from":"{from}","until":"{until}","reason":"{}""#, work.symptom);
        self.say(at, site, Change::None, format!(r#""type":"maintenance.planned",{about},{times}"#));
        if self.chance.percent(10) {
            let called_off = at.plus(share(from.since(at), self.chance.number(20, 90)));
            self.say(called_off, site, Change::None, format!(r#""type":"maintenance.cancelled",{about}"#));
            return;
        }
        let begins = from.plus(self.chance.span(Span::from_mins(1), Span::from_mins(10)));
        let ends = if self.chance.percent(8) {
            until.plus(self.chance.span(Span::from_mins(5), Span::from_mins(40)))
        } else {
            from.plus(share(length, self.chance.number(50, 95)))
        };
        self.outage(&self.whole(site, begins, ends, work), true, None);
    }

    /// Tells the latency of the site whose turn it is, unless it is down: what is not there does not answer.
    fn sample(&mut self, at: Instant) {
        let Some(&site) = self.topology.sites.get(self.next_sample % self.topology.sites.len()) else {
            return;
        };
        self.next_sample = (self.next_sample + 1) % self.topology.sites.len();
        if self.is_down(site) {
            return;
        }
        // Each site has a distance of its own; a service that is degraded is slow as well.
        let distance = 6 + i64::try_from(site * 7 % 31).unwrap_or_default();
        let usual = Span::from_millis(if self.is_degraded(site) { distance * 5 } else { distance });
        let ms = self.chance.lognormal(usual, 0.25).as_micros() / 1000;
        let count = self.chance.number(20, 60);
        let id = self.id(site);
        self.say(at, site, Change::None, format!(r#""type":"latency","service":"{id}","ms":{ms},"count":{count}"#));
    }

    fn frail_site(&mut self) -> usize {
        self.frail_sites[self.chance.front_heavy(self.frail_sites.len())]
    }

    /// An outage that takes all of a service from all of its users.
    pub(super) fn whole(&self, service: usize, from: Instant, until: Instant, trouble: Trouble) -> Outage {
        Outage { service, from, until, users: self.topology.services[service].users, degraded: None, trouble }
    }
}

/// The next full quarter of an hour: nobody plans work for 49 seconds past.
const fn next_quarter(at: Instant) -> Instant {
    let quarter = Span::from_mins(15).as_micros();
    at.plus(Span::from_micros(quarter - at.as_micros().rem_euclid(quarter)))
}
