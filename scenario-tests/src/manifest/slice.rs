//! EndpointSlices.

use serde_json::{Map, Value, json};

use super::Objects;
use crate::plan::{self, Family};

/// An endpoint under construction.
#[derive(Clone, Debug)]
pub struct Endpoint {
    address: String,
    node: Option<String>,
    conditions: Map<String, Value>,
    zones: Vec<String>,
    nodes: Vec<String>,
}

/// A ready endpoint at an address of the plan, on the node that has it.
pub fn at(address: &str) -> Endpoint {
    let local = matches!(address, "pod-a" | "pod-b" | "node")
        || [plan::POD_A, plan::POD_B, plan::NODE_IP].contains(&address);
    let node = if local { plan::NODE } else { plan::NODE_2 };
    Endpoint {
        address: address.to_owned(),
        node: Some(node.to_owned()),
        conditions: Map::new(),
        zones: Vec::new(),
        nodes: Vec::new(),
    }
    .conditions(Some(true), Some(true), Some(false))
}

impl Endpoint {
    /// The three conditions, each of which may be absent.
    #[must_use]
    pub fn conditions(
        mut self,
        ready: Option<bool>,
        serving: Option<bool>,
        terminating: Option<bool>,
    ) -> Self {
        for (key, value) in [("ready", ready), ("serving", serving), ("terminating", terminating)] {
            match value {
                Some(value) => self.conditions.insert(key.to_owned(), value.into()),
                None => self.conditions.remove(key),
            };
        }
        self
    }

    /// Going, but still answering.
    #[must_use]
    pub fn terminating(self) -> Self {
        self.conditions(Some(false), Some(true), Some(true))
    }

    /// Going, and no longer answering.
    #[must_use]
    pub fn gone(self) -> Self {
        self.conditions(Some(false), Some(false), Some(true))
    }

    /// Not yet ready.
    #[must_use]
    pub fn unready(self) -> Self {
        self.conditions(Some(false), Some(false), Some(false))
    }

    /// Serving, yet neither ready nor terminating.
    #[must_use]
    pub fn serving_only(self) -> Self {
        self.conditions(Some(false), Some(true), Some(false))
    }

    /// Hints for zones.
    #[must_use]
    pub fn zones(mut self, zones: &[&str]) -> Self {
        self.zones = zones.iter().map(|z| (*z).to_owned()).collect();
        self
    }

    /// Hints for nodes.
    #[must_use]
    pub fn nodes(mut self, nodes: &[&str]) -> Self {
        self.nodes = nodes.iter().map(|n| (*n).to_owned()).collect();
        self
    }

    /// On another node than its address suggests; None: on none.
    #[must_use]
    pub fn on(mut self, node: Option<&str>) -> Self {
        self.node = node.map(str::to_owned);
        self
    }

    fn build(&self, family: Family) -> Value {
        let mut endpoint = json!({
            "addresses": [plan::ip(family, &self.address).to_string()],
            "conditions": self.conditions,
        });
        if let Some(node) = &self.node {
            endpoint["nodeName"] = node.as_str().into();
        }
        let named = |names: &[String]| -> Vec<Value> { names.iter().map(|n| json!({ "name": n })).collect() };
        let mut hints = Map::new();
        if !self.zones.is_empty() {
            hints.insert("forZones".to_owned(), named(&self.zones).into());
        }
        if !self.nodes.is_empty() {
            hints.insert("forNodes".to_owned(), named(&self.nodes).into());
        }
        if !hints.is_empty() {
            endpoint["hints"] = hints.into();
        }
        endpoint
    }
}

/// An EndpointSlice under construction: two of them, one a family.
#[derive(Clone, Debug)]
pub struct Slice {
    name: String,
    service: String,
    families: Vec<Family>,
    ports: Vec<Value>,
    endpoints: Vec<Endpoint>,
    labels: Map<String, Value>,
}

/// A slice of a Service of namespace `default`.
pub fn slice(name: &str, service: &str) -> Slice {
    Slice {
        name: name.to_owned(),
        service: service.to_owned(),
        families: Family::BOTH.to_vec(),
        ports: Vec::new(),
        endpoints: Vec::new(),
        labels: Map::new(),
    }
}

impl Slice {
    /// A port.
    #[must_use]
    pub fn port(mut self, name: &str, protocol: &str, port: u16) -> Self {
        self.ports.push(json!({ "name": name, "protocol": protocol, "port": port }));
        self
    }

    /// A TCP port.
    #[must_use]
    pub fn tcp(self, name: &str, port: u16) -> Self {
        self.port(name, "TCP", port)
    }

    /// The same port in TCP, UDP and SCTP, named `tcp`, `udp` and `sctp`.
    #[must_use]
    pub fn every_protocol(self, port: u16) -> Self {
        self.port("tcp", "TCP", port).port("udp", "UDP", port).port("sctp", "SCTP", port)
    }

    /// A port as it stands in the object, for the odd ones.
    #[must_use]
    pub fn raw_port(mut self, port: Value) -> Self {
        self.ports.push(port);
        self
    }

    /// More endpoints.
    #[must_use]
    pub fn with(mut self, endpoints: impl IntoIterator<Item = Endpoint>) -> Self {
        self.endpoints.extend(endpoints);
        self
    }

    /// Of one family only.
    #[must_use]
    pub fn only(mut self, family: Family) -> Self {
        self.families = vec![family];
        self
    }

    /// A label.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.to_owned(), value.into());
        self
    }

    /// The objects.
    pub fn build(self) -> Objects {
        let mut labels = self.labels;
        labels.insert("kubernetes.io/service-name".to_owned(), self.service.into());
        self.families
            .iter()
            .map(|family| {
                let endpoints: Vec<Value> = self.endpoints.iter().map(|e| e.build(*family)).collect();
                json!({
                    "apiVersion": "discovery.k8s.io/v1",
                    "kind": "EndpointSlice",
                    "metadata": {
                        "namespace": "default",
                        "name": format!("{}-{}", self.name, family.name().to_lowercase()),
                        "labels": labels,
                    },
                    "addressType": family.name(),
                    "ports": self.ports,
                    "endpoints": endpoints,
                })
            })
            .collect()
    }
}
