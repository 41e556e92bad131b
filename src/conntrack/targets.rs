//! Where UDP flows may be, by what they were sent to: decides whether an entry is stale (reference §8 step 4).
//! Pure.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use kube_verdict_table::{Backend, Family, Flows, Frontend, NodePortAddresses, NodeState, ServiceTable};
use rustc_hash::FxHashMap;

use super::{Entry, Filter};

/// Up to so many ports each has a dump of its own, of which the kernel copies only what matters; for more, one
/// dump of all UDP flows walks its table less often.
const PORTS: usize = 4;

/// The addresses and ports of touched frontends, and the endpoints at which flows to them may stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Targets(FxHashMap<SocketAddr, Arc<[Backend]>>);

impl Targets {
    /// Takes in what `table` says of some frontends; it goes before what was known of them.
    ///
    /// A NodePort is one on the node's own addresses only: a flow that merely crosses the node to such a port is
    /// none of ours. Nor is one to an address and port that is a frontend of its own.
    pub fn add(&mut self, flows: &[Flows], table: &ServiceTable) {
        let mut add = |to, serving| self.0.insert(to, Arc::clone(serving));
        for Flows { frontends, serving, .. } in flows {
            for frontend in frontends {
                match *frontend {
                    Frontend::Address { ip, port, .. } => {
                        add(SocketAddr::new(ip, port), serving);
                    }
                    Frontend::NodePort { family, port, protocol } => {
                        for ip in node_port_addresses(table.node(), family) {
                            if table.fate(&Frontend::Address { ip, protocol, port }).is_none() {
                                add(SocketAddr::new(ip, port), serving);
                            }
                        }
                    }
                }
            }
        }
    }

    /// Adds what is older, or newer, than this: of one frontend the newer counts.
    pub fn merge(&mut self, other: Targets, is_newer: bool) {
        if self.0.is_empty() {
            *self = other;
            return;
        }
        for (to, serving) in other.0 {
            if is_newer {
                self.0.insert(to, serving);
            } else {
                self.0.entry(to).or_insert(serving);
            }
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this is one.
    pub fn contains(&self, to: &SocketAddr) -> bool {
        self.0.contains_key(to)
    }

    /// Whether a flow was sent to one of them and is at none of its endpoints. Such is also a flow that was
    /// never translated, because it began before the frontend was one.
    pub fn is_stale(&self, entry: &Entry) -> bool {
        let at = Backend { ip: entry.reply.source.ip(), port: entry.reply.source.port() };
        self.0.get(&entry.original.destination).is_some_and(|serving| serving.binary_search(&at).is_err())
    }

    /// What to ask the kernel for, to see every flow of a family that was sent to one of them.
    pub fn filters(&self, family: Family) -> Vec<Filter> {
        // Of each port the address, if there is only one.
        let mut ports: BTreeMap<u16, Option<IpAddr>> = BTreeMap::new();
        for to in self.0.keys().filter(|to| Family::of(to.ip()) == family) {
            let address = ports.entry(to.port()).or_insert(Some(to.ip()));
            *address = address.filter(|address| *address == to.ip());
            if ports.len() > PORTS {
                return vec![Filter { family, address: None, port: None }];
            }
        }
        let filter = |(port, address)| Filter { family, address, port: Some(port) };
        ports.into_iter().map(filter).collect()
    }
}

impl FromIterator<(SocketAddr, Arc<[Backend]>)> for Targets {
    /// From addresses and ports, and the sorted endpoints of each.
    fn from_iter<I: IntoIterator<Item = (SocketAddr, Arc<[Backend]>)>>(targets: I) -> Self {
        Targets(targets.into_iter().collect())
    }
}

fn node_port_addresses(node: &NodeState, family: Family) -> impl Iterator<Item = IpAddr> {
    let addresses = match &node.node_port_addresses[family] {
        NodePortAddresses::AnyLocal => &node.local_addresses,
        NodePortAddresses::Only(addresses) => addresses,
    };
    let addresses = addresses.iter().copied();
    addresses.filter(move |ip| Family::of(*ip) == family && node.serves_node_ports(*ip))
}

#[cfg(test)]
#[path = "targets_tests.rs"]
mod tests;
