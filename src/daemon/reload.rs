//! SIGHUP: the order to read the directory of manifests again at once, all of it.
//!
//! Nobody has to give it, since the directory is followed; it finds at once what the kernel does not announce (a network
//! file system). The configuration file is followed as well, and a new one ends the process. In a cluster, where
//! nothing could be read again, SIGHUP is left what it is to kube-proxy: the end.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use super::supervisor::Supervisor;
use crate::source::manifests::Follower;

/// Obeys from now on, as long as the runtime lives.
pub(super) fn on_hangup(follower: Arc<Follower>, supervisor: Supervisor) -> io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            tracing::info!("SIGHUP: reading every manifest again");
            supervisor.reloading();
            follower.read_again().await;
            supervisor.reloaded();
        }
    });
    Ok(())
}
