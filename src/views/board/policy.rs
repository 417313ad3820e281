//! The policy in force: what is promised with the manual's clauses, what gives an incident its level, who does what by
//! when, and what is expected to speak.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::super::api::Reading;
use super::frame::{Asked, Page, Place};
use super::shown;
use crate::engine::{Engine, FeedView};
use crate::model::level::{Condition, Level, LevelRules, Rule};
use crate::model::policy::Correlation;
use crate::model::procedure::{ClockName, ClockRule, Milestone, Procedure};
use crate::model::target::{Maintenance, Override, Scope, Targets};
use crate::words::{self, Language};

#[derive(Template)]
#[template(path = "policy.html")]
struct Policy<'a> {
    page: Page,
    targets: &'a Targets,
    levels: &'a LevelRules,
    procedure: &'a Procedure,
    correlation: Correlation,
    feeds: Vec<FeedView<'a>>,
}

impl Policy<'_> {
    fn scope(&self, other: &Override) -> String {
        match &other.scope {
            Scope::Service(name) => format!("{} {name}", self.page.t("service", "服务")),
            Scope::Group(name) => format!("{} {name}", self.page.t("group", "分组")),
            Scope::Tier(name) => format!("{} {name}", self.page.t("tier", "等级")),
        }
    }

    fn maintenance(&self, mode: &Maintenance) -> &'static str {
        match mode {
            Maintenance::Exclude => self.page.t("it is neither up nor down", "不计为正常也不计为中断"),
            Maintenance::CountAsUp => self.page.t("it counts as up", "计为正常"),
            Maintenance::Ignore => self.page.t("it excuses nothing", "不予免责"),
        }
    }

    fn condition(&self, condition: &Condition) -> String {
        let (number, span) = (|n: &u64| self.page.number(*n), |span| self.page.span(span));
        let t = |english, chinese| self.page.t(english, chinese);
        match condition {
            Condition::UsersOver(users) => format!("{} > {}", t("users", "用户"), number(users)),
            Condition::UsersAtLeast(users) => format!("{} ≥ {}", t("users", "用户"), number(users)),
            Condition::UserMinutesOver(minutes) => {
                format!("{} > {}", t("user-minutes", "用户分钟"), number(minutes))
            }
            Condition::UserMinutesAtLeast(minutes) => {
                format!("{} ≥ {}", t("user-minutes", "用户分钟"), number(minutes))
            }
            Condition::ShareOver(share) => {
                format!("{} > {}", t("share of that kind's users", "同类用户占比"), share.percent())
            }
            Condition::LongerThan(length) => format!("{} > {}", t("lasts", "历时"), span(*length)),
            Condition::LastingAtLeast(length) => format!("{} ≥ {}", t("lasts", "历时"), span(*length)),
            Condition::RegionsAtLeast(regions) => format!("{} ≥ {}", t("regions", "区域数"), number(regions)),
            Condition::Kind(kind) => format!("{} = {kind}", t("kind", "类型")),
            Condition::Tier(tier) => format!("{} = {tier}", t("tier", "等级")),
            Condition::Tag(group) => format!("{} = {group}", t("group", "分组")),
        }
    }

    fn conditions(&self, conditions: &[Condition]) -> String {
        if conditions.is_empty() {
            return self.page.t("always", "始终成立").to_owned();
        }
        let said: Vec<String> = conditions.iter().map(|condition| self.condition(condition)).collect();
        said.join(self.page.t(" and ", " 且 "))
    }

    fn clock(&self, name: &ClockName) -> String {
        words::clock(name, self.page.language)
    }

    fn from(&self, from: &Milestone) -> &'static str {
        match from {
            Milestone::Started => self.page.t("it began", "中断开始"),
            Milestone::Reached(stage) => self.page.stage(*stage),
        }
    }

    fn limits(&self, rule: &ClockRule) -> Vec<String> {
        let limit = |level| rule.limit(level).map_or_else(|| "–".to_owned(), |span| self.page.span(span));
        [Level::First, Level::Second, Level::Third].map(limit).to_vec()
    }

    fn rules(&self, level: &Level) -> &[Rule] {
        self.levels.of(*level)
    }

    const fn by_gravity(&self) -> [Level; 3] {
        [Level::First, Level::Second, Level::Third]
    }

    const fn is_english(&self) -> bool {
        matches!(self.page.language, Language::English)
    }
}

/// The policy in force.
pub(super) async fn policy(State(reading): State<Arc<Reading>>, asked: Asked) -> Response {
    let engine = reading.copy();
    let page = asked.page(Place::Policy, &reading, &engine);
    shown(&of(&engine, page))
}

fn of(engine: &Engine, page: Page) -> Policy<'_> {
    Policy {
        targets: engine.targets(page.now),
        levels: engine.levels(),
        procedure: engine.procedure(),
        correlation: engine.correlation(),
        feeds: engine.feeds().collect(),
        page,
    }
}
