//! EndpointSlices as the table keeps them, and how those of one Service merge (reference §1.3).
//!
//! 100,000 endpoints are common, so an endpoint is 24 bytes here: of its node name and its hints by node
//! only what they say of this node is kept. Zones are kept by name, because the node's may change.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::fate::Backend;
use crate::net::{Family, Protocol};
use crate::objects::{AddressType, Conditions, Endpoint, EndpointSlice, Leaf};
use crate::select::{Candidate, NodeHint};

/// The slices of one Service by name, which is the order in which they merge.
pub(crate) type Slices = BTreeMap<Box<str>, Slice>;

/// One EndpointSlice, as far as this node is concerned. Equal for objects that mean the same here.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Slice {
    family: Family,
    ports: Box<[SlicePort]>,
    endpoints: Box<[SliceEndpoint]>,
    /// the different lists of zones that endpoints refer to by index
    zone_lists: Box<[Box<[Box<str>]>]>,
}

#[derive(Debug, PartialEq, Eq)]
struct SlicePort {
    name: Box<str>,
    protocol: Protocol,
    number: u16,
}

#[derive(Debug, PartialEq, Eq)]
struct SliceEndpoint {
    ip: IpAddr,
    flags: u8,
    /// one more than an index into `zone_lists`; 0: no hints by zone
    zones: u32,
}

/// Bits of [`SliceEndpoint::flags`].
mod flag {
    pub(super) const READY: u8 = 1;
    pub(super) const SERVING: u8 = 1 << 1;
    pub(super) const TERMINATING: u8 = 1 << 2;
    pub(super) const LOCAL: u8 = 1 << 3;
    pub(super) const NO_NODE: u8 = 1 << 4;
    pub(super) const NODE_HINTED: u8 = 1 << 5;
    pub(super) const HINTS_HERE: u8 = 1 << 6;
}

impl Slice {
    /// What `slice` means on the node called `node_name`. None when it means nothing anywhere: its address
    /// type is not an IP family. Endpoints and ports that are impossible or unsupported are left out.
    pub(crate) fn new(slice: EndpointSlice, node_name: &str) -> Option<Slice> {
        let Some(AddressType::Ip(family)) = slice.address_type.as_ref().and_then(Leaf::get) else {
            return None;
        };
        let mut zone_lists: Vec<Box<[Box<str>]>> = Vec::new();
        let endpoints = slice.endpoints.into_iter().filter_map(|endpoint| {
            let ip = endpoint.address.as_ref()?.get().filter(|ip| Family::of(*ip) == family)?;
            let flags = flags(&endpoint, node_name);
            Some(SliceEndpoint { ip, flags, zones: zone_index(endpoint, &mut zone_lists) })
        });
        let endpoints = endpoints.collect();
        let ports = slice.ports.into_iter().filter_map(|port| {
            let protocol = port.protocol.as_ref().map_or(Some(Protocol::Tcp), Leaf::get)?;
            let number = port.port?.port()?;
            Some(SlicePort { name: port.name, protocol, number })
        });
        Some(Slice { family, ports: ports.collect(), endpoints, zone_lists: zone_lists.into() })
    }

    /// How many endpoints it has.
    pub(crate) fn len(&self) -> usize {
        self.endpoints.len()
    }
}

fn flags(endpoint: &Endpoint, node_name: &str) -> u8 {
    let Conditions { ready, serving, terminating } = endpoint.conditions;
    let node = endpoint.node_name.as_deref();
    let node_hints: &[Box<str>] = endpoint.hints.as_ref().map_or(&[], |hints| &hints.for_nodes);
    [
        (flag::READY, ready),
        (flag::SERVING, serving),
        (flag::TERMINATING, terminating),
        (flag::LOCAL, node == Some(node_name)),
        (flag::NO_NODE, node.is_none()),
        (flag::NODE_HINTED, !node_hints.is_empty()),
        (flag::HINTS_HERE, node_hints.iter().any(|hint| **hint == *node_name)),
    ]
    .into_iter()
    .filter_map(|(bit, set)| set.then_some(bit))
    .sum()
}

fn zone_index(endpoint: Endpoint, lists: &mut Vec<Box<[Box<str>]>>) -> u32 {
    let zones = endpoint.hints.map(|hints| hints.for_zones).unwrap_or_default();
    if zones.is_empty() {
        return 0;
    }
    // Neighbours mostly share a list; looking at more than a few would be quadratic for a hostile slice.
    const LOOK_BACK: usize = 16;
    let recent = lists.len().saturating_sub(LOOK_BACK);
    let index = lists[recent..].iter().position(|list| *list == zones).map_or(lists.len(), |i| recent + i);
    if index == lists.len() {
        lists.push(zones);
    }
    u32::try_from(index + 1).unwrap_or(0)
}

/// One endpoint of a service port after merging.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Merged<'a> {
    backend: Backend,
    flags: u8,
    zone_hints: &'a [Box<str>],
}

impl Merged<'_> {
    fn has(&self, bit: u8) -> bool {
        self.flags & bit != 0
    }

    /// Where connections go.
    pub(crate) fn backend(&self) -> Backend {
        self.backend
    }

    /// Whether it may be the source of a hairpin: a pod of this node, or (no node name) perhaps one.
    pub(crate) fn may_be_here(&self) -> bool {
        self.has(flag::LOCAL | flag::NO_NODE)
    }

    /// Whether a load balancer may count on it (reference §13.2).
    pub(crate) fn is_ready_here(&self) -> bool {
        self.has(flag::READY) && self.has(flag::LOCAL)
    }
}

impl<'a> From<&Merged<'a>> for Candidate<'a> {
    fn from(merged: &Merged<'a>) -> Self {
        Candidate {
            backend: merged.backend,
            ready: merged.has(flag::READY),
            fallback: merged.has(flag::SERVING) && merged.has(flag::TERMINATING),
            local: merged.has(flag::LOCAL),
            node_hint: match (merged.has(flag::NODE_HINTED), merged.has(flag::HINTS_HERE)) {
                (false, _) => NodeHint::Absent,
                (true, false) => NodeHint::Elsewhere,
                (true, true) => NodeHint::Here,
            },
            zone_hints: merged.zone_hints,
        }
    }
}

/// All endpoints of one service port: sorted by backend, each once.
///
/// Of duplicates a terminating one only fills a gap. Between two that are not terminating upstream leaves the
/// choice open; here a ready one wins, then the one in the slice that comes first by name, so that the order
/// of events never shows.
pub(crate) fn merge<'a>(
    slices: &'a Slices,
    family: Family,
    port_name: &str,
    protocol: Protocol,
) -> Vec<Merged<'a>> {
    let mut merged: Vec<Merged<'a>> = Vec::new();
    for slice in slices.values().filter(|slice| slice.family == family) {
        let ports = slice.ports.iter().filter(|port| *port.name == *port_name && port.protocol == protocol);
        for port in ports {
            merged.extend(slice.endpoints.iter().map(|endpoint| Merged {
                backend: Backend { ip: endpoint.ip, port: port.number },
                flags: endpoint.flags,
                zone_hints: match endpoint.zones.checked_sub(1) {
                    Some(index) => &slice.zone_lists[index as usize],
                    None => &[],
                },
            }));
        }
    }
    // A stable sort: slices come in the order of their names.
    merged.sort_by_key(|m| (m.backend, m.has(flag::TERMINATING), !m.has(flag::READY)));
    merged.dedup_by_key(|m| m.backend);
    merged
}

/// Every (port name, protocol) that the slices of a family speak of.
pub(crate) fn port_keys(slices: &Slices, family: Family) -> Vec<(&str, Protocol)> {
    let of_family = slices.values().filter(|slice| slice.family == family);
    let mut keys: Vec<(&str, Protocol)> =
        of_family.flat_map(|slice| &slice.ports).map(|port| (&*port.name, port.protocol)).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

#[cfg(test)]
#[path = "slices_tests.rs"]
mod tests;
