//! What the loop tells about itself. Health, metrics, conntrack and the like follow from syncs and are no rules:
//! they hang here, so that the loop knows none of them.

use std::time::Duration;

use kube_verdict_nftables::Figures;
use kube_verdict_table::{PerFamily, ServiceTable, Update};

use super::{Error, Input, Report, Servers};
use crate::repairs::Ours;

/// Is told what the loop does, between two batches. It must not wait for anything: what takes time goes
/// elsewhere.
pub trait Witness {
    /// News are about to be taken in.
    fn requested(&mut self, news: &Input);

    /// A sync ended, well or not. After [`Witness::requested`] there always is one, even if nothing was to be
    /// programmed.
    fn synced(&mut self, sync: &Synced<'_>);
}

/// Nobody wants to know.
impl Witness for () {
    fn requested(&mut self, _: &Input) {}
    fn synced(&mut self, _: &Synced<'_>) {}
}

/// Both are told, one after the other.
impl<A: Witness, B: Witness> Witness for (A, B) {
    fn requested(&mut self, news: &Input) {
        self.0.requested(news);
        self.1.requested(news);
    }

    fn synced(&mut self, sync: &Synced<'_>) {
        self.0.synced(sync);
        self.1.synced(sync);
    }
}

/// How much a sync compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// the whole table with what is read from the kernel
    Everything,
    /// what changed in the table
    Change,
    /// nothing of the table: what waited for its time was done, such as the removal of servers without connections
    Upkeep,
    /// nothing: the news change nothing that is programmed, and what failed before has failed as before
    Nothing,
}

/// A sync that ended.
#[derive(Debug)]
pub struct Synced<'a> {
    /// the table as it is now
    pub table: &'a ServiceTable,
    /// what the sync was about
    pub scope: Scope,
    /// what the table made of the news that led to it, if news did. After a failure the kernel may show this
    /// only with the next success.
    pub update: Option<&'a Update>,
    /// from the news, or the decision, to the kernel's answer
    pub took: Duration,
    /// what was written; or what went wrong, at least one error
    pub outcome: Result<&'a Report, &'a [Error]>,
    /// what the backend says of each family after it
    pub figures: PerFamily<Figures<'a>>,
    /// what there is of virtual servers, where IPVS balances. Not of every sync: it takes time to count them
    pub servers: Option<Servers>,
    /// frontends and elements that the kernel refuses at present
    pub quarantined: usize,
    /// somebody else had changed what is ours, and it is mended
    pub repair: Option<Repair>,
}

/// What had to be mended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mended {
    /// of nftables
    pub operations: usize,
    /// of IPVS
    pub orders: usize,
}

impl Mended {
    /// What it was of.
    pub fn of(self) -> impl Iterator<Item = Ours> {
        let parts = [(Ours::Tables, self.operations), (Ours::VirtualServers, self.orders)];
        parts.into_iter().filter(|(_, written)| *written > 0).map(|(ours, _)| ours)
    }
}

/// Something that somebody else had changed was mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repair {
    /// so much
    pub mended: Mended,
    /// it had to wait, because there were others shortly before
    pub was_delayed: bool,
}
