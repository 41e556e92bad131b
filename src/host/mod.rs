//! What is set on the host once, at the start: conntrack's limits and timeouts (reference §16), and how willingly
//! the kernel ends this process. Only what the configuration asks for is touched. Nothing is set back when the
//! daemon ends, as in kube-proxy. [`ipvs`] sets what IPVS mode needs besides; [`families`] tells which IP families there
//! are.
//!
//! Files are reached below a root directory, `/` but in tests.

mod conntrack;
mod cpus;
mod families;
pub mod ipvs;
mod oom;
mod tree;

pub use conntrack::{Change, HostError, ReadOnly};
pub use families::is_dual_stack;

use crate::config::Effective;
use tree::Tree;

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// the settings that were different before, in the order in which they were written
    pub changes: Vec<Change>,
    /// the number of conntrack's buckets is too small and cannot be changed: worth a warning, and an event of the
    /// reason `readOnlySysFS` on the Node
    pub read_only: Option<ReadOnly>,
    /// `oom_score_adj` could not be written, and why: worth a word, no more
    pub oom: Option<String>,
}

/// Sets everything. Each change is a line in the log.
///
/// # Errors
/// When a setting of conntrack cannot be had: the operator asked for it, and the text says how to do without.
pub fn prepare(effective: &Effective) -> Result<Outcome, HostError> {
    prepare_below(&Tree::new("/"), effective)
}

fn prepare_below(tree: &Tree, effective: &Effective) -> Result<Outcome, HostError> {
    let mut outcome = Outcome::default();
    let wanted = conntrack::wanted(&effective.conntrack, cpus::count(tree));
    outcome.read_only = conntrack::apply(tree, &wanted, &mut outcome.changes)?;
    outcome.oom = effective.oom_score_adj.and_then(|score| oom::adjust(tree, score).err());
    for Change { setting, from, to } in &outcome.changes {
        tracing::info!("{setting} was {from} and is {to}");
    }
    if let Some(read_only) = &outcome.read_only {
        tracing::warn!("{read_only}");
    }
    if let Some(error) = &outcome.oom {
        tracing::info!("{error}");
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests;
