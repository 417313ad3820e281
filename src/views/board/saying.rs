//! How figures, instants and states are said on a page. A share is never rounded up to a pass, and a colour never says
//! what no word or sign says too.

use std::borrow::Borrow;
use std::fmt::Write as _;

use askama::filters::Safe;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::frame::Page;
use crate::model::event::Cause;
use crate::model::figures::{Figures, State};
use crate::model::incident::{Clock, Incident, Stage, Status};
use crate::model::level::{Level, Ratio};
use crate::model::procedure::Until;
use crate::model::target::Value;
use crate::model::time::{Instant, Span, Window};
use crate::words::{self, Language};

/// Text that is HTML already: made here, of what cannot hold any.
pub(super) type Html = Safe<String>;

/// What a name in a path keeps as it is.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Microseconds of a second.
const SECOND: i64 = 1_000_000;

/// What is left of an error budget.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    /// Which share of it, in percent, rounded down.
    pub(super) left: i64,
    /// What is left of it, or how much too much was lost.
    pub(super) span: Span,
    /// Whether the promise holds.
    pub(super) is_kept: bool,
}

impl Budget {
    pub(super) fn of(figures: &Figures, target: Option<Ratio>) -> Option<Self> {
        let (left, whole) = figures.lengths.budget(figures.mode, target?);
        if whole <= 0 {
            return None;
        }
        let percent = (left * 100).div_euclid(whole);
        let micros = left.div_euclid(i128::from(Ratio::WHOLE) * figures.weight.max(1));
        let small = |number: i128| i64::try_from(number).unwrap_or(if number < 0 { i64::MIN } else { i64::MAX });
        Some(Self { left: small(percent), span: Span::from_micros(small(micros)), is_kept: left >= 0 })
    }

    /// What is left in percent; of one that is spent more than twice over, how many times.
    pub(super) fn said(&self, page: &Page) -> String {
        match self.left {
            0.. => format!("{} %", self.left),
            -100..0 => format!("−{} %", self.left.unsigned_abs()),
            _ => {
                let tenths = (100_u64.saturating_add(self.left.unsigned_abs())) / 10;
                let times = format!("{}.{}", grouped(tenths / 10), tenths % 10);
                match page.language {
                    Language::English => format!("{times} × spent"),
                    Language::Chinese => format!("已用 {times} 倍"),
                }
            }
        }
    }

    /// The share as a bar has it.
    pub(super) fn bar(&self) -> i64 {
        self.left.clamp(0, 100)
    }
}

// Templates hand over references, code hands over values: `Borrow` takes both.
impl Page {
    /// An instant, in the network's zone; the script puts the viewer's beside it.
    pub(super) fn time(&self, at: impl Borrow<Instant>) -> Html {
        let at = *at.borrow();
        Safe(format!("<time datetime=\"{at}\">{}</time>", self.stamp(at)))
    }

    fn stamp(&self, at: Instant) -> String {
        let mut stamp = self.calendar.stamp(at);
        stamp.truncate("2026-03-29 02:00:09".len());
        stamp
    }

    /// How long ago something was; the script counts on.
    pub(super) fn age(&self, since: impl Borrow<Instant>) -> Html {
        let since = *since.borrow();
        let age = self.now.since(since);
        Safe(format!("<time datetime=\"{since}\" data-since=\"{since}\">{}</time>", counted(age)))
    }

    /// What is left until an instant, or by how much it has passed; the script counts on.
    pub(super) fn countdown(&self, deadline: impl Borrow<Instant>) -> Html {
        let deadline = *deadline.borrow();
        let left = deadline.since(self.now);
        let is_over = left <= Span::ZERO;
        let length = counted(if is_over { self.now.since(deadline) } else { left });
        let text = match (self.language, is_over) {
            (Language::English, false) => format!("{length} left"),
            (Language::English, true) => format!("{length} over"),
            (Language::Chinese, false) => format!("剩余 {length}"),
            (Language::Chinese, true) => format!("超时 {length}"),
        };
        let class = if is_over { " class=\"over\"" } else { "" };
        Safe(format!("<time datetime=\"{deadline}\" data-deadline=\"{deadline}\"{class}>{text}</time>"))
    }

    /// A length of time in words.
    pub(super) fn span(&self, span: impl Borrow<Span>) -> String {
        let span = *span.borrow();
        let seconds = span.as_micros().unsigned_abs().div_euclid(SECOND.unsigned_abs());
        let (d, h, m, s) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        let [day, hour, minute, second] = match self.language {
            Language::English => [" d", " h", " min", " s"],
            Language::Chinese => [" 天", " 小时", " 分", " 秒"],
        };
        let sign = if span < Span::ZERO { "−" } else { "" };
        let both = |one: (u64, &str), other: (u64, &str)| match other.0 {
            0 => format!("{sign}{}{}", one.0, one.1),
            _ => format!("{sign}{}{} {}{}", one.0, one.1, other.0, other.1),
        };
        match (d, h, m) {
            (0, 0, 0) if seconds == 0 && span != Span::ZERO => format!("{sign}< 1{second}"),
            (0, 0, 0) => format!("{sign}{s}{second}"),
            (0, 0, _) => both((m, minute), (s, second)),
            (0, ..) => both((h, hour), (m, minute)),
            _ => both((d, day), (h, hour)),
        }
    }

    /// The length of time between two instants.
    pub(super) fn between(&self, from: impl Borrow<Instant>, until: impl Borrow<Instant>) -> String {
        self.span(until.borrow().since(*from.borrow()))
    }

    /// How long a clock ran that stopped. What was done before it was known is told late, and took no time.
    pub(super) fn took(&self, clock: &Clock, stopped: impl Borrow<Instant>) -> String {
        let took = stopped.borrow().since(clock.started);
        if took < Span::ZERO { self.t("at once", "即时").to_owned() } else { self.span(took) }
    }

    /// The same, of that many microseconds.
    pub(super) fn micros(&self, micros: impl Borrow<i128>) -> String {
        let micros = *micros.borrow();
        self.span(Span::from_micros(i64::try_from(micros).unwrap_or(i64::MAX)))
    }

    /// The availability that the promise counts, in percent, rounded down: 99.9899 % is not 99.99 %.
    pub(super) fn availability(&self, figures: &Figures) -> String {
        let (lost, of) = figures.lengths.promised(figures.mode);
        share(of - lost, of).unwrap_or_else(|| "–".to_owned())
    }

    /// The part of the time of which anything is known, in percent, rounded down.
    pub(super) fn coverage(&self, figures: &Figures) -> String {
        let lengths = &figures.lengths;
        share(lengths.observed - lengths.unknown, lengths.observed).unwrap_or_else(|| "–".to_owned())
    }

    /// Seconds that may be absent.
    pub(super) fn seconds(&self, seconds: impl Borrow<Option<f64>>) -> String {
        let seconds = *seconds.borrow();
        // Whole microseconds of less than a thousand years.
        #[allow(clippy::cast_possible_truncation, reason = "no mean of lengths of time is as long as that")]
        seconds.map_or_else(|| "–".to_owned(), |seconds| self.span(Span::from_micros((seconds * 1e6) as i64)))
    }

    /// A number with its thousands apart.
    pub(super) fn number(&self, number: impl Borrow<u64>) -> String {
        let number = *number.borrow();
        grouped(number)
    }

    /// The users of an incident, `≈` where they are the catalogue's.
    pub(super) fn users(&self, incident: &Incident) -> String {
        match incident.users {
            Some(users) if incident.users_estimated => format!("≈ {}", grouped(users)),
            Some(users) => grouped(users),
            None => "–".to_owned(),
        }
    }

    pub(super) fn state(&self, state: impl Borrow<State>) -> Html {
        let state = *state.borrow();
        let sign = match state {
            State::Up => "✓",
            State::Degraded => "◐",
            State::Down => "✕",
            State::Maintenance => "⚙",
            State::Unknown => "?",
        };
        badge("state", state.name(), sign, self.state_word(state))
    }

    pub(super) fn state_word(&self, state: impl Borrow<State>) -> &'static str {
        let state = *state.borrow();
        match state {
            State::Up => self.t("up", "正常"),
            State::Degraded => self.t("degraded", "劣化"),
            State::Down => self.t("down", "中断"),
            State::Maintenance => self.t("maintenance", "维护中"),
            State::Unknown => self.t("unknown", "未知"),
        }
    }

    pub(super) fn level(&self, level: impl Borrow<Level>) -> Html {
        let level = *level.borrow();
        let sign = match level {
            Level::First => "▲▲▲",
            Level::Second => "▲▲",
            Level::Third => "▲",
        };
        badge("level", level.name(), sign, self.level_word(level))
    }

    pub(super) fn level_word(&self, level: impl Borrow<Level>) -> &'static str {
        let level = *level.borrow();
        match level {
            Level::First => self.t("First · major", "一级 · 重大"),
            Level::Second => self.t("Second · larger", "二级 · 较大"),
            Level::Third => self.t("Third · general", "三级 · 一般"),
        }
    }

    pub(super) fn status(&self, status: impl Borrow<Status>) -> &'static str {
        let status = *status.borrow();
        let (english, chinese) = match status {
            Status::Open => ("open, nobody on it yet", "未响应"),
            Status::Acknowledged => ("acknowledged", "处理中"),
            Status::Mitigated => ("mitigated", "已临时恢复"),
            Status::Restored => ("restored", "已恢复"),
            Status::Reviewed => ("reviewed", "已复盘"),
            Status::Merged => ("merged into another", "已并入其他事件"),
            Status::Withdrawn => ("withdrawn", "已撤销"),
        };
        self.t(english, chinese)
    }

    pub(super) fn stage(&self, stage: impl Borrow<Stage>) -> &'static str {
        let stage = *stage.borrow();
        let (english, chinese) = match stage {
            Stage::Detected => ("detected", "发现"),
            Stage::Acknowledged => ("acknowledged", "响应"),
            Stage::Dispatched => ("dispatched", "派单"),
            Stage::Located => ("located", "定位"),
            Stage::Mitigated => ("mitigated", "临时恢复"),
            Stage::Repaired => ("repaired", "彻底修复"),
            Stage::Restored => ("restored", "恢复"),
            Stage::Verified => ("verified", "验证"),
            Stage::Reviewed => ("reviewed", "复盘"),
        };
        self.t(english, chinese)
    }

    /// What stops a clock.
    pub(super) fn until(&self, until: impl Borrow<Until>) -> &'static str {
        match *until.borrow() {
            Until::Reached(stage) => self.stage(stage),
            Until::Notice => self.t("notice sent", "已通报"),
        }
    }

    pub(super) fn cause(&self, cause: impl Borrow<Cause>) -> &'static str {
        let cause = *cause.borrow();
        words::cause(cause, self.language).unwrap_or_else(|| self.t("unknown", "未知"))
    }

    pub(super) fn clock(&self, clock: &Clock) -> String {
        words::clock(&clock.name, self.language)
    }

    pub(super) fn window(&self, window: impl Borrow<Window>) -> String {
        let window = *window.borrow();
        words::window(window, self.language)
    }

    /// A target's number with its unit.
    pub(super) fn value(&self, value: impl Borrow<Value>) -> String {
        let value = *value.borrow();
        match value {
            Value::Ratio(ratio) => format!("≥ {}", ratio.percent()),
            Value::Limit(span) => format!("≤ {}", self.span(span)),
            // Some are to be reached, some not to be passed.
            Value::Count(count) => count.to_string(),
        }
    }

    /// Where the page of a service is.
    pub(super) fn service_path(&self, name: impl AsRef<str>) -> String {
        format!("/services/{}", utf8_percent_encode(name.as_ref(), IN_PATH))
    }

    /// Whether a promise holds, in words.
    pub(super) fn verdict(&self, is_kept: impl Borrow<bool>) -> Html {
        let is_kept = *is_kept.borrow();
        if is_kept {
            badge("verdict", "kept", "✓", self.t("kept", "达标"))
        } else {
            badge("verdict", "missed", "✕", self.t("missed", "未达标"))
        }
    }
}

/// A sign and a word, of which the colour says nothing more.
fn badge(class: &str, name: &str, sign: &str, text: &str) -> Html {
    Safe(format!("<span class=\"{class} {name}\"><span aria-hidden=\"true\">{sign}</span> {text}</span>"))
}

/// A length of time as a clock shows it: `4:05`, `3:04:05`, `2d 03:04:05`.
fn counted(span: Span) -> String {
    let seconds = span.as_micros().max(0) / SECOND;
    let (d, h, m, s) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    match (d, h) {
        (0, 0) => format!("{m}:{s:02}"),
        (0, _) => format!("{h}:{m:02}:{s:02}"),
        _ => format!("{d}d {h:02}:{m:02}:{s:02}"),
    }
}

/// A share in percent with four digits after the point, rounded down.
fn share(part: i128, of: i128) -> Option<String> {
    if of <= 0 {
        return None;
    }
    let parts = (part * 1_000_000).div_euclid(of);
    let text = format!("{}.{:04}", parts / 10_000, parts % 10_000);
    let short = text.trim_end_matches('0').trim_end_matches('.');
    Some(format!("{short} %"))
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        let _ = text.write_char(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_never_rounded_up() {
        assert_eq!(share(999_899_999, 1_000_000_000).as_deref(), Some("99.9899 %"));
        assert_eq!(share(9_999, 10_000).as_deref(), Some("99.99 %"));
        assert_eq!(share(999_999_999, 1_000_000_000).as_deref(), Some("99.9999 %"));
        assert_eq!(share(10, 10).as_deref(), Some("100 %"));
        assert_eq!(share(0, 10).as_deref(), Some("0 %"));
        assert_eq!(share(0, 0), None);
    }

    #[test]
    fn clocks_show_what_is_left() {
        let of = |seconds| counted(Span::from_secs(seconds));
        assert_eq!(of(5), "0:05");
        assert_eq!(of(1799), "29:59");
        assert_eq!(of(3 * 3600 + 62), "3:01:02");
        assert_eq!(of(90_061), "1d 01:01:01");
    }

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(grouped(1), "1");
        assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
    }
}
