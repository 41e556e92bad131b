//! What to do when: with a change, when something is due, after a failure. Time is handed in.

use std::time::{Duration, Instant};

use kube_verdict_nftables::{Error, Kernel, Nftables, Report};
use kube_verdict_table::objects::ObjectEvent;
use kube_verdict_table::{NodeState, ServiceTable, Update};

/// First time between two tries after a failure; it doubles up to the sync period.
const RETRY: Duration = Duration::from_secs(1);
/// How long after a change unused chains are collected. Kernels before 6.2 let go of a chain a while after the
/// last element that named it went; what they refuse then goes later.
const GARBAGE: Duration = Duration::from_secs(5);

/// Of how many moments one may be spent on comparing everything: the kernel's dump of a large map takes time
/// that grows faster than the map.
const VERIFY_SHARE: u32 = 50;

/// A table and the backend that follows it.
pub struct Reconciler<K> {
    table: ServiceTable,
    backend: Nftables<K>,
    /// the longest time between two looks at whether somebody else changed the ruleset
    sync_period: Duration,
    verify_at: Instant,
    garbage_at: Option<Instant>,
    /// set while the kernel differs from the table because something failed
    failure: Option<Failure>,
}

struct Failure {
    retry_at: Instant,
    pause: Duration,
    said: Vec<String>,
}

impl<K: Kernel> Reconciler<K> {
    /// With the first complete set of objects in the table; nothing is written yet.
    pub fn new(table: ServiceTable, backend: Nftables<K>, sync_period: Duration, now: Instant) -> Self {
        let verify_at = now + sync_period;
        Reconciler { table, backend, sync_period, verify_at, garbage_at: None, failure: None }
    }

    /// The table.
    pub fn table(&self) -> &ServiceTable {
        &self.table
    }

    /// The backend.
    pub fn backend_mut(&mut self) -> &mut Nftables<K> {
        &mut self.backend
    }

    /// Whether the kernel is as the table says, as far as is known.
    pub fn is_in_sync(&self) -> bool {
        self.failure.is_none()
    }

    /// Whether services that only the kernel knows of stay, because the source could not read everything.
    pub fn keep_unknown(&mut self, keep: bool, now: Instant) {
        if self.backend.keep_unknown(keep) && !keep {
            tracing::info!("everything could be read: services that nobody defines go");
            self.verify_at = now;
        }
    }

    /// Compares everything with the kernel and writes the difference.
    pub fn sync(&mut self, now: Instant) -> Option<Report> {
        let result = self.backend.sync(&self.table, now);
        self.settle(result, now)
    }

    /// Takes in changes of objects and programmes what follows from them, in one batch a family.
    pub fn change(&mut self, events: impl IntoIterator<Item = ObjectEvent>, now: Instant) -> Option<Report> {
        let update = self.table.update(events);
        self.programme(update, now)
    }

    /// The same for what is known of the node.
    pub fn set_node(&mut self, node: NodeState, now: Instant) -> Option<Report> {
        let update = self.table.set_node(node);
        self.programme(update, now)
    }

    fn programme(&mut self, update: Update, now: Instant) -> Option<Report> {
        update.notices.iter().for_each(|notice| tracing::warn!("{notice}"));
        if update.change.is_empty() {
            return None;
        }
        self.garbage_at.get_or_insert(now + GARBAGE);
        let result = self.backend.apply(&self.table, &update.change, now);
        self.settle(result, now)
    }

    /// When [`Reconciler::wake`] has something to do.
    pub fn next_wake(&self) -> Instant {
        let retry = self.failure.as_ref().map(|failure| failure.retry_at);
        let others = [retry, self.garbage_at, self.backend.next_retry()];
        others.into_iter().flatten().fold(self.verify_at, Instant::min)
    }

    /// Does what is due: another try, a look at the ruleset, the removal of chains that nothing uses.
    pub fn wake(&mut self, now: Instant) -> Option<Report> {
        if self.garbage_at.is_some_and(|at| at <= now) {
            self.garbage_at = None;
            let report = self.backend.collect_garbage();
            tracing::debug!(operations = report.operations, "removed chains that nothing uses");
        }
        let retry = self.failure.as_ref().is_some_and(|failure| failure.retry_at <= now);
        if retry || self.backend.next_retry().is_some_and(|at| at <= now) {
            return self.sync(now);
        }
        if self.verify_at > now {
            return None;
        }
        let start = Instant::now();
        let result = self.backend.verify(&self.table, now);
        self.verify_at = now + self.sync_period.max(start.elapsed() * VERIFY_SHARE);
        let result = result?;
        let report = self.settle(result, now)?;
        if report.operations > 0 {
            tracing::warn!(
                operations = report.operations,
                "somebody changed our nftables tables; they are as they should be again"
            );
        }
        Some(report)
    }

    /// Says what happened, once, and decides when to try again.
    fn settle(&mut self, result: Result<Report, Vec<Error>>, now: Instant) -> Option<Report> {
        match result {
            Ok(report) => {
                report.refused.iter().for_each(|refused| tracing::error!("{refused}"));
                if self.failure.take().is_some() {
                    tracing::info!("the kernel takes our rules again");
                }
                Some(report)
            }
            Err(errors) => {
                let said: Vec<String> = errors.iter().map(Error::to_string).collect();
                let before = self.failure.take();
                if before.as_ref().is_none_or(|failure| failure.said != said) {
                    said.iter().for_each(|error| tracing::error!("{error}"));
                    tracing::error!("what was programmed stays; trying again");
                }
                let longest = self.sync_period.max(RETRY);
                let pause = before.map_or(RETRY, |failure| (failure.pause * 2).min(longest));
                self.failure = Some(Failure { retry_at: now + pause, pause, said });
                None
            }
        }
    }
}
