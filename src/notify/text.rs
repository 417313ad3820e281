//! What an alert says to people, in their language.

use crate::config::Language;
use crate::model::alert::{Alert, AlertName};
use crate::model::level::Level;
use crate::model::time::Instant;

/// The `summary` annotation: what happened, in a line.
pub(super) fn summary(alert: &Alert, language: Language) -> String {
    let scope = &alert.key.scope;
    let level = level(alert.key.level, language);
    match (language, alert.key.name) {
        (Language::English, AlertName::ServiceInterruption) => format!("{level}-level interruption of {scope}"),
        (Language::English, AlertName::ResponseOverdue) => {
            format!("Nobody has acknowledged the interruption of {scope} within its limit")
        }
        (Language::English, AlertName::RepairOverdue) => format!("{scope} was not restored within its limit"),
        (Language::Chinese, AlertName::ServiceInterruption) => format!("{level}：{scope} 服务中断"),
        (Language::Chinese, AlertName::ResponseOverdue) => format!("{level}：{scope} 服务中断超时未响应"),
        (Language::Chinese, AlertName::RepairOverdue) => format!("{level}：{scope} 超时未修复"),
    }
}

/// The `description` annotation: what is known, why it fires, and what comes next.
pub(super) fn description(alert: &Alert, ended: Option<Instant>, language: Language) -> String {
    let facts = &alert.facts;
    let english = language == Language::English;
    let mut parts = Vec::new();
    let scope = &alert.key.scope;
    parts.push(match facts.quiet_since.or(ended) {
        Some(end) if english => format!("{scope} was down from {} to {end}.", facts.started),
        Some(end) => format!("{scope} 于 {} 至 {end} 中断。", facts.started),
        None if english => format!("{scope} has been down since {}.", facts.started),
        None => format!("{scope} 自 {} 起中断。", facts.started),
    });
    if let Some(users) = facts.users {
        parts.push(match (english, facts.users_estimated) {
            (true, true) => format!("{users} users affected, by the catalogue."),
            (true, false) => format!("{users} users affected."),
            (false, true) => format!("影响用户 {users}（按目录估计）。"),
            (false, false) => format!("影响用户 {users}。"),
        });
    }
    if let Some(detail) = &facts.detail {
        let ends = detail.ends_with(['.', '!', '?', '。']);
        parts.push(if ends {
            detail.to_string()
        } else {
            format!("{detail}{}", if english { "." } else { "。" })
        });
    }
    parts.push(if english { format!("Why: {}.", facts.because) } else { format!("依据：{}。", facts.because) });
    match (&facts.acknowledged_by, ended, facts.quiet_since) {
        (_, Some(_), _) => {}
        (_, None, Some(_)) if english => parts.push("It is watched until the restoration is confirmed.".to_owned()),
        (_, None, Some(_)) => parts.push("恢复待确认。".to_owned()),
        (Some(by), None, None) if english => parts.push(format!("Acknowledged by {by}.")),
        (Some(by), None, None) => parts.push(format!("已由 {by} 响应。")),
        (None, None, None) => {}
    }
    if let (Some((next, at)), None) = (facts.next_level, ended) {
        let next = level(next, language);
        parts.push(if english {
            format!("It will be of the {} level at {at} if nothing changes.", next.to_lowercase())
        } else {
            format!("如无变化，将于 {at} 升为{next}。")
        });
    }
    parts.join(if english { " " } else { "" })
}

const fn level(level: Level, language: Language) -> &'static str {
    match (language, level) {
        (Language::English, Level::First) => "First",
        (Language::English, Level::Second) => "Second",
        (Language::English, Level::Third) => "Third",
        (Language::Chinese, Level::First) => "一级响应",
        (Language::Chinese, Level::Second) => "二级响应",
        (Language::Chinese, Level::Third) => "三级响应",
    }
}
