//! Follows the loop's syncs and has conntrack cleaned up after them, on a thread of its own.
//!
//! A failed sync leaves the old rules in place, so what it touched waits for the next that succeeds. A clean-up
//! that fails is tried again, later and later, and said once.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube_verdict_table::Family;

use super::inbox::Inbox;
use super::{Kernel, Round, Targets, clean};
use crate::reconcile::{Input, Scope, Synced, Witness};

/// From a sync to the dump: packets that were on their way by the old rules have arrived, and what a rollout
/// changes next comes along.
const SETTLE: Duration = Duration::from_millis(10);
/// So many times as long as a clean-up took the thread rests after it, but no longer than [`LONGEST_REST`].
const REST: u32 = 4;
const LONGEST_REST: Duration = Duration::from_secs(1);
/// First time between two tries after a failure; it doubles up to [`LONGEST_RETRY`].
const RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(300);

/// Has UDP flows deleted that the rules have overtaken. Its thread ends with it.
#[derive(Debug)]
pub struct Cleaner {
    inbox: Arc<Inbox>,
    /// what was touched since the last sync that succeeded
    touched: Targets,
    has_failed: bool,
}

impl Cleaner {
    /// Starts the thread, in the network namespace of the calling one. It calls `observe` after every
    /// clean-up.
    pub fn start(
        kernel: impl Kernel + Send + 'static,
        observe: impl FnMut(&Round) + Send + 'static,
    ) -> io::Result<Cleaner> {
        let inbox = Arc::new(Inbox::default());
        let work = Arc::clone(&inbox);
        std::thread::Builder::new()
            .name("conntrack".into())
            .spawn(move || Worker { inbox: work, kernel, observe, trouble: None }.run())?;
        Ok(Cleaner { inbox, touched: Targets::default(), has_failed: false })
    }
}

impl Drop for Cleaner {
    fn drop(&mut self) {
        self.inbox.close();
    }
}

impl Witness for Cleaner {
    fn requested(&mut self, _: &Input) {}

    fn synced(&mut self, sync: &Synced<'_>) {
        if let Some(update) = sync.update {
            self.touched.add(&update.flows, sync.table);
        }
        let Ok(report) = sync.outcome else {
            self.has_failed = true;
            return;
        };
        // Rules that were missing for a while let flows pass that they would have translated.
        let mended = sync.scope == Scope::Everything && sync.update.is_none() && report.operations > 0;
        if std::mem::take(&mut self.has_failed) || mended {
            self.touched.add(&sync.table.udp_flows(), sync.table);
        }
        if !self.touched.is_empty() {
            self.inbox.put(std::mem::take(&mut self.touched));
        }
    }
}

/// The thread.
struct Worker<K, F> {
    inbox: Arc<Inbox>,
    kernel: K,
    observe: F,
    trouble: Option<Trouble>,
}

/// A clean-up that failed.
struct Trouble {
    said: String,
    pause: Duration,
}

impl<K: Kernel, F: FnMut(&Round)> Worker<K, F> {
    fn run(mut self) {
        while let Some(targets) = self.inbox.take(SETTLE) {
            let start = Instant::now();
            let pause = match self.clean(&targets) {
                Ok(()) => (start.elapsed() * REST).min(LONGEST_REST),
                Err(error) => {
                    self.inbox.put_back(targets);
                    self.failed(&error)
                }
            };
            self.inbox.rest(pause);
        }
    }

    fn clean(&mut self, targets: &Targets) -> io::Result<()> {
        for family in Family::BOTH {
            if targets.filters(family).is_empty() {
                continue;
            }
            let start = Instant::now();
            let deleted = clean(&mut self.kernel, family, targets, |to| self.inbox.knows(to))?;
            let round = Round { family, took: start.elapsed(), deleted };
            tracing::debug!(
                %family,
                deleted,
                microseconds = round.took.as_micros() as u64,
                "looked for stale UDP flows"
            );
            (self.observe)(&round);
        }
        if self.trouble.take().is_some() {
            tracing::info!("stale UDP flows are deleted from conntrack again");
        }
        Ok(())
    }

    /// Says what happened, once, and when to try again.
    fn failed(&mut self, error: &io::Error) -> Duration {
        let said = error.to_string();
        let before = self.trouble.take();
        if before.as_ref().is_none_or(|trouble| trouble.said != said) {
            tracing::error!(
                "cannot delete stale UDP flows from conntrack: {error}: {}; until then a UDP flow whose endpoint \
                 is gone is lost while its client goes on sending. Everything else works; trying again",
                advice(error)
            );
        }
        let pause = before.map_or(RETRY, |trouble| (trouble.pause * 2).min(LONGEST_RETRY));
        self.trouble = Some(Trouble { said, pause });
        pause
    }
}

/// What to do about an error.
fn advice(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        // nfnetlink knows no such subsystem; there is no nfnetlink.
        Some(libc::EINVAL | libc::EPROTONOSUPPORT) => {
            "the kernel does not offer conntrack over netlink: load the module nf_conntrack_netlink \
             (CONFIG_NF_CT_NETLINK)"
        }
        Some(libc::EPERM | libc::EACCES) => "give the daemon CAP_NET_ADMIN",
        _ => "see the kernel's log",
    }
}

#[cfg(test)]
#[path = "cleaner_tests.rs"]
mod tests;
