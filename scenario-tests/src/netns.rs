//! Network namespaces that exist only as an open file: nothing is written under `/run/netns`, so nothing is
//! left behind when a test panics or is killed. The kernel removes a namespace with its last file, thread or
//! process.
//!
//! Work is done *inside* by a thread that enters with `setns`. A socket stays in the namespace where it was
//! opened, whichever thread uses it later.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};

/// One network namespace.
#[derive(Debug)]
pub struct Netns {
    file: File,
}

impl Netns {
    /// A new, empty namespace.
    ///
    /// # Panics
    /// When the kernel refuses, which means that the tests do not run as root.
    pub fn new() -> Self {
        // The thread is thrown away: its namespace lives on in the file.
        let file = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).unwrap_or_else(|e| {
                panic!("cannot make a network namespace ({e}): the scenario tests must run as root")
            });
            File::open("/proc/thread-self/ns/net").expect("opening the namespace just made")
        })
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Netns { file }
    }

    /// Moves the calling thread into the namespace, for good: call it in threads of your own.
    pub fn enter(&self) {
        setns(&self.file, CloneFlags::CLONE_NEWNET).expect("entering a network namespace");
    }

    /// Runs `work` inside, on a thread of its own, and waits for it.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            scope
                .spawn(|| {
                    self.enter();
                    work()
                })
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// The same namespace, to be held by somebody else.
    pub fn share(&self) -> Netns {
        Netns { file: self.file.try_clone().expect("duplicating a file descriptor") }
    }

    /// A path that other programs may open while this process holds the namespace.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd())
    }
}

impl Default for Netns {
    fn default() -> Self {
        Self::new()
    }
}
