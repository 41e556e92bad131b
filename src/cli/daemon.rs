//! `kube-verdict`: the daemon, in the foreground.

use super::arguments::{Log, Sources};
use super::{Failure, kernel, logging, table};
use crate::config;
use crate::daemon;
use crate::source::manifests::Directory;

/// Runs until it is told to stop.
pub(super) fn run(sources: &Sources, log: &Log) -> Result<(), Failure> {
    let loaded = config::load(&sources.flags()).inspect_err(|_| logging::for_daemon(log, None))?;
    logging::for_daemon(log, Some(&loaded));
    table::log_messages(&loaded);
    let manifests = sources.manifests().map(Directory::open).transpose()?;
    daemon::run(manifests, kernel::open()?, loaded.effective)
}
