//! nftables alone.

use std::time::Instant;

use kube_verdict_nftables::{Figures, Heard, Kernel, Nftables};
use kube_verdict_table::{Change, PerFamily, ServiceTable};

use super::{Backend, Error, Outcome, Refused, Report, Scope};

impl<K: Kernel> Backend for Nftables<K> {
    fn sync(&mut self, table: &ServiceTable, now: Instant) -> Outcome {
        outcome(self.sync(table, now))
    }

    fn apply(&mut self, table: &ServiceTable, change: &Change, now: Instant) -> Outcome {
        outcome(self.apply(table, change, now))
    }

    fn verify(&mut self, table: &ServiceTable, now: Instant) -> Option<Outcome> {
        self.verify(table, now).map(outcome)
    }

    fn listen(&mut self) -> Heard {
        self.listen()
    }

    fn next_tend(&self) -> Option<Instant> {
        self.next_retry()
    }

    fn tend(&mut self, table: &ServiceTable, now: Instant) -> (Scope, Outcome) {
        (Scope::Everything, outcome(self.sync(table, now)))
    }

    fn collect_garbage(&mut self) -> Report {
        self.collect_garbage().into()
    }

    fn keep_unknown(&mut self, keep: bool) -> bool {
        self.keep_unknown(keep)
    }

    fn figures(&self) -> PerFamily<Figures<'_>> {
        PerFamily::from_fn(|family| self.figures(family))
    }

    fn quarantined(&self) -> usize {
        self.quarantined()
    }
}

/// What nftables says, in the loop's words.
fn outcome(result: Result<kube_verdict_nftables::Report, Vec<kube_verdict_nftables::Error>>) -> Outcome {
    result.map(Report::from).map_err(|errors| errors.into_iter().map(Error::from).collect())
}

impl From<kube_verdict_nftables::Report> for Report {
    fn from(report: kube_verdict_nftables::Report) -> Self {
        let kube_verdict_nftables::Report { operations, elements, batches, synced, refused } = report;
        let refused = refused.into_iter().map(Refused::Nftables).collect();
        Report { operations, elements, batches, synced, refused, ..Report::default() }
    }
}
