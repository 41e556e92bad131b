//! Tables made from API objects, for the tests of the backend.
#![allow(dead_code, clippy::unwrap_used)]
#![allow(missing_docs)]

pub mod machine;

use std::collections::BTreeSet;

use kube_verdict_nftables::Options;
use kube_verdict_nftables::layout::{Balancer, Marks};
use kube_verdict_table::objects::{Object, ObjectEvent};
use kube_verdict_table::{
    LocalDetector, NodePortAddresses, NodeState, PerFamily, ServiceTable, Settings, Update,
};
use serde_json::{Value, json};

pub const OPTIONS: Options = Options::slots(0x4000);
pub const MARKS: Marks = Marks::DEFAULT;
pub const WITH_IPVS: Options =
    Options { masquerade_mark: 0x4000, balancer: Balancer::Ipvs(MARKS), own: false };
pub const BESIDE_IPVS: Options =
    Options { masquerade_mark: 0x4000, balancer: Balancer::SlotsBesideIpvs(MARKS), own: false };

pub fn empty_table() -> ServiceTable {
    let settings = Settings {
        node_name: "node".into(),
        detector: PerFamily {
            v4: Some(LocalDetector::Source(vec!["10.244.0.0/16".parse().unwrap()])),
            v6: Some(LocalDetector::Source(vec!["fd00:244::/61".parse().unwrap()])),
        },
        masquerade_all: false,
        allow_external_ips: true,
        balancer: kube_verdict_table::Balancer::Random,
    };
    let addresses = ["192.0.2.1", "2001:db8::1"].map(|ip| ip.parse().unwrap());
    let node = NodeState {
        node_ips: PerFamily { v4: Some(addresses[0]), v6: Some(addresses[1]) },
        local_addresses: BTreeSet::from(addresses),
        zone: None,
        node_port_addresses: PerFamily {
            v4: NodePortAddresses::Only(BTreeSet::from([addresses[0]])),
            v6: NodePortAddresses::AnyLocal,
        },
    };
    ServiceTable::new(settings, node)
}

pub fn applied(value: Value) -> ObjectEvent {
    let kind = value["kind"].as_str().unwrap().to_owned();
    let mut object = match kind.as_str() {
        "Service" => Object::Service(serde_json::from_value(value).unwrap()),
        "EndpointSlice" => Object::EndpointSlice(serde_json::from_value(value).unwrap()),
        "ServiceCIDR" => Object::ServiceCidr(serde_json::from_value(value).unwrap()),
        kind => panic!("{kind}"),
    };
    object.apply_api_defaults();
    ObjectEvent::Applied(object)
}

/// A dual-stack LoadBalancer Service number `n` with every kind of frontend; `twist` chooses its policies.
pub fn service(n: u16, twist: u32) -> ObjectEvent {
    let [high, low] = n.to_be_bytes();
    let local = |bit: u32| if twist & bit != 0 { "Local" } else { "Cluster" };
    let ranges =
        if twist & 4 != 0 { json!(["192.0.2.0/24", "192.0.2.7/32", "2001:db8:1::/48"]) } else { json!([]) };
    let mut spec = json!({
        "type": "LoadBalancer",
        "clusterIP": format!("10.96.{high}.{low}"),
        "clusterIPs": [format!("10.96.{high}.{low}"), format!("fd00:96::{n:x}")],
        "ipFamilies": ["IPv4", "IPv6"],
        "externalIPs": [format!("198.18.{high}.{low}"), format!("2001:db8:18::{n:x}")],
        "externalTrafficPolicy": local(1),
        "internalTrafficPolicy": local(2),
        "loadBalancerSourceRanges": ranges,
        "ports": [
            {"name": "web", "port": 80, "nodePort": 30000 + n % 2000},
            {"name": "dns", "port": 53, "protocol": "UDP"},
            {"name": "sig", "port": 9, "protocol": "SCTP"},
        ],
    });
    if twist & 8 != 0 {
        let timeout = if twist & 16 != 0 { 60 } else { 10800 };
        spec["sessionAffinity"] = json!("ClientIP");
        spec["sessionAffinityConfig"] = json!({"clientIP": {"timeoutSeconds": timeout}});
    }
    applied(json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"namespace": "test", "name": format!("s{n}")},
        "spec": spec,
        "status": {"loadBalancer": {"ingress": [
            {"ip": format!("203.0.113.{low}")}, {"ip": format!("2001:db8:113::{n:x}")},
        ]}},
    }))
}

/// Its slices: these endpoints in both families, every other one on this node.
pub fn slices(n: u16, endpoints: &[u8]) -> [ObjectEvent; 2] {
    let [high, low] = n.to_be_bytes();
    let slice = |family: &str, address: &dyn Fn(u8) -> String| {
        let endpoints: Vec<Value> = endpoints
            .iter()
            .map(|i| json!({"addresses": [address(*i)], "nodeName": if i % 2 == 0 { "node" } else { "other" }}))
            .collect();
        applied(json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {
                "namespace": "test", "name": format!("s{n}-{}", family.to_lowercase()),
                "labels": {"kubernetes.io/service-name": format!("s{n}")},
            },
            "addressType": family,
            "ports": [
                {"name": "web", "port": 8080},
                {"name": "dns", "port": 5353, "protocol": "UDP"},
                {"name": "sig", "port": 99, "protocol": "SCTP"},
            ],
            "endpoints": endpoints,
        }))
    };
    [
        slice("IPv4", &|i| format!("10.{}.{low}.{i}", 100 + high % 100)),
        slice("IPv6", &|i| format!("fd00:2:{n:x}::{i:x}")),
    ]
}

pub fn service_cidr(cidrs: &[&str]) -> ObjectEvent {
    applied(json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR",
        "metadata": {"name": "kubernetes"}, "spec": {"cidrs": cidrs},
    }))
}

/// Numbers below a bound, the same in each run.
pub fn random() -> impl FnMut(u64) -> u64 {
    let mut random = 0x2545_f491_4f6c_dd1du64;
    move |below| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    }
}

/// One of so many Services gets other policies or other endpoints.
pub fn any_change(table: &mut ServiceTable, next: &mut impl FnMut(u64) -> u64, services: u64) -> Update {
    let n = 1 + next(services) as u16;
    match next(3) {
        0 => table.update([service(n, next(32) as u32)]),
        _ => {
            let mask = next(64);
            let endpoints: Vec<u8> = (1..=6u8).filter(|i| mask >> i & 1 == 1).collect();
            table.update(slices(n, &endpoints))
        }
    }
}
