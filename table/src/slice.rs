//! One EndpointSlice as the table keeps it (reference §1.3).
//!
//! 100,000 endpoints are common, so an endpoint is 24 bytes here: of its node name and its hints by node
//! only what they say of this node is kept. Zones are kept by name, because the node's may change.

use std::net::IpAddr;

use crate::net::{Family, Protocol};
use crate::objects::{AddressType, Conditions, Endpoint, EndpointSlice, Leaf};

/// One EndpointSlice, as far as this node is concerned. Equal for objects that mean the same here.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Slice {
    pub(crate) family: Family,
    pub(crate) ports: Box<[SlicePort]>,
    pub(crate) endpoints: Box<[SliceEndpoint]>,
    /// the different lists of zones that endpoints refer to by index
    zone_lists: Box<[Box<[Box<str>]>]>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SlicePort {
    pub(crate) name: Box<str>,
    pub(crate) protocol: Protocol,
    pub(crate) number: u16,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SliceEndpoint {
    pub(crate) ip: IpAddr,
    pub(crate) flags: u8,
    /// one more than an index into `zone_lists`; 0: no hints by zone
    zones: u32,
}

/// Bits of [`SliceEndpoint::flags`].
pub(crate) mod flag {
    pub(crate) const READY: u8 = 1;
    pub(crate) const SERVING: u8 = 1 << 1;
    pub(crate) const TERMINATING: u8 = 1 << 2;
    pub(crate) const LOCAL: u8 = 1 << 3;
    pub(crate) const NO_NODE: u8 = 1 << 4;
    pub(crate) const NODE_HINTED: u8 = 1 << 5;
    pub(crate) const HINTS_HERE: u8 = 1 << 6;
}

impl Slice {
    /// What `slice` means on the node called `node_name`. None when it means nothing anywhere: its address
    /// type is not an IP family. Endpoints and ports that are impossible or unsupported are left out.
    pub(crate) fn new(slice: EndpointSlice, node_name: &str) -> Option<Slice> {
        let Some(AddressType::Ip(family)) = slice.address_type.as_ref().and_then(Leaf::get) else {
            return None;
        };
        let mut zone_lists: Vec<Box<[Box<str>]>> = Vec::new();
        // Allocated anew: collecting in place would keep, shrunk, the larger room of the decoded endpoints.
        let mut endpoints = Vec::with_capacity(slice.endpoints.len());
        endpoints.extend(slice.endpoints.into_iter().filter_map(|endpoint| {
            let ip = endpoint.address.as_ref()?.get().filter(|ip| Family::of(*ip) == family)?;
            let flags = flags(&endpoint, node_name);
            Some(SliceEndpoint { ip, flags, zones: zone_index(endpoint, &mut zone_lists) })
        }));
        let ports = slice.ports.into_iter().filter_map(|port| {
            let protocol = port.protocol.as_ref().map_or(Some(Protocol::Tcp), Leaf::get)?;
            let number = port.port?.port()?;
            Some(SlicePort { name: port.name, protocol, number })
        });
        let ports = ports.collect();
        Some(Slice { family, ports, endpoints: endpoints.into(), zone_lists: zone_lists.into() })
    }

    /// The zones that should use an endpoint of this slice; empty: it has no such hints.
    pub(crate) fn zone_hints(&self, endpoint: &SliceEndpoint) -> &[Box<str>] {
        endpoint.zones.checked_sub(1).map_or(&[], |index| &self.zone_lists[index as usize])
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
