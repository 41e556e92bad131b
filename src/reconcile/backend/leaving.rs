//! nftables on a node that IPVS mode has served: new connections are spread by nftables, and what IPVS has established
//! goes on until it ends. For that IPVS mode's virtual servers stay, of weight 0, with what brings later packets to
//! them: some chains ([`Balancer::SlotsBesideIpvs`](kube_verdict_nftables::layout::Balancer)) and the policy routing.
//! A virtual server goes when its last connection has, and after the last of them all the rest does. What is there is
//! read from the kernel, so a daemon that starts anew goes on with it. Facts: reference §§10, 12.5.

use std::time::Instant;

use kube_verdict_ipvs::{Ipvs, kernel};
use kube_verdict_nftables::{Figures, Heard, Kernel};
use kube_verdict_table::{Change, Flows, PerFamily, ServiceTable};

use super::{Backend, Outcome, Report, Scope, Servers};

/// What brings packets to IPVS and is not nftables.
pub trait Routing {
    /// Mends what somebody else has changed.
    fn look_after(&mut self);

    /// Removes it. What fails is said.
    fn remove(&mut self);
}

/// The backend.
pub struct Leaving<N, I, R> {
    ipvs: Ipvs<N, I>,
    /// None: IPVS is left
    routing: Option<R>,
    /// it was said what is waited for
    has_told: bool,
}

impl<N: Kernel, I: kernel::Kernel, R: Routing> Leaving<N, I, R> {
    /// A backend whose options are those of nftables beside IPVS, and whose director may know what is there.
    pub fn new(ipvs: Ipvs<N, I>, routing: R) -> Self {
        Leaving { ipvs, routing: Some(routing), has_told: false }
    }

    /// After a step: if IPVS has nothing left, the rest goes, chains first.
    fn settle(&mut self, table: &ServiceTable, now: Instant, outcome: Outcome) -> Outcome {
        let report = outcome?;
        if self.routing.is_none() {
            return Ok(report);
        }
        if !self.ipvs.is_empty() {
            self.tell();
            return Ok(report);
        }
        self.ipvs.dismiss();
        let Report { orders, foreign, .. } = report;
        let report = Backend::sync(&mut self.ipvs, table, now)?;
        if let Some(mut routing) = self.routing.take() {
            routing.remove();
            tracing::info!(
                "the last connections of IPVS mode have ended: its virtual servers, chains and policy routing are gone"
            );
        }
        Ok(Report { orders: orders + report.orders, foreign: foreign + report.foreign, ..report })
    }

    fn tell(&mut self) {
        if std::mem::replace(&mut self.has_told, true) {
            return;
        }
        let count = |servers: PerFamily<Option<kube_verdict_ipvs::Figures>>| {
            let figures = [servers.v4, servers.v6].into_iter().flatten();
            figures.map(|figures| figures.draining_virtual_servers).sum::<usize>()
        };
        tracing::info!(
            servers = count(self.ipvs.servers()),
            "IPVS mode served this node before: virtual servers with connections, and what brings these to them, stay \
             until they have ended; new ones do not come to them"
        );
    }
}

impl<N: Kernel, I: kernel::Kernel, R: Routing> Backend for Leaving<N, I, R> {
    fn sync(&mut self, table: &ServiceTable, now: Instant) -> Outcome {
        let outcome = Backend::sync(&mut self.ipvs, table, now);
        self.settle(table, now, outcome)
    }

    fn apply(&mut self, table: &ServiceTable, change: &Change, now: Instant) -> Outcome {
        Backend::apply(&mut self.ipvs, table, change, now)
    }

    fn cut(&mut self, table: &ServiceTable, flows: &[Flows], now: Instant) -> Outcome {
        Backend::cut(&mut self.ipvs, table, flows, now)
    }

    fn verify(&mut self, table: &ServiceTable, now: Instant) -> Option<Outcome> {
        let outcome = Backend::verify(&mut self.ipvs, table, now)?;
        Some(self.settle(table, now, outcome))
    }

    fn listen(&mut self) -> Heard {
        self.ipvs.listen()
    }

    fn next_tend(&self) -> Option<Instant> {
        self.ipvs.next_tend()
    }

    fn tend(&mut self, table: &ServiceTable, now: Instant) -> (Scope, Outcome) {
        if let Some(routing) = &mut self.routing {
            routing.look_after();
        }
        let (scope, outcome) = Backend::tend(&mut self.ipvs, table, now);
        let was_left = self.routing.is_none();
        let outcome = self.settle(table, now, outcome);
        // With IPVS' end everything was compared.
        (if was_left == self.routing.is_none() { scope } else { Scope::Everything }, outcome)
    }

    fn collect_garbage(&mut self) -> Report {
        Backend::collect_garbage(&mut self.ipvs)
    }

    fn keep_unknown(&mut self, keep: bool) -> bool {
        self.ipvs.keep_unknown(keep)
    }

    fn figures(&self) -> PerFamily<Figures<'_>> {
        Backend::figures(&self.ipvs)
    }

    fn servers(&self) -> Option<Servers> {
        Backend::servers(&self.ipvs)
    }

    fn quarantined(&self) -> usize {
        Backend::quarantined(&self.ipvs)
    }
}

#[cfg(test)]
#[path = "leaving_tests.rs"]
mod tests;
