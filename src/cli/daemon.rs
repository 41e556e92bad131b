//! `kube-verdict --manifests DIR`: the daemon, in the foreground.

use super::arguments::{Log, Sources};
use super::{Failure, logging, table};
use crate::config;
use crate::node::{self, ThisNode};
use crate::source::manifests::{Directory, follow};

/// Runs until it is told to stop.
pub(super) fn run(sources: &Sources, log: &Log) -> Result<(), Failure> {
    let manifests = sources.manifests();
    let loaded = config::load(&sources.flags()).inspect_err(|_| logging::start(log, None))?;
    logging::start(log, Some(&loaded));
    table::log_messages(&loaded);
    let effective = loaded.effective;
    let node_name = node::name::name(effective.hostname_override.as_deref())?;
    let interfaces = node::follow()?;
    let this = ThisNode::new(node_name, effective, interfaces.borrow().clone());
    // The first batch is complete; nothing is to be programmed before it was applied.
    let (_follower, _batches) = follow(Directory::open(manifests)?)?;
    Err(format!(
        "the daemon is not there yet: node {:?} is known and {} is followed",
        this.name(),
        manifests.display()
    )
    .into())
}
