//! Services.

use serde_json::{Map, Value, json};

use super::Objects;
use crate::plan::{self, Family};

/// A Service under construction.
#[derive(Clone, Debug)]
pub struct Service {
    name: String,
    families: Vec<Family>,
    labels: Map<String, Value>,
    annotations: Map<String, Value>,
    spec: Map<String, Value>,
    ports: Vec<Value>,
    ingress: Vec<Value>,
    ip: Option<String>,
    /// with a field of the wrong family left in on purpose
    external_ips: Vec<String>,
}

/// A Service of namespace `default`.
pub fn service(name: &str) -> Service {
    Service {
        name: name.to_owned(),
        families: Family::BOTH.to_vec(),
        labels: Map::new(),
        annotations: Map::new(),
        spec: Map::new(),
        ports: Vec::new(),
        ingress: Vec::new(),
        ip: None,
        external_ips: Vec::new(),
    }
}

impl Service {
    /// Its ClusterIP.
    #[must_use]
    pub fn ip(mut self, address: &str) -> Self {
        self.ip = Some(address.to_owned());
        self
    }

    /// Of one family only. External and load balancer addresses keep both: they must not be captured.
    #[must_use]
    pub fn only(mut self, family: Family) -> Self {
        self.families = vec![family];
        self
    }

    /// A port. `targetPort` is set to something that nobody listens on.
    #[must_use]
    pub fn port(mut self, name: &str, protocol: &str, port: u16) -> Self {
        self.ports.push(json!({ "name": name, "protocol": protocol, "port": port, "targetPort": 9 }));
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

    /// NodePort of the ports so far that have none.
    #[must_use]
    pub fn node_port(mut self, number: u16) -> Self {
        for port in self.ports.iter_mut().filter(|port| port.get("nodePort").is_none()) {
            port["nodePort"] = number.into();
        }
        self
    }

    /// NodePort of the last port alone.
    #[must_use]
    pub fn last_node_port(mut self, number: u16) -> Self {
        if let Some(port) = self.ports.last_mut() {
            port["nodePort"] = number.into();
        }
        self
    }

    /// One more external IP.
    #[must_use]
    pub fn external_ip(mut self, address: &str) -> Self {
        self.external_ips.extend(plan::both(address));
        self
    }

    /// One more load balancer IP; `mode` is `ipMode`.
    #[must_use]
    pub fn load_balancer(mut self, address: &str, mode: Option<&str>) -> Self {
        for ip in plan::both(address) {
            self.ingress.push(match mode {
                Some(mode) => json!({ "ip": ip, "ipMode": mode }),
                None => json!({ "ip": ip }),
            });
        }
        self
    }

    /// A load balancer that has a name only.
    #[must_use]
    pub fn load_balancer_hostname(mut self, hostname: &str) -> Self {
        self.ingress.push(json!({ "hostname": hostname }));
        self
    }

    /// externalTrafficPolicy Local.
    #[must_use]
    pub fn external_local(self) -> Self {
        self.set("externalTrafficPolicy", "Local".into())
    }

    /// internalTrafficPolicy Local.
    #[must_use]
    pub fn internal_local(self) -> Self {
        self.set("internalTrafficPolicy", "Local".into())
    }

    /// Session affinity by client IP.
    #[must_use]
    pub fn affinity(self, seconds: u32) -> Self {
        self.set("sessionAffinity", "ClientIP".into())
            .set("sessionAffinityConfig", json!({ "clientIP": { "timeoutSeconds": seconds } }))
    }

    /// loadBalancerSourceRanges, word for word.
    #[must_use]
    pub fn ranges(self, ranges: &[String]) -> Self {
        self.set("loadBalancerSourceRanges", json!(ranges))
    }

    /// loadBalancerSourceRanges with these prefixes and their twins.
    #[must_use]
    pub fn ranges_of(self, prefixes: &[&str]) -> Self {
        let ranges: Vec<String> = prefixes.iter().flat_map(|prefix| plan::both_cidrs(prefix)).collect();
        self.ranges(&ranges)
    }

    /// A label.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.to_owned(), value.into());
        self
    }

    /// A scheduler of IPVS of its own.
    #[must_use]
    pub fn scheduler(mut self, words: &str) -> Self {
        self.annotations.insert("kube-verdict.io/ipvs-scheduler".to_owned(), words.into());
        self
    }

    /// Any field of the spec, `type` among them.
    #[must_use]
    pub fn set(mut self, field: &str, value: Value) -> Self {
        self.spec.insert(field.to_owned(), value);
        self
    }

    /// The object.
    pub fn build(mut self) -> Objects {
        let kind = if !self.ingress.is_empty() {
            "LoadBalancer"
        } else if self.ports.iter().any(|port| port.get("nodePort").is_some()) {
            "NodePort"
        } else {
            "ClusterIP"
        };
        let mut spec = Map::new();
        spec.insert("type".to_owned(), kind.into());
        if let Some(address) = &self.ip {
            let ips: Vec<String> = self.families.iter().map(|f| plan::ip(*f, address).to_string()).collect();
            let families: Vec<&str> = self.families.iter().map(|f| f.name()).collect();
            spec.insert("clusterIP".to_owned(), ips[0].clone().into());
            spec.insert("clusterIPs".to_owned(), json!(ips));
            spec.insert("ipFamilies".to_owned(), json!(families));
            // Not read by a proxy; an API server insists.
            let policy = if families.len() > 1 { "RequireDualStack" } else { "SingleStack" };
            spec.insert("ipFamilyPolicy".to_owned(), policy.into());
        }
        if !self.external_ips.is_empty() {
            spec.insert("externalIPs".to_owned(), json!(self.external_ips));
        }
        spec.insert("ports".to_owned(), json!(self.ports));
        spec.append(&mut self.spec);
        vec![json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": { "namespace": "default", "name": self.name, "labels": self.labels, "annotations": self.annotations },
            "spec": spec,
            "status": { "loadBalancer": { "ingress": self.ingress } },
        })]
    }
}
