//! Objects of a small cluster, at random: all kinds of Services and slices, few enough of each for them to collide.

use kube_verdict_table::objects::{Kind, Object};
use kube_verdict_table::parse_scheduler;
use serde_json::{Value, json};

use super::rng::Rng;

/// This node's name, and its addresses.
pub const NODE: &str = "node";
pub const NODE_IPS: [&str; 2] = ["192.0.2.1", "2001:db8::1"];
/// Where pods are.
pub const POD_CIDRS: [&str; 2] = ["10.244.0.0/16", "fd00:244::/64"];
/// A pod of this node, which is an endpoint of many Services.
pub const POD_IPS: [&str; 2] = ["10.244.0.1", "fd00:244::1"];
/// Sources that are nobody's here; the first are in the ranges that Services allow.
pub const OUTSIDE_IPS: [[&str; 2]; 2] =
    [["198.51.100.7", "2001:db8:51::7"], ["203.0.113.99", "2001:db8:113::99"]];

/// How many Services there may be.
pub const SERVICES: usize = 12;

fn object(kind: Kind, document: Value) -> Object {
    let mut object = Object::deserialize_as(kind, document).expect("an object");
    object.apply_api_defaults();
    object
}

/// A Service of this number.
pub fn service(rng: &mut Rng, n: usize) -> Object {
    let families = rng.pick(&[&["IPv4", "IPv6"][..], &["IPv4"], &["IPv6"]]);
    let ips: Vec<String> = families
        .iter()
        .map(|family| match *family {
            "IPv4" => format!("10.96.0.{n}"),
            _ => format!("fd00:96::{n}"),
        })
        .collect();
    let kind = rng.pick(&["ClusterIP", "NodePort", "LoadBalancer", "LoadBalancer"]);
    let mut spec = json!({"type": kind, "clusterIP": ips[0], "clusterIPs": ips, "ipFamilies": families});
    let node_port = |rng: &mut Rng, index: usize| match kind {
        "ClusterIP" => Value::Null,
        // Now and then one that another Service has.
        _ => json!(30000 + 10 * if rng.one_in(8) { rng.below(SERVICES) } else { n } + index),
    };
    let ports: Vec<Value> = (0..1 + rng.below(2))
        .map(|index| {
            let protocol = rng.pick(&["TCP", "TCP", "UDP", "SCTP"]);
            json!({"name": format!("p{index}"), "port": 80 + index, "protocol": protocol,
            "nodePort": node_port(rng, index)})
        })
        .collect();
    spec["ports"] = ports.into();
    if rng.one_in(3) {
        // Few, so that Services contend for them.
        spec["externalIPs"] =
            json!([format!("198.18.0.{}", rng.below(3)), format!("2001:db8:18::{}", rng.below(3))]);
    }
    let policy = |rng: &mut Rng| if rng.one_in(3) { "Local" } else { "Cluster" };
    spec["internalTrafficPolicy"] = policy(rng).into();
    if kind != "ClusterIP" {
        spec["externalTrafficPolicy"] = policy(rng).into();
    }
    if rng.one_in(3) {
        spec["sessionAffinity"] = "ClientIP".into();
        spec["sessionAffinityConfig"] = json!({"clientIP": {"timeoutSeconds": rng.pick(&[60, 10800])}});
    }
    let mut status = Value::Null;
    if kind == "LoadBalancer" {
        status = json!({"loadBalancer": {"ingress": [{"ip": format!("203.0.113.{n}")}, {"ip": format!("2001:db8:113:1::{n}")}]}});
        if rng.one_in(2) {
            let ranges =
                [&["198.51.100.0/24", "2001:db8:51::/48"][..], &["198.51.100.0/24", "198.51.100.7/32"]];
            spec["loadBalancerSourceRanges"] = json!(rng.pick(&ranges));
        }
    }
    let mut metadata = json!({"namespace": "default", "name": format!("s{n}")});
    if rng.one_in(6) {
        let scheduler = rng.pick(&["sh", "wlc", "nq"]);
        debug_assert!(parse_scheduler(scheduler).is_ok());
        metadata["annotations"] = json!({"kube-verdict.io/ipvs-scheduler": scheduler});
    }
    object(Kind::Service, json!({"metadata": metadata, "spec": spec, "status": status}))
}

/// A slice of the Service of this number: one of two, of one family.
pub fn slice(rng: &mut Rng, n: usize) -> Object {
    let is_v6 = rng.one_in(3);
    let endpoints: Vec<Value> = (1..6)
        .filter(|_| rng.below(5) < 2)
        .collect::<Vec<usize>>()
        .into_iter()
        .map(|i| {
            let address = if is_v6 { format!("fd00:244::{i}") } else { format!("10.244.0.{i}") };
            let terminating = rng.one_in(8);
            let node = rng.pick(&[Some(NODE), Some("other"), Some("other"), None]);
            let mut endpoint = json!({"addresses": [address], "nodeName": node, "conditions": {
            "ready": !terminating && !rng.one_in(8), "serving": !rng.one_in(8), "terminating": terminating}});
            if rng.one_in(2) {
                endpoint["hints"] = json!({"forZones": [{"name": rng.pick(&["a", "b"])}]});
            }
            endpoint
        })
        .collect();
    let protocol = rng.pick(&["TCP", "TCP", "UDP", "SCTP"]);
    let ports: Vec<Value> = (0..2)
        .map(|index| json!({"name": format!("p{index}"), "port": 8080 + index, "protocol": protocol}))
        .collect();
    let family = if is_v6 { "IPv6" } else { "IPv4" };
    object(
        Kind::EndpointSlice,
        json!({
        "metadata": {"namespace": "default", "name": format!("s{n}-{family}-{}", rng.below(2)).to_lowercase(),
            "labels": {"kubernetes.io/service-name": format!("s{n}")}},
        "addressType": family, "ports": ports, "endpoints": endpoints}),
    )
}

/// This node, in one of two zones or in none.
pub fn node(rng: &mut Rng) -> Object {
    let zone = rng.pick(&["", "a", "b"]);
    let addresses: Vec<Value> =
        NODE_IPS.iter().map(|ip| json!({"type": "InternalIP", "address": ip})).collect();
    object(
        Kind::Node,
        json!({"metadata": {"name": NODE, "labels": {"topology.kubernetes.io/zone": zone}},
        "status": {"addresses": addresses}}),
    )
}

/// A prefix of service addresses.
pub fn service_cidr(rng: &mut Rng) -> Object {
    let cidrs = rng.pick(&[&["10.96.0.0/16"][..], &["10.96.0.0/24", "fd00:96::/112"]]);
    object(Kind::ServiceCidr, json!({"metadata": {"name": "kubernetes"}, "spec": {"cidrs": cidrs}}))
}

/// Any of them but the Node.
pub fn any(rng: &mut Rng, services: usize) -> Object {
    let n = 1 + rng.below(services);
    match rng.below(20) {
        0 => service_cidr(rng),
        1..=6 => service(rng, n),
        _ => slice(rng, n),
    }
}
