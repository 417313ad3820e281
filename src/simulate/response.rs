//! Outages and the response to them: what is told of one from its start to its end.

use super::events::{Change, Events};
use crate::model::event::Cause;
use crate::model::time::{Instant, Span};

/// What went wrong: the cause that is found, how it shows, and what is found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trouble {
    pub(super) cause: Cause,
    pub(super) symptom: &'static str,
    pub(super) finding: &'static str,
}

/// An outage to be told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outage {
    pub(super) service: usize,
    pub(super) from: Instant,
    pub(super) until: Instant,
    pub(super) users: u64,
    /// How much of the service is lost, in hundredths, where it is not all of it.
    pub(super) degraded: Option<u64>,
    pub(super) trouble: Trouble,
}

/// Who took an outage on, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    at: Instant,
    by: &'static str,
}

/// The operators of the control rooms.
const OPERATORS: [&str; 8] =
    ["wang.fang", "li.wei", "zhang.min", "liu.yang", "chen.jing", "zhao.lei", "huang.na", "zhou.qiang"];
/// The engineers who drive out.
const ENGINEERS: [&str; 6] = ["sun.tao", "ma.chao", "zhu.hong", "hu.bin", "guo.ping", "he.yong"];

impl Events {
    /// Tells an outage and, unless it is over before anybody looks, the response to it. Returns its ticket, and who took it
    /// on.
    pub(super) fn outage_with_response(&mut self, outage: &Outage) -> (String, Option<Answer>) {
        // An alarm seldom says by itself what it comes from.
        let known = self.chance.percent(15);
        let ticket = self.outage(outage, known, None);
        let answer = self.answer(outage);
        if let Some(answer) = answer {
            self.acknowledged(outage.service, &ticket, answer);
            self.repair(outage, &ticket, answer);
        }
        (ticket, answer)
    }

    /// Tells an outage that follows from that of a ticket. Who took that one on takes this one on with it.
    pub(super) fn outage_with_answer(&mut self, outage: &Outage, (root, answer): (&str, Option<Answer>)) {
        let ticket = self.outage(outage, false, Some(root));
        if let Some(Answer { at, by }) = answer {
            let at = at.max(outage.from).plus(self.chance.span(Span::from_secs(1), Span::from_secs(20)));
            if at < outage.until {
                self.acknowledged(outage.service, &ticket, Answer { at, by });
            }
        }
    }

    /// Tells that an outage starts, with its cause where that is `known` by then, and that it ends, under one key.
    /// Every outage is told by this function alone. What it follows from is told as well, as `root`, for whoever wants to
    /// know how well that is found out; a daemon ignores it.
    pub(super) fn outage(&mut self, outage: &Outage, known: bool, root: Option<&str>) -> String {
        let &Outage { service, from, until, users, degraded, trouble } = outage;
        let ticket = format!("TT-{:06}", self.next_ticket());
        let about = format!(r#""service":"{}","outage":"{ticket}""#, self.id(service));
        let severity = degraded.map_or_else(String::new, |weight| {
            format!(r#","severity":"degraded","weight":{}"#, hundredths(weight))
        });
        let known = if known { cause(trouble) } else { String::new() };
        let start = format!(
            r#""type":"outage.started",{about}{severity},"users":{users}{known},"detail":"{}","root":"{}""#,
            trouble.symptom,
            root.unwrap_or(&ticket)
        );
        let end = format!(r#""type":"outage.ended",{about}{},"detail":"{}""#, cause(trouble), trouble.finding);
        let (fails, returns) = match degraded {
            Some(_) => (Change::Degrades, Change::Recovers),
            None => (Change::Fails, Change::Returns),
        };
        self.say(from, service, fails, start);
        self.say(until, service, returns, end);
        ticket
    }

    /// Who takes it on, and when: most within half an hour, of a hundred five late and three never. Restored
    /// before, it leaves nothing to take on.
    fn answer(&mut self, outage: &Outage) -> Option<Answer> {
        let wait = match self.chance.number(1, 100) {
            1..=3 => return None,
            4..=8 => self.chance.span(Span::from_mins(31), Span::from_mins(120)),
            _ => self.chance.lognormal(Span::from_mins(6), 0.7).min(Span::from_mins(29)),
        };
        let at = outage.from.plus(wait);
        (at < outage.until).then(|| Answer { at, by: self.chance.pick(&OPERATORS) })
    }

    fn acknowledged(&mut self, service: usize, ticket: &str, Answer { at, by }: Answer) {
        self.stage(at, "acknowledged", service, ticket, &format!(r#","by":"{by}""#));
    }

    /// The stages between the acknowledgement and the end, in their order. Not every crew reports each of them, what
    /// is over in a few minutes needed no crew, and what came back by itself was neither located nor repaired.
    fn repair(&mut self, outage: &Outage, ticket: &str, answer: Answer) {
        let rest = outage.until.since(answer.at);
        if rest < Span::from_mins(8) {
            return;
        }
        let by = format!(r#","by":"{}""#, self.chance.pick(&ENGINEERS));
        let found = format!(r#"{by}{},"detail":"{}""#, cause(outage.trouble), outage.trouble.finding);
        let stages = [("dispatched", 5, 25, &by), ("located", 35, 70, &found), ("repaired", 85, 98, &by)];
        let told = if outage.trouble.cause == Cause::Unknown { 1 } else { stages.len() };
        for (stage, earliest, latest, fields) in stages.into_iter().take(told) {
            let at = answer.at.plus(share(rest, self.chance.number(earliest, latest)));
            if self.chance.percent(60) {
                self.stage(at, stage, outage.service, ticket, fields);
            }
        }
    }

    fn stage(&mut self, at: Instant, stage: &str, service: usize, ticket: &str, fields: &str) {
        let service_id = self.id(service);
        let fields = format!(r#""type":"repair.{stage}","service":"{service_id}","outage":"{ticket}"{fields}"#);
        self.say(at, service, Change::None, fields);
    }
}

/// What an event says of the cause: nothing where nobody found out.
fn cause(trouble: Trouble) -> String {
    match trouble.cause {
        Cause::Unknown => String::new(),
        known => format!(r#","cause":"{}""#, known.name()),
    }
}

/// 5 as `0.05`, 35 as `0.35`.
fn hundredths(number: u64) -> String {
    format!("{}.{:02}", number / 100, number % 100)
}

/// So many hundredths of a span, in whole milliseconds.
pub(super) const fn share(span: Span, hundredths: u64) -> Span {
    Span::from_millis(
        span.as_micros() / 1000 * (if hundredths > 100 { 100 } else { hundredths }).cast_signed() / 100,
    )
}
