//! The table of a directory as it is now, for the commands that look at it and leave.

use kube_verdict_table::ServiceTable;

use super::Failure;
use super::arguments::Sources;
use crate::config::{self, Effective};
use crate::node::{Interfaces, ThisNode, name};
use crate::source::Batch;
use crate::source::manifests::Directory;

/// Loads the configuration and says what is to be said about it.
pub(super) fn configuration(sources: &Sources) -> Result<Effective, Failure> {
    let loaded = config::load(&sources.flags())?;
    config::log(&loaded.messages);
    Ok(loaded.effective)
}

/// The table, built from everything that is there.
pub(super) fn build(sources: &Sources, effective: Effective) -> Result<ServiceTable, Failure> {
    let node_name = name::name(effective.hostname_override.as_deref())?;
    let mut this = ThisNode::new(node_name, effective, Interfaces::read()?);
    let Batch { events, problems, .. } = Directory::open(sources.manifests())?.load();
    problems.iter().for_each(crate::source::Problem::log);
    this.observe(&events);
    if let Some(message) = this.other_nodes(&events) {
        tracing::info!("{message}");
    }
    let mut table = ServiceTable::new(this.settings()?, this.state());
    for notice in table.update(events).notices {
        tracing::warn!("{notice}");
    }
    Ok(table)
}
