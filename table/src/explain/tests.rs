//! Packets, and what is said of them. Expected fates are written out by hand from the reference.

use serde_json::json;

use super::*;
use crate::net::{Family, PerFamily};
use crate::node::{Balancer, LocalDetector, NodePortAddresses, NodeState, Settings};
use crate::objects::Object;
use crate::table::ServiceTable;
use crate::testing::{applied, node, object, scheduled, service, settings, slice};

/// Pods of this node are 10.0.0.0/24; 10.0.0.1 is on it, 10.0.9.2 elsewhere.
fn with_detector() -> Settings {
    let detector = LocalDetector::Source(vec!["10.0.0.0/24".parse().unwrap()]);
    Settings { detector: PerFamily { v4: Some(detector), v6: None }, ..settings() }
}

fn table_of(settings: Settings, node: NodeState, objects: Vec<Object>) -> ServiceTable {
    let mut table = ServiceTable::new(settings, node);
    table.update(applied(objects));
    table
}

const BOTH: [&str; 2] = ["10.0.0.1 node=n1", "10.0.9.2 node=n2"];

fn shop(policy: &str, endpoints: &[&str]) -> Vec<Object> {
    let spec = json!({
        "type": "LoadBalancer", "externalTrafficPolicy": policy, "externalIPs": ["203.0.113.1"],
        "ports": [{"port": 80, "nodePort": 30080}],
        "loadBalancerSourceRanges": ["10.0.0.0/8", "198.18.0.0/15"],
        "status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.1"}]}}
    });
    let cidr = json!({"kind": "ServiceCIDR", "metadata": {"name": "a"}, "spec": {"cidrs": ["10.96.0.0/16"]}});
    vec![service("shop", spec), slice("shop-1", "shop", endpoints), object(cidr)]
}

/// `10.0.0.1` or `-`, and `10.96.0.1:80[/UDP]`
fn packet(from: &str, to: &str) -> Packet {
    let (to, protocol) = to.split_once('/').unwrap_or((to, "TCP"));
    let to: std::net::SocketAddr = to.parse().unwrap();
    Packet {
        from: from.parse().ok(),
        in_interface: None,
        to: to.ip(),
        port: to.port(),
        protocol: protocol.parse().unwrap(),
    }
}

/// `dnat 10.0.0.1:8080 masquerade`
fn brief(explanation: &Explanation) -> String {
    let mut words = vec![explanation.verdict.to_string()];
    words.extend(explanation.backends.iter().map(Backend::to_string));
    words.extend(explanation.masquerade.then(|| "masquerade".into()));
    words.join(" ")
}

/// Name, from, to, fate, and words that some sentence contains.
type Row = (&'static str, &'static str, &'static str, &'static str, &'static str);

fn check(table: &ServiceTable, rows: &[Row]) {
    for (name, from, to, expected, because) in rows {
        let explanation = table.explain(&packet(from, to));
        assert_eq!(brief(&explanation), *expected, "{name}:\n{explanation}");
        assert!(explanation.because.iter().any(|s| s.contains(because)), "{name}:\n{explanation}");
        assert_eq!(explanation.service.is_some(), explanation.frontend.is_some(), "{name}");
        assert_eq!(explanation.backends.is_empty(), explanation.verdict != Verdict::Dnat, "{name}");
    }
}

#[test]
fn cluster_ip() {
    let rows = [
        ("outsider", "-", "10.96.0.1:80", "dnat 10.0.0.1:8080 10.0.9.2:8080 masquerade", "not a local pod"),
        ("local pod", "10.0.0.7", "10.96.0.1:80", "dnat 10.0.0.1:8080 10.0.9.2:8080", "is a local pod"),
        (
            "node",
            "192.168.0.1",
            "10.96.0.1:80",
            "dnat 10.0.0.1:8080 10.0.9.2:8080 masquerade",
            "not a local pod",
        ),
        ("a backend itself", "10.0.0.1", "10.96.0.1:80", "dnat 10.0.0.1:8080 10.0.9.2:8080", "hairpin"),
        ("unknown port", "-", "10.96.0.1:81", "reject", "is a ClusterIP"),
        ("unknown protocol", "-", "10.96.0.1:80/UDP", "reject", "port 80/UDP"),
        ("unallocated", "-", "10.96.0.2:80", "drop", "service prefix 10.96.0.0/16"),
        ("elsewhere", "-", "10.97.0.1:80", "pass", "left to the network"),
    ];
    check(&table_of(with_detector(), node(), shop("Cluster", &BOTH)), &rows);
}

#[test]
fn external_frontends_with_policy_cluster() {
    let both = "dnat 10.0.0.1:8080 10.0.9.2:8080 masquerade";
    let rows = [
        ("external IP", "-", "203.0.113.1:80", both, "externalTrafficPolicy Cluster"),
        ("external IP from a pod", "10.0.0.7", "203.0.113.1:80", both, "externalTrafficPolicy is Cluster"),
        ("unknown port on an external IP", "-", "203.0.113.1:81", "pass", "left to the network"),
        ("load balancer, allowed", "198.18.0.1", "198.51.100.1:80", both, "through 198.18.0.0/15"),
        ("load balancer, pod", "10.0.0.7", "198.51.100.1:80", both, "through 10.0.0.0/8"),
        (
            "load balancer, not allowed",
            "203.0.113.9",
            "198.51.100.1:80",
            "drop",
            "outside loadBalancerSourceRanges",
        ),
        ("load balancer, node outside the ranges", "192.168.0.1", "198.51.100.1:80", "drop", "outside"),
        ("load balancer, source unknown", "-", "198.51.100.1:80", "drop", "unknown sources"),
        ("source ranges do not guard node ports", "203.0.113.9", "192.168.0.1:30080", both, "nodePort"),
        ("node port on loopback", "127.0.0.1", "127.0.0.1:30080", "pass", "not served on 127.0.0.1"),
        ("node port on a foreign address", "-", "192.168.0.77:30080", "pass", "not served on 192.168.0.77"),
        ("other port of the node", "-", "192.168.0.1:22", "pass", "left to the host"),
    ];
    check(&table_of(with_detector(), node(), shop("Cluster", &BOTH)), &rows);
}

#[test]
fn external_frontends_with_policy_local() {
    let rows = [
        ("outsider", "-", "203.0.113.1:80", "dnat 10.0.0.1:8080", "keeps the client's source"),
        (
            "local pod",
            "10.0.0.7",
            "203.0.113.1:80",
            "dnat 10.0.0.1:8080 10.0.9.2:8080",
            "source is a local pod",
        ),
        (
            "node",
            "192.168.0.1",
            "203.0.113.1:80",
            "dnat 10.0.0.1:8080 10.0.9.2:8080 masquerade",
            "source is this node",
        ),
        (
            "node, loopback",
            "127.0.0.1",
            "203.0.113.1:80",
            "dnat 10.0.0.1:8080 10.0.9.2:8080 masquerade",
            "this node",
        ),
        (
            "node port too",
            "192.168.0.1",
            "192.168.0.1:30080",
            "dnat 10.0.0.1:8080 10.0.9.2:8080 masquerade",
            "this node",
        ),
        (
            "cluster IP is untouched by it",
            "10.0.0.7",
            "10.96.0.1:80",
            "dnat 10.0.0.1:8080 10.0.9.2:8080",
            "internalTrafficPolicy is Cluster",
        ),
        ("hairpin", "10.0.0.1", "203.0.113.1:80", "dnat 10.0.0.1:8080 10.0.9.2:8080", "if it is chosen"),
        (
            "source ranges come first",
            "203.0.113.9",
            "198.51.100.1:80",
            "drop",
            "outside loadBalancerSourceRanges",
        ),
    ];
    check(&table_of(with_detector(), node(), shop("Local", &BOTH)), &rows);

    let rows = [
        (
            "none here: outsider",
            "-",
            "203.0.113.1:80",
            "drop",
            "externalTrafficPolicy is Local and no usable endpoint",
        ),
        ("none here: pod", "10.0.0.7", "203.0.113.1:80", "dnat 10.0.9.2:8080", "local pod"),
        ("none here: node", "192.168.0.1", "203.0.113.1:80", "dnat 10.0.9.2:8080 masquerade", "this node"),
    ];
    check(&table_of(with_detector(), node(), shop("Local", &BOTH[1..])), &rows);

    let rows = [
        ("none anywhere: outsider", "-", "203.0.113.1:80", "reject", "anywhere"),
        ("none anywhere: pod", "10.0.0.7", "192.168.0.1:30080", "reject", "anywhere"),
        ("none anywhere, but not allowed", "203.0.113.9", "198.51.100.1:80", "drop", "outside"),
    ];
    check(&table_of(with_detector(), node(), shop("Local", &[])), &rows);

    let dying = ["10.0.0.1 node=n1 unready terminating", "10.0.9.2 node=n2"];
    let rows = [("terminating here", "-", "203.0.113.1:80", "dnat 10.0.0.1:8080", "while they terminate")];
    check(&table_of(with_detector(), node(), shop("Local", &dying)), &rows);
}

#[test]
fn without_a_detector_no_source_is_a_detected_pod() {
    let rows = [
        (
            "cluster IP is never masqueraded",
            "10.0.0.7",
            "10.96.0.1:80",
            "dnat 10.0.0.1:8080 10.0.9.2:8080",
            "No detector",
        ),
        (
            "not even from the node",
            "192.168.0.1",
            "10.96.0.1:80",
            "dnat 10.0.0.1:8080 10.0.9.2:8080",
            "No detector",
        ),
        ("a pod is an outsider", "10.0.0.7", "203.0.113.1:80", "dnat 10.0.0.1:8080", "applies to it"),
    ];
    check(&table_of(settings(), node(), shop("Local", &BOTH)), &rows);
}

#[test]
fn hairpins() {
    let rows = [
        ("only backend", "10.0.0.1", "10.96.0.1:80", "dnat 10.0.0.1:8080 masquerade", "only backend"),
        ("somebody else", "10.0.0.7", "10.96.0.1:80", "dnat 10.0.0.1:8080", "No detector"),
    ];
    check(&table_of(settings(), node(), shop("Cluster", &BOTH[..1])), &rows);
    let rows = [(
        "on another node it cannot happen here",
        "10.0.9.2",
        "10.96.0.1:80",
        "dnat 10.0.9.2:8080",
        "No detector",
    )];
    check(&table_of(settings(), node(), shop("Cluster", &BOTH[1..])), &rows);
}

#[test]
fn masquerade_all() {
    let settings = Settings { masquerade_all: true, ..with_detector() };
    let rows = [
        ("even pods", "10.0.0.7", "10.96.0.1:80", "dnat 10.0.0.1:8080 masquerade", "masqueradeAll"),
        ("but nothing external", "-", "203.0.113.1:80", "dnat 10.0.0.1:8080", "keeps the client's"),
    ];
    check(&table_of(settings, node(), shop("Local", &BOTH[..1])), &rows);
}

#[test]
fn interface_detectors_need_the_interface() {
    let detector = LocalDetector::InterfacePrefix("veth".into());
    let settings = Settings { detector: PerFamily { v4: Some(detector), v6: None }, ..settings() };
    let table = table_of(settings, node(), shop("Cluster", &BOTH[..1]));
    let on = |interface: Option<&str>| {
        let packet =
            Packet { in_interface: interface.map(str::to_owned), ..packet("10.0.0.7", "10.96.0.1:80") };
        table.explain(&packet).masquerade
    };
    assert_eq!([on(Some("veth12")), on(Some("eth0")), on(None)], [false, true, true]);
}

#[test]
fn internal_policy_hints_and_fallbacks_are_named() {
    let explain = |spec: serde_json::Value, endpoints: &[&str], zone: Option<&str>| {
        let node = NodeState { zone: zone.map(str::to_owned), ..node() };
        let table = table_of(settings(), node, vec![service("web", spec), slice("web-1", "web", endpoints)]);
        let explanation = table.explain(&packet("10.0.0.7", "10.96.0.1:80"));
        format!("{}: {}", brief(&explanation), explanation.because.join(" "))
    };
    let says = |text: String, fate: &str, because: &str| {
        assert!(text.starts_with(&format!("{fate}:")) && text.contains(because), "{text}");
    };
    let local = || json!({"internalTrafficPolicy": "Local"});
    says(explain(local(), &BOTH, None), "dnat 10.0.0.1:8080", "internalTrafficPolicy is Local: only ready");
    says(explain(local(), &BOTH[1..], None), "drop", "internalTrafficPolicy is Local and no usable");
    says(explain(local(), &[], None), "reject", "No endpoint of default/web");
    let zones = ["10.0.0.1 zones=a", "10.0.9.2 zones=b"];
    says(explain(json!({}), &zones, Some("b")), "dnat 10.0.9.2:8080", "zone \"b\"");
    says(explain(json!({}), &zones, None), "dnat 10.0.0.1:8080 10.0.9.2:8080", "no hint narrows");
    says(
        explain(json!({}), &["10.0.0.1 nodes=n1", "10.0.9.2 nodes=n2"], None),
        "dnat 10.0.0.1:8080",
        "name this node",
    );
    says(
        explain(json!({}), &["10.0.0.1 unready terminating"], None),
        "dnat 10.0.0.1:8080",
        "terminate stand in",
    );
    says(
        explain(json!({"sessionAffinity": "ClientIP"}), &BOTH, None),
        "dnat 10.0.0.1:8080 10.0.9.2:8080",
        "10800 s",
    );
}

#[test]
fn the_nodes_own_addresses_are_left_to_the_host() {
    let mut objects = shop("Cluster", &BOTH);
    objects.push(service("odd", json!({"clusterIP": "192.168.0.1", "ports": [{"port": 443}]})));
    let mut node = node();
    node.local_addresses.insert("10.96.0.200".parse().unwrap());
    let table = table_of(settings(), node, objects);
    let rows = [
        ("its port is served", "-", "192.168.0.1:443", "reject", "default/odd"),
        ("other ports are the host's", "-", "192.168.0.1:22", "pass", "left to the host"),
        ("inside the prefix, but ours", "-", "10.96.0.200:80", "pass", "left to the host"),
    ];
    check(&table, &rows);
}

#[test]
fn restricted_node_port_addresses() {
    let only = NodePortAddresses::Only(["192.168.0.1".parse().unwrap()].into());
    let mut node = node();
    node.local_addresses.insert("10.9.9.9".parse().unwrap());
    node.node_port_addresses[Family::V4] = only;
    let table = table_of(settings(), node, shop("Cluster", &BOTH[..1]));
    let rows = [
        ("accepted", "-", "192.168.0.1:30080", "dnat 10.0.0.1:8080 masquerade", "serves NodePorts"),
        ("not accepted", "-", "10.9.9.9:30080", "pass", "not served on 10.9.9.9"),
    ];
    check(&table, &rows);
}

#[test]
fn rivals_are_named() {
    let table = table_of(settings(), node(), vec![service("a", json!({})), service("b", json!({}))]);
    let rows =
        [("the first by name has it", "-", "10.96.0.1:80", "reject", "default/b claims it too (clusterIP)")];
    check(&table, &rows);
}

#[test]
fn a_source_of_the_other_family_is_unknown() {
    let table = table_of(with_detector(), node(), shop("Local", &BOTH));
    let rows = [("IPv6 to IPv4", "::1", "203.0.113.1:80", "dnat 10.0.0.1:8080", "of the other family")];
    check(&table, &rows);
}

#[test]
fn the_json_is_a_contract() {
    let v6 = vec![
        service("web", json!({"clusterIP": "fd00:96::1", "ports": [{"name": "http", "port": 80}]})),
        object(json!({
            "kind": "EndpointSlice", "addressType": "IPv6", "ports": [{"name": "http", "port": 8080}],
            "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
            "endpoints": [{"addresses": ["fd00::1"]}]
        })),
    ];
    let table = table_of(settings(), node(), v6);
    assert_eq!(
        serde_json::to_value(table.explain(&packet("-", "[fd00:96::1]:80"))).unwrap(),
        json!({
            "verdict": "dnat",
            "backends": ["[fd00::1]:8080"],
            "scheduler": null,
            "masquerade": false,
            "service": "default/web:http",
            "frontend": "clusterIP [fd00:96::1]:80/TCP",
            "because": [
                "[fd00:96::1]:80/TCP is a clusterIP of default/web:http.",
                "internalTrafficPolicy is Cluster and no hint narrows the choice: every ready endpoint may be used.",
                "No detector of local pods is configured: every source is taken for a pod and keeps its address."
            ]
        })
    );
    assert_eq!(
        serde_json::to_value(table.explain(&packet("-", "10.0.0.1:80/SCTP"))).unwrap(),
        json!({
            "verdict": "pass", "backends": [], "scheduler": null, "masquerade": false, "service": null, "frontend": null,
            "because": ["No Service has 10.0.0.1:80/SCTP: left to the network."]
        })
    );
}

#[test]
fn the_text_is_for_people() {
    let table = table_of(settings(), node(), shop("Cluster", &BOTH));
    let text = table.explain(&packet("10.0.0.7", "192.168.0.1:30080")).to_string();
    let expected = "\
verdict   dnat, masqueraded
service   default/shop
frontend  nodePort 30080/TCP
backends  10.0.0.1:8080
          10.0.9.2:8080
because   192.168.0.1 is an address on which this node serves NodePorts, and 30080/TCP is a nodePort of default/shop.
          externalTrafficPolicy is Cluster and no hint narrows the choice: every ready endpoint may be used.
          externalTrafficPolicy Cluster masquerades every source, since answers must come back this way.";
    assert_eq!(text, expected);
}

#[test]
fn in_ipvs_mode_the_scheduler_is_named() {
    let settings = Settings { balancer: Balancer::Ipvs { scheduler: "rr".into() }, ..settings() };
    let asked = |scheduler: &str, spec: serde_json::Value, to: &str| {
        let service = scheduled(service("web", spec), scheduler);
        let table = table_of(settings.clone(), node(), vec![service, slice("web-1", "web", &BOTH)]);
        table.explain(&packet("-", to))
    };
    let plain = asked("", json!({}), "10.96.0.1:80");
    assert_eq!(plain.scheduler.as_deref(), Some("rr"));
    assert_eq!(
        plain.to_string(),
        "\
verdict   dnat
service   default/web
frontend  clusterIP 10.96.0.1:80/TCP
backends  10.0.0.1:8080
          10.0.9.2:8080
scheduler rr
because   10.96.0.1:80/TCP is a clusterIP of default/web.
          internalTrafficPolicy is Cluster and no hint narrows the choice: every ready endpoint may be used.
          IPVS chooses the backend of each connection, by the scheduler rr (the configuration's ipvs.scheduler).
          No detector of local pods is configured: every source is taken for a pod and keeps its address."
    );
    let own = asked("sh, sh-port", json!({"sessionAffinity": "ClientIP"}), "10.96.0.1:80");
    assert_eq!(own.scheduler.as_deref(), Some("sh,sh-port"));
    let expected = "IPVS chooses the backend of a client that has none, by the scheduler sh,sh-port \
        (the Service's annotation kube-verdict.io/ipvs-scheduler).";
    assert!(own.because.iter().any(|sentence| sentence == expected), "{own}");
    assert!(own.because.iter().any(|sentence| sentence.contains("a client keeps its backend")), "{own}");
    let json = serde_json::to_value(&own).unwrap();
    assert_eq!((&json["verdict"], &json["scheduler"]), (&json!("dnat"), &json!("sh,sh-port")));

    let refused = asked("lc", json!({}), "10.96.0.1:81");
    assert_eq!((refused.verdict, refused.scheduler), (Verdict::Reject, None), "nothing to choose from");
}
