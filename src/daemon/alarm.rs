//! What wakes the loop when others change nftables: the backend's ear, on the loop's own thread.

use std::io;
use std::time::Duration;

use kube_verdict_nftables::{Ear, Netlink};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::reconcile::Alarm;

/// Rings when there is something to hear.
pub(super) struct Bell {
    /// None: the kernel tells nothing
    ear: Option<AsyncFd<Ear>>,
}

impl Bell {
    /// From here on what others do is heard. Where that cannot be had it is said, and looking at times has to do.
    pub(super) fn hang(netlink: &mut Netlink, sync_period: Duration) -> Self {
        let ear = netlink.listen().and_then(watch);
        let complain = |error: io::Error| {
            tracing::warn!(
                "cannot hear of changes that others make to nftables: {error}; they are looked for every \
                 {sync_period:?} instead"
            );
        };
        Bell { ear: ear.map_err(complain).ok() }
    }
}

#[allow(unsafe_code)]
fn watch(ear: Ear) -> io::Result<AsyncFd<Ear>> {
    // SAFETY: an ear owns its share of the socket, whose descriptor is the same as long as any share lives.
    unsafe { AsyncFd::register_with_interest(ear, Interest::READABLE) }.map_err(io::Error::from)
}

impl Alarm for Bell {
    async fn rings(&mut self) {
        let ready = match &self.ear {
            Some(ear) => ear.readable().await,
            None => return std::future::pending().await,
        };
        match ready {
            // Cleared before anything is read: what comes from now on rings again.
            Ok(mut ready) => ready.clear_ready(),
            Err(error) => {
                tracing::error!("changes that others make to nftables no longer wake us: {error}");
                self.ear = None;
            }
        }
    }
}
