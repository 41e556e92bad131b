//! What the table must know of its node and its configuration.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use crate::net::{Cidr, Family, PerFamily};
pub use crate::node_ports::{NodePortAddresses, NodePortEntry};

/// How to tell that a packet comes from a pod of this node (reference §4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalDetector {
    /// source inside one of these prefixes (`ClusterCIDR`, `NodeCIDR`)
    Source(Vec<Cidr>),
    /// arrived on this interface (`BridgeInterface`)
    Interface(String),
    /// arrived on an interface whose name starts so (`InterfaceNamePrefix`)
    InterfacePrefix(String),
}

/// Who chooses among the backends of a new connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Balancer {
    /// chance, uniformly
    #[default]
    Random,
    /// IPVS
    Ipvs {
        /// by what, unless the Service says ([`crate::Fate::scheduler`]): see [`crate::parse_scheduler`]
        scheduler: Arc<str>,
    },
}

/// Configuration that changes flows. Fixed for the life of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// this node's name, as EndpointSlices spell it
    pub node_name: String,
    /// the detector of each family; None: not configured, everything is presumed to be a pod
    pub detector: PerFamily<Option<LocalDetector>>,
    /// `masqueradeAll` (reference §4.1)
    pub masquerade_all: bool,
    /// feature gate `AllowServiceExternalIPs` (reference §18)
    pub allow_external_ips: bool,
    /// who chooses among backends; only `explain` uses it, no fate depends on it
    pub balancer: Balancer,
}

/// What is known of the node now; it may change while the process lives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeState {
    /// the node's IP of each family, used for source ranges (reference §5)
    pub node_ips: PerFamily<Option<IpAddr>>,
    /// every address of the node's interfaces, loopback included; `explain` uses it to tell node-local sources
    pub local_addresses: BTreeSet<IpAddr>,
    /// label `topology.kubernetes.io/zone`; None or empty: hints by zone never match
    pub zone: Option<String>,
    /// where NodePorts are served
    pub node_port_addresses: PerFamily<NodePortAddresses>,
}

impl NodeState {
    /// Whether `ip` is an address of this node, as the kernel's routing table sees it.
    pub fn is_local(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || self.local_addresses.contains(&ip)
    }

    /// Whether NodePorts are served on `ip`.
    pub fn serves_node_ports(&self, ip: IpAddr) -> bool {
        match &self.node_port_addresses[Family::of(ip)] {
            NodePortAddresses::AnyLocal => self.local_addresses.contains(&ip) && !ip.is_loopback(),
            NodePortAddresses::Only(addresses) => addresses.contains(&ip),
        }
    }
}

impl LocalDetector {
    /// Whether a packet comes from a local pod. `in_interface` is None for what the node itself sends.
    pub fn matches(&self, from: Option<IpAddr>, in_interface: Option<&str>) -> bool {
        match self {
            LocalDetector::Source(prefixes) => {
                from.is_some_and(|from| prefixes.iter().any(|prefix| prefix.contains(from)))
            }
            LocalDetector::Interface(name) => in_interface == Some(name),
            LocalDetector::InterfacePrefix(prefix) => in_interface.is_some_and(|i| i.starts_with(prefix)),
        }
    }
}
