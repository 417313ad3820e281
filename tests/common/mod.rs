//! What integration tests share: servers on free loopback ports that end with the test, and waiting.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::routing::post as on_post;
use fournines::clock::Stopwatch;
use serde_json::Value;

/// How long anything may take before the test gives up: these machines are noisy.
const PATIENCE_SECONDS: f64 = 60.0;

/// How long one request may take: a server that never answers must not keep the test for ever.
const REQUEST_SECONDS_MAX: u64 = 30;

/// Lines of a server's log that are shown when a test fails.
const LOG_LINES_SHOWN: usize = 30;

/// A server that this test started. It is killed, by its own process id, when the test is done with it.
pub(crate) struct Server {
    pub(crate) child: Child,
    log: PathBuf,
    /// Where it listens.
    pub(crate) url: String,
}

impl Server {
    /// Starts a program and waits until `ready` below its address answers 200.
    pub(crate) fn start(command: Command, port: u16, ready: &str, log: &Path, package: &str) -> Self {
        Self::start_when(command, port, |url| status(&format!("{url}{ready}")) == Some(200), log, package)
    }

    /// Starts a program and waits until it is ready.
    pub(crate) fn start_when(
        mut command: Command,
        port: u16,
        ready: impl Fn(&str) -> bool,
        log: &Path,
        package: &str,
    ) -> Self {
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::options().create(true).append(true).open(log).unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("{program} cannot be started ({error}): install {package}"));
        let mut server = Self { child, log: log.to_owned(), url: format!("http://127.0.0.1:{port}") };
        let begun = Stopwatch::start();
        while !ready(&server.url) {
            let ended = server.child.try_wait().unwrap();
            assert!(
                ended.is_none() && begun.seconds() < PATIENCE_SECONDS,
                "{program} did not start:\n{}",
                server.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    /// What it wrote to standard error so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Asks it to stop, and waits until it did.
    pub(crate) fn stop(mut self) {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(asked.success());
        let ended: ExitStatus = until("the server ends when it is asked to", || self.child.try_wait().unwrap());
        assert!(ended.success(), "it ended with {ended}:\n{}", self.log());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            // The folder goes with the test, so what explains the failure is shown while it is there.
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..];
            #[allow(clippy::print_stderr, reason = "where a test says why it failed")]
            {
                eprintln!("the end of {}:\n{}\n", self.log.display(), last.join("\n"));
            }
        }
    }
}

/// Where an Alertmanager delivers: keeps every notification, so that a page which came and went is not missed by
/// a test that looked away.
pub(crate) struct Inbox {
    kept: Arc<Mutex<Vec<Value>>>,
    port: u16,
    /// Ends the listening when it is dropped.
    _runtime: tokio::runtime::Runtime,
}

impl Inbox {
    pub(crate) fn open() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let kept = Arc::<Mutex<Vec<Value>>>::default();
        let keep = async |State(kept): State<Arc<Mutex<Vec<Value>>>>, Json(notification): Json<Value>| {
            kept.lock().unwrap().extend(notification["alerts"].as_array().unwrap().iter().cloned());
        };
        let routes = axum::Router::new().route("/", on_post(keep)).with_state(kept.clone());
        runtime.spawn(async move { axum::serve(listener, routes).await });
        Self { kept, port, _runtime: runtime }
    }

    /// Every alert of every notification, in the order in which they came.
    pub(crate) fn all(&self) -> Vec<Value> {
        self.kept.lock().unwrap().clone()
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The daemon under a configuration, on `port`, its storage in `folder`.
pub(crate) fn fournines(folder: &Path, port: u16, settings: &str) -> Server {
    let file = folder.join("fournines.toml");
    std::fs::write(&file, settings).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_fournines"));
    command.args(["serve", "-c"]).arg(&file);
    command.env("FOURNINES__SERVER__LISTEN", format!("127.0.0.1:{port}"));
    command.env("FOURNINES__STORAGE__PATH", folder.join("data"));
    Server::start(command, port, "/readyz", &folder.join("fournines.log"), "nothing: it is this crate's")
}

/// A real Alertmanager that passes everything on to `inbox`, each alert by itself and at once.
pub(crate) fn alertmanager(folder: &Path, port: u16, inbox: &Inbox) -> Server {
    let command = alertmanager_command(folder, port, inbox);
    let log = folder.join("alertmanager.log");
    Server::start(command, port, "/-/ready", &log, "the package prometheus-alertmanager")
}

/// The same behind TLS and a password: it is ready when it listens.
pub(crate) fn alertmanager_behind(folder: &Path, port: u16, inbox: &Inbox, web: &str) -> Server {
    let mut command = alertmanager_command(folder, port, inbox);
    command.arg(web);
    let listens = |_: &str| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
    let log = folder.join("alertmanager.log");
    Server::start_when(command, port, listens, &log, "the package prometheus-alertmanager")
}

fn alertmanager_command(folder: &Path, port: u16, inbox: &Inbox) -> Command {
    let file = folder.join("alertmanager.yml");
    let settings = format!(
        "route: {{receiver: inbox, group_by: ['...'], group_wait: 0s, group_interval: 1s}}\n\
         receivers: [{{name: inbox, webhook_configs: [{{url: 'http://127.0.0.1:{}/'}}]}}]\n",
        inbox.port
    );
    std::fs::write(&file, settings).unwrap();
    let mut command = Command::new("prometheus-alertmanager");
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.path={}", folder.join("alertmanager").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--cluster.listen-address=");
    command
}

/// A real Prometheus that scrapes the daemon every second.
pub(crate) fn prometheus(folder: &Path, daemon_port: u16) -> Server {
    let file = folder.join("prometheus.yml");
    let scrape = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: fournines\n  static_configs:\n  - targets: ['127.0.0.1:{daemon_port}']\n"
    );
    std::fs::write(&file, scrape).unwrap();
    let port = free_port();
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", folder.join("prometheus").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"));
    Server::start(command, port, "/-/ready", &folder.join("prometheus.log"), "the package prometheus")
}

pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    fournines::tls::install();
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// To be built within [`block_on`].
fn client() -> reqwest::Client {
    reqwest::Client::builder().timeout(Duration::from_secs(REQUEST_SECONDS_MAX)).build().unwrap()
}

pub(crate) fn status(url: &str) -> Option<u16> {
    block_on(async { Some(client().get(url).send().await.ok()?.status().as_u16()) })
}

/// The JSON at `url`.
pub(crate) fn get(url: &str) -> Value {
    serde_json::from_str(&text(url)).unwrap()
}

/// The text at `url`.
pub(crate) fn text(url: &str) -> String {
    block_on(async {
        let response = client().get(url).send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        assert!(status.is_success(), "{url}: {status}: {text}");
        text
    })
}

/// The headers and the body of what `url` answers a request with those headers.
pub(crate) fn answer(url: &str, headers: &[(&str, &str)]) -> (reqwest::header::HeaderMap, Vec<u8>) {
    block_on(async {
        let request = headers.iter().fold(client().get(url), |request, &(name, value)| request.header(name, value));
        let response = request.send().await.unwrap();
        assert!(response.status().is_success(), "{url}: {}", response.status());
        (response.headers().clone(), response.bytes().await.unwrap().to_vec())
    })
}

/// The status and the problem details with which `url` is refused.
pub(crate) fn refused(url: &str) -> (u16, Value) {
    block_on(async {
        let response = client().get(url).send().await.unwrap();
        let status = response.status().as_u16();
        assert_eq!(response.headers()["content-type"], "application/problem+json", "{url}: {status}");
        (status, serde_json::from_str(&response.text().await.unwrap()).unwrap())
    })
}

/// Posts lines of events, all of which must be good.
pub(crate) fn post(daemon: &Server, lines: &str) -> Value {
    post_to(&daemon.url, lines)
}

/// The same, to a daemon at `url`.
pub(crate) fn post_to(url: &str, lines: &str) -> Value {
    block_on(async {
        let request = client().post(format!("{url}/api/v1/events"));
        let request = request.header("content-type", "application/x-ndjson").body(lines.to_owned());
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["rejected_total"], 0, "{answer}");
        answer
    })
}

/// Posts a JSON object, and gives the answer's status and body.
pub(crate) fn ask(url: &str, body: &Value) -> (u16, Value) {
    try_ask(url, body).unwrap()
}

/// The same of somebody who may be gone.
pub(crate) fn try_ask(url: &str, body: &Value) -> reqwest::Result<(u16, Value)> {
    block_on(async {
        let response = client().post(url).json(body).send().await?;
        let status = response.status().as_u16();
        Ok((status, serde_json::from_str(&response.text().await?).unwrap()))
    })
}

/// Every series that a query gives: its labels and its value.
pub(crate) fn query(prometheus: &Server, promql: &str) -> Vec<(Value, f64)> {
    let mut url: reqwest::Url = format!("{}/api/v1/query", prometheus.url).parse().unwrap();
    url.query_pairs_mut().append_pair("query", promql);
    let answer = get(url.as_str());
    let results = answer["data"]["result"].as_array().unwrap_or_else(|| panic!("{promql}: {answer}"));
    // A scalar is one value; a vector has one a series.
    if answer["data"]["resultType"] == "scalar" {
        return vec![(Value::Null, results[1].as_str().unwrap().parse().unwrap())];
    }
    results
        .iter()
        .map(|series| (series["metric"].clone(), series["value"][1].as_str().unwrap().parse().unwrap()))
        .collect()
}

/// Waits until `seen` gives something, and says `what` was waited for when it never does.
pub(crate) fn until<T>(what: &str, mut seen: impl FnMut() -> Option<T>) -> T {
    let begun = Stopwatch::start();
    loop {
        if let Some(found) = seen() {
            return found;
        }
        assert!(begun.seconds() < PATIENCE_SECONDS, "waited {PATIENCE_SECONDS} s for this: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
