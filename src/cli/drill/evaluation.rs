//! The evaluation of a drill (manual §4.5(3), R82) by its three figures (R83): how long it took, how fast people
//! responded against the target, and how many of the problems found were solved.
//!
//! The manual names the rate of solved problems and does not define it. Here a problem found is an incident of the drill
//! that is one of its own, and it is solved when it was restored within the repair limit. Restored by the tidying-up at
//! the end is not solved: that comes after.

use serde_json::{Value, json};

use super::play::Player;
use crate::cli::table::{list, or_dash};
use crate::config::Scenario;
use crate::model::level::Level;
use crate::model::time::{Instant, Span};

/// What came of a drill.
pub(super) struct Evaluation<'a> {
    scenario: &'a Scenario,
    drill: &'a str,
    started: Instant,
    speed: u32,
    completed: bool,
    /// How long it took, in the scenario's time.
    duration: Span,
    incidents: Vec<Problem>,
}

/// One incident of the drill. Times are the scenario's.
struct Problem {
    id: String,
    services: Vec<String>,
    level: Level,
    status: String,
    /// From detection to acknowledgement; absent when nobody did.
    response: Option<Span>,
    response_target: Option<Span>,
    /// Whether the response came in time; absent when there was none yet and there was time left, or no target.
    response_kept: Option<bool>,
    /// From the start to the restoration, without holds; absent while something is out.
    repair: Option<Span>,
    repair_target: Option<Span>,
    solved: bool,
    /// The alerts that it called for, each label set once: of the interruption, and of each overdue clock.
    pages: [usize; 3],
}

/// The alerts in the order of [`Problem::pages`].
const PAGES: [&str; 3] = ["ServiceInterruption", "ResponseOverdue", "RepairOverdue"];

impl<'a> Evaluation<'a> {
    /// Judges the incidents of a drill as they stood at its end.
    pub(super) fn of(scenario: &'a Scenario, player: &'a Player<'_>, incidents: &[Value], completed: bool) -> Self {
        let now = player.started.plus(player.lasted());
        let own = incidents.iter().filter(|incident| {
            let status = incident["status"].as_str();
            status != Some("merged") && status != Some("withdrawn")
        });
        let mut incidents: Vec<(Option<Instant>, Problem)> = own
            .map(|incident| (instant(&incident["started"]), Problem::of(incident, scenario, (now, player.speed))))
            .collect();
        incidents.sort_by(|(one, a), (other, b)| (one, &a.id).cmp(&(other, &b.id)));
        Self {
            scenario,
            drill: &player.drill,
            started: player.started,
            speed: player.speed,
            completed,
            duration: times(player.lasted(), player.speed),
            incidents: incidents.into_iter().map(|(_, problem)| problem).collect(),
        }
    }

    fn answered(&self) -> Vec<Span> {
        self.incidents.iter().filter_map(|problem| problem.response).collect()
    }

    /// The mean time to respond, of those that somebody responded to.
    fn mean_response(&self) -> Option<Span> {
        let answered = self.answered();
        let sum: i64 = answered.iter().map(|span| span.as_micros()).sum();
        let count = i64::try_from(answered.len()).ok()?;
        Some(Span::from_micros(sum.checked_div(count)?))
    }

    /// How many of the responses were in time, and of how many that is known.
    fn responses_kept(&self) -> (usize, usize) {
        let known = self.incidents.iter().filter_map(|problem| problem.response_kept);
        known.fold((0, 0), |(kept, all), in_time| (kept + usize::from(in_time), all + 1))
    }

    fn solved(&self) -> usize {
        self.incidents.iter().filter(|problem| problem.solved).count()
    }

    fn pages(&self) -> [usize; 3] {
        self.incidents
            .iter()
            .fold([0; 3], |sums, problem| std::array::from_fn(|place| sums[place] + problem.pages[place]))
    }

    /// How many incidents reached each level, the gravest first.
    fn levels(&self) -> [usize; 3] {
        Level::ALL.map(|level| self.incidents.iter().filter(|problem| problem.level == level).count())
    }

    pub(super) fn json(&self) -> Value {
        let seconds = |span: Option<Span>| span.map(Span::as_secs_f64);
        let (kept, of) = self.responses_kept();
        let (found, solved) = (self.incidents.len(), self.solved());
        let named = |names: [&str; 3], counts: [usize; 3]| {
            Value::from_iter(names.into_iter().zip(counts).map(|(name, count)| (name.to_owned(), json!(count))))
        };
        json!({
            "drill": self.drill,
            "name": self.scenario.name,
            "kind": self.scenario.plan.name(),
            "description": self.scenario.description,
            "started": self.started.to_string(),
            "speed": self.speed,
            "completed": self.completed,
            "duration_seconds": self.duration.as_secs_f64(),
            "response": {
                "mean_seconds": seconds(self.mean_response()),
                "answered": self.answered().len(),
                "unanswered": found - self.answered().len(),
                "kept": kept,
                "kept_ratio": ratio(kept, of),
            },
            "problems": { "found": found, "solved": solved, "resolution_ratio": ratio(solved, found) },
            "levels": named(Level::ALL.map(Level::name), self.levels()),
            "pages": named(PAGES, self.pages()),
            "incidents": self.incidents.iter().map(|problem| json!({
                "id": problem.id,
                "services": problem.services,
                "level": problem.level.number(),
                "status": problem.status,
                "response_seconds": seconds(problem.response),
                "response_target_seconds": seconds(problem.response_target),
                "response_kept": problem.response_kept,
                "repair_seconds": seconds(problem.repair),
                "repair_target_seconds": seconds(problem.repair_target),
                "solved": problem.solved,
                "pages": problem.pages.iter().sum::<usize>(),
            })).collect::<Vec<_>>(),
        })
    }

    pub(super) fn table(&self) -> String {
        let Scenario { name, plan, description, .. } = self.scenario;
        let end = if self.completed { "played to its end" } else { "stopped before its end" };
        let speed = if self.speed == 1 { String::new() } else { format!(", {} times as fast", self.speed) };
        let mut text = format!(
            "drill {name} ({}): {description}\n{}, from {}{speed}; {end}\n\n",
            plan.name(),
            self.drill,
            self.started
        );
        let (kept, of) = self.responses_kept();
        let (found, solved, answered) = (self.incidents.len(), self.solved(), self.answered().len());
        let mean =
            self.mean_response().map_or_else(|| "none".to_owned(), |mean| format!("{} on average", short(mean)));
        let rate = ratio(solved, found)
            .map_or_else(String::new, |ratio| format!(", {} %", (ratio * 1000.0).round() / 10.0));
        let counted = |names: [&str; 3], counts: [usize; 3]| {
            let all = names.into_iter().zip(counts).filter(|(_, count)| *count > 0);
            let all: Vec<String> = all.map(|(name, count)| format!("{name} {count}")).collect();
            if all.is_empty() { "none".to_owned() } else { all.join(", ") }
        };
        let rows = [
            ("duration", short(self.duration)),
            ("response", format!("{mean}; {answered} of {found} answered, {kept} of {of} in time")),
            ("problems solved", format!("{solved} of {found}{rate}")),
            ("levels", counted(Level::ALL.map(Level::name), self.levels())),
            ("pages", counted(PAGES, self.pages())),
        ];
        text += &list(&["figure", ""], &rows.map(|(name, value)| vec![name.to_owned(), value]));
        if found > 0 {
            let heading =
                ["incident", "level", "response", "target", "in time", "repair", "target", "solved", "services"];
            let cell = |span: Option<Span>| or_dash(span.map(short));
            let yes = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
            let rows: Vec<Vec<String>> = self
                .incidents
                .iter()
                .map(|problem| {
                    vec![
                        problem.id.clone(),
                        problem.level.name().to_owned(),
                        cell(problem.response),
                        cell(problem.response_target),
                        or_dash(problem.response_kept.map(yes)),
                        cell(problem.repair),
                        cell(problem.repair_target),
                        yes(problem.solved),
                        services(&problem.services),
                    ]
                })
                .collect();
            text += &format!("\n{}", list(&heading, &rows));
        }
        text
    }
}

impl Problem {
    fn of(incident: &Value, scenario: &Scenario, (now, speed): (Instant, u32)) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let clocks = || incident["clocks"].as_array().into_iter().flatten();
        let clock = |name: &str| clocks().find(|clock| clock["name"] == name).unwrap_or(&Value::Null);
        let limit = |name: &str| clock(name)["limit_seconds"].as_f64().map(span);
        let (started, detected) = (instant(&incident["started"]), instant(&incident["detected"]));
        let (acknowledged, restored) = (instant(&incident["acknowledged"]), instant(&incident["restored"]));
        let since =
            |from: Option<Instant>, to: Instant| from.map_or(Span::ZERO, |from| to.since(from).max(Span::ZERO));
        let held = clock("repair")["held_seconds"].as_f64().map_or(Span::ZERO, span);
        let response = acknowledged.map(|at| times(since(detected, at), speed));
        let repair = restored.map(|at| times(since(started, at).minus(held).max(Span::ZERO), speed));
        let response_target = scenario.response.or_else(|| limit("response"));
        let repair_target = scenario.repair.or_else(|| limit("repair"));
        let waited = times(since(detected, restored.unwrap_or(now)), speed);
        Self {
            id: text(&incident["id"]),
            services: incident["services"].as_array().into_iter().flatten().map(text).collect(),
            level: incident["level"].as_u64().and_then(Level::numbered).unwrap_or(Level::Third),
            status: text(&incident["status"]),
            response,
            response_target,
            response_kept: response_target.and_then(|target| match response {
                Some(response) => Some(response <= target),
                None => Some(false).filter(|_| waited > target),
            }),
            repair,
            repair_target,
            solved: repair.is_some_and(|repair| repair_target.is_none_or(|target| repair <= target)),
            pages: pages(incident, acknowledged.or(restored), clock("response"), clock("repair")),
        }
    }
}

/// The alerts that the incident's record calls for: one of the interruption for each level that it had, and one of an
/// overdue clock for each level that it had from the breach on, until that was over.
fn pages(incident: &Value, answered: Option<Instant>, response: &Value, repair: &Value) -> [usize; 3] {
    let changes =
        || incident["levels"].as_array().into_iter().flatten().filter_map(|change| instant(&change["at"]));
    let over = instant(&incident["verified"]).unwrap_or(Instant::MAX);
    let overdue = |clock: &Value, until: Instant| {
        let breached = instant(&clock["breached"]).filter(|&breached| breached < until);
        breached.map_or(0, |breached| 1 + changes().filter(|&at| at > breached && at < until).count())
    };
    [changes().count(), overdue(response, answered.unwrap_or(over)), overdue(repair, over)]
}

fn instant(value: &Value) -> Option<Instant> {
    value.as_str()?.parse().ok()
}

#[allow(clippy::cast_possible_truncation, reason = "a limit or a hold, far below the largest span")]
fn span(seconds: f64) -> Span {
    Span::from_micros((seconds * 1e6).round() as i64)
}

/// A time that passed, in the scenario's time.
fn times(span: Span, speed: u32) -> Span {
    Span::from_micros(span.as_micros().saturating_mul(i64::from(speed)))
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// A time as people read it, to the second.
fn short(span: Span) -> String {
    let seconds = (span.as_micros() + 500_000).div_euclid(1_000_000);
    Span::from_secs(seconds).to_string()
}

/// Services by name; of many the first few.
fn services(names: &[String]) -> String {
    match names {
        [one, two, three, rest @ ..] if !rest.is_empty() => format!("{one} {two} {three} and {} more", rest.len()),
        all => all.join(" "),
    }
}
