//! What the node and its configuration decide: accepted NodePort addresses (reference §3.3), the node's own IP
//! (§1.4), its zone, and which packets come from its pods (§4.2).

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::Deserialize;
use serde_json::Value;

use super::address::{Prefix, parse_ip};
use super::objects::Node;
use super::{Model, Probe};
use crate::plan::Family;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Config {
    #[serde(rename = "clusterCIDR")]
    cluster_cidr: String,
    detect_local_mode: String,
    detect_local: DetectLocal,
    node_port_addresses: Vec<String>,
    mode: String,
    nftables: Masquerading,
    iptables: Masquerading,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct DetectLocal {
    bridge_interface: String,
    interface_name_prefix: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Masquerading {
    masquerade_all: bool,
}

impl Config {
    pub(super) fn read(value: &Value) -> Config {
        serde_json::from_value(value.clone()).unwrap_or_else(|e| panic!("{e} in {value}"))
    }

    pub(super) fn masquerade_all(&self) -> bool {
        match self.is_ipvs() {
            true => self.iptables.masquerade_all, // §15.2: IPVS mode reads that section
            false => self.nftables.masquerade_all,
        }
    }

    fn is_ipvs(&self) -> bool {
        self.mode == "ipvs"
    }
}

impl Model {
    fn node(&self) -> Option<&Node> {
        self.objects.nodes.iter().find(|node| node.metadata.name == self.node_name)
    }

    /// The node's IP of a family: internal addresses before external ones. None: a loopback placeholder.
    pub(super) fn node_ip(&self, family: Family) -> Option<IpAddr> {
        let addresses = &self.node()?.status.addresses;
        ["InternalIP", "ExternalIP"].into_iter().find_map(|kind| {
            addresses
                .iter()
                .filter(|a| a.kind == kind)
                .filter_map(|a| parse_ip(&a.address))
                .find(|ip| Family::of(*ip) == family)
        })
    }

    pub(super) fn zone(&self) -> Option<String> {
        self.node()?.metadata.labels.get("topology.kubernetes.io/zone").cloned()
    }

    /// Whether NodePorts are served on an address.
    pub(super) fn accepts_node_ports(&self, ip: IpAddr) -> bool {
        self.node_port_addresses(Family::of(ip)).contains(&ip)
    }

    fn node_port_addresses(&self, family: Family) -> BTreeSet<IpAddr> {
        let all: BTreeSet<IpAddr> =
            self.local_addresses.iter().copied().filter(|ip| Family::of(*ip) == family).collect();
        let zero = if family == Family::V4 { "0.0.0.0/0" } else { "::/0" };
        let loopback = if family == Family::V4 { "127.0.0.0/8" } else { "::1/128" };

        let mut entries = self.config.node_port_addresses.clone();
        if entries.is_empty() {
            // The defaults of the modes.
            let default = if self.config.is_ipvs() { "all" } else { "primary" };
            entries.push(default.to_owned());
        }
        let mut prefixes: Vec<Prefix> = Vec::new();
        let mut any_entry = false;
        for entry in &entries {
            let prefix = match entry.as_str() {
                "all" => Prefix::parse(zero),
                "localhost" => Prefix::parse(loopback),
                "primary" => self
                    .node_ip(family)
                    .filter(|ip| !ip.is_loopback())
                    .map(|ip| Prefix { ip, length: if family == Family::V4 { 32 } else { 128 } }),
                text => Prefix::parse(text).filter(|prefix| Family::of(prefix.ip) == family),
            };
            any_entry |= prefix.is_some();
            prefixes.extend(prefix);
        }
        if !any_entry || prefixes.iter().any(|prefix| prefix.length == 0) {
            return all;
        }
        // Loopback is not among the local addresses of the model: entries for it are skipped.
        all.into_iter().filter(|ip| prefixes.iter().any(|prefix| prefix.contains(*ip))).collect()
    }

    /// Whether a packet comes from a local pod. None: the detector is not configured for this family.
    pub(super) fn comes_from_local_pod(&self, probe: &Probe) -> Option<bool> {
        let family = Family::of(probe.source);
        let first_of_family = |texts: Vec<&str>| {
            texts.into_iter().filter_map(Prefix::parse).find(|prefix| Family::of(prefix.ip) == family)
        };
        let interface = probe.interface.as_deref().unwrap_or_default();
        match self.config.detect_local_mode.as_str() {
            "" | "ClusterCIDR" => {
                let prefix = first_of_family(self.config.cluster_cidr.split(',').collect())?;
                Some(prefix.contains(probe.source))
            }
            "NodeCIDR" => {
                let cidrs = &self.node()?.spec.pod_cidrs;
                let prefix = first_of_family(cidrs.iter().map(String::as_str).collect())?;
                Some(prefix.contains(probe.source))
            }
            "BridgeInterface" => Some(interface == self.config.detect_local.bridge_interface),
            "InterfaceNamePrefix" => {
                Some(interface.starts_with(&self.config.detect_local.interface_name_prefix))
            }
            other => panic!("no such detectLocalMode: {other:?}"),
        }
    }

    /// Whether an address is one of the node's (`fib saddr type local`).
    pub(super) fn is_local_address(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || self.local_addresses.contains(&ip)
    }
}
