//! A machine that fails when it is told to, under a process that knows nothing of it.
#![allow(dead_code, reason = "each test uses a part of it")]

pub(crate) mod power;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a full disk says.
pub(crate) const ENOSPC: i32 = 28;
/// What a disk that became read-only says.
pub(crate) const EROFS: i32 = 30;

/// Builds what stands between a process and the system, in `folder`.
pub(crate) fn build(folder: &Path) -> PathBuf {
    let built = folder.join("machine.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/machine/machine.c");
    let output = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
        .arg(&built)
        .arg(source)
        .args(["-ldl", "-lpthread"])
        .output()
        .expect("cc cannot be started: install gcc");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    built
}

/// Has `command` run on the machine `built`, controlled and logged below `folder`, with its storage in `storage`.
pub(crate) fn preload(command: &mut Command, built: &Path, folder: &Path, storage: &Path) {
    command
        .env("LD_PRELOAD", built)
        .env("MACHINE_CONTROL", folder.join("control"))
        .env("MACHINE_LOG", folder.join("log"))
        .env("MACHINE_FOLDER", storage);
}

/// Tells it to fail.
#[derive(Debug)]
pub(crate) struct Control(File);

impl Control {
    /// One that controls what is preloaded with this folder.
    pub(crate) fn new(folder: &Path) -> Self {
        let file = File::options().create(true).truncate(false).read(true).write(true).open(folder.join("control"));
        let file = file.unwrap();
        file.set_len(4096).unwrap();
        Self(file)
    }

    /// Puts the clock off by so many seconds.
    pub(crate) fn put_clock_off(&self, seconds: i64) {
        self.write(0, &(seconds * 1_000_000).to_ne_bytes());
    }

    /// From now on syncs fail, or do not.
    pub(crate) fn let_syncs_fail(&self, fail: bool) {
        self.write(8, &i32::from(fail).to_ne_bytes());
    }

    /// From now on writes fail with this error, or do not.
    pub(crate) fn let_writes_fail(&self, error: Option<i32>) {
        self.write(12, &error.unwrap_or(0).to_ne_bytes());
    }

    /// From now on nothing reaches the disk any more, or all does.
    pub(crate) fn kill(&self, dead: bool) {
        self.write(16, &i32::from(dead).to_ne_bytes());
    }

    /// From now on syncs are only written down.
    pub(crate) fn let_syncs_do_nothing(&self) {
        self.write(20, &1_i32.to_ne_bytes());
    }

    /// It is dead once so many more things were done to the storage; `None`: not for that.
    pub(crate) fn die_in(&self, deeds: Option<i64>) {
        self.write(24, &deeds.unwrap_or(0).to_ne_bytes());
    }

    fn write(&self, offset: u64, bytes: &[u8]) {
        self.0.write_all_at(bytes, offset).unwrap();
    }
}
