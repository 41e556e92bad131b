//! What kube-proxy's nftables mode left: its two tables.

use kube_verdict_nftables::Netlink;
use kube_verdict_table::Family;

use super::report::{Removed, Report};

/// Reference §11.2.
const TABLE: &str = "kube-proxy";

/// Removes them.
pub fn retire(netlink: &mut Netlink, report: &mut Report) {
    for family in Family::BOTH {
        let removed = Removed::Table(family);
        match netlink.delete_table(family, TABLE) {
            Ok(true) => report.removed.push(removed),
            Ok(false) => {}
            Err(why) => report.failed(removed, why),
        }
    }
}
