//! A drill is played against a running daemon: it pages for real, under its own label, and touches nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use common::{Inbox, Server, alertmanager, ask, fournines, free_port, get, post, text, until};
use fournines::clock::Clock;
use fournines::model::time::{Instant, Span};
use serde_json::{Value, json};

const CATALOG: &str = "id,region,users,depends_on\ncore/gz-1,guangdong,500,\ncore/gz-2,guangdong,,core/gz-1\n";

fn settings(folder: &Path, alertmanager_port: u16) -> String {
    let catalog = folder.join("services.csv");
    std::fs::write(&catalog, CATALOG).unwrap();
    format!(
        "catalog.file = \"{}\"\ncorrelation.reopen = \"2s\"\n[alerting]\nresend_interval = \"2s\"\n\
         [[alerting.alertmanagers]]\nurl = \"http://127.0.0.1:{alertmanager_port}\"\n\
         [[levels.second]]\nusers_over = 30000\nlonger_than = \"3s\"\ncite = \"ours\"\n",
        catalog.display()
    )
}

fn now() -> Instant {
    Clock::system().now()
}

fn said(kind: &str, service: &str, at: Instant, more: &str) -> String {
    format!(r#"{{"type":"{kind}","service":"{service}","time":"{at}"{more}}}"#)
}

/// Writes a scenario with those steps.
fn scenario(folder: &Path, head: &str, steps: &[(&str, &str, &str)]) -> PathBuf {
    let mut text = format!("name = \"spring\"\nkind = \"interruption\"\ndescription = \"a try\"\n{head}\n");
    for (after, kind, more) in steps {
        text += &format!("\n[[step]]\nafter = \"{after}\"\ntype = \"{kind}\"\n{more}\n");
    }
    let file = folder.join("spring.toml");
    std::fs::write(&file, text).unwrap();
    file
}

/// Starts `fournines drill run`.
fn run(daemon: &str, scenario: &Path, more: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fournines"));
    command.args(["drill", "run", "--format", "json", "--url", daemon]).args(more).arg(scenario);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Its evaluation, once it has ended with that exit code.
fn evaluation(output: &Output, code: i32) -> Value {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}\n{errors}"))
}

fn incidents(daemon: &Server, query: &str) -> Vec<Value> {
    get(&format!("{}/api/v1/incidents{query}", daemon.url))["incidents"].as_array().unwrap().clone()
}

/// Every page of an interruption of a service that was passed on, of drills or of the network.
fn pages(inbox: &Inbox, service: &str, of_drill: bool) -> Vec<Value> {
    let is_it = |alert: &Value| {
        let labels = &alert["labels"];
        labels["alertname"] == "ServiceInterruption"
            && labels["scope"] == service
            && labels["drill"].is_string() == of_drill
    };
    inbox.all().into_iter().filter(is_it).collect()
}

/// All that is shown of the network as it was at an instant, and every metric of it that does not move by itself.
fn shown(daemon: &Server, at: Instant) -> Vec<String> {
    let paths = ["services/core%2Fgz-1", "services/core%2Fgz-2", "groups/all", "groups/region:guangdong"];
    let mut all: Vec<String> =
        paths.iter().map(|path| text(&format!("{}/api/v1/{path}?at={at}", daemon.url))).collect();
    all.push(text(&format!("{}/api/v1/services", daemon.url)).matches("\"service\"").count().to_string());
    let metrics = text(&format!("{}/metrics", daemon.url));
    let still = |line: &&str| {
        let names = ["fournines_service_up", "fournines_service_downtime", "fournines_service_mttr"];
        let more = [
            "fournines_group_mttr",
            "fournines_incidents",
            "fournines_clock",
            "fournines_target",
            "fournines_services",
        ];
        names.iter().chain(&more).any(|name| line.starts_with(name))
    };
    all.extend(metrics.lines().filter(still).map(str::to_owned));
    all
}

#[test]
fn a_drill_pages_under_its_label_survives_a_kill_and_touches_nothing_of_the_network() {
    let folder = tempfile::tempdir().unwrap();
    let (port, alertmanager_port) = (free_port(), free_port());
    let inbox = Inbox::open();
    let _pages = alertmanager(folder.path(), alertmanager_port, &inbox);
    let settings = settings(folder.path(), alertmanager_port);
    let mut daemon = fournines(folder.path(), port, &settings);
    // Something that figures can be wrong about.
    let long_ago = now().minus(Span::from_mins(50));
    let over = said("outage.ended", "core/gz-1", long_ago.plus(Span::from_mins(5)), "");
    post(&daemon, &format!("{}\n{over}", said("outage.started", "core/gz-1", long_ago, "")));
    until("what is over is confirmed", || {
        incidents(&daemon, "").iter().all(|incident| !incident["verified"].is_null()).then_some(())
    });
    let at = now();
    let before = shown(&daemon, at);

    let steps = [
        ("0s", "outage.started", "service = \"core/gz-1\"\nusers = 40000\ndetail = \"both spans\""),
        ("20s", "outage.ended", "service = \"core/gz-1\""),
    ];
    let drill = run(&daemon.url, &scenario(folder.path(), "wait = \"30s\"", &steps), &[]);
    let second = until("the page of the second level arrives", || {
        pages(&inbox, "core/gz-1", true).into_iter().find(|page| page["labels"]["level"] == "second")
    });
    let (id, name) = (second["labels"]["incident"].clone(), second["labels"]["drill"].clone());
    let (id, name) = (id.as_str().unwrap(), name.as_str().unwrap());
    assert!(name.starts_with("spring/2"), "{name}");
    assert_eq!(
        second["labels"],
        json!({
            "alertname": "ServiceInterruption", "source": "fournines", "level": "second", "severity": "major",
            "incident": id, "scope": "core/gz-1", "region": "guangdong", "drill": name,
        })
    );
    assert!(second["annotations"]["summary"].as_str().unwrap().starts_with("DRILL: "), "{second}");
    assert!(second["annotations"]["description"].as_str().unwrap().contains("both spans"), "{second}");
    assert_eq!(shown(&daemon, at), before);

    // It is listed when it is asked for, and people can respond to it.
    assert!(incidents(&daemon, "?status=open").is_empty());
    for query in ["?drill=*".to_owned(), format!("?drill={name}"), format!("?drill={name}&service=core%2Fgz-1")] {
        let found = incidents(&daemon, &query);
        assert_eq!((found.len(), &found[0]["id"], &found[0]["drill"]), (1, &json!(id), &json!(name)), "{query}");
        assert_eq!((&found[0]["regions"], &found[0]["users"]), (&json!(["guangdong"]), &json!(40000)));
    }
    assert!(incidents(&daemon, "?drill=autumn").is_empty());
    let (status, answer) = ask(
        &format!("{}/api/v1/incidents/{id}/acknowledge", daemon.url),
        &json!({ "by": "li", "detail": "on it" }),
    );
    assert_eq!((status, &answer["status"]), (200, &json!("acknowledged")), "{answer}");

    // Killed in the middle of it, the daemon goes on with it.
    drop(daemon);
    daemon = fournines(folder.path(), port, &settings);
    let again = get(&format!("{}/api/v1/incidents/{id}", daemon.url));
    assert_eq!(
        (&again["drill"], &again["level"], &again["status"]),
        (&json!(name), &json!(2), &json!("acknowledged"))
    );
    assert_eq!(shown(&daemon, at), before);

    // What really goes down meanwhile is an incident and a page of its own.
    let real = now();
    post(&daemon, &said("outage.started", "core/gz-1", real, ""));
    let page = until("the real page arrives", || pages(&inbox, "core/gz-1", false).into_iter().next());
    let own = page["labels"]["incident"].as_str().unwrap();
    assert_ne!(own, id);
    let open = incidents(&daemon, "?status=open");
    assert_eq!((open.len(), &open[0]["id"], &open[0]["drill"]), (1, &json!(own), &Value::Null));
    assert_eq!((&open[0]["started"], &open[0]["acknowledged"]), (&json!(real.to_string()), &Value::Null));
    let ended = real.plus(Span::from_secs(1));
    until("that has passed", || (now() > ended).then_some(()));
    post(&daemon, &said("outage.ended", "core/gz-1", ended, ""));

    let evaluation = evaluation(&drill.wait_with_output().unwrap(), 0);
    assert_eq!((&evaluation["drill"], &evaluation["completed"]), (&json!(name), &json!(true)));
    assert_eq!(evaluation["problems"], json!({ "found": 1, "solved": 1, "resolution_ratio": 1.0 }), "{evaluation}");
    assert_eq!(evaluation["levels"], json!({ "first": 0, "second": 1, "third": 0 }));
    assert_eq!(evaluation["pages"], json!({ "ServiceInterruption": 2, "ResponseOverdue": 0, "RepairOverdue": 0 }));
    assert_eq!((&evaluation["response"]["kept"], &evaluation["response"]["answered"]), (&json!(1), &json!(1)));
    until("the drill's page is over", || {
        pages(&inbox, "core/gz-1", true)
            .into_iter()
            .find(|page| page["status"] == "resolved" && page["labels"]["level"] == "second")
    });
    // The network was down for what it was down, and nothing of the drill.
    let service = get(&format!("{}/api/v1/services/core%2Fgz-1", daemon.url));
    assert_eq!(
        (&service["windows"]["1h"]["downtime_seconds"], &service["windows"]["1h"]["outages"]),
        (&json!(301.0), &json!(2))
    );
    assert_eq!(service["windows"]["1h"]["mtta_seconds"], Value::Null);
    assert!(!daemon.log().contains("ERROR"), "{}", daemon.log());
    daemon.stop();
    offline(&folder.path().join("data"), name, own);
}

/// The storage is sound, the rows say which incident is a drill's, and a replay shows the drill's only as alerts.
fn offline(data: &Path, drill: &str, own: &str) {
    let fournines = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_fournines")).args(arguments).arg(data).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(fournines(&["verify"]).contains("are sound"));
    let replayed: Value = serde_json::from_str(&fournines(&["replay", "--format", "json"])).unwrap();
    let incidents = replayed["incidents"].as_array().unwrap();
    assert!(incidents.len() == 2 && incidents.iter().any(|incident| incident["id"] == own), "{incidents:?}");
    let labelled = |alert: &&Value| alert["labels"]["drill"] == drill;
    // The third level, the second, and that each is over: it ends with the last thing decided.
    assert_eq!(replayed["alerts"].as_array().unwrap().iter().filter(labelled).count(), 4);
    let connection = rusqlite::Connection::open(data.join("fournines.db")).unwrap();
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count(&format!("SELECT count(*) FROM incidents WHERE drill = '{drill}'")), 1);
    assert_eq!(count("SELECT count(*) FROM incidents WHERE drill IS NULL"), 2);
}

#[test]
fn a_scripted_drill_is_evaluated_in_its_own_time() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = fournines(folder.path(), free_port(), "");
    let steps = [
        ("0s", "outage.started", "service = \"a\"\nusers = 10"),
        ("0s", "outage.started", "service = \"b\""),
        ("0s", "outage.started", "service = \"c\""),
        ("4m", "repair.acknowledged", "service = \"a\"\nby = \"li\""),
        ("10m", "outage.ended", "service = \"a\""),
        ("10m", "repair.verified", "service = \"a\"\nby = \"li\""),
        ("14m", "repair.acknowledged", "service = \"b\"\nby = \"wang\""),
        ("18m", "outage.ended", "service = \"b\""),
        ("18m", "repair.verified", "service = \"b\"\nby = \"wang\""),
    ];
    // Nobody responds to `c`, and it is still out at the end.
    let file = scenario(folder.path(), "wait = \"2m\"\n[targets]\nresponse = \"8m\"\nrepair = \"15m\"", &steps);
    let evaluation = evaluation(&run(&daemon.url, &file, &["--speed", "120"]).wait_with_output().unwrap(), 0);
    // Half a second of a busy machine is a minute of the scenario.
    let near = |value: &Value, minutes: f64| {
        let seconds = value.as_f64().unwrap_or_else(|| panic!("{evaluation}"));
        assert!((seconds - minutes * 60.0).abs() <= 120.0, "{seconds} s is not {minutes} min: {evaluation}");
    };
    let problems = evaluation["incidents"].as_array().unwrap();
    let of = |service: &str| problems.iter().find(|problem| problem["services"][0] == service).unwrap();
    near(&of("a")["response_seconds"], 4.0);
    near(&of("a")["repair_seconds"], 10.0);
    near(&of("b")["response_seconds"], 14.0);
    near(&of("b")["repair_seconds"], 18.0);
    assert_eq!(of("c")["response_seconds"], Value::Null);
    let verdicts = |service: &str| (of(service)["response_kept"].clone(), of(service)["solved"].clone());
    assert_eq!(verdicts("a"), (json!(true), json!(true)));
    assert_eq!(verdicts("b"), (json!(false), json!(false)), "both came too late");
    assert_eq!(verdicts("c"), (json!(false), json!(false)), "nobody came");
    near(&evaluation["duration_seconds"], 20.0);
    near(&evaluation["response"]["mean_seconds"], 9.0);
    let response = &evaluation["response"];
    assert_eq!(
        (&response["answered"], &response["unanswered"], &response["kept"]),
        (&json!(2), &json!(1), &json!(1))
    );
    assert_eq!((&evaluation["problems"]["found"], &evaluation["problems"]["solved"]), (&json!(3), &json!(1)));
    // What was still out is not left to page.
    let left = incidents(&daemon, "?drill=*");
    assert!(left.len() == 3 && left.iter().all(|incident| !incident["verified"].is_null()), "{left:?}");
    daemon.stop();
}

#[test]
fn interrupted_it_ends_what_it_began_and_evaluates_so_far() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = fournines(folder.path(), free_port(), "");
    let steps = [
        ("0s", "outage.started", "service = \"a\"\noutage = \"x\""),
        ("0s", "outage.started", "service = \"b\""),
        ("1h", "outage.ended", "service = \"a\"\noutage = \"x\""),
    ];
    let drill = run(&daemon.url, &scenario(folder.path(), "", &steps), &[]);
    until("both are out", || (incidents(&daemon, "?drill=*&status=open").len() == 2).then_some(()));
    assert!(Command::new("kill").args(["-INT", &drill.id().to_string()]).status().unwrap().success());
    let output = drill.wait_with_output().unwrap();
    let evaluation = evaluation(&output, 1);
    assert_eq!((&evaluation["completed"], &evaluation["problems"]["found"]), (&json!(false), &json!(2)));
    assert_eq!(evaluation["problems"]["solved"], 0, "ended by the tidying-up is not solved");
    assert!(String::from_utf8_lossy(&output.stderr).contains("stopped before its end"));
    let left = incidents(&daemon, "?drill=*");
    assert!(left.iter().all(|incident| !incident["verified"].is_null()), "{left:?}");
    assert_eq!(get(&format!("{}/api/v1/status", daemon.url))["alerts_firing"], 0);
    daemon.stop();
}

#[test]
fn what_is_wrong_with_a_scenario_is_said_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let steps = [
        ("0s", "outage.started", "service = \"a\"\nseverity = \"awful\""),
        ("1s", "repair.located", "service = \"a\"\ncause = \"gremlins\""),
        ("2s", "outage.ended", "service = \"a b\""),
    ];
    // There is no daemon: it is not even asked.
    let file = scenario(folder.path(), "", &steps);
    let output = run("http://127.0.0.1:9", &file, &[]).wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(2), true), "{errors}");
    assert!(errors.contains("spring.toml:21: step[2].service: no step before says `outage.started`"), "{errors}");

    let output =
        run("http://127.0.0.1:9", &scenario(folder.path(), "", &steps[..2]), &[]).wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{errors}");
    for expected in [
        "spring.toml:8: step[0]: `severity` \"awful\" is neither down nor degraded",
        "spring.toml:14: step[1]: `cause` \"gremlins\" is none of unknown, equipment",
        "2 mistakes in the scenario; nothing was sent",
    ] {
        assert!(errors.contains(expected), "{errors}\nlacks {expected}");
    }
    let output = run(
        "http://127.0.0.1:9",
        &scenario(folder.path(), "", &[("0s", "outage.started", "service = \"a\"")]),
        &[],
    );
    let output = output.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), output.stdout.is_empty()),
        (Some(1), true),
        "no daemon is a failure while running"
    );
}

#[test]
fn the_examples_play() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = fournines(folder.path(), free_port(), "");
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/drills");
    let mut played = Vec::new();
    for file in std::fs::read_dir(examples).unwrap() {
        let file = file.unwrap().path();
        let evaluation = evaluation(&run(&daemon.url, &file, &["--speed", "1200"]).wait_with_output().unwrap(), 0);
        assert_eq!(evaluation["problems"]["found"], 1, "{evaluation}");
        played.push((evaluation["kind"].clone(), evaluation["problems"]["solved"].clone()));
    }
    played.sort_by_key(|(kind, _)| kind.to_string());
    assert_eq!(played, [(json!("interruption"), json!(1)), (json!("security"), json!(1))]);
    daemon.stop();
}
