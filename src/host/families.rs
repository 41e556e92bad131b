//! Which IP families the kernel has. IPv4 it always has.

use super::tree::Tree;

/// Whether there is IPv6, and it is not turned off everywhere (reference §1.5).
pub fn is_dual_stack() -> bool {
    has_ipv6(&Tree::new("/"))
}

pub(super) fn has_ipv6(tree: &Tree) -> bool {
    let is_off = tree.read("/proc/sys/net/ipv6/conf/all/disable_ipv6").is_ok_and(|text| text == "1");
    tree.read("/proc/net/if_inet6").is_ok() && !is_off
}
