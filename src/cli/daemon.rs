//! `kube-verdict`: the daemon, in the foreground.

use std::time::SystemTime;

use super::arguments::Sources;
use super::{Failure, kernel, logging, table};
use crate::config;
use crate::daemon;
use crate::serve::Pages;
use crate::source::manifests::Directory;

/// Runs until it is told to stop.
pub(super) fn run(sources: &Sources) -> Result<(), Failure> {
    let loaded = config::load(&sources.flags()).inspect_err(|_| logging::for_daemon(&sources.logging()))?;
    logging::for_daemon(&loaded.logging);
    table::log_messages(&loaded);
    let manifests = sources.manifests().map(Directory::open).transpose()?;
    let pages = Pages {
        configz: loaded.configuration.configz().to_string(),
        flagz: loaded.effective.flagz.then_some(loaded.flagz),
        statusz: loaded.effective.statusz,
        started: SystemTime::now(),
    };
    daemon::run(manifests, kernel::open()?, loaded.effective, pages)
}
