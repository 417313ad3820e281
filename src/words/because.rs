//! Names, lengths of time and reasons in words. The English of a reason is its `Display`, with times of the zone.

use super::Language;
use crate::model::because::Because;
use crate::model::calendar::Calendar;
use crate::model::event::Cause;
use crate::model::level::Level;
use crate::model::procedure::ClockName;
use crate::model::target::LatencyTarget;
use crate::model::time::{Span, Window};

/// A level's name, as a sentence begins with it.
pub(super) const fn level(level: Level, language: Language) -> &'static str {
    match (language, level) {
        (Language::English, Level::First) => "First",
        (Language::English, Level::Second) => "Second",
        (Language::English, Level::Third) => "Third",
        (Language::Chinese, Level::First) => "一级响应",
        (Language::Chinese, Level::Second) => "二级响应",
        (Language::Chinese, Level::Third) => "三级响应",
    }
}

/// What something came from, where that is known.
#[must_use]
pub const fn cause(cause: Cause, language: Language) -> Option<&'static str> {
    Some(match (language, cause) {
        (_, Cause::Unknown) => return None,
        (Language::English, Cause::Equipment) => "equipment failure",
        (Language::English, Cause::Technical) => "software or configuration",
        (Language::English, Cause::Congestion) => "congestion",
        (Language::English, Cause::Human) => "human error",
        (Language::English, Cause::External) => "external (power, digging, weather, other networks)",
        (Language::Chinese, Cause::Equipment) => "设备故障",
        (Language::Chinese, Cause::Technical) => "软件或配置故障",
        (Language::Chinese, Cause::Congestion) => "流量拥塞",
        (Language::Chinese, Cause::Human) => "人为误操作",
        (Language::Chinese, Cause::External) => "外部因素（供电、施工、天气或他网）",
    })
}

/// A clock's name. Those of regulators and of the user's own notices are their names in every language.
#[must_use]
pub fn clock(name: &ClockName, language: Language) -> String {
    let of_stage = match (language, name.as_str()) {
        (Language::English, _) => return name.to_string(),
        (Language::Chinese, "response" | "acknowledged") => "响应",
        (Language::Chinese, "repair" | "restored") => "修复",
        (Language::Chinese, "detected") => "发现",
        (Language::Chinese, "dispatched") => "派单",
        (Language::Chinese, "located") => "定位",
        (Language::Chinese, "mitigated") => "临时恢复",
        (Language::Chinese, "repaired") => "彻底修复",
        (Language::Chinese, "verified") => "验证",
        (Language::Chinese, "reviewed") => "复盘",
        (Language::Chinese, other) => other,
    };
    of_stage.to_owned()
}

/// A length of time: `1h 30m`, `1 小时 30 分钟`.
#[must_use]
pub fn span(span: Span, language: Language) -> String {
    let text = span.to_string();
    if language == Language::English {
        return text;
    }
    let in_chinese = |part: &str| {
        let (number, unit) = part.split_at(part.find(char::is_alphabetic).unwrap_or(part.len()));
        let unit = match unit {
            "h" => "小时",
            "m" => "分钟",
            "s" => "秒",
            "ms" => "毫秒",
            _ => "微秒",
        };
        format!("{number} {unit}")
    };
    text.split(' ').map(in_chinese).collect::<Vec<_>>().join(" ")
}

/// A rolling window: `30d`, `30 天`.
#[must_use]
pub fn window(window: Window, language: Language) -> String {
    let hours = window.length().as_micros() / Span::from_hours(1).as_micros();
    match language {
        Language::English => window.name().to_owned(),
        Language::Chinese if hours > 24 => format!("{} 天", hours / 24),
        Language::Chinese => format!("{hours} 小时"),
    }
}

/// Why an alert fires.
pub(super) fn why(because: &Because, language: Language, calendar: &Calendar) -> String {
    match (language, because) {
        (Language::Chinese, _) => in_chinese(because, calendar),
        (Language::English, Because::Passed { .. }) => format!("the {because} has passed"),
        (Language::English, Because::Used { deadline: Some(deadline), .. }) => {
            because.to_string().replace(&deadline.to_string(), &calendar.stamp(*deadline))
        }
        (Language::English, _) => because.to_string(),
    }
}

fn in_chinese(because: &Because, calendar: &Calendar) -> String {
    let long = |length: Span| span(length, Language::Chinese);
    let named = |name: &ClockName| clock(name, Language::Chinese);
    let promised =
        |promise: &LatencyTarget| format!("时延不超过 {}的样本占 {}", long(promise.limit), promise.ratio.percent());
    match because {
        Because::Rule(rule) => rule.clone(),
        Because::Passed { clock, limit } => format!("“{}”时限 {}已过", named(clock), long(*limit)),
        Because::Used { percent, clock, limit, deadline } => {
            let rest = match deadline {
                Some(deadline) => format!("将于 {} 到期", calendar.stamp(*deadline)),
                None => "计时已暂停".to_owned(),
            };
            format!("“{}”时限 {}已用去 {percent} %，{rest}", named(clock), long(*limit))
        }
        Because::Budget { budget, window: length, target } => {
            let named_window = window(*length, Language::Chinese);
            format!("目标 {}，{}内允许中断 {}", target.percent(), named_window, long(*budget))
        }
        Because::Burn { pair, target } => {
            let [longer, shorter] = pair.windows().map(long);
            let (speed, target) = (pair.speed(), target.percent());
            format!("最近 {longer}和最近 {shorter}内的消耗速度均超过目标 {target} 允许值的 {speed} 倍")
        }
        Because::SlowBurn { pair, promise } => {
            let [longer, shorter] = pair.windows().map(long);
            let (speed, promised) = (pair.speed(), promised(promise));
            format!("最近 {longer}和最近 {shorter}内的慢样本均超过允许值的 {speed} 倍（目标：{promised}）")
        }
        Because::Slow(promise) => format!("未达目标：{}", promised(promise)),
        Because::Beyond { metric, above, limit } => {
            format!("{metric} {} {limit}", if *above { "高于" } else { "低于" })
        }
        Because::Silence(heartbeat) => format!("超过 {}未收到该数据源的任何消息", long(*heartbeat)),
    }
}
