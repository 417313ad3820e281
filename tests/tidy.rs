//! The house rules that no compiler checks: who may import whom, what may be called where, how long a file may be,
//! that what the README and the dashboards name is there, and that every alert has a runbook.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Which rooms a room may name. `main`, `cli` and `daemon` may name everything, `daemon` all but `cli`.
const MAY_USE: [(&str, &[&str]); 21] = [
    ("model", &[]),
    ("engine", &["model"]),
    ("words", &["model"]),
    ("config", &["model", "words"]),
    ("clock", &["model"]),
    ("problem", &[]),
    ("server", &[]),
    ("threads", &[]),
    ("tls", &[]),
    ("telemetry", &["config"]),
    ("ingest", &["model", "journal", "pipeline", "clock", "problem", "telemetry"]),
    ("journal", &["model"]),
    ("pipeline", &["model", "journal", "engine", "clock", "telemetry", "threads"]),
    ("store", &["model", "journal"]),
    ("notify", &["model", "journal", "clock", "config", "telemetry", "threads", "tls", "words"]),
    ("views", &["model", "engine", "store", "clock", "problem", "telemetry", "threads", "words"]),
    ("simulate", &["model"]),
    ("lib", &[]),
    ("main", &[]),
    (
        "daemon",
        &[
            "clock",
            "config",
            "engine",
            "ingest",
            "journal",
            "model",
            "notify",
            "pipeline",
            "problem",
            "server",
            "store",
            "telemetry",
            "threads",
            "views",
        ],
    ),
    (
        "cli",
        &[
            "clock",
            "config",
            "daemon",
            "engine",
            "ingest",
            "journal",
            "model",
            "notify",
            "pipeline",
            "simulate",
            "store",
            "telemetry",
            "tls",
            "views",
        ],
    ),
];

/// What must not be said, where it may be after all, and what to do instead.
const BANNED: [(&str, &[&str], &str); 10] = [
    ("SystemTime::now", &["src/clock.rs"], "ask the Clock"),
    ("Instant::now", &["src/clock.rs"], "ask the Clock"),
    ("Monotonic::now", &["src/clock.rs"], "ask the Clock"),
    ("unbounded", &[], "give the queue a limit and say why it is that"),
    ("todo!", &[], "do it"),
    ("unimplemented!", &[], "do it"),
    ("dbg!", &[], "log it"),
    ("println!", &["src/cli/"], "log it, or return it to the command line"),
    ("process::exit", &["src/cli/serve.rs"], "return an error"),
    ("env::var", &["src/cli/mod.rs"], "pass it in"),
];

/// What has no place in the pure rooms.
const IMPURE: [&str; 16] = [
    "tokio",
    "async ",
    ".await",
    "tracing",
    "serde",
    "prometheus",
    "rusqlite",
    "hyper",
    "axum",
    "reqwest",
    "fastrand",
    "std::fs",
    "std::net",
    "std::thread",
    "std::time",
    "std::env",
];

/// Lines of one file, its tests not counted: what is longer wants to be two.
const LINES_MAX: usize = 500;

/// Lines of a runbook.
const RUNBOOK_LINES_MAX: usize = 60;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `folder` that ends in `.ending`, by its path from the top.
fn files(folder: &str, ending: &str) -> Vec<(String, String)> {
    fn walk(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, ending, found);
            } else if path.extension().is_some_and(|e| e == ending) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(folder), ending, &mut found);
    found.sort();
    let named = |path: PathBuf| {
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(path).unwrap())
    };
    found.into_iter().map(named).collect()
}

/// A file's code: without comments and without the tests at its end.
fn code(text: &str) -> Vec<(usize, &str)> {
    let text = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
    text.lines()
        .enumerate()
        .map(|(n, line)| (n + 1, line))
        .filter(|(_, l)| !l.trim_start().starts_with("//"))
        .collect()
}

fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs")
}

fn assert_none(problems: Vec<String>) {
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn rooms_name_only_the_rooms_they_may() {
    let mut problems = Vec::new();
    for (path, text) in files("src", "rs") {
        if is_test(&path) {
            continue;
        }
        let room = path.split('/').nth(1).unwrap().trim_end_matches(".rs").to_owned();
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == room) else {
            problems.push(format!("{path}: the room `{room}` is not in the table of who may use whom"));
            continue;
        };
        for (number, line) in code(&text) {
            for used in line.split("crate::").skip(1) {
                let used: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if used != room && !allowed.contains(&&*used) {
                    problems.push(format!("{path}:{number}: `{room}` may not use `{used}`"));
                }
            }
        }
    }
    assert_none(problems);
}

#[test]
fn the_pure_rooms_are_pure() {
    let mut problems = Vec::new();
    for (path, text) in files("src/engine", "rs").into_iter().chain(files("src/model", "rs")) {
        for (number, line) in code(&text) {
            for word in IMPURE.iter().filter(|word| line.contains(*word)) {
                problems.push(format!("{path}:{number}: `{word}` has no place in a pure room"));
            }
        }
    }
    assert_none(problems);
}

#[test]
fn nothing_banned_is_called() {
    let mut problems = Vec::new();
    for (path, text) in files("src", "rs") {
        if is_test(&path) {
            continue;
        }
        for (number, line) in code(&text) {
            for (word, allowed, instead) in &BANNED {
                let says = line.contains(word) && !line.trim_start().starts_with('#');
                if says && !allowed.iter().any(|place| path.starts_with(place)) {
                    problems.push(format!("{path}:{number}: not `{word}`: {instead}"));
                }
            }
        }
    }
    assert_none(problems);
}

#[test]
fn files_say_what_they_are_for_and_are_not_too_long() {
    let mut problems = Vec::new();
    let ours = ["src", "tests", "fuzz/src", "fuzz/fuzz_targets"];
    for (path, text) in ours.into_iter().flat_map(|folder| files(folder, "rs")) {
        if !text.starts_with("//! ") {
            problems.push(format!("{path}: does not begin by saying what it is for"));
        }
        let lines = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap().lines().count();
        if lines > LINES_MAX && path.starts_with("src") {
            problems.push(format!("{path}: has {lines} lines and wants to be two files"));
        }
    }
    assert_none(problems);
}

/// The names in `text` that begin with `fournines_`.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    text.match_indices("fournines_")
        .map(|(at, _)| text[at..].chars().take_while(|&c| is_name(c)).collect::<String>())
        .map(|name| {
            let ending = ["_bucket", "_sum", "_count"].into_iter().find(|ending| name.ends_with(ending));
            ending.map_or(name.clone(), |ending| name[..name.len() - ending.len()].to_owned())
        })
        .collect()
}

#[test]
fn metrics_that_are_named_exist() {
    let source: String = files("src", "rs").into_iter().map(|(_, text)| text).collect();
    let mut problems = Vec::new();
    let readme = ("README.md".to_owned(), fs::read_to_string(root().join("README.md")).unwrap());
    let deployed = ["yml", "md", "toml"].into_iter().flat_map(|ending| files("deploy", ending));
    for (path, text) in files("dashboards", "json").into_iter().chain(deployed).chain([readme]) {
        for name in metrics_in(&text) {
            if !source.contains(&format!("\"{name}\"")) {
                problems.push(format!("{path}: there is no metric `{name}`"));
            }
        }
    }
    assert_none(problems);
}

/// The names of alerts that the daemon and the rules about it can send.
fn alert_names() -> BTreeSet<String> {
    let model = fs::read_to_string(root().join("src/model/alert.rs")).unwrap();
    let named = model.split("impl AlertName {").nth(1).unwrap().split("\n}").next().unwrap();
    let own = named.lines().filter_map(|line| line.trim().strip_prefix("Self::")?.split_once(" => \""));
    let own = own.map(|(_, name)| name.trim_end_matches("\","));
    let rules = fs::read_to_string(root().join("deploy/prometheus/fournines.rules.yml")).unwrap();
    let about_it = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    own.chain(about_it).chain(["Watchdog"]).map(str::to_owned).collect()
}

#[test]
fn every_alert_has_a_runbook() {
    let pages = files("docs/runbooks", "md");
    let names = alert_names();
    assert!(names.contains("ServiceInterruption") && names.contains("FourninesDown"), "{names:?}");
    let mut problems = Vec::new();
    for name in names {
        let path = format!("docs/runbooks/{name}.md");
        match pages.iter().find(|(known, _)| *known == path) {
            Some((_, text)) if text.starts_with(&format!("# {name}\n")) => {}
            Some(_) => problems.push(format!("{path}: its heading is not `# {name}`")),
            None => problems.push(format!("{path}: the alert has no runbook")),
        }
    }
    for (path, text) in &pages {
        let linked = text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap());
        for link in linked.filter(|link| !root().join("docs/runbooks").join(link).exists()) {
            problems.push(format!("{path}: there is no `{link}`"));
        }
        if text.lines().count() > RUNBOOK_LINES_MAX {
            problems.push(format!("{path}: nobody reads that much at night"));
        }
    }
    assert_none(problems);
}

fn help(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_fournines")).args(arguments).arg("--help").output().unwrap();
    assert!(output.status.success(), "fournines {arguments:?} --help");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_readme_names_what_is_there() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.contains("cargo run --release -- demo") && readme.contains("tests/run"));
    let commands = help(&[]);
    let mut problems = Vec::new();
    for line in readme.lines().filter_map(|line| line.trim_start().strip_prefix("fournines ")) {
        let mut words = line.split_whitespace();
        let command = words.next().unwrap();
        if !commands.contains(&format!("  {command} ")) {
            problems.push(format!("README.md: there is no `fournines {command}`"));
            continue;
        }
        let help = help(&[command]);
        for option in words.filter(|word| word.starts_with("--")) {
            if !help.contains(option) {
                problems.push(format!("README.md: `fournines {command}` has no `{option}`"));
            }
        }
    }
    for folder in ["src/", "tests/", "deploy/", "dashboards/", "benches/", "docs/", "fuzz/"] {
        for (at, _) in readme.match_indices(folder) {
            let is_path = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
            let starts = !readme[..at].ends_with(is_path);
            let path: String = readme[at..].chars().take_while(|&c| is_path(c)).collect();
            // What a fuzzer leaves behind is there only after it ran.
            let is_left = path.starts_with("fuzz/artifacts/");
            if starts && !is_left && !root().join(path.trim_end_matches('.')).exists() {
                problems.push(format!("README.md: there is no `{path}`"));
            }
        }
    }
    assert_none(problems);
}

#[test]
fn every_subcommand_shows_an_example() {
    for command in ["serve", "demo", "check", "replay", "backtest", "report", "send", "top", "drill", "generate"] {
        assert!(help(&[command]).contains("Example"), "fournines {command} --help");
    }
}

#[test]
fn the_configuration_to_start_from_is_right() {
    let text = fs::read_to_string(root().join("deploy/fournines.toml")).unwrap();
    // A line such as `# key = value` or `# [[table]]` is a setting that a user may take the comment from.
    let is_setting = |line: &str| {
        let key = line.split(" = ").next().unwrap();
        let named =
            |text: &str| text.chars().all(|c| c.is_ascii_lowercase() || "_.".contains(c)) && !text.is_empty();
        line.starts_with('[') && line.ends_with(']') || line.contains(" = ") && named(key)
    };
    let uncommented: Vec<&str> = text
        .lines()
        .map(|line| {
            line.strip_prefix("# ").or(line.strip_prefix('#')).filter(|rest| is_setting(rest)).unwrap_or(line)
        })
        .filter(|line| !line.starts_with("file = "))
        .collect();
    for text in [text.clone(), uncommented.join("\n")] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("fournines.toml");
        fs::write(&file, &text).unwrap();
        // Files that it names are the user's own.
        for name in text.lines().filter_map(|line| line.split_once("_file = \"")?.1.strip_suffix('"')) {
            fs::write(folder.path().join(name), "something").unwrap();
        }
        let output =
            Command::new(env!("CARGO_BIN_EXE_fournines")).args(["check", "-c"]).arg(&file).output().unwrap();
        assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}
