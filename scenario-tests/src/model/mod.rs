//! The oracle: an independent model of the reference, as plain as possible. From the objects, the
//! configuration and what the node knows of itself it says what should become of one packet. It shares nothing
//! with the code under test, keeps no indexes and walks everything for every packet.

mod address;
mod endpoints;
mod node;
mod objects;
mod verdict;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use serde_json::Value;

use crate::fate::Fate;
use crate::wire::Protocol;

/// All that decides a packet's fate.
#[derive(Clone, Debug)]
pub struct Model {
    objects: objects::Objects,
    config: node::Config,
    /// addresses of the node's interfaces, loopback aside
    local_addresses: BTreeSet<IpAddr>,
    node_name: String,
}

/// The first packet of a connection.
#[derive(Clone, Debug)]
pub struct Probe {
    /// its source
    pub source: IpAddr,
    /// the interface it came in by; None: a process of the node sent it
    pub interface: Option<String>,
    /// its destination; the port means nothing with ICMP
    pub to: SocketAddr,
    /// its protocol
    pub protocol: Protocol,
}

impl Model {
    /// Reads objects and a KubeProxyConfiguration.
    ///
    /// # Panics
    /// On objects that do not parse: the scenarios make none.
    pub fn new(
        objects: &[Value],
        config: &Value,
        node_name: &str,
        local_addresses: BTreeSet<IpAddr>,
    ) -> Model {
        Model {
            objects: objects::Objects::read(objects),
            config: node::Config::read(config),
            local_addresses,
            node_name: node_name.to_owned(),
        }
    }

    /// What should become of a packet. More than one fate when several Services claim its destination: then
    /// it is one of them (reference §3.1).
    pub fn fates(&self, probe: &Probe) -> BTreeSet<Fate> {
        verdict::fates(self, probe)
    }

    /// Whether the client will meet the same backend again.
    pub fn sticky(&self, probe: &Probe) -> bool {
        verdict::sticky(self, probe)
    }
}
