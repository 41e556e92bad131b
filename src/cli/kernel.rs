//! The way to the kernel, for the commands that need one.

use std::io::ErrorKind;

use kube_verdict_nftables::kernel::ReadError;
use kube_verdict_nftables::{Kernel, Netlink};

use super::Failure;

/// Opens it. A process that may not programme nftables never will, so it is told at once; whatever else is
/// amiss may pass.
pub(super) fn open() -> Result<Netlink, Failure> {
    let mut netlink = Netlink::open().map_err(|error| format!("cannot open a netlink socket: {error}"))?;
    match netlink.generation() {
        Err(ReadError::Io(error)) if error.kind() == ErrorKind::PermissionDenied => Err(format!(
            "programming nftables needs CAP_NET_ADMIN ({error}): run as root, or grant it (systemd: \
             AmbientCapabilities=CAP_NET_ADMIN); `render` and `explain` work without"
        )
        .into()),
        _ => Ok(netlink),
    }
}
