//! Reports: which are frozen, what a period came to, and the same as a page of its own that prints well and needs no
//! daemon.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::super::api::Reading;
use super::super::report::routes::{body, frozen};
use super::super::report::{Report, Verdict, Wanted, sha256};
use super::frame::{Asked, Page, Place};
use super::saying::Html;
use super::shown;
use crate::model::calendar::{Calendar, Unit};
use crate::model::time::Instant;
use crate::problem::Problem;
use crate::store::reports::Frozen;
use crate::words::Language;

#[derive(Template)]
#[template(path = "reports.html")]
struct Listed {
    page: Page,
    /// The months, quarters and years that go on.
    current: Vec<String>,
    /// The last revision of each.
    frozen: Vec<Frozen>,
}

/// Which period somebody wants.
#[derive(Debug, Deserialize)]
pub(super) struct Chosen {
    period: Option<String>,
}

/// The reports that are frozen, and a way to any other.
pub(super) async fn reports(
    State(reading): State<Arc<Reading>>,
    Query(chosen): Query<Chosen>,
    asked: Asked,
) -> Result<Response, Problem> {
    if let Some(period) = chosen.period.filter(|period| !period.trim().is_empty()) {
        let path = format!("/reports/{}", utf8_percent_encode(period.trim(), NON_ALPHANUMERIC));
        return Ok(Redirect::to(&path).into_response());
    }
    let all = frozen(reading.clone()).await?;
    let last: BTreeMap<String, Frozen> = all.into_iter().map(|one| (one.period.clone(), one)).collect();
    let mut frozen: Vec<Frozen> = last.into_values().collect();
    frozen.sort_by(|one, other| (other.until, &other.period).cmp(&(one.until, &one.period)));
    let engine = reading.copy();
    let page = asked.page(Place::Reports, &reading, &engine);
    let units = [Unit::Day, Unit::Month, Unit::Quarter, Unit::Year];
    let current = units.map(|unit| Wanted::of(&page.calendar, unit, page.now).name).into();
    Ok(shown(&Listed { page, current, frozen }))
}

#[derive(Template)]
#[template(path = "report.html")]
struct Shown<'a> {
    page: Page,
    report: &'a Report,
    /// Where incidents are: nowhere else on the board.
    base: &'a str,
    sha256: &'a str,
}

#[derive(Template)]
#[template(path = "report_alone.html")]
struct Alone<'a> {
    page: Page,
    report: &'a Report,
    base: &'a str,
    sha256: &'a str,
    style: &'static str,
}

/// What a period came to.
pub(super) async fn report(
    State(reading): State<Arc<Reading>>,
    Path(period): Path<String>,
    asked: Asked,
) -> Result<Response, Problem> {
    let shared = reading.clone();
    let found = tokio::task::spawn_blocking(move || body(&shared, &period, None)).await;
    let failed = |error: String| Problem::new(axum::http::StatusCode::INTERNAL_SERVER_ERROR, error);
    let (canonical, ..) = found.map_err(|error| failed(error.to_string()))??;
    let report: Report = serde_json::from_slice(&canonical).map_err(|error| failed(error.to_string()))?;
    let page = {
        let engine = reading.engine();
        asked.page(Place::Reports, &reading, &engine)
    };
    let page = in_zone(page, &report);
    Ok(shown(&Shown { page, report: &report, base: "", sha256: &sha256(&canonical) }))
}

/// The same as a page of its own, in which everything is that it needs.
///
/// # Errors
/// When it cannot be written, which is never so.
pub(in crate::views) fn alone(canonical: &[u8], base: &str, language: Language) -> Result<String, String> {
    let report: Report = serde_json::from_slice(canonical).map_err(|error| error.to_string())?;
    let page = in_zone(Page::alone(language), &report);
    let style = super::frame::STYLE.text;
    let page = Alone { page, report: &report, base, sha256: &sha256(canonical), style };
    page.render().map_err(|error| error.to_string())
}

/// A report is told in the zone that it was made in.
fn in_zone(page: Page, report: &Report) -> Page {
    match Calendar::new(&report.period.time_zone) {
        Ok(calendar) => Page { calendar, ..page },
        Err(_) => page,
    }
}

// What templates say of a report.
impl Page {
    fn told(&self, verdict: impl Borrow<Verdict>) -> Html {
        let (class, sign, word) = match *verdict.borrow() {
            Verdict::Met => ("kept", "✓", self.t("met", "达标")),
            Verdict::Missed => ("missed", "✕", self.t("missed", "未达标")),
            Verdict::NotMeasured => ("none", "–", self.t("not measured", "未测量")),
        };
        askama::filters::Safe(format!(
            "<span class=\"verdict {class}\"><span aria-hidden=\"true\">{sign}</span> {word}</span>"
        ))
    }

    fn at(&self, text: impl AsRef<str>) -> Html {
        match text.as_ref().parse::<Instant>() {
            Ok(at) => self.time(at),
            Err(_) => askama::filters::Safe("–".to_owned()),
        }
    }

    fn or_at(&self, text: impl Borrow<Option<String>>) -> Html {
        self.at(text.borrow().as_deref().unwrap_or(""))
    }

    fn in_unit(&self, value: impl Borrow<Option<f64>>, unit: impl AsRef<str>) -> String {
        let Some(value) = *value.borrow() else { return "–".to_owned() };
        match unit.as_ref() {
            "seconds" => self.seconds(Some(value)),
            unit => super::super::report::shown(Some(value), unit),
        }
    }

    fn of(&self, value: impl Borrow<f64>, unit: impl AsRef<str>) -> String {
        self.in_unit(Some(*value.borrow()), unit)
    }

    fn ratio(&self, value: impl Borrow<Option<f64>>) -> String {
        self.in_unit(value, "ratio")
    }

    fn percent(&self, text: impl Borrow<Option<String>>) -> String {
        text.borrow().as_ref().map_or_else(|| "–".to_owned(), |text| format!("{text} %"))
    }

    fn minutes(&self, minutes: impl Borrow<f64>) -> String {
        format!("{:.1}", minutes.borrow())
    }

    fn cause_named(&self, name: impl AsRef<str>) -> &'static str {
        let known = crate::model::event::Cause::ALL.into_iter().find(|cause| cause.name() == name.as_ref());
        self.cause(known.unwrap_or_default())
    }

    /// A figure of the headline in words.
    fn figure_named(&self, name: impl AsRef<str>) -> &'static str {
        let (english, chinese) = match name.as_ref() {
            "CSAT" => ("CSAT, customer satisfaction", "CSAT 客户满意度"),
            "SAA" => ("SAA, service availability", "SAA 服务可用性"),
            "RT" => ("RT, response in time", "RT 服务响应时间"),
            "QSR" => ("QSR, service quality rating", "QSR 服务质量评分"),
            "continuity" => ("Continuity", "服务连续性"),
            "quality" => ("Quality", "服务质量"),
            "satisfaction" => ("Satisfaction", "用户满意度"),
            "mtbf" => ("mean time between failures", "平均故障间隔"),
            "longest_outage" => ("longest outage", "最长中断"),
            "outages" => ("outages", "中断次数"),
            "incidents" => ("incidents", "中断事件"),
            "flaps" => ("flaps", "反复次数"),
            "user_minutes_lost" => ("user-minutes lost", "损失用户分钟"),
            "availability" => ("availability", "可用性"),
            "mttr" => ("mean time to repair", "平均修复时间"),
            "mtta" => ("mean time to acknowledge", "平均响应时间"),
            "response_kept" => ("responses in time", "响应达标率"),
            "repair_kept" => ("repairs in time", "修复达标率"),
            "survey_mean_score" => ("survey score", "调查得分"),
            "surveys" => ("surveys answered", "调查答复数"),
            "elapsed" => ("elapsed", "已过时段"),
            "whole" => ("whole period", "整个时段"),
            "projected" => ("projected", "预计"),
            _ => ("other", "其他"),
        };
        self.t(english, chinese)
    }

    /// Causes as a Pareto chart: a bar each, and the line of what they add up to.
    fn pareto(&self, report: &Report) -> Html {
        const WIDE: f64 = 900.0;
        const HIGH: f64 = 190.0;
        let step = (WIDE - 60.0) / report.causes.len().max(1) as f64;
        let label = self.t("Share of downtime by cause, added up", "各原因所占中断时长及累计");
        let mut svg = chart(WIDE, HIGH, label);
        let mut line = String::new();
        for (place, cause) in report.causes.iter().enumerate() {
            let (share, passed) = (cause.downtime_ratio.unwrap_or(0.0), cause.cumulative_ratio.unwrap_or(0.0));
            let (x, high) = (50.0 + step * place as f64, share * (HIGH - 50.0));
            let name = self.cause_named(&cause.cause);
            // What stands in brackets has no room below a bar; the table has it.
            let short = name.find(['(', '（']).map_or(name, |bracket| name[..bracket].trim_end());
            let said = self.ratio(cause.downtime_ratio);
            let wide = (step * 0.7).min(120.0);
            // Writing to a string does not fail.
            let _ = write!(
                svg,
                "<rect class=\"bit-down\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{wide:.1}\" height=\"{high:.1}\"><title>{name} {said}</title></rect>\
                 <text x=\"{x:.1}\" y=\"{:.1}\">{short}</text><text x=\"{x:.1}\" y=\"{:.1}\">{said}</text>",
                HIGH - 26.0 - high,
                HIGH - 8.0,
                HIGH - 31.0 - high
            );
            let _ = write!(line, "{:.1},{:.1} ", x + wide / 2.0, HIGH - 26.0 - passed * (HIGH - 50.0));
        }
        let _ = write!(svg, "<polyline class=\"sum\" fill=\"none\" points=\"{}\"/></svg>", line.trim_end());
        askama::filters::Safe(svg)
    }

    /// How many repairs took how long.
    fn histogram(&self, report: &Report) -> Html {
        const WIDE: f64 = 900.0;
        const HIGH: f64 = 170.0;
        let buckets = &report.repairs.buckets;
        let most = buckets.iter().map(|bucket| bucket.count).max().unwrap_or(0).max(1);
        let step = (WIDE - 20.0) / buckets.len().max(1) as f64;
        let mut svg = chart(WIDE, HIGH, self.t("How long repairs took", "修复时长分布"));
        for (place, bucket) in buckets.iter().enumerate() {
            let (x, high) = (10.0 + step * place as f64, bucket.count as f64 / most as f64 * (HIGH - 52.0));
            let limit = bucket.upto_seconds.map_or_else(
                || self.t("longer", "更长").to_owned(),
                |limit| format!("≤ {}", self.seconds(Some(limit))),
            );
            let _ = write!(
                svg,
                "<rect class=\"bit-up\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{high:.1}\"/>\
                 <text x=\"{x:.1}\" y=\"{:.1}\">{limit}</text><text x=\"{x:.1}\" y=\"{:.1}\">{}</text>",
                HIGH - 26.0 - high,
                step * 0.8,
                HIGH - 8.0,
                HIGH - 31.0 - high,
                bucket.count
            );
        }
        svg.push_str("</svg>");
        askama::filters::Safe(svg)
    }
}

fn chart(wide: f64, high: f64, label: &str) -> String {
    format!("<svg class=\"chart\" viewBox=\"0 0 {wide} {high}\" role=\"img\" aria-label=\"{label}\">")
}

/// Where the clocks of an incident were broken, by name.
fn broken(line: &super::super::report::IncidentLine) -> String {
    let broken = line.clocks.iter().filter(|clock| clock.kept == Some(false));
    let names: Vec<&str> = broken.map(|clock| &*clock.clock).collect();
    if names.is_empty() { "–".to_owned() } else { names.join(", ") }
}
