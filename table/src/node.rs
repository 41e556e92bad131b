//! What the table must know of its node and its configuration.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::net::{Cidr, PerFamily};

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
}

/// The node addresses on which NodePorts are served (reference §3.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodePortAddresses {
    /// every local address except loopback
    AnyLocal,
    /// these only (none: NodePorts are not served in this family)
    Only(BTreeSet<IpAddr>),
}

impl Default for NodePortAddresses {
    fn default() -> Self {
        NodePortAddresses::Only(BTreeSet::new())
    }
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

/// One entry of `nodePortAddresses` (reference §3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodePortEntry {
    /// `primary`: the node's IP of each family
    Primary,
    /// `localhost`
    Localhost,
    /// `all`
    All,
    /// addresses inside a prefix
    Prefix(Cidr),
}
