//! What keeps the kernel equal to the table, as the loop sees it: nftables alone, or nftables that leads to IPVS.

mod ipvs;
mod leaving;
mod nftables;

use std::fmt;
use std::time::Instant;

use kube_verdict_ipvs::Replaced;
use kube_verdict_nftables::{Figures, Heard};
use kube_verdict_table::{Change, Family, Flows, PerFamily, ServiceTable};

use super::Scope;
pub use leaving::{Leaving, Routing};

/// A backend. Time is handed in.
pub trait Backend {
    /// Makes the kernel equal to the table, whatever it holds now.
    fn sync(&mut self, table: &ServiceTable, now: Instant) -> Outcome;

    /// Makes the kernel equal to the table, which has just undergone this change.
    fn apply(&mut self, table: &ServiceTable, change: &Change, now: Instant) -> Outcome;

    /// Where flows of UDP may stay has changed, and maybe nothing else.
    fn cut(&mut self, _: &ServiceTable, _: &[Flows], _: Instant) -> Outcome {
        Ok(Report::default())
    }

    /// Compares the kernel with the table if somebody else may have changed what is ours, and mends what differs.
    /// None: nobody has.
    fn verify(&mut self, table: &ServiceTable, now: Instant) -> Option<Outcome>;

    /// What others did since the last call.
    fn listen(&mut self) -> Heard;

    /// When [`Backend::tend`] has something to do.
    fn next_tend(&self) -> Option<Instant>;

    /// Does what became due: tries again what was refused, removes what waited for its time. Says how much it
    /// compared.
    fn tend(&mut self, table: &ServiceTable, now: Instant) -> (Scope, Outcome);

    /// Removes what nothing uses any more, some time after the change that made it so.
    fn collect_garbage(&mut self) -> Report;

    /// Whether frontends that the kernel has and the table does not know are left alone from now on. Says whether
    /// that is news.
    fn keep_unknown(&mut self, keep: bool) -> bool;

    /// What it says of each family at any time.
    fn figures(&self) -> PerFamily<Figures<'_>>;

    /// What there is of virtual servers, where IPVS balances. Takes time that grows with them.
    fn servers(&self) -> Option<Servers> {
        None
    }

    /// How much the kernel refuses at present.
    fn quarantined(&self) -> usize;
}

/// What there is of virtual servers; of a family None while that is not known.
pub type Servers = PerFamily<Option<kube_verdict_ipvs::Figures>>;

/// How a step ended: what was written, or at least one error.
pub type Outcome = Result<Report, Vec<Error>>;

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// operations of batches that became real
    pub operations: usize,
    /// elements among them
    pub elements: usize,
    /// batches committed
    pub batches: usize,
    /// families that were read back and compared as a whole
    pub synced: Vec<Family>,
    /// orders that IPVS carried out
    pub orders: usize,
    /// how often these met virtual servers that somebody else had changed, which are mended
    pub foreign: usize,
    /// newly refused
    pub refused: Vec<Refused>,
    /// schedulers in place of which others are used, newly
    pub replaced: Vec<Replaced>,
}

/// Something that the kernel refused, and that will be tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// an element
    Nftables(kube_verdict_nftables::Refused),
    /// a virtual or real server
    Ipvs(kube_verdict_ipvs::Refused),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Nftables(refused) => refused.fmt(f),
            Refused::Ipvs(refused) => refused.fmt(f),
        }
    }
}

/// Why a family could not be programmed. What was programmed before stays.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// by nftables
    #[error(transparent)]
    Nftables(#[from] kube_verdict_nftables::Error),
    /// by IPVS
    #[error(transparent)]
    Ipvs(#[from] kube_verdict_ipvs::Error),
}

impl Error {
    /// Whose rules it is about.
    pub fn family(&self) -> Family {
        match self {
            Error::Nftables(error) => error.family(),
            Error::Ipvs(error) => error.family(),
        }
    }
}
