//! What Grafana shows: every query of every panel and variable of `dashboards/` gives something in a real Prometheus
//! that scrapes a daemon by `deploy/prometheus`, and so does every rule there; every link leads to a page that there is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use common::{Inbox, Server, alertmanager, ask, block_on, fournines, free_port, get, post, status, until};
use fournines::clock::{Clock, Stopwatch};
use fournines::model::time::{Instant, Span};
use serde_json::{Value, json};

/// How long all of it may take to have something to say: a rate wants some scrapes.
const PATIENCE_SECONDS: f64 = 60.0;

/// What a viewer of the service's dashboard has chosen: it keeps some of its promises and breaks others. Its name has
/// what must be escaped in a regular expression.
const CHOSEN: &str = "core/gz.1#a";

const CATALOG: &str = "id,region,users,groups\n\
                       core/gz.1#a,guangdong,500000,homes\n\
                       接入/广州#2,guangdong,10,homes\n\
                       core/bj-1,beijing,1000000,backbone\n";

/// Pages of the board; those of one service or incident have its name after the slash.
const PAGES: [&str; 9] =
    ["/", "/services", "/services/", "/incidents", "/incidents/", "/maintenance", "/drills", "/reports", "/policy"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every dashboard with its file's name.
fn dashboards() -> Vec<(String, Value)> {
    let files = fs::read_dir(root().join("dashboards")).unwrap().map(|file| file.unwrap().path());
    let json = files.filter(|path| path.extension().is_some_and(|ending| ending == "json"));
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap())
    };
    let mut all: Vec<(String, Value)> = json.map(read).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Every string anywhere in it that is called `name`.
fn named<'v>(value: &'v Value, name: &str, found: &mut Vec<&'v str>) {
    match value {
        Value::Array(all) => all.iter().for_each(|one| named(one, name, found)),
        Value::Object(all) => {
            for (key, one) in all {
                match one {
                    Value::String(text) if key == name => found.push(text),
                    _ => named(one, name, found),
                }
            }
        }
        _ => {}
    }
}

#[test]
fn every_panel_says_what_it_shows_and_every_link_leads_somewhere() {
    let all = dashboards();
    let uids: BTreeSet<&str> = all.iter().map(|(_, dashboard)| text(&dashboard["uid"])).collect();
    assert!(all.len() == uids.len() && uids.contains("fournines-overview"), "{uids:?}");
    for (file, dashboard) in &all {
        let ids: BTreeSet<i64> = list(dashboard, "panels").iter().map(|p| p["id"].as_i64().unwrap()).collect();
        assert_eq!(ids.len(), list(dashboard, "panels").len(), "{file}: two panels have one id");
        for panel in list(dashboard, "panels") {
            let title = text(&panel["title"]);
            assert!(!title.is_empty() && text(&panel["description"]).len() > 40, "{file}: {title} says too little");
            assert!(!list(panel, "targets").is_empty(), "{file}: {title} asks for nothing");
        }
        let mut links = Vec::new();
        named(dashboard, "url", &mut links);
        assert!(!links.is_empty(), "{file}");
        for link in links {
            // What is filled in: the rest of a path, or of a query.
            let path = link.strip_prefix("${board:raw}").map(|path| path.split("${").next().unwrap());
            let other = link.strip_prefix("/d/").map(|rest| rest.split('?').next().unwrap());
            assert!(
                path.is_some_and(|path| PAGES.contains(&path)) || other.is_some_and(|uid| uids.contains(uid)),
                "{file}: {link} leads nowhere"
            );
            let filled = link.match_indices(".service").chain(link.match_indices("${service"));
            assert!(
                filled.clone().count() == 0 || link.contains(":percentencode}"),
                "{file}: {link} breaks at a slash"
            );
        }
    }
}

#[test]
fn grafana_and_its_panels_know_how_often_prometheus_scrapes() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    assert!(read("deploy/prometheus/prometheus.yml").contains("\n  scrape_interval: 15s\n"));
    assert!(read("deploy/grafana/provisioning/datasources/fournines.yml").contains("\n      timeInterval: 15s\n"));
    for (file, dashboard) in dashboards() {
        let panels = list(&dashboard, "panels");
        assert!(panels.iter().all(|panel| panel["interval"] == "15s"), "{file}");
    }
}

/// A service's outage, from and to so long ago.
fn outage(service: &str, from: Span, until: Option<Span>) -> String {
    let now = Clock::system().now();
    let event = |kind: &str, at: Instant| {
        json!({"type": kind, "service": service, "time": at.to_string(), "source": "nms", "cause": "equipment",
               "outage": from.as_micros().to_string()})
        .to_string()
            + "\n"
    };
    let began = event("outage.started", now.minus(from));
    began + &until.map_or_else(String::new, |until| event("outage.ended", now.minus(until)))
}

/// What was before Prometheus came: the chosen service was often out for a minute months ago and once for ten hours
/// within this day, so that its repairs are in time over 90 days and not over one.
fn history() -> String {
    let mut lines = outage(CHOSEN, Span::from_hours(22), Some(Span::from_hours(12)));
    for day in 40..80 {
        let began = Span::from_hours(24 * day);
        lines += &outage(CHOSEN, began, Some(began.minus(Span::from_mins(1))));
    }
    lines
}

/// What goes on while Prometheus looks: latencies, and something that cannot be taken.
fn go_on(daemon: &Server) {
    let time = Clock::system().now().to_string();
    let sample = |n| json!({"type": "latency", "service": CHOSEN, "time": time, "ms": n, "source": "probe"});
    post(daemon, &(0..20).map(|n| sample(n).to_string() + "\n").collect::<String>());
    let (status, answer) =
        ask(&format!("{}/api/v1/events", daemon.url), &json!({"type": "nonsense", "source": "nms"}));
    assert_eq!((status, &answer["rejected_total"]), (200, &json!(1)), "{answer}");
    let refused = block_on(async {
        let request = reqwest::Client::new().post(format!("{}/api/v1/events", daemon.url));
        request.header("content-type", "text/plain").body("?").send().await.unwrap().status()
    });
    assert_eq!(refused, 415);
}

/// A real Prometheus by the files of `deploy/prometheus`, but for addresses, and with seconds instead of minutes.
fn prometheus(folder: &Path, daemon: u16, alertmanager: u16) -> Server {
    for name in ["prometheus.yml", "fournines.rules.yml", "fournines.recording.yml"] {
        let text = fs::read_to_string(root().join("deploy/prometheus").join(name)).unwrap();
        let text = text
            .replace("127.0.0.1:9940", &format!("127.0.0.1:{daemon}"))
            .replace("127.0.0.1:9093", &format!("127.0.0.1:{alertmanager}"))
            .replace("_interval: 15s", "_interval: 1s")
            .replace("scrape_timeout: 10s", "scrape_timeout: 1s")
            .replace("interval: 1m", "interval: 1s");
        fs::write(folder.join(name), text).unwrap();
    }
    let port = free_port();
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", folder.join("prometheus").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"));
    Server::start(command, port, "/-/ready", &folder.join("prometheus.log"), "the package prometheus")
}

/// What one path of Prometheus' API answers.
fn api(prometheus: &Server, path: &str, query: &[(&str, &str)]) -> Value {
    let mut url: reqwest::Url = format!("{}/api/v1/{path}", prometheus.url).parse().unwrap();
    url.query_pairs_mut().extend_pairs(query);
    get(url.as_str())["data"].clone()
}

/// What the viewer has chosen.
#[derive(Clone, Copy, Debug)]
enum Choice {
    /// What a dashboard opens with: everything.
    Default,
    /// Each value by itself.
    Each,
}

/// As Grafana escapes one of several values, within a string of PromQL.
fn escaped(value: &str) -> String {
    value.chars().fold(String::new(), |mut text, c| {
        if "\\^$*+?.()|[]{}'".contains(c) {
            text.push_str("\\\\");
        }
        text.push(c);
        text
    })
}

/// What Grafana puts for each variable. Variables may name those before them.
fn variables(prometheus: &Server, dashboard: &Value, choice: Choice) -> Vec<(String, String)> {
    let mut known: Vec<(String, String)> = [("__rate_interval", "4s"), ("__range", "120s")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    for variable in list(&dashboard["templating"], "list") {
        let name = text(&variable["name"]).to_owned();
        let value = match text(&variable["type"]) {
            "datasource" | "textbox" => continue,
            "custom" => text(&variable["current"]["value"]).to_owned(),
            "query" => {
                let query = filled(text(&variable["query"]["query"]), &known);
                let inner = query.strip_prefix("label_values(").unwrap().strip_suffix(')').unwrap();
                let (of, label) = inner.rsplit_once(", ").unwrap();
                let values = api(prometheus, &format!("label/{label}/values"), &[("match[]", of)]);
                let values: Vec<&str> = values.as_array().unwrap().iter().map(text).collect();
                assert!(!values.is_empty(), "${name}: {query} gives nothing");
                match (variable["multi"].as_bool().unwrap(), choice) {
                    (true, Choice::Default) => {
                        assert_eq!(variable["current"]["value"], json!(["$__all"]));
                        text(&variable["allValue"]).to_owned()
                    }
                    (true, Choice::Each) => {
                        format!("({})", values.iter().map(|value| escaped(value)).collect::<Vec<_>>().join("|"))
                    }
                    (false, _) => {
                        assert!(values.contains(&CHOSEN), "${name}: {values:?}");
                        CHOSEN.to_owned()
                    }
                }
            }
            other => panic!("${name} is of a kind that this test does not know: {other}"),
        };
        known.push((name, value));
    }
    known
}

fn filled(query: &str, variables: &[(String, String)]) -> String {
    // The longest first: one name may begin with another.
    let mut variables: Vec<&(String, String)> = variables.iter().collect();
    variables.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    let text = variables.iter().fold(query.to_owned(), |text, (name, value)| {
        text.replace(&format!("${{{name}}}"), value).replace(&format!("${name}"), value)
    });
    assert!(!text.contains('$'), "{text}: what is left is no variable");
    text
}

/// Whether a query gives at least one number: of an instant, or since `since`.
fn gives(prometheus: &Server, promql: &str, since: Option<Instant>) -> bool {
    let now = Clock::system().now().to_string();
    let answer = match since {
        None => api(prometheus, "query", &[("query", promql)]),
        Some(since) => {
            let query = [("query", promql), ("start", &since.to_string()), ("end", &now), ("step", "1")];
            api(prometheus, "query_range", &query)
        }
    };
    let is_number = |value: &Value| text(&value[1]).parse::<f64>().is_ok_and(f64::is_finite);
    list(&answer, "result").iter().any(|series| {
        list(series, "values").iter().any(is_number) || (series["value"].is_array() && is_number(&series["value"]))
    })
}

/// What gives nothing, of every panel of every dashboard.
fn empty_panels(prometheus: &Server, choice: Choice, since: Instant) -> String {
    let mut empty = String::new();
    for (file, dashboard) in dashboards() {
        let variables = variables(prometheus, &dashboard, choice);
        for panel in list(&dashboard, "panels") {
            for target in list(panel, "targets") {
                let promql = filled(text(&target["expr"]), &variables);
                let since = (target["instant"] != true).then_some(since);
                // Where nothing is a zero, there must be something without that, too.
                let all = [Some(&*promql), promql.strip_suffix(" or vector(0)")];
                if !all.into_iter().flatten().all(|promql| gives(prometheus, promql, since)) {
                    let (title, name) = (text(&panel["title"]), text(&target["refId"]));
                    writeln!(empty, "{file}, {title}, {name}, {choice:?}: {promql}").unwrap();
                }
            }
        }
    }
    empty
}

/// The recording rules that record nothing. That a rule fails is not waited out.
fn silent_rules(prometheus: &Server, since: Instant) -> String {
    let groups = api(prometheus, "rules", &[]);
    let rules: Vec<&Value> = list(&groups, "groups").iter().flat_map(|group| list(group, "rules")).collect();
    assert!(rules.len() > 40, "{groups}");
    let mut silent = String::new();
    for rule in rules {
        assert_ne!(rule["health"], "err", "{rule}");
        let name = text(&rule["name"]);
        if rule["type"] == "recording" && !gives(prometheus, name, Some(since)) {
            writeln!(silent, "{name}: {}", rule["query"]).unwrap();
        }
    }
    silent
}

/// The pages of the board to which panels link, the chosen service's among them.
fn linked_pages() -> BTreeSet<String> {
    let service = percent_encoding::utf8_percent_encode(CHOSEN, percent_encoding::NON_ALPHANUMERIC).to_string();
    let page = |link: &str| {
        let path = link.strip_prefix("${board:raw}")?;
        Some(path.split_once("${").map_or(path.to_owned(), |(before, _)| before.to_owned() + &service))
    };
    let of_one = |(_, dashboard): &(String, Value)| {
        let mut links = Vec::new();
        named(dashboard, "url", &mut links);
        links.into_iter().filter_map(page).collect::<Vec<_>>()
    };
    dashboards().iter().flat_map(of_one).collect()
}

/// The names in the rules that begin like metrics of others.
fn foreign_metrics() -> BTreeSet<String> {
    let rules = fs::read_to_string(root().join("deploy/prometheus/fournines.rules.yml")).unwrap();
    let is_name = |c: char| c.is_ascii_lowercase() || c == '_' || c == ':';
    let expressions = rules.lines().filter(|line| !line.trim_start().starts_with('#'));
    let names = expressions.flat_map(|line| line.split(|c| !is_name(c)));
    let of_others = ["alertmanager_", "process_", "scrape_"];
    names.filter(|name| of_others.iter().any(|start| name.starts_with(start))).map(str::to_owned).collect()
}

#[test]
fn everything_shown_and_every_rule_has_something_to_say() {
    let folder = tempfile::tempdir().unwrap();
    let (port, alertmanager_port) = (free_port(), free_port());
    let catalog = folder.path().join("services.csv");
    fs::write(&catalog, CATALOG).unwrap();
    let inbox = Inbox::open();
    let _alertmanager = alertmanager(folder.path(), alertmanager_port, &inbox);
    let settings = format!(
        "catalog.file = {catalog:?}\n\
         storage.checkpoint_interval = \"1s\"\n\
         correlation.reopen = \"1s\"\n\
         [alerting]\n\
         confirm = \"3s\"\n\
         [[alerting.alertmanagers]]\n\
         url = \"http://127.0.0.1:{alertmanager_port}\"\n"
    );
    let daemon = fournines(folder.path(), port, &settings);
    post(&daemon, &history());
    let since = Clock::system().now();
    let prometheus = prometheus(folder.path(), port, alertmanager_port);
    until("both are scraped", || {
        let up =
            ["fournines", "alertmanager"].map(|job| gives(&prometheus, &format!("up{{job={job:?}}} == 1"), None));
        (up == [true; 2]).then_some(())
    });
    // One page that lasts, and one that is over before it is confirmed, while Prometheus looks.
    post(&daemon, &outage("接入/广州#2", Span::from_hours(1), None));
    post(&daemon, &outage("core/bj-1", Span::from_millis(1), Some(Span::ZERO)));

    for choice in [Choice::Default, Choice::Each] {
        let begun = Stopwatch::start();
        loop {
            go_on(&daemon);
            let empty = empty_panels(&prometheus, choice, since) + &silent_rules(&prometheus, since);
            if empty.is_empty() {
                break;
            }
            assert!(begun.seconds() < PATIENCE_SECONDS, "these give nothing:\n{empty}");
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    let pages = linked_pages();
    assert!(
        pages.contains("/incidents") && pages.iter().any(|page| page.starts_with("/services/core%2F")),
        "{pages:?}"
    );
    for page in &pages {
        assert_eq!(status(&format!("{}{page}", daemon.url)), Some(200), "{page}");
    }
    let foreign = foreign_metrics();
    assert!(foreign.contains("alertmanager_notifications_failed_total"), "{foreign:?}");
    for name in foreign {
        assert!(gives(&prometheus, &name, None), "there is no metric {name}");
    }
}
