//! The table of a directory or cluster as it is now, for the commands that look at it and leave.

use std::path::Path;

use kube_verdict_table::ServiceTable;
use kube_verdict_table::objects::ObjectEvent;

use super::Failure;
use super::arguments::Sources;
use crate::client::{self, Requests};
use crate::config::{self, Effective};
use crate::node::{Interfaces, Reliance, ThisNode, name};
use crate::source::kubernetes::Part;
use crate::source::manifests::Directory;
use crate::source::{Batch, Problem, kubernetes};

/// Loads the configuration and says what is to be said about it.
pub(super) fn configuration(sources: &Sources) -> Result<Effective, Failure> {
    configuration_of(sources, sources.manifests().is_some())
}

/// The same, where it is known without `--manifests` whether objects come from a directory.
pub(super) fn configuration_of(sources: &Sources, is_standalone: bool) -> Result<Effective, Failure> {
    let mut flags = sources.flags();
    flags.standalone = is_standalone;
    let loaded = config::load(&flags)?;
    config::log(&loaded.messages);
    Ok(loaded.effective)
}

/// The table, built from everything that is there.
pub(super) fn build(sources: &Sources, effective: Effective) -> Result<ServiceTable, Failure> {
    build_all(sources, effective).map(|(table, _)| table)
}

/// The same, and whether it has gaps, because not everything could be read.
pub(super) fn build_all(sources: &Sources, effective: Effective) -> Result<(ServiceTable, bool), Failure> {
    let node_name = name::name(effective.hostname_override.as_deref())?;
    let (events, has_gaps) = match sources.manifests() {
        Some(directory) => from_directory(directory)?,
        None => (from_cluster(&effective, &node_name)?, false),
    };
    // Whoever only looks takes the Node as it is.
    let mut this = ThisNode::new(node_name, effective, Interfaces::read()?, Reliance::Optional);
    this.observe(&events);
    if let Some(message) = this.other_nodes(&events) {
        tracing::info!("{message}");
    }
    let mut table = ServiceTable::new(this.settings()?, this.state());
    for notice in table.update(events).notices {
        tracing::warn!("{notice}");
    }
    Ok((table, has_gaps))
}

fn from_directory(directory: &Path) -> Result<(Vec<ObjectEvent>, bool), Failure> {
    let Batch { events, problems, has_gaps, .. } = Directory::open(directory)?.load();
    problems.iter().for_each(Problem::log);
    Ok((events, has_gaps))
}

fn from_cluster(effective: &Effective, node_name: &str) -> Result<Vec<ObjectEvent>, Failure> {
    let part = Part { node_name: node_name.to_owned(), proxy_name: effective.service_proxy_name.clone() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let access = client::connect(&effective.client, Requests::new()?)?;
        let listed = kubernetes::list(&access.client, &part).await;
        listed.map_err(|error| format!("{}: {error}", access.url).into())
    })
}
