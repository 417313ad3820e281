//! The real daemon on a machine that fails when it is told to.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::common::{Server, free_port};
use super::machine::{self, Control};

/// What stands between the daemon and the system, and the folder that it all happens in.
pub(crate) struct Machine {
    folder: TempDir,
    built: PathBuf,
    pub(crate) control: Control,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let built = machine::build(folder.path());
        Self { control: Control::new(folder.path()), folder, built }
    }

    pub(crate) fn storage(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// What was done to the storage.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Starts the daemon on it.
    pub(crate) fn serve(&self, settings: &str) -> Server {
        let port = free_port();
        Server::start(self.command(port, settings, &[]), port, "/readyz", &self.folder.path().join("err.log"), "it")
    }

    /// The same with a limit of open files.
    pub(crate) fn serve_with_files(&self, files: usize, settings: &str) -> Server {
        let port = free_port();
        let limited = self.command(port, settings, &["prlimit", &format!("--nofile={files}")]);
        Server::start(limited, port, "/readyz", &self.folder.path().join("err.log"), "util-linux")
    }

    /// What starts the daemon on it, by way of another program if there is one.
    pub(crate) fn command(&self, port: u16, settings: &str, by: &[&str]) -> Command {
        let file = self.folder.path().join("fournines.toml");
        fs::write(&file, settings).unwrap();
        let program = env!("CARGO_BIN_EXE_fournines");
        let mut words = by.iter().copied().chain([program, "serve"]);
        let mut command = Command::new(words.next().unwrap());
        command
            .args(words)
            .arg("-c")
            .arg(file)
            .env("FOURNINES__STORAGE__PATH", self.storage())
            .env("FOURNINES__SERVER__LISTEN", format!("127.0.0.1:{port}"));
        machine::preload(&mut command, &self.built, self.folder.path(), &self.storage());
        command
    }
}
