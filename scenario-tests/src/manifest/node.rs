//! The Node object of the node under test, and ServiceCIDRs.

use serde_json::json;

use super::Objects;
use crate::plan::{self, NODE};

/// The node under test, with its primary addresses and a zone.
pub fn node(zone: Option<&str>) -> Objects {
    let [v4, v6] = plan::both(plan::NODE_IP);
    let labels = match zone {
        Some(zone) => json!({ "kubernetes.io/hostname": NODE, "topology.kubernetes.io/zone": zone }),
        None => json!({ "kubernetes.io/hostname": NODE }),
    };
    vec![json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": { "name": NODE, "labels": labels },
        "spec": { "podCIDR": plan::POD_CIDR, "podCIDRs": plan::both_cidrs(plan::POD_CIDR) },
        "status": { "addresses": [
            { "type": "Hostname", "address": NODE },
            { "type": "InternalIP", "address": v4 },
            { "type": "InternalIP", "address": v6 },
        ] },
    })]
}

/// A ServiceCIDR with a prefix of each family.
pub fn service_cidr(name: &str, prefix: &str) -> Objects {
    vec![json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": { "name": name },
        "spec": { "cidrs": plan::both_cidrs(prefix) },
        "status": { "conditions": [{ "type": "Ready", "status": "True" }] },
    })]
}
