//! `--init-only`: what needs all of root's rights, done once, so that the daemon runs with fewer (reference
//! §10.1). kube-proxy asks the API server for its Node before; nothing that is set here depends on it.

use super::arguments::Sources;
use super::{Failure, logging};
use crate::{config, host};

/// Sets the host up, and leaves.
pub(super) fn run(sources: &Sources) -> Result<(), Failure> {
    let loaded = config::load(&sources.flags()).inspect_err(|_| logging::for_daemon(&sources.logging()))?;
    logging::for_daemon(&loaded.logging);
    config::log(&loaded.messages);
    let outcome = host::prepare(&loaded.effective)?;
    let for_ipvs = loaded.effective.ipvs.as_ref().map(host::ipvs::prepare).transpose()?.unwrap_or_default();
    tracing::info!(
        changes = outcome.changes.len() + for_ipvs.len(),
        "this host is as the configuration says; --init-only ends here"
    );
    Ok(())
}
