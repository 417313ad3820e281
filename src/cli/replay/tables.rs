//! What `fournines replay` prints for people: services, groups, a period of the calendar, the alerts in order.

use super::Answer;
use crate::cli::run::Change;
use crate::cli::table::{budget_percent, list, or_dash, percent, standing, table, whom};
use crate::engine::{GroupView, PeriodFigures, ServiceView};
use crate::model::calendar::Range;
use crate::model::figures::Figures;
use crate::model::level::Ratio;
use crate::model::time::{Span, Window};

/// The windows whose availability is shown.
const SHOWN: [Window; 4] = [Window::Day, Window::Week, Window::Month, Window::Quarter];
/// What is said of every service and group.
const FIGURES: [&str; 9] =
    ["24h %", "7d %", "30d %", "90d %", "DOWN 30d", "OUTAGES 30d", "MTTR 30d", "TARGET %", "BUDGET 30d %"];
const PERIOD: [&str; 8] =
    ["ELAPSED %", "WHOLE %", "PROJECTED %", "DOWN", "OUTAGES", "MTTR", "TARGET %", "BUDGET LEFT %"];

impl Answer<'_> {
    pub(super) fn table(&self) -> String {
        let mut services: Vec<_> = self.engine.services().collect();
        services.sort_by_key(|view| view.name());
        let mut parts = vec![self.services(&services), self.groups()];
        parts.extend(self.period().map(|(name, range)| self.of_period(name, range, &services)));
        if self.arguments.alerts {
            parts.push(self.alerts());
        }
        parts.push(self.closing(services.len()));
        parts.join("\n")
    }

    fn services(&self, services: &[ServiceView<'_>]) -> String {
        let rows: Vec<Vec<String>> = services
            .iter()
            .map(|view| {
                let mut row = vec![view.name().to_string(), view.state(self.asked.at).name().to_owned()];
                let target = view.target(self.asked.under);
                row.extend(self.figures(target, |range| view.figures_within(range, self.asked.under)));
                row
            })
            .collect();
        table(&[&["SERVICE", "STATE"], &FIGURES[..]].concat(), &rows)
    }

    fn groups(&self) -> String {
        let row = |view: GroupView<'_>| {
            let mut row = vec![view.name().to_owned(), view.members().to_string(), view.users().to_string()];
            let target = view.target(self.asked.under);
            row.extend(self.figures(target, |range| view.figures_within(range, self.asked.under)));
            row
        };
        let rows: Vec<Vec<String>> = self.engine.groups().map(row).collect();
        table(&[&["GROUP", "SERVICES", "USERS"], &FIGURES[..]].concat(), &rows)
    }

    fn figures(&self, target: Option<Ratio>, of: impl Fn(Range) -> Figures) -> Vec<String> {
        let until = self.asked.at;
        let within = |window: Window| of(Range { from: until.minus(window.length()), until });
        let mut row: Vec<String> =
            SHOWN.into_iter().map(|window| or_dash(within(window).availability_percent())).collect();
        let month = within(Window::Month);
        row.extend(counted(&month));
        row.push(or_dash(target.map(percent)));
        row.push(or_dash(budget_percent(&month, target)));
        row
    }

    fn of_period(&self, name: &str, range: Range, services: &[ServiceView<'_>]) -> String {
        let (at, under) = (self.asked.at, self.asked.under);
        let row = |name: String, period: &PeriodFigures, target: Option<Ratio>| {
            let mut row = vec![name];
            let parts = [period.elapsed, period.whole, period.projected];
            row.extend(parts.iter().map(|figures| or_dash(figures.availability_percent())));
            row.extend(counted(&period.elapsed));
            row.push(or_dash(target.map(percent)));
            row.push(or_dash(budget_percent(&period.whole, target)));
            row
        };
        let of_service = |view: &ServiceView<'_>| {
            row(view.name().to_string(), &view.period_under(range, at, under), view.target(under))
        };
        let of_group = |view: GroupView<'_>| {
            row(format!("group {}", view.name()), &view.period_under(range, at, under), view.target(under))
        };
        let rows: Vec<_> = services.iter().map(of_service).chain(self.engine.groups().map(of_group)).collect();
        let calendar = self.engine.calendar();
        let (from, until) = (calendar.local(range.from), calendar.local(range.until));
        let said = format!("{name}: from {from} until {until} ({})\n", calendar.zone());
        said + &table(&[&["OF"], &PERIOD[..]].concat(), &rows)
    }

    fn alerts(&self) -> String {
        let calendar = self.engine.calendar();
        let row = |change: &Change| {
            let holds = change.ended.unwrap_or(change.alert.starts);
            // What holds beyond a limit is known one microsecond after it.
            let late = change.at.since(holds) > Span::TICK;
            let known = if late { calendar.local(change.at).to_string() } else { String::new() };
            let key = &change.alert.key;
            vec![
                calendar.local(holds).to_string(),
                known,
                if change.ended.is_some() { "resolved" } else { "firing" }.to_owned(),
                key.name.name().to_owned(),
                whom(key),
                standing(key),
                change.alert.facts.because.to_string(),
            ]
        };
        let rows: Vec<Vec<String>> = self.run.alerts.iter().map(row).collect();
        let heading = ["SINCE", "KNOWN", "STATUS", "ALERT", "SCOPE", "LEVEL", "BECAUSE"];
        format!("alerts; times in {}\n{}", calendar.zone(), list(&heading, &rows))
    }

    fn closing(&self, services: usize) -> String {
        let incidents = || self.run.engine.incidents();
        let open = incidents().filter(|incident| incident.status.is_open()).count();
        let fired = self.run.alerts.iter().filter(|change| change.ended.is_none()).count();
        let (at, all) = (self.asked.at, incidents().count());
        format!("at {at}: {services} services, {all} incidents, {open} of them open, {fired} alerts fired\n")
    }
}

/// Downtime, outages and MTTR.
fn counted(figures: &Figures) -> [String; 3] {
    [
        format!("{:.0} s", figures.downtime_seconds()),
        figures.tallies.outages.to_string(),
        or_dash(figures.mttr_seconds().map(|seconds| format!("{seconds:.0} s"))),
    ]
}
