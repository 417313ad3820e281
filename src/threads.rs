//! Threads for work that blocks. Where the runtime has one thread only there are none, and such work is done on that one,
//! in its turn: a simulation is then the same from run to run.

use std::io;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::{JoinHandle, spawn_blocking};

fn has_one_thread() -> bool {
    Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread
}

/// Does `work`, which may wait for a disk, beside what the runtime does.
pub fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    if has_one_thread() { tokio::spawn(async { work() }) } else { spawn_blocking(work) }
}

/// Runs `work`, which waits for a disk again and again, on a thread of its own.
///
/// # Errors
/// When the system has no thread for it.
pub fn apart(name: &str, work: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
    let runtime = Handle::current();
    if has_one_thread() {
        runtime.spawn(work);
        return Ok(());
    }
    std::thread::Builder::new().name(name.to_owned()).spawn(move || runtime.block_on(work)).map(drop)
}
