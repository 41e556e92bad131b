//! `kube-verdict`: the daemon, in the foreground.

use super::arguments::Sources;
use super::{Failure, kernel, logging};
use crate::config;
use crate::daemon;

/// Runs until it is told to stop.
pub(super) fn run(sources: &Sources) -> Result<(), Failure> {
    let loaded = config::load(&sources.flags()).inspect_err(|_| logging::for_daemon(&sources.logging()))?;
    logging::for_daemon(&loaded.logging);
    config::log(&loaded.messages);
    daemon::run(sources.manifests().cloned(), kernel::open()?, loaded)
}
