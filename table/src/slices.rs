//! The EndpointSlices of one Service, and how they merge (reference §1.3).

use crate::fate::Backend;
use crate::net::{Family, Protocol};
use crate::select::{Candidate, NodeHint};
use crate::slice::{Slice, flag};

/// The slices of one Service, sorted by name, which is the order in which they merge. A vector, because most
/// Services have one or two, and 10,000 tree nodes are megabytes.
#[derive(Debug, Default)]
pub(crate) struct Slices(Vec<(Box<str>, Slice)>);

impl Slices {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many endpoints there are in all.
    pub(crate) fn endpoints(&self) -> usize {
        self.0.iter().map(|(_, slice)| slice.endpoints.len()).sum()
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| (**known).cmp(name))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Slice> {
        self.find(name).ok().map(|i| &self.0[i].1)
    }

    pub(crate) fn insert(&mut self, name: Box<str>, slice: Slice) {
        match self.find(&name) {
            Ok(i) => self.0[i].1 = slice,
            Err(i) => {
                if self.0.len() < 2 {
                    self.0.reserve_exact(1);
                }
                self.0.insert(i, (name, slice));
            }
        }
    }

    /// What was there.
    pub(crate) fn remove(&mut self, name: &str) -> Option<Slice> {
        self.find(name).ok().map(|i| self.0.remove(i).1)
    }

    fn of_family(&self, family: Family) -> impl Iterator<Item = &Slice> {
        self.0.iter().map(|(_, slice)| slice).filter(move |slice| slice.family == family)
    }
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

    /// Whether flows that are there may stay (reference §8).
    pub(crate) fn is_serving(&self) -> bool {
        self.has(flag::SERVING | flag::READY)
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
    for slice in slices.of_family(family) {
        let ports = slice.ports.iter().filter(|port| *port.name == *port_name && port.protocol == protocol);
        for port in ports {
            merged.reserve(slice.endpoints.len());
            merged.extend(slice.endpoints.iter().map(|endpoint| Merged {
                backend: Backend { ip: endpoint.ip, port: port.number },
                flags: endpoint.flags,
                zone_hints: slice.zone_hints(endpoint),
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
    let ports = slices.of_family(family).flat_map(|slice| &slice.ports);
    let mut keys: Vec<(&str, Protocol)> = ports.map(|port| (&*port.name, port.protocol)).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

#[cfg(test)]
#[path = "slices_tests.rs"]
mod tests;
