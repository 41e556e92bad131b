//! v1 Node: the fields of reference §1.4.

use std::net::IpAddr;

use serde::Deserialize;

use super::decode::is_node;
use super::leaf::{Address, Leaf, optional, or_default, text};
use super::metadata::Metadata;
use crate::net::{Cidr, Family};

/// A v1 Node. Its zone is `metadata.labels.zone`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Node {
    /// `kind`: nothing is kept of it; an object that says to be of another kind is refused
    #[serde(default, deserialize_with = "is_node")]
    pub kind: (),
    /// name, zone label, deletion timestamp
    #[serde(default, deserialize_with = "or_default")]
    pub metadata: Metadata,
    /// pod prefixes and taints
    #[serde(default, deserialize_with = "or_default")]
    pub spec: NodeSpec,
    /// addresses
    #[serde(default, deserialize_with = "or_default")]
    pub status: NodeStatus,
}

/// `spec`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct NodeSpec {
    /// `podCIDR`, the first of `podCIDRs`
    #[serde(default, rename = "podCIDR", deserialize_with = "optional")]
    pub pod_cidr: Option<Leaf<Cidr>>,
    /// `podCIDRs`
    #[serde(default, rename = "podCIDRs", deserialize_with = "or_default")]
    pub pod_cidrs: Vec<Leaf<Cidr>>,
    /// what repels pods; `ToBeDeletedByClusterAutoscaler` matters to health checks
    #[serde(default, deserialize_with = "or_default")]
    pub taints: Vec<Taint>,
}

/// `spec.taints[]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Taint {
    /// `key`
    #[serde(default, deserialize_with = "text")]
    pub key: Box<str>,
}

/// `status`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct NodeStatus {
    /// in the order that counts
    #[serde(default, deserialize_with = "or_default")]
    pub addresses: Vec<NodeAddress>,
}

/// `status.addresses[]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct NodeAddress {
    /// `InternalIP`, `ExternalIP`, `Hostname`, …
    #[serde(default, rename = "type", deserialize_with = "text")]
    pub address_type: Box<str>,
    /// an IP address for the first two types
    #[serde(default, deserialize_with = "optional")]
    pub address: Option<Address>,
}

impl Node {
    /// The node's IPs: InternalIPs then ExternalIPs, at most one of each family, the primary first.
    pub fn ips(&self) -> Vec<IpAddr> {
        let mut ips: Vec<IpAddr> = Vec::new();
        for wanted in ["InternalIP", "ExternalIP"] {
            let of_type = self.status.addresses.iter().filter(|a| &*a.address_type == wanted);
            for ip in of_type.filter_map(|a| a.address.as_ref()?.get()) {
                if !ips.iter().any(|known| Family::of(*known) == Family::of(ip)) {
                    ips.push(ip);
                }
            }
        }
        ips
    }
}
