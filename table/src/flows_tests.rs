//! When UDP flows are concerned by an update, and where they are right.

use serde_json::{Value, json};

use crate::objects::{Kind, Object, ObjectEvent, ObjectKey};
use crate::table::ServiceTable;
use crate::testing::{applied, node, object, service, settings, slice};
use crate::{Family, Flows, Protocol, ServicePortName};

fn dns() -> Object {
    dns_of(json!({}))
}

/// A Service at 10.96.0.1:53/UDP with NodePort 30053, and 53/TCP beside it.
fn dns_of(more: Value) -> Object {
    let mut spec = json!({
        "type": "NodePort",
        "ports": [
            {"name": "dns", "port": 53, "protocol": "UDP", "nodePort": 30053},
            {"name": "dns-tcp", "port": 53, "nodePort": 30053}
        ]
    });
    for (key, value) in more.as_object().unwrap() {
        spec[key] = value.clone();
    }
    service("dns", spec)
}

/// Its endpoints at port 5353 of both protocols, as [`slice`] spells them.
fn ends(endpoints: &[&str]) -> Object {
    let mut slice = slice("dns-1", "dns", endpoints);
    let Object::EndpointSlice(inner) = &mut slice else { panic!() };
    let Object::EndpointSlice(ports) = object(json!({
        "kind": "EndpointSlice", "metadata": {"name": "x"}, "addressType": "IPv4", "endpoints": [],
        "ports": [
            {"name": "dns", "port": 5353, "protocol": "UDP"}, {"name": "dns-tcp", "port": 5354, "protocol": "TCP"}
        ]
    })) else {
        panic!()
    };
    inner.ports = ports.ports;
    slice
}

fn table(objects: impl IntoIterator<Item = Object>) -> ServiceTable {
    let mut table = ServiceTable::new(settings(), node());
    table.update(applied(objects));
    table
}

/// `default/dns:dns 10.96.0.1:53/UDP ... -> 10.0.0.1:5353 ...`
fn said(flows: &[Flows]) -> Vec<String> {
    let words = |words: Vec<String>| words.join(" ");
    let flows = flows.iter().map(|flows| {
        let frontends = words(flows.frontends.iter().map(ToString::to_string).collect());
        let serving = words(flows.serving.iter().map(ToString::to_string).collect());
        format!("{} {frontends} -> {serving}", flows.service).trim_end().to_owned()
    });
    flows.collect()
}

const FRONTENDS: &str = "default/dns:dns 10.96.0.1:53/UDP node-port(IPv4):30053/UDP ->";

#[test]
fn serving_or_not_is_all_that_matters() {
    let mut table = table([dns(), ends(&["10.0.0.1", "10.0.0.2"])]);
    let same = [
        ("unready, still serving", vec!["10.0.0.1 unready", "10.0.0.2"]),
        ("terminating, still serving", vec!["10.0.0.1 unready terminating", "10.0.0.2"]),
        ("ready whatever serving says", vec!["10.0.0.1 notserving", "10.0.0.2"]),
        ("on a node, for a zone", vec!["10.0.0.1 node=n2 zones=a", "10.0.0.2 node=n1 zones=b"]),
    ];
    for (name, endpoints) in same {
        assert_eq!(said(&table.update(applied([ends(&endpoints)])).flows), [""; 0], "{name}");
    }
    let policy = json!({"internalTrafficPolicy": "Local", "externalTrafficPolicy": "Local"});
    assert_eq!(said(&table.update(applied([dns_of(policy)])).flows), [""; 0], "policies");

    let gone = table.update(applied([ends(&["10.0.0.1 unready notserving terminating", "10.0.0.2"])]));
    assert_eq!(said(&gone.flows), [format!("{FRONTENDS} 10.0.0.2:5353")]);
    let none = table.update(applied([ends(&[])]));
    assert_eq!(said(&none.flows), [FRONTENDS], "scaled to zero");
    let back = table.update(applied([ends(&["10.0.0.2"])]));
    assert_eq!(said(&back.flows), [format!("{FRONTENDS} 10.0.0.2:5353")]);
}

#[test]
fn a_service_after_its_slices_and_a_frontend_that_is_new() {
    let mut table = table([ends(&["10.0.0.1"])]);
    let update = table.update(applied([dns()]));
    assert_eq!(said(&update.flows), [format!("{FRONTENDS} 10.0.0.1:5353")]);
    assert_eq!(update.flows, table.udp_flows());
    let update = table.update(applied([dns_of(json!({"externalIPs": ["192.0.2.1"]}))]));
    assert_eq!(said(&update.flows), ["default/dns:dns 192.0.2.1:53/UDP -> 10.0.0.1:5353"]);
    assert_eq!(said(&table.update(applied([dns()])).flows), [""; 0], "gone: what is there goes on");
}

#[test]
fn a_removed_service_leaves_its_flows_and_its_heir_takes_them() {
    let rival = |name: &str| service(name, json!({"ports": [{"port": 53, "protocol": "UDP"}]}));
    let mut table = table([dns(), ends(&["10.0.0.1"]), rival("later")]);
    let key = |name: &str| ObjectKey { kind: Kind::Service, namespace: "default".into(), name: name.into() };
    let update = table.update([ObjectEvent::Deleted(key("dns"))]);
    assert_eq!(said(&update.flows), ["default/later 10.96.0.1:53/UDP ->"]);
    assert_eq!(said(&table.update([ObjectEvent::Deleted(key("later"))]).flows), [""; 0]);
}

#[test]
fn who_lost_a_frontend_does_not_concern_its_flows() {
    let rival = service("x", json!({"ports": [{"name": "dns", "port": 53, "protocol": "UDP"}]}));
    let mut table = table([dns(), rival, ends(&["10.0.0.1"])]);
    let mut theirs = ends(&["10.0.0.9"]);
    let Object::EndpointSlice(slice) = &mut theirs else { panic!() };
    slice.metadata.name = "x-1".into();
    slice.metadata.labels.service_name = Some("x".into());
    assert_eq!(said(&table.update(applied([theirs])).flows), [""; 0]);
}

#[test]
fn node_ports_elsewhere() {
    let mut table = table([dns(), ends(&["10.0.0.1"])]);
    let mut moved = node();
    moved.node_port_addresses.v4 =
        crate::NodePortAddresses::Only(["192.168.0.1".parse().unwrap()].into_iter().collect());
    let update = table.set_node(moved);
    assert_eq!(said(&update.flows), ["default/dns:dns node-port(IPv4):30053/UDP -> 10.0.0.1:5353"]);
    let mut zoned = table.node().clone();
    zoned.zone = Some("a".into());
    assert_eq!(said(&table.set_node(zoned).flows), [""; 0]);
}

#[test]
fn tcp_never() {
    let mut table = table([service("web", json!({})), slice("web-1", "web", &["10.0.0.1"])]);
    assert_eq!(table.udp_flows(), []);
    assert_eq!(table.update(applied([slice("web-1", "web", &["10.0.0.2"])])).flows, []);
}

#[test]
fn whoever_asks_hears_where_connections_of_a_port_may_stay() {
    let table = table([dns(), ends(&["10.0.0.3 unready", "10.0.0.1", "10.0.0.2 unready notserving"])]);
    let serving = |name: &str, protocol: Protocol, family: Family| -> Vec<String> {
        let port = ServicePortName { namespace: "default".into(), name: "dns".into(), port: name.into() };
        table.serving(&port, protocol, family).iter().map(ToString::to_string).collect()
    };
    assert_eq!(serving("dns", Protocol::Udp, Family::V4), ["10.0.0.1:5353", "10.0.0.3:5353"]);
    assert_eq!(serving("dns-tcp", Protocol::Tcp, Family::V4), ["10.0.0.1:5354", "10.0.0.3:5354"]);
    assert_eq!(serving("dns", Protocol::Udp, Family::V6), [""; 0]);
    assert_eq!(serving("dns", Protocol::Tcp, Family::V4), [""; 0]);
    assert_eq!(serving("other", Protocol::Udp, Family::V4), [""; 0]);
}

#[test]
fn a_port_without_endpoints_still_has_frontends_and_one_that_is_gone_has_none() {
    let port =
        |name: &str| ServicePortName { namespace: "default".into(), name: "dns".into(), port: name.into() };
    let mut table = table([dns()]);
    assert!(table.has_frontends(&port("dns")) && table.has_frontends(&port("dns-tcp")));
    assert!(!table.has_frontends(&port("other")));
    table.update(applied([dns_of(json!({"ports": [{"name": "dns-tcp", "port": 53}]}))]));
    assert!(!table.has_frontends(&port("dns")) && table.has_frontends(&port("dns-tcp")));
}
