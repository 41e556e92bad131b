//! Replacing a whole table while packets go on: one of another layout, or one that is to have an owner.
//!
//! A batch that deletes a table and makes it anew is atomic, and a packet is not: if it has entered a chain of the old
//! table when the batch is committed, it finds that table's maps empty, or no rule at all, and has passed the new table's
//! chains already. Of 831,000 first packets 10 left untranslated in 215 replacements. So for the time of the replacement
//! another table, the bridge, has all that the new one has: it is made before, and removed after, and each
//! time packets that are under way are given the time to pass. Where two tables translate, the one whose chains were
//! registered last does; so it is the old table, then the bridge, then the new table, and never none.
//!
//! Beside IPVS there is no bridge: chains that give marks and take them back must not be there twice.

use kube_verdict_table::Family;

use super::{Companion, Nftables};
use crate::batch::{Batch, Op};
use crate::kernel::{CommitError, Kernel};
use crate::layout::{BRIDGE, Balancer, VERSION, version_of};

impl<K: Kernel, C: Companion> Nftables<K, C> {
    /// Before a replacement: makes the bridge. One that is there of an attempt that failed may be all that serves: it is
    /// made anew in one batch, or stays as it is. How many batches that took; none if there is no bridge now, and the
    /// replacement goes on without.
    pub(super) fn build_bridge(&mut self, replacement: &Batch, is_there: bool) -> Option<u32> {
        if self.options.balancer != Balancer::Slots {
            return None;
        }
        let made = replacement.ops.iter().filter(|op| !matches!(op, Op::DeleteTable)).map(|op| match op {
            Op::AddTable { .. } => Op::AddTable { own: false },
            op => op.clone(),
        });
        let ops = is_there.then_some(Op::DeleteTable).into_iter().chain(made).collect();
        let bridge = Batch { ops, table: BRIDGE, ..replacement.clone_head() };
        let outcome = if is_there { self.send(&bridge).map(|()| 1) } else { self.commit(&bridge) };
        match outcome {
            Ok(batches) => {
                self.kernel.let_pass();
                Some(batches)
            }
            Err(error) => {
                tracing::debug!(
                    family = %bridge.family, %error, is_there, "what stands in while the table is replaced cannot be made"
                );
                is_there.then_some(0)
            }
        }
    }

    /// After it, if nobody else has written since that generation: the table may be gone again. What stays would serve
    /// what the table does no longer: it is tried again.
    pub(super) fn remove_bridge(
        &mut self,
        family: Family,
        generation: Option<u32>,
    ) -> Result<(), CommitError> {
        self.kernel.let_pass();
        let ops = vec![Op::DeleteTable];
        self.send(&Batch { ops, table: BRIDGE, generation, ..Batch::new(family) })
    }
}

/// Says what was replaced.
pub(super) fn say(family: Family, comment: Option<&str>) {
    match comment.and_then(version_of) {
        Some(VERSION) => tracing::info!("{family}: our table was made anew"),
        Some(version) => tracing::info!(
            "{family}: our table was of layout {version} and is of layout {VERSION}; its counters and affinity begin anew"
        ),
        None => tracing::warn!(
            "{family}: a table of our name was there that is none of ours, with the comment {:?}: it is ours now, and \
             what was in it is gone",
            comment.unwrap_or_default()
        ),
    }
}
