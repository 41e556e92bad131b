//! The configuration file of a scenario: a KubeProxyConfiguration.

use serde_json::{Value, json};

use crate::mode::mode;
use crate::plan;

/// How the node tells its pods (reference §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detect {
    /// ClusterCIDR without a prefix: not at all
    Nothing,
    /// ClusterCIDR, with a prefix of each family
    ClusterCidr(&'static str),
    /// ClusterCIDR, word for word
    ClusterCidrText(&'static str),
    /// NodeCIDR
    NodeCidr,
    /// BridgeInterface
    Bridge(&'static str),
    /// InterfaceNamePrefix
    Prefix(&'static str),
}

/// What a scenario configures.
#[derive(Clone, Debug)]
pub struct Config {
    detect: Detect,
    masquerade_all: bool,
    node_port_addresses: Vec<String>,
    masquerade_bit: Option<u8>,
    gates: Vec<(&'static str, bool)>,
    sync_period: Option<&'static str>,
    fields: Vec<(&'static str, Value)>,
}

impl Default for Config {
    /// The plan's pod prefix as clusterCIDR, everything else left out.
    fn default() -> Self {
        Config {
            detect: Detect::ClusterCidr(plan::CLUSTER_CIDR),
            masquerade_all: false,
            node_port_addresses: Vec::new(),
            masquerade_bit: None,
            gates: Vec::new(),
            sync_period: None,
            fields: Vec::new(),
        }
    }
}

impl Config {
    /// With another detector.
    pub fn detecting(detect: Detect) -> Self {
        Config { detect, ..Config::default() }
    }

    /// With masqueradeAll.
    #[must_use]
    pub fn masquerade_all(mut self) -> Self {
        self.masquerade_all = true;
        self
    }

    /// With another bit of the packet mark.
    #[must_use]
    pub fn masquerade_bit(mut self, bit: u8) -> Self {
        self.masquerade_bit = Some(bit);
        self
    }

    /// With a feature gate.
    #[must_use]
    pub fn gate(mut self, name: &'static str, on: bool) -> Self {
        self.gates.push((name, on));
        self
    }

    /// With another `syncPeriod` of the mode.
    #[must_use]
    pub fn sync_period(mut self, period: &'static str) -> Self {
        self.sync_period = Some(period);
        self
    }

    /// With any other field.
    #[must_use]
    pub fn field(mut self, name: &'static str, value: Value) -> Self {
        self.fields.push((name, value));
        self
    }

    /// With nodePortAddresses, word for word.
    #[must_use]
    pub fn node_port_addresses(mut self, entries: &[&str]) -> Self {
        self.node_port_addresses = entries.iter().map(|e| (*e).to_owned()).collect();
        self
    }

    /// With these prefixes and their twins as nodePortAddresses.
    #[must_use]
    pub fn node_ports_in(mut self, prefixes: &[&str]) -> Self {
        self.node_port_addresses = prefixes.iter().flat_map(|prefix| plan::both_cidrs(prefix)).collect();
        self
    }

    /// The file.
    pub fn build(&self) -> Value {
        let mut file = json!({
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": mode().word(),
            // The maximum of conntrack entries is the machine's; in a namespace it cannot be set.
            "conntrack": { "maxPerCore": 0 },
            "oomScoreAdj": 0,
        });
        let masquerading = mode().masquerading_section();
        file[masquerading]["masqueradeAll"] = self.masquerade_all.into();
        if let Some(bit) = self.masquerade_bit {
            file[masquerading]["masqueradeBit"] = bit.into();
        }
        if let Some(period) = self.sync_period {
            file[mode().word()]["syncPeriod"] = period.into();
        }
        for (name, value) in &self.fields {
            file[*name] = value.clone();
        }
        for (gate, on) in &self.gates {
            file["featureGates"][*gate] = (*on).into();
        }
        match self.detect {
            Detect::Nothing => {}
            Detect::ClusterCidr(prefix) => {
                file["detectLocalMode"] = "ClusterCIDR".into();
                file["clusterCIDR"] = plan::both_cidrs(prefix).join(",").into();
            }
            Detect::ClusterCidrText(text) => file["clusterCIDR"] = text.into(),
            Detect::NodeCidr => file["detectLocalMode"] = "NodeCIDR".into(),
            Detect::Bridge(interface) => {
                file["detectLocalMode"] = "BridgeInterface".into();
                file["detectLocal"] = json!({ "bridgeInterface": interface });
            }
            Detect::Prefix(prefix) => {
                file["detectLocalMode"] = "InterfaceNamePrefix".into();
                file["detectLocal"] = json!({ "interfaceNamePrefix": prefix });
            }
        }
        if !self.node_port_addresses.is_empty() {
            file["nodePortAddresses"] = json!(self.node_port_addresses);
        }
        file
    }
}
