//! `kube-verdict`: the daemon, in the foreground.

use super::arguments::Sources;
use super::{Failure, kernel, logging, table};
use crate::config;
use crate::daemon;
use crate::source::manifests::Directory;

/// Runs until it is told to stop.
pub(super) fn run(sources: &Sources) -> Result<(), Failure> {
    let loaded = config::load(&sources.flags()).inspect_err(|_| logging::for_daemon(&sources.logging()))?;
    logging::for_daemon(&loaded.logging);
    table::log_messages(&loaded);
    let manifests = sources.manifests().map(Directory::open).transpose()?;
    daemon::run(manifests, kernel::open()?, loaded.effective)
}
