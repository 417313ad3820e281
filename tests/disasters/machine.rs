//! A machine that fails when it is told to, under the real daemon.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::common::{Server, free_port};

/// What stands between the daemon and the system, and the folder that it all happens in.
pub(crate) struct Machine {
    folder: TempDir,
    control: File,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/disasters/machine.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .arg(folder.path().join("machine.so"))
            .arg(source)
            .args(["-ldl", "-lpthread"])
            .output()
            .expect("cc cannot be started: install gcc");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let control = folder.path().join("control");
        let control = File::options().create_new(true).read(true).write(true).open(control).unwrap();
        control.set_len(4096).unwrap();
        Self { folder, control }
    }

    pub(crate) fn storage(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// What was done to the storage.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Puts the clock off by so many seconds.
    pub(crate) fn put_clock_off(&self, seconds: i64) {
        self.control.write_all_at(&(seconds * 1_000_000).to_ne_bytes(), 0).unwrap();
    }

    /// From now on syncs fail, or do not.
    pub(crate) fn let_syncs_fail(&self, fail: bool) {
        self.control.write_all_at(&i32::from(fail).to_ne_bytes(), 8).unwrap();
    }

    /// From now on writes fail, or do not.
    pub(crate) fn let_writes_fail(&self, fail: bool) {
        self.control.write_all_at(&i32::from(fail).to_ne_bytes(), 12).unwrap();
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
            .env("FOURNINES__SERVER__LISTEN", format!("127.0.0.1:{port}"))
            .env("LD_PRELOAD", self.folder.path().join("machine.so"))
            .env("MACHINE_CONTROL", self.folder.path().join("control"))
            .env("MACHINE_LOG", self.log())
            .env("MACHINE_FOLDER", self.storage());
        command
    }
}
