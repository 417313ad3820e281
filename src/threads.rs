//! Threads for work that blocks. Where the runtime has one thread only there are none, and such work is done on that one,
//! in its turn: a simulation is then the same from run to run.

use std::cell::Cell;
use std::io;

#[cfg(target_os = "linux")]
use rustix::process::{getpriority_process, setpriority_process};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::oneshot;
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

thread_local! {
    /// Whether the thread may give way.
    static MAY_GIVE_WAY: Cell<bool> = const { Cell::new(false) };
}

/// By how much a thread that gave way is less urgent: with it one that is ready gets nine tenths of a core.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// Does `work` on a thread of its own, which may [`give_way`].
///
/// # Errors
/// When the system has no thread for it.
pub fn alone<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<oneshot::Receiver<T>> {
    let (done, result) = oneshot::channel();
    if has_one_thread() {
        // Whoever waited may have gone.
        tokio::spawn(async { _ = done.send(work()) });
        return Ok(result);
    }
    let work = move || {
        MAY_GIVE_WAY.set(true);
        _ = done.send(work());
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(work)?;
    Ok(result)
}

/// Lets all others go before what this thread does from now on, to its end, where the system can do that and the thread
/// was begun by [`alone`]. To be called with no lock held that others wait for.
pub fn give_way() {
    #[cfg(target_os = "linux")]
    if MAY_GIVE_WAY.get() {
        // Where it may not, it goes on as it is.
        let _ = getpriority_process(None).and_then(|nice| setpriority_process(None, nice + NICE));
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn only_a_thread_of_its_own_gives_way() {
        let before = getpriority_process(None).unwrap();
        let lowered = || {
            give_way();
            getpriority_process(None).unwrap()
        };
        assert_eq!(aside(lowered).await.unwrap(), before);
        assert_eq!(alone("test", lowered).unwrap().await.unwrap(), (before + NICE).min(19));
        assert_eq!((lowered(), getpriority_process(None).unwrap()), (before, before));
    }
}
