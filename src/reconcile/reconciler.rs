//! What to do when: with a change, when something is due, after a failure. Time is handed in.

use std::time::{Duration, Instant};

use kube_verdict_table::{ServiceTable, Update};

use super::drift::Drift;
use super::{Backend, Error, Input, Mended, Outcome, Repair, Report, Scope, Synced, Witness, clock};

/// First time between two tries after a failure; it doubles up to the sync period.
const RETRY: Duration = Duration::from_secs(1);
/// How long after a change unused chains are collected. Kernels before 6.2 let go of a chain a while after the
/// last element that named it went; what they refuse then goes later.
const GARBAGE: Duration = Duration::from_secs(5);

/// Of how many moments one may be spent on comparing everything when nobody is known to have changed anything: the
/// kernel's dump of a large map takes time that grows faster than the map.
pub(super) const VERIFY_SHARE: u32 = 50;

/// A table, the backend that follows it, and who is told of it.
pub struct Reconciler<B, W = ()> {
    table: ServiceTable,
    backend: B,
    witness: W,
    /// the longest time between two looks at whether somebody else changed the ruleset
    sync_period: Duration,
    verify_at: Instant,
    garbage_at: Option<Instant>,
    drift: Drift,
    /// set while the kernel differs from the table because something failed
    failure: Option<Failure>,
}

struct Failure {
    retry_at: Instant,
    pause: Duration,
    errors: Vec<Error>,
}

impl<B: Backend, W: Witness> Reconciler<B, W> {
    /// With a table that has seen no objects yet; nothing is written.
    pub fn new(table: ServiceTable, backend: B, witness: W, sync_period: Duration, now: Instant) -> Self {
        let verify_at = now + sync_period;
        let drift = Drift::new(sync_period);
        Reconciler { table, backend, witness, sync_period, verify_at, garbage_at: None, drift, failure: None }
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
    pub fn backend_mut(&mut self) -> &mut B {
        &mut self.backend
    }

    /// Who is told.
    #[cfg(test)]
    pub(super) fn witness(&self) -> &W {
        &self.witness
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
            self.drift.is_ours = true;
        }
    }

    /// Compares everything with the kernel and writes the difference.
    pub fn sync(&mut self, now: Instant) -> Option<Report> {
        self.sync_after(None, now)
    }

    fn sync_after(&mut self, update: Option<&Update>, now: Instant) -> Option<Report> {
        let start = clock::now();
        let result = self.backend.sync(&self.table, now);
        self.settle(result, (Scope::Everything, None), update, start, now)
    }

    fn programme(&mut self, update: Update, now: Instant) -> Option<Report> {
        update.notices.iter().for_each(|notice| tracing::warn!("{notice}"));
        let start = clock::now();
        let is_empty = update.change.is_empty();
        let result = match is_empty {
            true => {
                // What failed before stays failed: an empty change mends nothing.
                if let Some(failure) = self.failure.take() {
                    self.tell((Scope::Nothing, None), Some(&update), Duration::ZERO, Err(&failure.errors));
                    self.failure = Some(failure);
                    return None;
                }
                Ok(Report::default())
            }
            false => {
                self.garbage_at.get_or_insert(now + GARBAGE);
                self.backend.apply(&self.table, &update.change, now)
            }
        };
        let result = match result {
            Ok(report) if !update.flows.is_empty() => {
                let cut = self.backend.cut(&self.table, &update.flows, now);
                cut.map(|cut| Report {
                    orders: report.orders + cut.orders,
                    foreign: report.foreign + cut.foreign,
                    ..report
                })
            }
            result => result,
        };
        if let Ok(report) = &result
            && !report.synced.is_empty()
        {
            // The change met what somebody else had done, and mended that too.
            self.drift.hear(self.backend.listen(), now);
            self.drift.mended(report.operations);
        }
        self.settle(result, (Scope::Change, None), Some(&update), start, now).filter(|_| !is_empty)
    }

    /// Hears what others did. What they did to our tables is mended at once, unless that was necessary a short
    /// while ago: then it is due later.
    pub fn listen(&mut self, now: Instant) -> Option<Report> {
        self.drift.hear(self.backend.listen(), now);
        if self.failure.is_none() && self.drift.is_due(now) { self.look(now) } else { None }
    }

    /// When [`Reconciler::wake`] has something to do.
    pub fn next_wake(&self) -> Instant {
        // While something fails nothing else is due: each try compares everything.
        let next = match &self.failure {
            Some(failure) => failure.retry_at,
            None => {
                let others = [self.drift.due_at(), self.backend.next_tend()];
                others.into_iter().flatten().fold(self.verify_at, Instant::min)
            }
        };
        self.garbage_at.map_or(next, |at| at.min(next))
    }

    /// Does what is due: another try, a look at the ruleset, the removal of chains that nothing uses.
    pub fn wake(&mut self, now: Instant) -> Option<Report> {
        if self.garbage_at.is_some_and(|at| at <= now) {
            self.garbage_at = None;
            let report = self.backend.collect_garbage();
            tracing::debug!(operations = report.operations, "removed chains that nothing uses");
        }
        if let Some(failure) = &self.failure {
            return if failure.retry_at <= now { self.sync(now) } else { None };
        }
        if self.backend.next_tend().is_some_and(|at| at <= now) {
            let start = clock::now();
            let (scope, result) = self.backend.tend(&self.table, now);
            return self.settle(result, (scope, None), None, start, now);
        }
        if self.verify_at <= now || self.drift.is_due(now) { self.look(now) } else { None }
    }

    /// Looks whether somebody else changed our tables, and mends them.
    fn look(&mut self, now: Instant) -> Option<Report> {
        let start = clock::now();
        let result = self.backend.verify(&self.table, now);
        let took = clock::now() - start;
        self.verify_at = now + self.sync_period.max(took * VERIFY_SHARE);
        let found = result.as_ref().and_then(|result| result.as_ref().ok());
        let mended = found.map_or(Mended::default(), |report| Mended {
            operations: report.operations,
            orders: report.orders,
        });
        let repair = self.drift.looked(mended, took, now);
        // What was mended was a batch, and those make deaf.
        self.drift.hear(self.backend.listen(), now);
        let Some(result) = result else {
            // Virtual servers were counted, and that is news though nothing had to be done.
            if self.backend.servers().is_some() {
                self.tell((Scope::Upkeep, None), None, took, Ok(&Report::default()));
            }
            return None;
        };
        self.settle(result, (Scope::Everything, repair), None, start, now)
    }

    /// Tells the witness of a sync that ended.
    fn tell(
        &mut self,
        (scope, repair): (Scope, Option<Repair>),
        update: Option<&Update>,
        took: Duration,
        outcome: Result<&Report, &[Error]>,
    ) {
        self.witness.synced(&Synced {
            table: &self.table,
            scope,
            update,
            took,
            outcome,
            figures: self.backend.figures(),
            servers: match scope {
                Scope::Everything | Scope::Upkeep => self.backend.servers(),
                Scope::Change | Scope::Nothing => None,
            },
            quarantined: self.backend.quarantined(),
            repair,
        });
    }

    /// Says what happened, once, and decides when to try again.
    fn settle(
        &mut self,
        result: Outcome,
        (scope, repair): (Scope, Option<Repair>),
        update: Option<&Update>,
        start: Instant,
        now: Instant,
    ) -> Option<Report> {
        let met = result.as_ref().map_or(0, |report| report.foreign);
        let about = (scope, repair.or_else(|| self.drift.met(met, now)));
        self.tell(about, update, clock::now() - start, result.as_ref().map_err(Vec::as_slice));
        match result {
            Ok(report) => {
                report.refused.iter().for_each(|refused| tracing::error!("{refused}"));
                report.replaced.iter().for_each(|replaced| tracing::warn!("{replaced}"));
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
