//! Which virtual servers are kube-proxy's, and what of it all may go now. Pure.
//!
//! kube-proxy takes every virtual server of a host for its own (reference §12.5); this does not:
//!
//! * a virtual server at an address of `kube-ipvs0` is kube-proxy's: nobody else has a reason to put one there;
//! * those of NodePorts, and of external addresses that another interface had already, are at other addresses of
//!   the node, where somebody else, such as keepalived, may have some too. One of these is kube-proxy's if it has
//!   real servers, forwards to all of them by translation, and each of them serves some virtual server of the
//!   first kind: a Service's NodePorts have no endpoints but those of its cluster IP;
//! * one without real servers, at such an address, is kube-proxy's if its port is one of the NodePorts that
//!   kube-proxy's ipsets have; else it could be anybody's: it stays, and is counted;
//! * virtual servers by mark, and at addresses that the node does not have, are not kube-proxy's.
//!
//! Those of the first kind stay as long as one of the second is known by their real servers, so that it is known
//! by them after a restart, too.

use std::collections::BTreeSet;
use std::net::IpAddr;

use kube_verdict_ipvs_codec::{Forwarding, Key, ListedRealServer};

use super::Established;

/// A virtual server as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// what it is known by
    pub key: Key,
    /// its real servers
    pub real: Vec<ListedRealServer>,
}

/// Everything that matters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// all virtual servers
    pub servers: Vec<Server>,
    /// addresses of `kube-ipvs0`
    pub bound: BTreeSet<IpAddr>,
    /// addresses of other interfaces
    pub local: BTreeSet<IpAddr>,
    /// protocols and ports of kube-proxy's NodePorts, as long as its ipsets tell
    pub node_ports: BTreeSet<(u8, u16)>,
}

/// Something to be removed, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// a virtual server
    Server {
        /// which
        key: Key,
        /// connections that it ends
        connections: u64,
    },
    /// an address of the device
    Address(IpAddr),
    /// the device, when it has no addresses any more
    Device,
}

/// What is to stay for now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// virtual servers
    pub servers: usize,
    /// their connections
    pub connections: u64,
}

impl Waiting {
    /// Nothing is to stay.
    pub fn is_over(&self) -> bool {
        self.servers == 0
    }
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// what goes
    pub steps: Vec<Step>,
    /// what stays for now
    pub waiting: Waiting,
    /// virtual servers that stay because nothing tells whose they are
    pub doubtful: usize,
}

/// A real server, and its protocol.
type Known = (u8, IpAddr, u16);

impl Server {
    fn address(&self) -> Option<(IpAddr, u8)> {
        match self.key {
            Key::Address { address, protocol, .. } => Some((address, protocol)),
            Key::Mark { .. } => None,
        }
    }

    fn is_at(&self, addresses: &BTreeSet<IpAddr>) -> bool {
        self.address().is_some_and(|(address, _)| addresses.contains(&address))
    }

    fn known(&self) -> impl Iterator<Item = Known> {
        let protocol = self.address().map_or(0, |(_, protocol)| protocol);
        self.real.iter().map(move |real| (protocol, real.server.address, real.server.port))
    }

    /// Established ones, and those that begin or end.
    fn connections(&self) -> u64 {
        self.real
            .iter()
            .map(|real| u64::from(real.connections.active) + u64::from(real.connections.inactive))
            .sum()
    }

    fn is_translating(&self) -> bool {
        let translates = |real: &ListedRealServer| {
            matches!(real.server.forwarding, Forwarding::Masquerade | Forwarding::Local)
        };
        self.real.iter().all(translates)
    }
}

/// What goes and what stays, on a node that has the device.
pub fn plan(state: &State, established: Established) -> Plan {
    let goes = |server: &Server| established == Established::Ended || server.connections() == 0;
    let (bound, others): (Vec<&Server>, Vec<&Server>) =
        state.servers.iter().partition(|server| server.is_at(&state.bound));
    let others: Vec<&Server> = others.into_iter().filter(|server| server.is_at(&state.local)).collect();
    let (empty, others): (Vec<&Server>, Vec<&Server>) =
        others.into_iter().partition(|server| server.real.is_empty());
    let is_node_port = |server: &&Server| match server.key {
        Key::Address { protocol, port, .. } => state.node_ports.contains(&(protocol, port)),
        Key::Mark { .. } => false,
    };
    let (empty, doubtful): (Vec<&Server>, Vec<&Server>) = empty.into_iter().partition(is_node_port);

    let known: BTreeSet<Known> = bound.iter().flat_map(|server| server.known()).collect();
    let is_ours =
        |server: &&Server| server.is_translating() && server.known().all(|real| known.contains(&real));
    let (going, staying): (Vec<&Server>, Vec<&Server>) =
        others.into_iter().filter(is_ours).partition(|server| goes(server));

    let needed: BTreeSet<Known> = staying.iter().flat_map(|server| server.known()).collect();
    let (bound_going, bound_staying): (Vec<&Server>, Vec<&Server>) = bound
        .into_iter()
        .partition(|server| goes(server) && !server.known().any(|real| needed.contains(&real)));

    let step = |server: &&Server| Step::Server { key: server.key, connections: server.connections() };
    let mut steps: Vec<Step> = going.iter().chain(&empty).chain(&bound_going).map(step).collect();
    let staying: Vec<&Server> = staying.into_iter().chain(bound_staying).collect();
    let waiting = Waiting {
        servers: staying.len(),
        connections: staying.iter().map(|server| server.connections()).sum(),
    };
    let needed: BTreeSet<IpAddr> = staying.iter().filter_map(|server| Some(server.address()?.0)).collect();
    steps.extend(state.bound.difference(&needed).copied().map(Step::Address));
    if waiting.is_over() {
        steps.push(Step::Device);
    }
    Plan { steps, waiting, doubtful: doubtful.len() }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
