//! What to do when: with a change, when something is due, after a failure. Time is handed in.

use std::time::{Duration, Instant};

use kube_verdict_nftables::{Error, Kernel, Nftables, Report};
use kube_verdict_table::{PerFamily, ServiceTable, Update};

use super::{Input, Scope, Synced, Witness};

/// First time between two tries after a failure; it doubles up to the sync period.
const RETRY: Duration = Duration::from_secs(1);
/// How long after a change unused chains are collected. Kernels before 6.2 let go of a chain a while after the
/// last element that named it went; what they refuse then goes later.
const GARBAGE: Duration = Duration::from_secs(5);

/// Of how many moments one may be spent on comparing everything: the kernel's dump of a large map takes time
/// that grows faster than the map.
const VERIFY_SHARE: u32 = 50;

/// A table, the backend that follows it, and who is told of it.
pub struct Reconciler<K, W = ()> {
    table: ServiceTable,
    backend: Nftables<K>,
    witness: W,
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
    errors: Vec<Error>,
}

impl<K: Kernel, W: Witness> Reconciler<K, W> {
    /// With a table that has seen no objects yet; nothing is written.
    pub fn new(
        table: ServiceTable,
        backend: Nftables<K>,
        witness: W,
        sync_period: Duration,
        now: Instant,
    ) -> Self {
        let verify_at = now + sync_period;
        Reconciler { table, backend, witness, sync_period, verify_at, garbage_at: None, failure: None }
    }

    /// Takes in the first complete set of objects and makes the kernel equal to it.
    pub fn start(&mut self, first: Input, now: Instant) -> Option<Report> {
        self.witness.requested(&first);
        self.keep_unknown(first.has_gaps, now);
        let update = self.table.update_all(first.node, first.events);
        update.notices.iter().for_each(|notice| tracing::warn!("{notice}"));
        self.sync_after(Some(&update), now)
    }

    /// Takes in what is new and programmes what follows from it.
    pub fn take_in(&mut self, news: Input, now: Instant) -> Option<Report> {
        self.witness.requested(&news);
        self.keep_unknown(news.has_gaps, now);
        let update = self.table.update_all(news.node, news.events);
        self.programme(update, now)
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
    fn keep_unknown(&mut self, keep: bool, now: Instant) {
        if self.backend.keep_unknown(keep) && !keep {
            tracing::info!("everything could be read: services that nobody defines go");
            self.verify_at = now;
        }
    }

    /// Compares everything with the kernel and writes the difference.
    pub fn sync(&mut self, now: Instant) -> Option<Report> {
        self.sync_after(None, now)
    }

    fn sync_after(&mut self, update: Option<&Update>, now: Instant) -> Option<Report> {
        let start = Instant::now();
        let result = self.backend.sync(&self.table, now);
        self.settle(result, (Scope::Everything, false), update, start, now)
    }

    fn programme(&mut self, update: Update, now: Instant) -> Option<Report> {
        update.notices.iter().for_each(|notice| tracing::warn!("{notice}"));
        let start = Instant::now();
        let is_empty = update.change.is_empty();
        let result = match is_empty {
            true => {
                // What failed before stays failed: an empty change mends nothing.
                if let Some(failure) = &self.failure {
                    let synced = Synced {
                        table: &self.table,
                        scope: Scope::Nothing,
                        update: Some(&update),
                        took: Duration::ZERO,
                        outcome: Err(&failure.errors),
                        figures: PerFamily::from_fn(|family| self.backend.figures(family)),
                        quarantined: self.backend.quarantined(),
                        was_foreign: false,
                    };
                    self.witness.synced(&synced);
                    return None;
                }
                Ok(Report::default())
            }
            false => {
                self.garbage_at.get_or_insert(now + GARBAGE);
                self.backend.apply(&self.table, &update.change, now)
            }
        };
        self.settle(result, (Scope::Change, false), Some(&update), start, now).filter(|_| !is_empty)
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
        let was_foreign = result.as_ref().is_ok_and(|report| report.operations > 0);
        let report = self.settle(result, (Scope::Everything, was_foreign), None, start, now)?;
        if report.operations > 0 {
            tracing::warn!(
                operations = report.operations,
                "somebody changed our nftables tables; they are as they should be again"
            );
        }
        Some(report)
    }

    /// Says what happened, once, and decides when to try again.
    fn settle(
        &mut self,
        result: Result<Report, Vec<Error>>,
        (scope, was_foreign): (Scope, bool),
        update: Option<&Update>,
        start: Instant,
        now: Instant,
    ) -> Option<Report> {
        self.witness.synced(&Synced {
            table: &self.table,
            scope,
            update,
            took: start.elapsed(),
            outcome: result.as_ref().map_err(Vec::as_slice),
            figures: PerFamily::from_fn(|family| self.backend.figures(family)),
            quarantined: self.backend.quarantined(),
            was_foreign,
        });
        match result {
            Ok(report) => {
                report.refused.iter().for_each(|refused| tracing::error!("{refused}"));
                if self.failure.take().is_some() {
                    tracing::info!("the kernel takes our rules again");
                }
                Some(report)
            }
            Err(errors) => {
                let words = |errors: &[Error]| errors.iter().map(Error::to_string).collect::<Vec<_>>();
                let said = words(&errors);
                let before = self.failure.take();
                if before.as_ref().is_none_or(|failure| words(&failure.errors) != said) {
                    said.iter().for_each(|error| tracing::error!("{error}"));
                    tracing::error!("what was programmed stays; trying again");
                }
                let longest = self.sync_period.max(RETRY);
                let pause = before.map_or(RETRY, |failure| (failure.pause * 2).min(longest));
                self.failure = Some(Failure { retry_at: now + pause, pause, errors });
                None
            }
        }
    }
}
