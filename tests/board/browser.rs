//! A real, headless Chromium, driven through its chromedriver. Both are this test's own: a free port, a profile that
//! goes with the test, and an end by their process ids. Names are resolved for loopback only, so nothing is fetched
//! from anywhere else.
//!
//! It knows nothing about the board: what a page must be is said by the tests.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use fournines::clock::Stopwatch;
use hyper::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use reqwest::Url;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::common::{free_port, until};

/// What both programs are installed with.
const PACKAGES: &str = "the packages chromium and chromium-driver, or let tests/run do it";

/// A wide window, a laptop's; the height matters for screenshots of what does not scroll only.
pub(crate) const WIDE: (u32, u32) = (1440, 900);

/// The narrowest that WCAG 2.2 (1.4.10) wants to be usable without scrolling in two directions, and small phones.
pub(crate) const NARROW: (u32, u32) = (360, 780);

/// How somebody has set up the browser.
#[derive(Clone, Copy)]
pub(crate) struct Manner {
    /// Whether pages may run scripts.
    pub(crate) scripts: bool,
    /// `Accept-Language`, as a list without weights.
    pub(crate) languages: &'static str,
    /// The zone of the viewer's machine.
    pub(crate) zone: &'static str,
}

/// Somebody in Europe who blocks nothing.
pub(crate) const USUAL: Manner = Manner { scripts: true, languages: "en-GB,en", zone: "Europe/Berlin" };

/// A window of a browser of its own.
pub(crate) struct Browser {
    /// What drives the connection to chromedriver.
    runtime: Runtime,
    client: Option<Client>,
    driver: Child,
    /// The browser's process, so that it does not outlive a chromedriver that failed.
    process: u64,
    _folder: TempDir,
}

impl Browser {
    /// Starts a browser with a new profile.
    pub(crate) fn open(manner: Manner) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut driver = driver(folder.path(), port, manner);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let url = format!("http://127.0.0.1:{port}");
        until("chromedriver listens", || {
            let ended = driver.try_wait().unwrap();
            assert!(ended.is_none(), "chromedriver ended: {ended:?}");
            std::net::TcpStream::connect(("127.0.0.1", port)).ok()
        });
        let capabilities = capabilities(folder.path(), manner);
        let connected = runtime.block_on(
            ClientBuilder::new(HttpConnector::new())
                .capabilities(capabilities.as_object().unwrap().clone())
                .connect(&url),
        );
        let client = connected.unwrap_or_else(|error| {
            let _ = driver.kill();
            panic!("chromium cannot be started ({error}): install {PACKAGES}")
        });
        let process = client.capabilities().and_then(|got| got["goog:processID"].as_u64());
        let process = process.expect("chromedriver says which process it started");
        let browser = Self { runtime, client: Some(client), driver, process, _folder: folder };
        browser.resize(WIDE);
        browser
    }

    fn client(&self) -> &Client {
        self.client.as_ref().unwrap()
    }

    /// Goes to a page and waits until it is loaded.
    pub(crate) fn visit(&self, url: &str) {
        self.runtime.block_on(self.client().goto(url)).unwrap_or_else(|error| panic!("{url}: {error}"));
    }

    /// Where it is.
    pub(crate) fn location(&self) -> String {
        self.runtime.block_on(self.client().current_url()).unwrap().to_string()
    }

    /// What a script `return`s in the page. It is run even where pages may run none.
    pub(crate) fn eval(&self, script: &str) -> Value {
        self.runtime
            .block_on(self.client().execute(script, Vec::new()))
            .unwrap_or_else(|error| panic!("{}\n{error}", shortened(script)))
    }

    /// What a script, the body of an async function, comes to in the page.
    pub(crate) fn eval_async(&self, script: &str) -> Value {
        let whole = format!(
            "const done = arguments[arguments.length - 1];\n\
             (async () => {{ {script} }})().then(done, error => done({{ failed: String(error) }}));"
        );
        let answer = self.runtime.block_on(self.client().execute_async(&whole, Vec::new()));
        let answer = answer.unwrap_or_else(|error| panic!("{}\n{error}", shortened(script)));
        assert!(answer.get("failed").is_none(), "{}\n{answer}", shortened(script));
        answer
    }

    /// Waits until a script returns something else than `null`, `false` or an empty text, and gives that.
    pub(crate) fn until(&self, what: &str, script: &str) -> Value {
        until(what, || {
            let seen = self.eval(script);
            let is_nothing = seen.is_null() || seen == json!(false) || seen == json!("");
            (!is_nothing).then_some(seen)
        })
    }

    /// The text that is to be read in the first element that fits, as it is laid out.
    pub(crate) fn text(&self, css: &str) -> String {
        self.runtime
            .block_on(async { self.client().find(Locator::Css(css)).await?.text().await })
            .unwrap_or_else(|error| panic!("{css} in {}: {error}", self.location()))
    }

    /// Clicks, as a person would: what is hidden or covered cannot be.
    pub(crate) fn click(&self, css: &str) {
        self.runtime
            .block_on(async { self.client().find(Locator::Css(css)).await?.click().await })
            .unwrap_or_else(|error| panic!("{css} in {}: {error}", self.location()));
    }

    /// Clicks on what leads to another page or to this one anew, and waits until that is there.
    pub(crate) fn click_away(&self, css: &str) {
        self.eval("window.isLeft = true");
        self.click(css);
        self.until(
            &format!("another page after {css} was clicked on"),
            "return !window.isLeft && document.readyState === 'complete'",
        );
    }

    /// Types into a field.
    pub(crate) fn fill(&self, css: &str, text: &str) {
        self.runtime
            .block_on(async {
                let field = self.client().find(Locator::Css(css)).await?;
                field.clear().await?;
                field.send_keys(text).await
            })
            .unwrap_or_else(|error| panic!("{css} in {}: {error}", self.location()));
    }

    /// Presses keys, one after the other.
    pub(crate) fn press(&self, keys: impl IntoIterator<Item = char>) {
        let pressed = keys.into_iter().fold(KeyActions::new("keyboard".to_owned()), |actions, value| {
            actions.then(KeyAction::Down { value }).then(KeyAction::Up { value })
        });
        self.runtime.block_on(self.client().perform_actions(pressed)).unwrap();
    }

    /// Lays pages out for a window of that many pixels; a narrow one is a telephone's, which heeds `<meta viewport>`.
    pub(crate) fn resize(&self, (width, height): (u32, u32)) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// Has a script run in every page to come, before any of the page's own.
    pub(crate) fn prepare(&self, script: &str) {
        self.devtools("Page.addScriptToEvaluateOnNewDocument", &json!({ "source": script }));
    }

    /// Whether the viewer's system is `light` or `dark`.
    pub(crate) fn prefer(&self, scheme: &str) {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", &features);
    }

    /// The warnings and errors on the console, and what could not be loaded, since this was last asked for.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let entries = self.post("se/log", &json!({ "type": "browser" }));
        let is_bad = |entry: &&Value| ["WARNING", "SEVERE"].contains(&entry["level"].as_str().unwrap());
        let entries = entries.as_array().unwrap();
        entries.iter().filter(is_bad).map(|entry| entry["message"].as_str().unwrap().to_owned()).collect()
    }

    /// All of the page as a PNG, or with `all` false what the window shows of it.
    pub(crate) fn photograph(&self, file: &Path, all: bool) {
        let taken = self.devtools("Page.captureScreenshot", &json!({ "captureBeyondViewport": all }));
        write_base64(file, &taken["data"]);
    }

    /// The page as it is printed, as a PDF on A4.
    pub(crate) fn print(&self, file: &Path) {
        let paper =
            json!({ "printBackground": true, "preferCSSPageSize": true, "paperWidth": 8.27, "paperHeight": 11.69 });
        write_base64(file, &self.devtools("Page.printToPDF", &paper)["data"]);
    }

    /// Calls a method of the DevTools protocol.
    fn devtools(&self, method: &str, params: &Value) -> Value {
        self.post("goog/cdp/execute", &json!({ "cmd": method, "params": params }))
    }

    /// Calls what chromedriver has beyond WebDriver.
    fn post(&self, path: &'static str, body: &Value) -> Value {
        let command = Beyond { path, body: body.to_string() };
        self.runtime
            .block_on(self.client().issue_cmd(command))
            .unwrap_or_else(|error| panic!("{path} {}: {error}", shortened(&body.to_string())))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Closing the session ends the browser and removes its sockets; what is left after that is killed.
        if let Some(client) = self.client.take() {
            let _ = self.runtime.block_on(client.close());
        }
        let begun = Stopwatch::start();
        let running = PathBuf::from(format!("/proc/{}/exe", self.process));
        while running.exists() && begun.seconds() < 5.0 {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        if running.exists() {
            let _ = Command::new("kill").args(["-KILL", &self.process.to_string()]).status();
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Starts chromedriver. All that the browser would keep in the home of whoever runs the tests goes into `folder`.
fn driver(folder: &Path, port: u16, manner: Manner) -> Child {
    let mut command = Command::new("chromedriver");
    command.arg(format!("--port={port}"));
    command.env("TZ", manner.zone).env("HOME", folder).env("TMPDIR", folder);
    command.env_remove("XDG_CONFIG_HOME").env_remove("XDG_CACHE_HOME");
    // A Ctrl-C at the terminal is for the test, which then ends the two in order.
    command.process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap_or_else(|error| panic!("chromedriver cannot be started ({error}): install {PACKAGES}"))
}

fn capabilities(folder: &Path, manner: Manner) -> Value {
    let arguments = [
        "--headless=new".to_owned(),
        // It needs rights that neither root nor most containers have, and all pages are our own.
        "--no-sandbox".to_owned(),
        // Containers often have 64 MiB there, with which tabs crash.
        "--disable-dev-shm-usage".to_owned(),
        "--disable-gpu".to_owned(),
        "--hide-scrollbars".to_owned(),
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1".to_owned(),
        format!("--user-data-dir={}", folder.join("profile").display()),
        format!("--window-size={},{}", WIDE.0, WIDE.1),
    ];
    let preferences = json!({
        "intl.accept_languages": manner.languages,
        "profile.managed_default_content_settings.javascript": if manner.scripts { 1 } else { 2 },
    });
    json!({
        "browserName": "chrome",
        "goog:loggingPrefs": { "browser": "ALL" },
        "goog:chromeOptions": { "args": arguments, "prefs": preferences },
    })
}

/// A command of chromedriver that is no part of WebDriver.
#[derive(Debug)]
struct Beyond {
    path: &'static str,
    body: String,
}

impl WebDriverCompatibleCommand for Beyond {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, <Url as std::str::FromStr>::Err> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.clone()))
    }
}

fn write_base64(file: &Path, data: &Value) {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::STANDARD.decode(data.as_str().unwrap()).unwrap();
    std::fs::write(file, bytes).unwrap();
}

/// The beginning of a text that may be a whole library.
fn shortened(text: &str) -> &str {
    text.char_indices().nth(400).map_or(text, |(end, _)| &text[..end])
}
