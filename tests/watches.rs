//! `fournines top` shows what is out as it comes about, and takes an acknowledgement, over the HTTP API of a daemon.
//! Its terminal is a pseudo terminal that the `script` of Debian's bsdutils makes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};

use common::{Server, fournines, free_port, get, post, until};
use fournines::clock::Clock;
use fournines::model::time::{Instant, Span};
use serde_json::{Value, json};

/// What a terminal is told when a program takes its whole screen, and gives it back.
const TAKES_SCREEN: &str = "\u{1b}[?1049h";
const GIVES_SCREEN_BACK: &str = "\u{1b}[?1049l";
const SHOWS_CURSOR: &str = "\u{1b}[?25h";

fn now() -> Instant {
    Clock::system().now()
}

fn outage(service: &str, kind: &str, time: Instant) -> String {
    format!("{{\"type\":\"outage.{kind}\",\"service\":\"{service}\",\"users\":4754,\"time\":\"{time}\"}}\n")
}

fn first_incident(daemon: &str) -> Value {
    get(&format!("{daemon}/api/v1/incidents"))["incidents"][0].clone()
}

fn response_clock(daemon: &str) -> Value {
    let incident = first_incident(daemon);
    incident["clocks"].as_array().unwrap().iter().find(|clock| clock["name"] == "response").unwrap().clone()
}

/// Whether a terminal was told a colour other than its own.
fn is_coloured(told: &str) -> bool {
    let sequences = told.split("\u{1b}[").skip(1).filter_map(|rest| rest.split_once('m'));
    let mut codes = sequences.flat_map(|(sequence, _)| sequence.split(';'));
    codes.any(|code| code.parse().is_ok_and(|code: u32| matches!(code, 30..=38 | 40..=48 | 90..=97)))
}

/// Runs it without a terminal.
fn printed(url: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fournines")).args(["top", "--url", url]).stdin(Stdio::null()).output().unwrap()
}

/// `fournines top` in a terminal of 80 columns and 24 lines.
struct Watch {
    script: Child,
    keys: ChildStdin,
    folder: PathBuf,
}

impl Watch {
    fn start(folder: &Path, url: &str, environment: &[(&str, &str)]) -> Self {
        // What the terminal is set to, before and after, tells whether it was restored.
        let command = format!(
            "stty rows 24 cols 80; stty -g > before; {} top --url {url}; echo $? > code; stty -g > after",
            env!("CARGO_BIN_EXE_fournines")
        );
        let mut script = Command::new("script")
            .args(["--quiet", "--flush", "--return", "--command", &command, "typescript"])
            .env("USER", "li")
            .env("TERM", "xterm-256color")
            .env("SHELL", "/bin/sh")
            .env_remove("NO_COLOR")
            .envs(environment.iter().copied())
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("script cannot be started ({error}): install the package bsdutils"));
        let keys = script.stdin.take().unwrap();
        Self { script, keys, folder: folder.to_owned() }
    }

    /// All that the terminal was told so far.
    fn told(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.folder.join("typescript")).unwrap_or_default()).into_owned()
    }

    fn sees(&self, what: &str) {
        self.sees_after(0, what);
    }

    /// Waits until the terminal is told something after so many bytes.
    fn sees_after(&self, bytes: usize, what: &str) {
        until(&format!("the terminal shows {what:?}"), || {
            let told = self.told();
            told.get(bytes..).is_some_and(|told| told.contains(what)).then_some(())
        });
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits until it has ended, well, with the terminal as it was before. Gives all that it was told.
    fn ended(mut self) -> String {
        until("it ends", || self.script.try_wait().unwrap());
        let noted = |name: &str| std::fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        let told = self.told();
        assert_eq!(noted("code").trim(), "0", "{told}");
        assert!(!noted("before").is_empty() && noted("before") == noted("after"), "the terminal is not as it was");
        let [takes, gives] = [TAKES_SCREEN, GIVES_SCREEN_BACK].map(|told_it| told.rfind(told_it).unwrap());
        assert!(takes < gives && told[takes..].contains(SHOWS_CURSOR), "{told}");
        told
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}

#[test]
fn an_incident_appears_by_itself_and_is_acknowledged_with_keys() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = fournines(folder.path(), free_port(), "time_zone = \"Asia/Shanghai\"");
    let mut watch = Watch::start(folder.path(), &daemon.url, &[]);
    watch.sees("Nothing");
    watch.sees("Asia/Shanghai");
    post(&daemon, &outage("广东/深圳/olt-7", "started", now().minus(Span::from_mins(1))));
    // No key was pressed. After a wide character the cursor is moved, so the name is not told in one piece.
    watch.sees("/深");
    watch.sees("/olt-7");
    watch.sees("THIRD");
    assert_eq!(response_clock(&daemon.url)["stopped"], Value::Null);
    watch.press("a");
    watch.sees("Acknowledge");
    watch.press("\ron my way\r");
    watch.sees("acknowledged");
    let stopped = until("the response clock has stopped", || {
        Some(response_clock(&daemon.url)["stopped"].clone()).filter(|stopped| !stopped.is_null())
    });
    let incident = first_incident(&daemon.url);
    let acknowledged = &incident["stages"][1];
    assert_eq!(acknowledged["at"], stopped);
    assert_eq!((&acknowledged["by"], &acknowledged["detail"]), (&json!("li"), &json!("on my way")));
    watch.sees("stopped");
    // What somebody else does is seen too.
    post(&daemon, &outage("广东/深圳/olt-7", "ended", now()));
    watch.sees("RESTORED");
    watch.press("q");
    assert!(is_coloured(&watch.ended()));
}

#[test]
fn a_lost_connection_is_said_and_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let daemon = fournines(folder.path(), port, "");
    post(&daemon, &outage("core", "started", now()));
    let mut watch = Watch::start(folder.path(), &daemon.url, &[("NO_COLOR", "1")]);
    watch.sees("core");
    drop(daemon);
    watch.sees("CONNECTION");
    watch.sees("OLD");
    let before = watch.told().len();
    let daemon = fournines(folder.path(), port, "");
    post(&daemon, &outage("edge", "started", now()));
    watch.sees_after(before, "edge");
    // Ctrl-C.
    watch.press("\u{3}");
    assert!(!is_coloured(&watch.ended()));
}

#[test]
fn without_a_terminal_it_prints_once_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = fournines(folder.path(), free_port(), "time_zone = \"Asia/Shanghai\"");
    let quiet = printed(&daemon.url);
    let text = String::from_utf8(quiet.stdout).unwrap();
    assert!(
        quiet.status.success() && text.contains("Nothing is out.") && text.contains("+08:00 Asia/Shanghai"),
        "{text}"
    );
    post(&daemon, &outage("core", "started", now().minus(Span::from_mins(1))));
    post(&daemon, &outage("edge", "started", now().minus(Span::from_mins(2))));
    post(&daemon, &outage("edge", "ended", now().minus(Span::from_mins(1))));
    let text = String::from_utf8(printed(&daemon.url).stdout).unwrap();
    assert!(text.contains("open: first 0, second 0, third 1"), "{text}");
    let line = |name: &str| text.lines().find(|line| line.ends_with(name)).unwrap_or_else(|| panic!("{text}"));
    assert!(
        line("core").contains("! THIRD") && line("core").contains("29m ") && line("core").contains("4 754"),
        "{text}"
    );
    assert!(line("edge").contains("1m 00s"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text:?}");

    let Server { url, .. } = &daemon;
    let url = url.clone();
    drop(daemon);
    let gone = printed(&url);
    let error = String::from_utf8_lossy(&gone.stderr).into_owned();
    assert!(gone.status.code() == Some(1) && error.contains(&url) && error.contains("refused"), "{error}");
}
