//! nftables that leads to IPVS.

use std::time::Instant;

use kube_verdict_ipvs::{Failed, Ipvs, Written, kernel};
use kube_verdict_nftables::{Figures, Heard, Kernel};
use kube_verdict_table::{Change, Flows, PerFamily, ServiceTable};

use super::{Backend, Error, Outcome, Refused, Report, Scope, Servers};

impl<N: Kernel, I: kernel::Kernel> Backend for Ipvs<N, I> {
    fn sync(&mut self, table: &ServiceTable, now: Instant) -> Outcome {
        outcome(self.sync(table, now))
    }

    fn apply(&mut self, table: &ServiceTable, change: &Change, now: Instant) -> Outcome {
        outcome(self.apply(table, change, now))
    }

    fn verify(&mut self, table: &ServiceTable, now: Instant) -> Option<Outcome> {
        self.verify(table, now).map(outcome)
    }

    fn cut(&mut self, table: &ServiceTable, flows: &[Flows], now: Instant) -> Outcome {
        outcome(self.cut(table, flows, now))
    }

    fn listen(&mut self) -> Heard {
        self.listen()
    }

    fn next_tend(&self) -> Option<Instant> {
        self.next_tend()
    }

    fn tend(&mut self, table: &ServiceTable, now: Instant) -> (Scope, Outcome) {
        let (compared, result) = self.tend(table, now);
        (if compared { Scope::Everything } else { Scope::Upkeep }, outcome(result))
    }

    fn collect_garbage(&mut self) -> Report {
        self.collect_garbage().into()
    }

    fn keep_unknown(&mut self, keep: bool) -> bool {
        self.keep_unknown(keep)
    }

    fn figures(&self) -> PerFamily<Figures<'_>> {
        PerFamily::from_fn(|family| self.steering().figures(family))
    }

    fn servers(&self) -> Option<Servers> {
        Some(self.servers())
    }

    fn quarantined(&self) -> usize {
        self.steering().quarantined()
    }
}

/// What both say, in the loop's words.
fn outcome(result: Result<Written, Failed>) -> Outcome {
    match result {
        Ok(Written { steering, servers }) => {
            let mut report = Report::from(steering);
            (report.orders, report.foreign) = (servers.orders, servers.foreign);
            report.refused.extend(servers.refused.into_iter().map(Refused::Ipvs));
            // Both families ask, and both virtual servers of a service port; whoever hears of it wants to once.
            report.replaced = servers.replaced;
            report.replaced.sort_unstable();
            report.replaced.dedup();
            Ok(report)
        }
        Err(Failed { steering, servers }) => {
            Err(steering.into_iter().map(Error::from).chain(servers.into_iter().map(Error::from)).collect())
        }
    }
}
