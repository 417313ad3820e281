//! A report in Markdown, for mail, tickets and wikis.

use std::fmt::Write;

use super::figures::Verdict;
use super::incidents::Times;
use super::network::UnitLine;
use super::scorecard::Line;
use super::verdicts::TargetLine;
use super::{Denominator, IncidentLine, Report};

/// The report in Markdown, with links below `base`.
#[must_use]
pub fn markdown(report: &Report, base: &str) -> String {
    let mut page = Page { text: String::new() };
    page.head(report);
    page.scorecard(report);
    page.targets(report);
    page.units("Regions", "No region is named in the catalogue.", &report.regions);
    page.units("Worst services", "No service lost any time.", &report.worst_services);
    page.units("Groups", "", &report.groups);
    page.causes(report);
    page.times(report);
    page.clocks(report);
    page.incidents(report, base);
    page.maintenance(report);
    page.coverage(report);
    page.corrections(report);
    page.origin(report);
    page.text
}

struct Page {
    text: String,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn heading(&mut self, heading: &str) {
        // Writing to a string does not fail.
        let _ = write!(self.text, "\n## {heading}\n\n");
    }

    fn table<const N: usize>(&mut self, heads: [&str; N], rows: impl IntoIterator<Item = [String; N]>) {
        self.row(heads.map(str::to_owned));
        self.row(heads.map(|_| "---".to_owned()));
        rows.into_iter().for_each(|row| self.row(row.map(|cell| cell.replace('|', "\\|"))));
    }

    fn row<const N: usize>(&mut self, cells: [String; N]) {
        let line = format!("| {} |", cells.join(" | "));
        self.line(&line);
    }

    fn head(&mut self, report: &Report) {
        let period = &report.period;
        self.line(&format!("# Service quality report {}", report.report));
        self.line("");
        self.line(&format!("From {} until {}, {}.", period.from, period.until, period.time_zone));
        if !period.over {
            self.line(&format!("The period is not over: figures are over what had elapsed by {}.", period.as_of));
        }
        if let Some(revision) = &report.revision {
            self.line(&format!("Revision {}.", revision.number));
        }
    }

    fn scorecard(&mut self, report: &Report) {
        let card = &report.scorecard;
        self.heading("Scorecard");
        let (met, missed, none) = (card.met, card.missed, card.not_measured);
        self.line(&format!("Targets: {met} met, {missed} missed, {none} not measured."));
        self.line("");
        let row = |line: &Line| {
            let verdict = line.verdict.map_or(String::new(), |verdict| words(verdict).to_owned());
            [line.figure.clone(), shown(line.value, &line.unit), verdict, line.note.clone()]
        };
        self.table(["index", "figure", "verdict", "of what"], card.indices.iter().map(row));
        for pillar in &card.pillars {
            self.line("");
            self.line(&format!("**{} ({})**", pillar.pillar, pillar.phrase));
            self.line("");
            let rows = pillar.figures.iter();
            self.table(
                ["figure", "value", "of what"],
                rows.map(|line| [line.figure.replace('_', " "), shown(line.value, &line.unit), line.note.clone()]),
            );
        }
    }

    fn targets(&mut self, report: &Report) {
        self.heading("Targets");
        let denominators = |line: &TargetLine| -> String {
            let one = |d: &Denominator| {
                let figure = d.figure_percent.as_ref().map_or("–".to_owned(), |percent| format!("{percent} %"));
                format!("{}: {figure} {}", d.denominator, words(d.verdict))
            };
            line.denominators.iter().map(one).collect::<Vec<_>>().join("; ")
        };
        let row = |line: &TargetLine| {
            let figure = match &line.figure_percent {
                Some(percent) => format!("{percent} %"),
                None => shown(line.figure, &line.figure_unit),
            };
            let counts = line.measured.zip(line.kept).map(|(all, kept)| format!(" ({kept} of {all})"));
            let more = [line.note.clone(), denominators(line)].into_iter().filter(|part| !part.is_empty());
            [
                format!("{} {}", line.requirement, line.target),
                format!("§{} {}", line.clause, line.phrase),
                shown(Some(line.value), &line.unit),
                figure + &counts.unwrap_or_default(),
                words(line.verdict).to_owned(),
                more.collect::<Vec<_>>().join("; "),
            ]
        };
        let heads = ["target", "clause", "promised", "figure", "verdict", "of what"];
        self.table(heads, report.targets.iter().map(row));
    }

    fn units(&mut self, heading: &str, none: &str, lines: &[UnitLine]) {
        if lines.is_empty() && none.is_empty() {
            return;
        }
        self.heading(heading);
        if lines.is_empty() {
            self.line(none);
            return;
        }
        let row = |line: &UnitLine| {
            let figures = &line.figures;
            [
                line.name.clone(),
                percent(figures.availability_percent.as_ref()),
                words(line.verdict).to_owned(),
                length(Some(figures.downtime_seconds)),
                figures.outages.to_string(),
                length(figures.mttr_seconds),
                format!("{:.1}", figures.user_minutes_lost),
                line.users.to_string(),
            ]
        };
        let heads = ["name", "availability", "verdict", "downtime", "outages", "MTTR", "user-minutes", "users"];
        self.table(heads, lines.iter().map(row));
    }

    fn causes(&mut self, report: &Report) {
        self.heading("Causes");
        if report.causes.is_empty() {
            self.line("There was no outage.");
            return;
        }
        let rows = report.causes.iter().map(|line| {
            [
                line.cause.clone(),
                line.outages.to_string(),
                length(Some(line.downtime_seconds)),
                shown(line.downtime_ratio, "ratio"),
                shown(line.cumulative_ratio, "ratio"),
                format!("{:.1}", line.user_minutes_lost),
            ]
        });
        self.table(["cause", "outages", "downtime of all services", "share", "added up", "user-minutes"], rows);
    }

    fn times(&mut self, report: &Report) {
        self.heading("Repairs and acknowledgements");
        let row = |name: &str, times: &Times, kept: Option<f64>| {
            [
                name.to_owned(),
                times.count.to_string(),
                length(times.mean_seconds),
                length(times.p50_seconds),
                length(times.p95_seconds),
                length(times.max_seconds),
                shown(kept, "ratio"),
            ]
        };
        let repairs = row("repair (MTTR)", &report.repairs.times, report.repairs.within_target_ratio);
        let acknowledged = row("acknowledgement (MTTA)", &report.acknowledgements, None);
        let heads = ["what", "count", "mean", "p50", "p95", "longest", "within target"];
        self.table(heads, [repairs, acknowledged]);
        self.line("");
        let rows = report.repairs.buckets.iter().map(|bucket| {
            let limit =
                bucket.upto_seconds.map_or("longer".to_owned(), |limit| format!("up to {}", length(Some(limit))));
            [limit, bucket.count.to_string()]
        });
        self.table(["repairs that took", "count"], rows);
    }

    fn clocks(&mut self, report: &Report) {
        self.heading("Clocks");
        if report.clocks.is_empty() {
            self.line("No clock ran.");
            return;
        }
        let rows = report.clocks.iter().map(|line| {
            [
                line.clock.clone(),
                line.kept.to_string(),
                line.breached.to_string(),
                line.running.to_string(),
                shown(line.compliance_ratio, "ratio"),
                shown(line.compliance_without_holds_ratio, "ratio"),
                length(line.times.p95_seconds),
                words(line.verdict).to_owned(),
            ]
        });
        let heads = ["clock", "kept", "breached", "running", "compliance", "without holds", "p95", "verdict"];
        self.table(heads, rows);
    }

    fn incidents(&mut self, report: &Report, base: &str) {
        let part = &report.incidents;
        self.heading("Incidents");
        self.line(&format!(
            "{} began: {} of the first level, {} of the second, {} of the third; {} were not restored at the end.",
            part.began, part.first, part.second, part.third, part.open_at_end
        ));
        if part.list.is_empty() {
            return;
        }
        self.line("");
        let row = |line: &IncidentLine| {
            let broken = line.clocks.iter().filter(|clock| clock.kept == Some(false));
            let broken: Vec<&str> = broken.map(|clock| &*clock.clock).collect();
            [
                format!("[{}]({base}{})", line.id, line.link),
                line.level.to_string(),
                line.started.clone(),
                length(Some(line.duration_seconds)) + if line.restored.is_none() { " and on" } else { "" },
                line.suspected_cause_service.as_ref().unwrap_or(&line.service).clone(),
                line.services.to_string(),
                line.users.map_or("–".to_owned(), |users| users.to_string()),
                line.user_minutes.map_or("–".to_owned(), |minutes| format!("{minutes:.1}")),
                line.cause.clone(),
                if broken.is_empty() { "–".to_owned() } else { broken.join(", ") },
            ]
        };
        let heads = [
            "incident",
            "level",
            "started",
            "lasted",
            "service",
            "services",
            "users",
            "user-minutes",
            "cause",
            "clocks breached",
        ];
        self.table(heads, part.list.iter().map(row));
    }

    fn maintenance(&mut self, report: &Report) {
        let part = &report.maintenance;
        self.heading("Maintenance and drills");
        self.line(&format!(
            "{} excused; {} planned outages; {} outages overran their maintenance; {} announcements came too late.",
            length(Some(part.excluded_seconds)),
            part.planned_outages,
            part.overran,
            part.late
        ));
        if !part.list.is_empty() {
            self.line("");
            let rows = part.list.iter().map(|line| {
                let mut what: Vec<&str> = line.replaced.as_deref().into_iter().collect();
                if line.late {
                    what.push("too late");
                }
                [line.name.clone(), line.from.clone(), line.until.clone(), line.announced.clone(), what.join(", ")]
            });
            self.table(["maintenance", "from", "until", "announced", ""], rows);
        }
        for drill in &report.drills {
            self.line("");
            self.line(&format!("The drill {} runs since {} and counts in no figure.", drill.name, drill.started));
        }
    }

    fn coverage(&mut self, report: &Report) {
        let coverage = &report.coverage;
        self.heading("What is known");
        self.line(&format!(
            "{} of the time is known; {} are not.",
            shown(coverage.ratio, "ratio"),
            length(Some(coverage.unknown_seconds))
        ));
        if !coverage.feeds.is_empty() {
            self.line("");
            let rows = coverage.feeds.iter().map(|feed| {
                [
                    feed.source.clone(),
                    feed.group.clone(),
                    feed.silences.to_string(),
                    length(Some(feed.silent_seconds)),
                ]
            });
            self.table(["feed", "group", "silences", "silent"], rows);
        }
        self.line("");
        for absent in &report.absent {
            self.line(&format!("- No figure: {}: {}.", absent.what, absent.why));
        }
    }

    fn corrections(&mut self, report: &Report) {
        let Some(revision) = report.revision.as_ref().filter(|revision| revision.number > 1) else { return };
        self.heading("Corrections since the revision before");
        let rows = revision.corrections.iter().map(|c| [c.path.clone(), c.before.to_string(), c.after.to_string()]);
        self.table(["figure", "before", "after"], rows);
        let rest = revision.corrections_total.saturating_sub(revision.corrections.len() as u64);
        if rest > 0 {
            self.line(&format!("\nand {rest} more"));
        }
    }

    fn origin(&mut self, report: &Report) {
        let from = &report.made_from;
        self.heading("Made from");
        self.line(&format!(
            "The journal up to batch {}, as known at {}; formulas {}; head of the chain {}; facts {}.",
            from.journal_sequence,
            from.known_at,
            report.formulas,
            from.head.as_deref().unwrap_or("not kept"),
            from.facts
        ));
    }
}

const fn words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Met => "met",
        Verdict::Missed => "**missed**",
        Verdict::NotMeasured => "not measured",
    }
}

fn percent(text: Option<&String>) -> String {
    text.map_or("–".to_owned(), |text| format!("{text} %"))
}

/// A value in its unit. A ratio is cut after four decimals of a percent: nothing is rounded up to a target.
pub(in crate::views) fn shown(value: Option<f64>, unit: &str) -> String {
    let Some(value) = value else { return "–".to_owned() };
    match unit {
        "ratio" => {
            let cut = (value * 1e6).floor() / 1e4;
            // What is cut only because a binary fraction is no decimal one is not cut.
            let near = (value * 1e6).round();
            let cut = if (value * 1e6 - near).abs() < 1e-6 { near / 1e4 } else { cut };
            format!("{cut} %")
        }
        "seconds" => length(Some(value)),
        "count" => format!("{value}"),
        _ => format!("{value:.1}"),
    }
}

/// A length of time as people say it, to the second.
fn length(seconds: Option<f64>) -> String {
    let Some(seconds) = seconds else { return "–".to_owned() };
    if seconds < 60.0 {
        return format!("{} s", (seconds * 1000.0).round() / 1000.0);
    }
    let mut rest = seconds.round();
    let mut parts = Vec::new();
    for (unit, length) in [("d", 86_400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0)] {
        let count = (rest / length).floor();
        rest -= count * length;
        if count > 0.0 {
            parts.push(format!("{count} {unit}"));
        }
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_rounded_up() {
        assert_eq!(shown(Some(0.999_899_99), "ratio"), "99.9899 %");
        assert_eq!(shown(Some(0.9999), "ratio"), "99.99 %");
        assert_eq!(shown(Some(1.0), "ratio"), "100 %");
        assert_eq!(shown(None, "ratio"), "–");
    }

    #[test]
    fn lengths_are_said_as_people_say_them() {
        assert_eq!(length(Some(0.25)), "0.25 s");
        assert_eq!(length(Some(14_400.0)), "4 h");
        assert_eq!(length(Some(90_061.0)), "1 d 1 h 1 min 1 s");
    }
}
