//! `kube-verdict cleanup`: removes every trace from the kernel.

use kube_verdict_nftables::layout::TABLE;
use kube_verdict_table::Family;

use super::{Failure, kernel};

/// Removes the tables of both families, whoever left them in whatever state, and says so.
pub(super) fn run() -> Result<(), Failure> {
    let mut netlink = kernel::open()?;
    let mut failures = Vec::new();
    for (family, name) in [(Family::V4, "ip kube-verdict"), (Family::V6, "ip6 kube-verdict")] {
        let done = match netlink.delete_table(family, TABLE) {
            Ok(true) => "removed",
            Ok(false) => "there is no",
            Err(error) => {
                failures.push(format!("cannot remove table {name}: {error}"));
                continue;
            }
        };
        super::print(&format!("{done} table {name}\n"))?;
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("; ").into()) }
}
