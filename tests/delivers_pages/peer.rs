//! A process that is killed, paused and started again.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use fournines::clock::Stopwatch;

use super::door::is_ready;

/// How long a start may take on a machine that is busy with other things.
const START_SECONDS_MAX: f64 = 60.0;

pub(crate) struct Peer {
    make: Box<dyn Fn() -> Command + Send + Sync>,
    child: Mutex<Option<Child>>,
    log: PathBuf,
    pub(crate) port: u16,
    ready: &'static str,
}

impl Peer {
    /// Starts what `make` makes, and waits until it is ready.
    pub(crate) fn start(
        make: impl Fn() -> Command + Send + Sync + 'static,
        log: &Path,
        (port, ready): (u16, &'static str),
    ) -> Self {
        let peer = Self { make: Box::new(make), child: Mutex::new(None), log: log.to_owned(), port, ready };
        peer.begin();
        peer
    }

    /// Starts it, and waits until it is ready.
    pub(crate) fn begin(&self) {
        let begun = Stopwatch::start();
        let mut child = self.child.lock().unwrap();
        while !is_ready(self.port, self.ready) {
            let ended = child.as_mut().is_none_or(|child| child.try_wait().unwrap().is_some());
            assert!(begun.seconds() < START_SECONDS_MAX, "it did not start:\n{}", self.log());
            if ended {
                // The port may be somebody's outgoing connection for a moment, so it is tried again.
                let log = File::options().create(true).append(true).open(&self.log).unwrap();
                let mut command = (self.make)();
                command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
                *child = Some(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")));
            }
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// Kills it as `kill -9` does.
    pub(crate) fn kill(&self) {
        if let Some(mut child) = self.child.lock().unwrap().take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Sends it a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let child = self.child.lock().unwrap();
        let id = child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap().success());
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.get_mut().unwrap().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
