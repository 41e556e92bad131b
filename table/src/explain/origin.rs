//! Where a packet comes from, in the three ways that matter (reference §3.4).

use std::net::IpAddr;

use super::Packet;
use crate::net::Family;
use crate::table::ServiceTable;

/// Tested in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// the detector says so
    LocalPod,
    /// its source is an address of this node
    ThisNode,
    /// anything else
    Elsewhere,
}

impl Origin {
    pub(super) fn of(packet: &Packet, table: &ServiceTable) -> Origin {
        let from = source(packet);
        let detector = &table.settings().detector[Family::of(packet.to)];
        let is_pod = |d: &crate::node::LocalDetector| d.matches(from, packet.in_interface.as_deref());
        if detector.as_ref().is_some_and(is_pod) {
            Origin::LocalPod
        } else if from.is_some_and(|from| table.node().is_local(from)) {
            Origin::ThisNode
        } else {
            Origin::Elsewhere
        }
    }
}

/// The source, if it can be one of a packet to that destination.
pub(super) fn source(packet: &Packet) -> Option<IpAddr> {
    packet.from.filter(|from| from.is_ipv4() == packet.to.is_ipv4())
}
