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

use super::{Companion, Nftables, others};
use crate::batch::{Batch, Op};
use crate::kernel::Kernel;
use crate::layout::{BRIDGE, Balancer, VERSION, version_of};

impl<K: Kernel, C: Companion> Nftables<K, C> {
    /// Before a replacement: makes the bridge, which may be there of an attempt that failed. Whether it is there now; if it
    /// cannot be had, the replacement goes on without.
    pub(super) fn build_bridge(&mut self, replacement: &mut Batch, is_there: bool) -> bool {
        if self.options.balancer != Balancer::Slots {
            return false;
        }
        let made = replacement.ops.iter().filter(|op| !matches!(op, Op::DeleteTable)).map(|op| match op {
            Op::AddTable { .. } => Op::AddTable { own: false },
            op => op.clone(),
        });
        let ops = is_there.then_some(Op::DeleteTable).into_iter().chain(made).collect();
        let bridge = Batch { ops, table: BRIDGE, ..replacement.clone_head() };
        match self.commit(&bridge) {
            Ok(()) => {
                replacement.generation = replacement.generation.map(others::next);
                self.kernel.let_pass();
                true
            }
            Err(error) => {
                tracing::debug!(family = %bridge.family, %error, "nothing stands in while the table is replaced");
                false
            }
        }
    }

    /// After it.
    pub(super) fn remove_bridge(&mut self, family: Family) {
        self.kernel.let_pass();
        let removal = Batch { ops: vec![Op::DeleteTable], table: BRIDGE, ..Batch::new(family) };
        if let Err(error) = self.commit(&removal) {
            tracing::debug!(%family, %error, "what stood in for the table stays for now");
        }
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
