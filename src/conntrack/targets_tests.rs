//! Stale or not.

use std::collections::BTreeSet;

use kube_verdict_table::objects::{Object, ObjectEvent};
use kube_verdict_table::{Balancer, PerFamily, Settings};
use serde_json::{Value, json};

use super::*;
use crate::conntrack::Tuple;

const LOCAL: [&str; 4] = ["127.0.0.1", "192.168.0.1", "10.9.0.1", "fd00::1"];

fn addresses(texts: &[&str]) -> BTreeSet<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// A table with NodePorts at `node_ports`.
fn table(node_ports: NodePortAddresses, objects: impl IntoIterator<Item = Value>) -> ServiceTable {
    let settings = Settings {
        node_name: "node".into(),
        detector: PerFamily::default(),
        masquerade_all: false,
        allow_external_ips: true,
        balancer: Balancer::Random,
    };
    let node = NodeState {
        local_addresses: addresses(&LOCAL),
        node_port_addresses: PerFamily { v4: node_ports, v6: NodePortAddresses::AnyLocal },
        ..NodeState::default()
    };
    let mut table = ServiceTable::new(settings, node);
    table.update(objects.into_iter().map(|value| {
        let mut object = match value["kind"].as_str() {
            Some("Service") => Object::Service(serde_json::from_value(value).unwrap()),
            _ => Object::EndpointSlice(serde_json::from_value(value).unwrap()),
        };
        object.apply_api_defaults();
        ObjectEvent::Applied(object)
    }));
    table
}

fn service(name: &str, ip: &str, port: Value, external: &[&str]) -> Value {
    json!({
        "kind": "Service", "metadata": {"name": name},
        "spec": {"type": "NodePort", "clusterIP": ip, "ports": [port], "externalIPs": external},
    })
}

fn dns() -> [Value; 2] {
    let port = json!({"port": 53, "protocol": "UDP", "nodePort": 30053});
    let slice = json!({
        "kind": "EndpointSlice",
        "metadata": {"name": "dns-1", "labels": {"kubernetes.io/service-name": "dns"}},
        "addressType": "IPv4", "ports": [{"name": "", "protocol": "UDP", "port": 5353}],
        "endpoints": [{"addresses": ["10.0.0.1"]}, {"addresses": ["10.0.0.2"]}],
    });
    [service("dns", "10.96.0.10", port, &[]), slice]
}

fn targets(table: &ServiceTable) -> Targets {
    let mut targets = Targets::default();
    targets.add(&table.udp_flows(), table);
    targets
}

/// A flow to `to` that is at `at`.
fn flow(to: &str, at: &str) -> Entry {
    let tuple = |source: &str, destination: &str| Tuple {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
        zone: None,
    };
    Entry { original: tuple("203.0.113.1:9", to), reply: tuple(at, "203.0.113.1:9"), zone: None, id: 1 }
}

#[test]
fn every_kind_of_flow() {
    let everywhere = targets(&table(NodePortAddresses::AnyLocal, dns()));
    let rows = [
        ("at an endpoint", "10.96.0.10:53", "10.0.0.2:5353", false),
        ("at an endpoint that is gone", "10.96.0.10:53", "10.0.0.3:5353", true),
        ("at another port of an endpoint", "10.96.0.10:53", "10.0.0.1:53", true),
        ("never translated", "10.96.0.10:53", "10.96.0.10:53", true),
        ("another port of the ClusterIP", "10.96.0.10:54", "10.0.0.3:5353", false),
        ("another ClusterIP", "10.96.0.11:53", "10.0.0.3:5353", false),
        ("a NodePort, at an endpoint", "192.168.0.1:30053", "10.0.0.1:5353", false),
        ("a NodePort, at one that is gone", "192.168.0.1:30053", "10.0.0.3:5353", true),
        ("a NodePort at the node itself", "10.9.0.1:30053", "10.9.0.1:30053", true),
        ("somebody else's port of that number", "192.0.2.7:30053", "192.0.2.7:30053", false),
        ("loopback, where NodePorts are not served", "127.0.0.1:30053", "127.0.0.1:30053", false),
        ("the other family", "[fd00::1]:30053", "[fd00::1]:30053", false),
    ];
    for (name, to, at, expected) in rows {
        assert_eq!(everywhere.is_stale(&flow(to, at)), expected, "{name}");
    }
    let only = targets(&table(NodePortAddresses::Only(addresses(&["192.168.0.1"])), dns()));
    assert!(only.is_stale(&flow("192.168.0.1:30053", "10.0.0.3:5353")));
    assert!(!only.is_stale(&flow("10.9.0.1:30053", "10.0.0.3:5353")), "not served there");
}

#[test]
fn a_frontend_at_the_nodes_own_address_goes_before_a_node_port() {
    let rival = service("rival", "10.96.0.11", json!({"port": 30053, "protocol": "UDP"}), &["192.168.0.1"]);
    let table = table(NodePortAddresses::AnyLocal, dns().into_iter().chain([rival]));
    let mut ours = Targets::default();
    let dns = table.udp_flows().into_iter().filter(|flows| &*flows.service.name == "dns");
    ours.add(&dns.collect::<Vec<_>>(), &table);
    assert!(!ours.is_stale(&flow("192.168.0.1:30053", "10.0.0.9:1")), "the rival's");
    assert!(ours.is_stale(&flow("10.9.0.1:30053", "10.0.0.9:1")));
}

#[test]
fn the_newer_counts() {
    let [service, slice] = dns();
    let with = || targets(&table(NodePortAddresses::AnyLocal, dns()));
    let without = || targets(&table(NodePortAddresses::AnyLocal, [service.clone()]));
    let good = flow("10.96.0.10:53", "10.0.0.1:5353");
    let mut targets = with();
    targets.merge(without(), true);
    assert!(targets.is_stale(&good));
    let mut targets = with();
    targets.merge(without(), false);
    assert!(!targets.is_stale(&good));
    let mut targets = Targets::default();
    targets.merge(without(), false);
    assert!(targets.is_stale(&good));
    drop(slice);
}

#[test]
fn asks_for_as_little_as_possible() {
    let udp =
        |port: u16, node_port: Option<u16>| json!({"port": port, "protocol": "UDP", "nodePort": node_port});
    let asked = |services: Vec<Value>| {
        let targets = targets(&table(NodePortAddresses::AnyLocal, services));
        assert_eq!(targets.filters(Family::V6), []);
        targets.filters(Family::V4)
    };
    let filter = |address: Option<&str>, port| Filter {
        family: Family::V4,
        address: address.map(|text| text.parse().unwrap()),
        port,
    };
    assert_eq!(asked(vec![]), []);
    let one = || service("one", "10.96.0.1", udp(53, None), &[]);
    assert_eq!(asked(vec![one()]), [filter(Some("10.96.0.1"), Some(53))]);
    let two = || service("two", "10.96.0.2", udp(53, Some(30053)), &[]);
    assert_eq!(asked(vec![one(), two()]), [filter(None, Some(53)), filter(None, Some(30053))]);
    let more = (3..8).map(|n| service(&format!("s{n}"), &format!("10.96.0.{n}"), udp(60 + n, None), &[]));
    assert_eq!(asked(more.collect()), [filter(None, None)]);
}
