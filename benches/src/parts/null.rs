//! A kernel that is not there.

use kube_verdict_nftables::Kernel;
use kube_verdict_nftables::batch::Batch;
use kube_verdict_nftables::kernel::{CommitError, ReadError, Snapshot};
use kube_verdict_table::Family;

/// Takes everything and is always empty when it is read: what is left is the backend's own work.
#[derive(Debug, Default)]
pub struct Null {
    /// what it took, if it is to be kept
    pub batches: Option<Vec<Batch>>,
}

impl Null {
    /// One that keeps what it takes.
    pub fn keeping() -> Null {
        Null { batches: Some(Vec::new()) }
    }
}

impl Kernel for Null {
    fn commit(&mut self, batch: &Batch) -> Result<(), CommitError> {
        if let Some(batches) = &mut self.batches {
            batches.push(batch.clone());
        }
        Ok(())
    }

    fn read(&mut self, _family: Family) -> Result<Snapshot, ReadError> {
        Ok(Snapshot::default())
    }

    fn generation(&mut self) -> Result<u32, ReadError> {
        Ok(0)
    }
}
