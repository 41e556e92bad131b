//! Tests of `derive`: frontends and fates, by the rows of reference §3, §4.1 and §5.

use serde_json::{Value, json};

use crate::fate::{Affinity, Fate, Masquerade, Route, Target};
use crate::net::{Cidr, PerFamily};
use crate::node::{LocalDetector, NodeState, Settings};
use crate::objects::Object;
use crate::table::ServiceTable;
use crate::testing::{applied, node, service, settings, slice};

const HERE: &str = "10.0.0.1 node=n1";
const THERE: &str = "10.0.0.2 node=n2";
const DYING_HERE: &str = "10.0.0.3 node=n1 unready terminating";

fn table_of(settings: Settings, node: NodeState, objects: Vec<Object>) -> ServiceTable {
    let mut table = ServiceTable::new(settings, node);
    table.update(applied(objects));
    table
}

fn show_target(target: &Target) -> String {
    match target {
        Target::Reject => "reject".into(),
        Target::Drop => "drop".into(),
        Target::Backends(s) => s.backends.iter().map(ToString::to_string).collect::<Vec<_>>().join("+"),
    }
}

fn show_fate(fate: &Fate) -> String {
    match (&fate.route, fate.masquerade) {
        (Route::Everyone(target), masquerade) => format!("{} {masquerade:?}", show_target(target)),
        (Route::ByOrigin { inside, outside }, Masquerade::Never) => {
            format!("inside {} outside {}", show_target(inside), show_target(outside))
        }
        (Route::ByOrigin { .. }, masquerade) => panic!("ByOrigin with {masquerade:?}"),
    }
}

/// Every frontend as `kind frontend -> fate`, sorted.
fn show(table: &ServiceTable) -> Vec<String> {
    let line = |(frontend, fate): (&crate::Frontend, &std::sync::Arc<Fate>)| {
        format!("{} {frontend} -> {}", fate.kind, show_fate(fate))
    };
    let mut lines: Vec<String> = table.frontends().map(line).collect();
    lines.sort();
    lines
}

fn frontends(spec: Value, endpoints: &[&str]) -> Vec<String> {
    show(&table_of(settings(), node(), vec![service("web", spec), slice("web-1", "web", endpoints)]))
}

fn load_balancer(policy: &str) -> Value {
    json!({
        "type": "LoadBalancer", "externalTrafficPolicy": policy, "externalIPs": ["203.0.113.1"],
        "ports": [{"port": 80, "nodePort": 30080}],
        "status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.1"}]}}
    })
}

#[test]
fn a_cluster_ip_uses_slice_ports_and_never_target_ports() {
    let spec = json!({"ports": [{"port": 80, "targetPort": 1}]});
    assert_eq!(
        frontends(spec, &[HERE, THERE]),
        ["clusterIP 10.96.0.1:80/TCP -> 10.0.0.1:8080+10.0.0.2:8080 Never"]
    );
}

#[test]
fn external_frontends_with_policy_cluster() {
    assert_eq!(
        frontends(load_balancer("Cluster"), &[HERE, THERE]),
        [
            "clusterIP 10.96.0.1:80/TCP -> 10.0.0.1:8080+10.0.0.2:8080 Never",
            "externalIP 203.0.113.1:80/TCP -> 10.0.0.1:8080+10.0.0.2:8080 Always",
            "load balancer IP 198.51.100.1:80/TCP -> 10.0.0.1:8080+10.0.0.2:8080 Always",
            "nodePort node-port(IPv4):30080/TCP -> 10.0.0.1:8080+10.0.0.2:8080 Always",
        ]
    );
}

#[test]
fn external_frontends_with_policy_local() {
    let rows: &[(&str, &[&str], &str, &str)] = &[
        (
            "here and there",
            &[HERE, THERE],
            "10.0.0.1:8080+10.0.0.2:8080",
            "inside 10.0.0.1:8080+10.0.0.2:8080 outside 10.0.0.1:8080",
        ),
        ("only there", &[THERE], "10.0.0.2:8080", "inside 10.0.0.2:8080 outside drop"),
        (
            "terminating here",
            &[DYING_HERE, THERE],
            "10.0.0.2:8080",
            "inside 10.0.0.2:8080 outside 10.0.0.3:8080",
        ),
        ("nowhere", &[], "reject", "inside reject outside reject"),
        ("no node name is not local", &["10.0.0.9"], "10.0.0.9:8080", "inside 10.0.0.9:8080 outside drop"),
    ];
    for (name, endpoints, cluster, external) in rows {
        assert_eq!(
            frontends(load_balancer("Local"), endpoints),
            [
                format!("clusterIP 10.96.0.1:80/TCP -> {cluster} Never"),
                format!("externalIP 203.0.113.1:80/TCP -> {external}"),
                format!("load balancer IP 198.51.100.1:80/TCP -> {external}"),
                format!("nodePort node-port(IPv4):30080/TCP -> {external}"),
            ],
            "{name}"
        );
    }
}

#[test]
fn internal_policy_local_is_for_cluster_ips_alone() {
    let rows: &[(&str, &[&str], &str, &str)] = &[
        ("here and there", &[HERE, THERE], "10.0.0.1:8080", "10.0.0.1:8080+10.0.0.2:8080"),
        ("only there", &[THERE], "drop", "10.0.0.2:8080"),
        ("nowhere", &["10.0.0.1 node=n1 unready"], "reject", "reject"),
    ];
    for (name, endpoints, internal, external) in rows {
        let mut spec = load_balancer("Cluster");
        spec["internalTrafficPolicy"] = json!("Local");
        let lines = frontends(spec, endpoints);
        assert_eq!(lines[0], format!("clusterIP 10.96.0.1:80/TCP -> {internal} Never"), "{name}");
        assert_eq!(lines[1], format!("externalIP 203.0.113.1:80/TCP -> {external} Always"), "{name}");
        let alone = frontends(json!({"internalTrafficPolicy": "Local"}), endpoints);
        assert_eq!(alone, [lines[0].clone()], "{name}, nothing external");
    }
}

#[test]
fn external_policy_does_nothing_to_a_plain_cluster_ip_service() {
    let spec = json!({
        "externalTrafficPolicy": "Local",
        "status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.1"}]}}
    });
    let expected = [
        "clusterIP 10.96.0.1:80/TCP -> 10.0.0.2:8080 Never",
        "load balancer IP 198.51.100.1:80/TCP -> 10.0.0.2:8080 Always",
    ];
    assert_eq!(frontends(spec, &[THERE]), expected);
}

#[test]
fn load_balancer_ips_count_in_vip_mode_whatever_the_type() {
    let ingress = json!([{"ip": "198.51.100.1", "ipMode": "VIP"}, {"ip": "198.51.100.2", "ipMode": "Proxy"},
        {"hostname": "lb.example"}, {"ip": "2001:db8::1"}]);
    let lines = frontends(json!({"status": {"loadBalancer": {"ingress": ingress}}}), &[HERE]);
    assert_eq!(lines[1..], ["load balancer IP 198.51.100.1:80/TCP -> 10.0.0.1:8080 Always"]);
}

#[test]
fn services_without_cluster_ip_and_aliases_are_skipped() {
    for spec in [json!({"clusterIP": ""}), json!({"clusterIP": "None"}), json!({"type": "ExternalName"})] {
        assert_eq!(frontends(spec.clone(), &[HERE]), [""; 0], "{spec}");
    }
}

#[test]
fn each_family_goes_its_own_way() {
    let spec = json!({
        "type": "NodePort", "clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1", "fd00:96::1"],
        "externalIPs": ["2001:db8::7"], "ports": [{"port": 80, "nodePort": 30080}]
    });
    let objects = vec![
        service("web", spec),
        slice("web-4", "web", &[HERE]),
        slice("web-6", "web", &["fd00::1 node=n1", "fd00::2 node=n2"]),
    ];
    assert_eq!(
        show(&table_of(settings(), node(), objects)),
        [
            "clusterIP 10.96.0.1:80/TCP -> 10.0.0.1:8080 Never",
            "clusterIP [fd00:96::1]:80/TCP -> [fd00::1]:8080+[fd00::2]:8080 Never",
            "externalIP [2001:db8::7]:80/TCP -> [fd00::1]:8080+[fd00::2]:8080 Always",
            "nodePort node-port(IPv4):30080/TCP -> 10.0.0.1:8080 Always",
            "nodePort node-port(IPv6):30080/TCP -> [fd00::1]:8080+[fd00::2]:8080 Always",
        ]
    );
    let only_v6 = json!({"type": "NodePort", "clusterIP": "fd00:96::1", "externalIPs": ["203.0.113.1"],
        "ports": [{"port": 80, "nodePort": 30080}]});
    let lines =
        show(&table_of(settings(), node(), vec![service("web", only_v6), slice("a", "web", &[HERE])]));
    assert_eq!(lines.len(), 2, "nothing of IPv4, not even the NodePort: {lines:?}");
}

#[test]
fn one_port_number_serves_several_protocols() {
    let spec = json!({"clusterIP": "10.96.0.1", "ports": [
        {"name": "t", "port": 53}, {"name": "u", "port": 53, "protocol": "UDP"}, {"name": "s", "port": 53, "protocol": "SCTP"}
    ]});
    assert_eq!(
        frontends(spec, &[HERE]),
        [
            "clusterIP 10.96.0.1:53/SCTP -> reject Never",
            "clusterIP 10.96.0.1:53/TCP -> reject Never",
            "clusterIP 10.96.0.1:53/UDP -> reject Never",
        ]
    );
}

#[test]
fn masquerade_of_cluster_ips_follows_detector_and_setting() {
    let masquerade = |detector: Option<LocalDetector>, masquerade_all| {
        let settings =
            Settings { detector: PerFamily { v4: detector, v6: None }, masquerade_all, ..settings() };
        show(&table_of(settings, node(), vec![service("web", json!({}))]))
    };
    let detector = || Some(LocalDetector::Interface("cni0".into()));
    assert_eq!(masquerade(None, false), ["clusterIP 10.96.0.1:80/TCP -> reject Never"]);
    assert_eq!(masquerade(detector(), false), ["clusterIP 10.96.0.1:80/TCP -> reject UnlessLocalPod"]);
    assert_eq!(masquerade(detector(), true), ["clusterIP 10.96.0.1:80/TCP -> reject Always"]);
    assert_eq!(masquerade(None, true), ["clusterIP 10.96.0.1:80/TCP -> reject Always"]);
}

#[test]
fn external_ips_can_be_switched_off() {
    let settings = Settings { allow_external_ips: false, ..settings() };
    let objects =
        vec![service("web", json!({"externalIPs": ["203.0.113.1"], "internalTrafficPolicy": "Local"}))];
    assert_eq!(show(&table_of(settings, node(), objects)), ["clusterIP 10.96.0.1:80/TCP -> reject Never"]);
}

#[test]
fn one_address_named_twice_by_a_service_is_one_frontend() {
    let spec = json!({
        "externalIPs": ["10.96.0.1", "198.51.100.1", "203.0.113.1", "203.0.113.1"],
        "status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.1"}]}}
    });
    assert_eq!(
        frontends(spec, &[HERE]),
        [
            "clusterIP 10.96.0.1:80/TCP -> 10.0.0.1:8080 Never",
            "externalIP 203.0.113.1:80/TCP -> 10.0.0.1:8080 Always",
            "load balancer IP 198.51.100.1:80/TCP -> 10.0.0.1:8080 Always",
        ]
    );
}

#[test]
fn source_ranges_guard_load_balancer_ips_alone() {
    let lb = |ranges: &[&str], ingress: &[&str]| {
        let mut spec = load_balancer("Cluster");
        spec["loadBalancerSourceRanges"] = json!(ranges);
        spec["status"]["loadBalancer"]["ingress"] = ingress.iter().map(|ip| json!({"ip": ip})).collect();
        let table = table_of(settings(), node(), vec![service("web", spec)]);
        let mut sources: Vec<String> = Vec::new();
        for (frontend, fate) in table.frontends() {
            let guarded = ingress.iter().any(|ip| frontend.to_string().starts_with(ip));
            assert!(guarded || fate.sources.is_none(), "{frontend}");
            if let (true, Some(ranges)) = (guarded, &fate.sources) {
                let ranges: Vec<String> = ranges.iter().map(Cidr::to_string).collect();
                sources.push(ranges.join(" "));
            }
        }
        sources.sort();
        sources
    };
    let vip = "198.51.100.1";
    assert_eq!(lb(&[" 10.0.0.0/8 ", "10.1.0.0/16"], &[vip]), ["10.0.0.0/8"], "spaces, nested ranges");
    assert_eq!(lb(&["fd00::/8"], &[vip]), [""; 0], "all of the other family: no restriction");
    assert_eq!(lb(&["10.0.0.0/8", "0.0.0.0/0"], &[vip]), [""; 0], "everybody");
    assert_eq!(lb(&["10.0.0.0/8", "fd00::/8"], &[vip]), ["10.0.0.0/8"], "the other family does not count");
    let both = "192.168.0.0/24 198.51.100.1/32 198.51.100.2/32";
    assert_eq!(lb(&["192.168.0.0/24"], &[vip, "198.51.100.2"]), [both, both], "the node is inside: VIPs too");
}

#[test]
fn affinity_only_when_asked_for() {
    let affinity = |spec: Value| {
        let table = table_of(settings(), node(), vec![service("web", spec)]);
        table.frontends().map(|(_, fate)| fate.affinity).next().unwrap()
    };
    let timeout = |seconds| json!({"clientIP": {"timeoutSeconds": seconds}});
    assert_eq!(affinity(json!({"sessionAffinityConfig": timeout(5)})), None);
    assert_eq!(affinity(json!({"sessionAffinity": "ClientIP"})), Some(Affinity { timeout_seconds: 10_800 }));
    let five = json!({"sessionAffinity": "ClientIP", "sessionAffinityConfig": timeout(5)});
    assert_eq!(affinity(five), Some(Affinity { timeout_seconds: 5 }));
}

#[test]
fn hairpins_are_endpoints_in_use_that_may_be_here() {
    let hairpins = |spec: Value, endpoints: &[&str]| {
        let table = table_of(settings(), node(), vec![service("web", spec), slice("a", "web", endpoints)]);
        let mut hairpins: Vec<String> = table.hairpins().map(|(p, b)| format!("{b}/{p}")).collect();
        hairpins.sort();
        hairpins
    };
    let endpoints = [HERE, THERE, DYING_HERE, "10.0.0.9"];
    assert_eq!(hairpins(json!({}), &endpoints), ["10.0.0.1:8080/TCP", "10.0.0.9:8080/TCP"]);
    assert_eq!(
        hairpins(load_balancer("Local"), &endpoints[1..3]),
        ["10.0.0.3:8080/TCP"],
        "the local fallback"
    );
    assert_eq!(hairpins(json!({"clusterIP": ""}), &endpoints), [""; 0]);
}

#[test]
fn frontends_of_one_port_share_their_backends() {
    let table = table_of(
        settings(),
        node(),
        vec![service("web", load_balancer("Cluster")), slice("web-1", "web", &[HERE, THERE])],
    );
    let addresses = table.frontends().map(|(_, fate)| match &fate.route {
        Route::Everyone(Target::Backends(selection)) => selection.backends.as_ptr(),
        other => panic!("{other:?}"),
    });
    let addresses: std::collections::BTreeSet<_> = addresses.collect();
    assert_eq!(addresses.len(), 1);
}
