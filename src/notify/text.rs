//! What an alert says to people, in their language.

use std::collections::BTreeMap;

use crate::config::Language;
use crate::model::alert::{About, Alert, AlertFacts, AlertKey, AlertName, IncidentFacts, Owner};
use crate::model::level::Level;
use crate::model::time::Instant;

/// What alerts say besides their facts.
#[derive(Clone, Debug)]
pub struct Wording {
    /// The language of the text.
    pub language: Language,
    /// Where the runbooks are; `{alertname}` in it is filled in.
    pub runbook_url: Option<String>,
    /// Where this daemon is read, for links back.
    pub base_url: String,
}

impl Wording {
    /// What is told beside the labels.
    pub(super) fn annotations(&self, alert: &Alert, ended: Option<Instant>) -> BTreeMap<&'static str, String> {
        let mut annotations = BTreeMap::from([
            ("summary", summary(alert, self.language)),
            ("description", description(alert, ended, self.language)),
            ("started", alert.facts.started.to_string()),
        ]);
        let users = alert.facts.incident.as_ref().and_then(|facts| facts.users);
        annotations.extend(users.map(|users| ("users", users.to_string())));
        let runbook = self.runbook_url.as_ref().map(|url| url.replace("{alertname}", alert.key.name.name()));
        annotations.extend(runbook.map(|url| ("runbook_url", url)));
        annotations
    }

    /// What the alert says that always fires.
    pub(super) fn of_watchdog(&self) -> BTreeMap<&'static str, String> {
        let summary = match self.language {
            Language::English => "fournines is alive and its alerts arrive",
            Language::Chinese => "fournines 运行正常，告警可送达",
        };
        BTreeMap::from([("summary", summary.to_owned())])
    }

    /// Where to read more of what an alert is about.
    pub(super) fn generator_url(&self, key: &AlertKey) -> String {
        let base = &self.base_url;
        match (&key.about, key.incident()) {
            (_, Some(incident)) => format!("{base}/api/v1/incidents/{incident}"),
            (About::Budget { of: Owner::Group(name), .. } | About::Burn { of: Owner::Group(name), .. }, None) => {
                format!("{base}/api/v1/services?group={}", encoded(name))
            }
            (_, None) => format!("{base}/api/v1/services/{}", encoded(key.scope())),
        }
    }
}

fn encoded(name: &str) -> percent_encoding::PercentEncode<'_> {
    percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC)
}

/// The `summary` annotation: what happened, in a line. Of a drill that comes first: nobody must take it for the network.
pub(super) fn summary(alert: &Alert, language: Language) -> String {
    let what = happened(alert, language);
    match (alert.key.drill(), language) {
        (None, _) => what,
        (Some(_), Language::English) => format!("DRILL: {what}"),
        (Some(_), Language::Chinese) => format!("【演练】{what}"),
    }
}

fn happened(alert: &Alert, language: Language) -> String {
    let scope = alert.key.scope();
    let english = language == Language::English;
    let level = alert.key.level().map_or("", |found| level(found, language));
    let clock = match &alert.key.about {
        About::Clock { clock, .. } => clock.as_str(),
        _ => "",
    };
    match alert.key.name {
        AlertName::ServiceInterruption if english => format!("{level}-level interruption of {scope}"),
        AlertName::ServiceInterruption => format!("{level}：{scope} 服务中断"),
        AlertName::ResponseOverdue if english => {
            format!("Nobody has acknowledged the interruption of {scope} within its limit")
        }
        AlertName::ResponseOverdue => format!("{level}：{scope} 服务中断超时未响应"),
        AlertName::RepairOverdue if english => format!("{scope} was not restored within its limit"),
        AlertName::RepairOverdue => format!("{level}：{scope} 超时未修复"),
        AlertName::ClockOverdue if english => format!("{clock} of the interruption of {scope} is overdue"),
        AlertName::ClockOverdue => format!("{level}：{scope} {clock} 已超时"),
        AlertName::ClockAtRisk if english => format!("{clock} of the interruption of {scope} will soon be overdue"),
        AlertName::ClockAtRisk => format!("{level}：{scope} {clock} 即将超时"),
        AlertName::ErrorBudgetBurn if english => format!("{scope} spends its error budget too fast"),
        AlertName::ErrorBudgetBurn => format!("{scope} 错误预算消耗过快"),
        AlertName::ErrorBudgetAtRisk if english => format!("{scope} will soon have spent its error budget"),
        AlertName::ErrorBudgetAtRisk => format!("{scope} 错误预算即将耗尽"),
        AlertName::ErrorBudgetExhausted if english => format!("{scope} has spent its error budget"),
        AlertName::ErrorBudgetExhausted => format!("{scope} 错误预算已耗尽"),
        AlertName::LatencyTargetMissed if english => format!("{scope} is too slow for too many"),
        AlertName::LatencyTargetMissed => format!("{scope} 时延不达标"),
        AlertName::MeasurementOutOfRange if english => format!("A measurement of {scope} is beyond its limit"),
        AlertName::MeasurementOutOfRange => format!("{scope} 测量值越限"),
    }
}

/// The `description` annotation: what is known, why it fires, and what comes next.
pub(super) fn description(alert: &Alert, ended: Option<Instant>, language: Language) -> String {
    let english = language == Language::English;
    match &alert.facts.incident {
        Some(facts) => of_incident(alert, facts, ended, language),
        None => {
            let AlertFacts { started, because, spent_at, .. } = &alert.facts;
            let mut parts = vec![match ended {
                Some(end) if english => format!("It was so from {started} to {end}."),
                Some(end) => format!("自 {started} 至 {end}。"),
                None if english => format!("It has been so since {started}."),
                None => format!("自 {started} 起。"),
            }];
            parts.push(if english { format!("Why: {because}.") } else { format!("依据：{because}。") });
            if let (Some(at), None) = (spent_at, ended) {
                parts.push(if english {
                    format!("If nothing changes it is spent at {at}.")
                } else {
                    format!("如无变化，将于 {at} 耗尽。")
                });
            }
            parts.join(if english { " " } else { "" })
        }
    }
}

fn of_incident(alert: &Alert, facts: &IncidentFacts, ended: Option<Instant>, language: Language) -> String {
    let english = language == Language::English;
    let AlertFacts { started, because, .. } = &alert.facts;
    let mut parts = Vec::new();
    let scope = alert.key.scope();
    parts.extend(alert.key.drill().map(|drill| match language {
        Language::English => format!("This is the drill {drill}; nothing is out."),
        Language::Chinese => format!("本告警为演练 {drill}，实际无中断。"),
    }));
    parts.push(match facts.quiet_since.or(ended) {
        Some(end) if english => format!("{scope} was down from {started} to {end}."),
        Some(end) => format!("{scope} 于 {started} 至 {end} 中断。"),
        None if english => format!("{scope} has been down since {started}."),
        None => format!("{scope} 自 {started} 起中断。"),
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
    parts.push(if english { format!("Why: {because}.") } else { format!("依据：{because}。") });
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
