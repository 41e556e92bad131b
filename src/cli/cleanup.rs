//! `kube-verdict cleanup`: removes every trace from the kernel.

use kube_verdict_nftables::Netlink;
use kube_verdict_table::Family;

use super::Failure;

/// Removes the tables of both families, whoever left them in whatever state, and says so.
pub(super) fn run() -> Result<(), Failure> {
    let mut netlink = Netlink::open().map_err(|error| format!("cannot open a netlink socket: {error}"))?;
    let mut failures = Vec::new();
    for (family, name) in [(Family::V4, "ip kube-verdict"), (Family::V6, "ip6 kube-verdict")] {
        match netlink.delete_table(family) {
            Ok(true) => tracing::info!("removed table {name}"),
            Ok(false) => tracing::info!("there is no table {name}"),
            Err(error) => failures.push(format!("cannot remove table {name}: {error}{}", hint(&error))),
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("; ").into()) }
}

fn hint(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => " (CAP_NET_ADMIN is needed: run as root)",
        _ => "",
    }
}
