//! Each row of reference §§2–5, by hand. Addresses are the plan's; a fate is written as it prints.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::{Model, Probe};
use crate::config::{Config, Detect};
use crate::manifest::{Endpoint, Objects, Service, all, at, node, service, service_cidr, slice};
use crate::plan::{self, Family, NODE};
use crate::topology::Host;
use crate::wire::Protocol;

fn local_addresses() -> BTreeSet<IpAddr> {
    let texts = Host::Node.addresses();
    Family::BOTH.iter().flat_map(|f| texts.iter().map(|text| plan::ip(*f, text))).collect()
}

/// A fate in IPv4; a source is an address, with `@interface` unless a process of the node sends.
fn fate(objects: &[Objects], config: &Config, from: &str, to: &str) -> String {
    fate_in(Family::V4, objects, config, from, to)
}

fn fate_in(family: Family, objects: &[Objects], config: &Config, from: &str, to: &str) -> String {
    let objects = all(objects.iter().cloned().chain([node(Some("zone-a"))]));
    let model = Model::new(&objects, &config.build(), NODE, local_addresses());
    let (source, interface) = match from.split_once('@') {
        Some((source, interface)) => (source, Some(interface.to_owned())),
        None => (from, None),
    };
    let (to, protocol) = to.split_once('/').unwrap_or((to, "tcp"));
    let probe = Probe {
        source: plan::ip(family, source),
        interface,
        to: plan::socket(family, to),
        protocol: Protocol::parse(protocol).expect("a protocol"),
    };
    let fates = model.fates(&probe);
    fates.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}

const POD: &str = "10.244.1.10@veth-a";
const CLIENT: &str = "203.0.113.10@eth0";
const HOST: &str = "192.168.77.1";

fn web() -> Service {
    service("web").ip("10.96.0.1").tcp("http", 80)
}

fn ends(endpoints: impl IntoIterator<Item = Endpoint>) -> Objects {
    slice("web", "web").tcp("http", 80).with(endpoints).build()
}

/// The fate of a pod's connection to a ClusterIP.
fn chosen(endpoints: Vec<Endpoint>) -> String {
    fate(&[web().build(), ends(endpoints)], &Config::default(), POD, "10.96.0.1:80")
}

/// The fate of the same with internalTrafficPolicy Local.
fn chosen_locally(endpoints: Vec<Endpoint>) -> String {
    fate(&[web().internal_local().build(), ends(endpoints)], &Config::default(), POD, "10.96.0.1:80")
}

#[test]
fn conditions_default_to_ready_serving_and_not_terminating() {
    assert_eq!(chosen(vec![at("pod-a").conditions(None, None, None)]), "dnat 10.244.1.10:80");
    assert_eq!(chosen(vec![at("pod-a").conditions(Some(false), None, None)]), "reject");
    assert_eq!(chosen(vec![at("pod-a").conditions(Some(false), None, Some(true))]), "dnat 10.244.1.10:80");
}

#[test]
fn ready_wins_whatever_the_other_conditions_say() {
    let odd = at("pod-a").conditions(Some(true), Some(false), Some(true));
    assert_eq!(chosen(vec![odd, at("pod-b").terminating()]), "dnat 10.244.1.10:80");
}

#[test]
fn serving_but_neither_ready_nor_terminating_is_never_used() {
    assert_eq!(chosen(vec![at("pod-a").serving_only()]), "reject");
}

#[test]
fn terminating_endpoints_stand_in_only_when_none_is_ready() {
    assert_eq!(chosen(vec![at("pod-a"), at("pod-b").terminating()]), "dnat 10.244.1.10:80");
    assert_eq!(chosen(vec![at("pod-a").unready(), at("pod-b").terminating()]), "dnat 10.244.1.11:80");
    assert_eq!(chosen(vec![at("pod-a").gone()]), "reject");
}

#[test]
fn node_hints_come_before_zone_hints() {
    let here = at("pod-a").nodes(&["node-1"]).zones(&["zone-b"]);
    let there = at("pod-c").nodes(&["node-2"]).zones(&["zone-a"]);
    assert_eq!(chosen(vec![here, there]), "dnat 10.244.1.10:80");
}

#[test]
fn zone_hints_apply_when_no_node_hint_names_this_node() {
    let here = at("pod-a").nodes(&["node-2"]).zones(&["zone-a"]);
    let there = at("pod-c").nodes(&["node-2"]).zones(&["zone-b"]);
    assert_eq!(chosen(vec![here, there]), "dnat 10.244.1.10:80");
}

#[test]
fn one_ready_endpoint_without_a_hint_disables_its_kind() {
    let hinted = at("pod-a").zones(&["zone-a"]);
    assert_eq!(chosen(vec![hinted.clone(), at("pod-c")]), "dnat 10.244.1.10:80 10.244.2.10:80");
    let unready = at("pod-c").unready();
    let other = at("pod-d").zones(&["zone-b"]);
    assert_eq!(chosen(vec![hinted, other, unready]), "dnat 10.244.1.10:80");
}

#[test]
fn no_hint_for_this_zone_means_everything() {
    let endpoints = vec![at("pod-a").zones(&["zone-b"]), at("pod-c").zones(&["zone-c"])];
    assert_eq!(chosen(endpoints), "dnat 10.244.1.10:80 10.244.2.10:80");
}

#[test]
fn hints_are_not_applied_to_terminating_or_local_endpoints() {
    let going =
        vec![at("pod-a").zones(&["zone-a"]).terminating(), at("pod-c").zones(&["zone-b"]).terminating()];
    assert_eq!(chosen(going), "dnat 10.244.1.10:80 10.244.2.10:80");
    let local = vec![at("pod-a").zones(&["zone-b"]), at("pod-c").zones(&["zone-a"])];
    assert_eq!(chosen_locally(local), "dnat 10.244.1.10:80");
}

#[test]
fn the_table_of_section_2() {
    // Local policy: local ready; local serving-terminating; drop; reject.
    assert_eq!(chosen_locally(vec![at("pod-a"), at("pod-b").terminating()]), "dnat 10.244.1.10:80");
    assert_eq!(chosen_locally(vec![at("pod-b").terminating(), at("pod-c")]), "dnat 10.244.1.11:80");
    assert_eq!(chosen_locally(vec![at("pod-c")]), "drop");
    assert_eq!(chosen_locally(vec![at("pod-c").terminating()]), "drop");
    assert_eq!(chosen_locally(vec![at("pod-c").unready()]), "reject");
    assert_eq!(chosen_locally(vec![]), "reject");
}

#[test]
fn slices_are_merged() {
    let both = [
        web().build(),
        slice("one", "web").tcp("http", 80).with([at("pod-a").terminating(), at("pod-b")]).build(),
        slice("two", "web").tcp("http", 80).with([at("pod-a"), at("pod-b").terminating()]).build(),
        slice("three", "web").tcp("http", 81).with([at("pod-c")]).build(),
        slice("other", "web").tcp("https", 82).port("http", "UDP", 83).with([at("pod-d")]).build(),
    ];
    let expected = "dnat 10.244.1.10:80 10.244.1.11:80 10.244.2.10:81";
    assert_eq!(fate(&both, &Config::default(), POD, "10.96.0.1:80"), expected);
}

#[test]
fn ipv6_has_its_own_endpoints() {
    let objects = [web().build(), ends([at("pod-a")])];
    let fate = fate_in(Family::V6, &objects, &Config::default(), POD, "10.96.0.1:80");
    assert_eq!(fate, "dnat [fd00:10:244:1::10]:80");
}

#[test]
fn a_service_lacks_the_family_of_which_it_has_no_cluster_ip() {
    let only_v4 = web().node_port(30080).external_ip("198.51.100.1").only(Family::V4).build();
    let objects = [only_v4, ends([at("pod-a")])];
    for to in ["172.18.0.2:30080", "198.51.100.1:80", "10.96.0.1:80"] {
        assert_ne!(fate_in(Family::V4, &objects, &Config::default(), CLIENT, to), "pass");
        assert_eq!(fate_in(Family::V6, &objects, &Config::default(), CLIENT, to), "pass");
    }
}

#[test]
fn services_that_do_not_count() {
    let ignored = [
        web().label("service.kubernetes.io/service-proxy-name", "").build(),
        web().set("type", "ExternalName".into()).build(),
        web().set("clusterIP", "None".into()).build(),
        web().set("clusterIP", "".into()).build(),
    ];
    for service in ignored {
        assert_eq!(fate(&[service, ends([at("pod-a")])], &Config::default(), POD, "10.96.0.1:80"), "pass");
    }
}

#[test]
fn every_frontend_of_section_3_1() {
    let objects = [
        web()
            .node_port(30080)
            .external_ip("198.51.100.1")
            .load_balancer("192.0.2.1", None)
            .load_balancer("192.0.2.2", Some("VIP"))
            .load_balancer("192.0.2.3", Some("Proxy"))
            .load_balancer_hostname("lb.example")
            .build(),
        ends([at("pod-b")]),
    ];
    let fate = |to: &str| fate(&objects, &Config::default(), POD, to);
    assert_eq!(fate("10.96.0.1:80"), "dnat 10.244.1.11:80");
    for to in ["198.51.100.1:80", "192.0.2.1:80", "192.0.2.2:80", "172.18.0.2:30080"] {
        assert_eq!(fate(to), "dnat 10.244.1.11:80, masqueraded", "{to}");
    }
    assert_eq!(fate("192.0.2.3:80"), "pass");
    assert_eq!(fate("10.96.0.1:81"), "reject");
    assert_eq!(fate("10.96.0.1:80/udp"), "reject");
    assert_eq!(fate("10.96.0.1:0/icmp"), "reject");
    for to in ["198.51.100.1:81", "192.0.2.1:81", "172.18.0.2:30081", "172.18.0.22:30080", "127.0.0.1:30080"]
    {
        assert_eq!(fate(to), "pass", "{to}");
    }
}

#[test]
fn unallocated_service_addresses_are_dropped_once_known() {
    let objects = [web().build(), ends([at("pod-a")])];
    assert_eq!(fate(&objects, &Config::default(), POD, "10.96.0.2:80"), "pass");
    let objects = [web().build(), ends([at("pod-a")]), service_cidr("kubernetes", "10.96.0.0/16")];
    assert_eq!(fate(&objects, &Config::default(), POD, "10.96.0.2:80"), "drop");
    assert_eq!(fate(&objects, &Config::default(), POD, "10.96.0.2:0/icmp"), "drop");
    assert_eq!(fate(&objects, &Config::default(), POD, "10.96.0.1:81"), "reject");
    assert_eq!(fate(&objects, &Config::default(), POD, "10.97.0.1:80"), "pass");
}

#[test]
fn node_port_addresses() {
    let objects = [web().node_port(30080).build(), ends([at("pod-b")])];
    let accepted = |config: &Config, to: &str| fate(&objects, config, CLIENT, to) != "pass";
    let rows: [(Config, [bool; 3]); 6] = [
        (Config::default(), [true, false, false]),
        (Config::default().node_port_addresses(&["primary"]), [true, false, false]),
        (Config::default().node_port_addresses(&["172.18.0.0/24"]), [true, true, false]),
        (Config::default().node_port_addresses(&["fd00::/16"]), [true, true, true]),
        (Config::default().node_port_addresses(&["0.0.0.0/0", "172.18.0.22/32"]), [true, true, true]),
        (Config::default().node_port_addresses(&["primary", "10.0.99.0/24"]), [true, false, true]),
    ];
    for (config, expected) in rows {
        let seen =
            ["172.18.0.2:30080", "172.18.0.22:30080", "10.0.99.1:30080"].map(|to| accepted(&config, to));
        assert_eq!(seen, expected, "{config:?}");
    }
}

#[test]
fn the_short_circuit_of_section_3_4() {
    let service = web()
        .node_port(30080)
        .external_ip("198.51.100.1")
        .load_balancer("192.0.2.1", None)
        .external_local()
        .build();
    let frontends = ["198.51.100.1:80", "192.0.2.1:80", "172.18.0.2:30080"];
    let one_here = [service.clone(), ends([at("pod-a"), at("pod-c")])];
    let none_here = [service, ends([at("pod-c")])];
    let blind = Config::detecting(Detect::Nothing);
    for to in frontends {
        let fate = |objects: &[Objects], config: &Config, from: &str| fate(objects, config, from, to);
        let default = Config::default();
        assert_eq!(fate(&one_here, &default, POD), "dnat 10.244.1.10:80 10.244.2.10:80");
        assert_eq!(fate(&one_here, &default, HOST), "dnat 10.244.1.10:80 10.244.2.10:80, masqueraded");
        assert_eq!(fate(&one_here, &default, CLIENT), "dnat 10.244.1.10:80");
        assert_eq!(fate(&one_here, &blind, POD), "dnat 10.244.1.10:80");
        assert_eq!(fate(&none_here, &default, POD), "dnat 10.244.2.10:80");
        assert_eq!(fate(&none_here, &default, HOST), "dnat 10.244.2.10:80, masqueraded");
        assert_eq!(fate(&none_here, &default, CLIENT), "drop");
        assert_eq!(fate(&none_here, &blind, POD), "drop");
    }
    assert_eq!(
        fate(&one_here, &Config::default(), CLIENT, "10.96.0.1:80"),
        "dnat 10.244.1.10:80 10.244.2.10:80, masqueraded"
    );
}

#[test]
fn the_external_policy_of_a_plain_cluster_ip_service_means_nothing() {
    let objects = [web().external_local().load_balancer("192.0.2.1", None).set("type", "ClusterIP".into())];
    let objects = [objects[0].clone().build(), ends([at("pod-a"), at("pod-c")])];
    let expected = "dnat 10.244.1.10:80 10.244.2.10:80, masqueraded";
    assert_eq!(fate(&objects, &Config::default(), CLIENT, "192.0.2.1:80"), expected);
}

#[test]
fn masquerading_to_a_cluster_ip() {
    let objects = [web().build(), ends([at("pod-b")])];
    let masqueraded =
        |config: &Config, from: &str| fate(&objects, config, from, "10.96.0.1:80").ends_with("masqueraded");
    // rows: pod-a, pod-c of the other node, the node, an outsider
    let sources = [POD, "10.244.2.10@eth1", HOST, CLIENT];
    for (config, expected) in [
        (Config::default(), [false, false, true, true]),
        (Config::detecting(Detect::NodeCidr), [false, true, true, true]),
        (Config::detecting(Detect::Bridge("veth-a")), [false, true, true, true]),
        (Config::detecting(Detect::Bridge("veth-b")), [true, true, true, true]),
        (Config::detecting(Detect::Prefix("veth")), [false, true, true, true]),
        (Config::detecting(Detect::Nothing), [false, false, false, false]),
        (Config::default().masquerade_all(), [true, true, true, true]),
        (Config::detecting(Detect::Nothing).masquerade_all(), [true, true, true, true]),
    ] {
        assert_eq!(sources.map(|from| masqueraded(&config, from)), expected, "{config:?}");
    }
}

#[test]
fn source_ranges() {
    let lb = || web().node_port(30080).external_ip("198.51.100.1").load_balancer("192.0.2.1", None);
    let with = |ranges: &[&str]| {
        let ranges: Vec<String> = ranges.iter().map(|r| (*r).to_owned()).collect();
        [lb().ranges(&ranges).build(), ends([at("pod-b")])]
    };
    let dropped =
        |objects: &[Objects], from: &str, to: &str| fate(objects, &Config::default(), from, to) == "drop";
    let objects = with(&[" 203.0.113.0/24 "]);
    assert!(!dropped(&objects, CLIENT, "192.0.2.1:80"));
    for from in ["203.0.114.20@eth0", POD, HOST, "192.0.2.1"] {
        assert!(dropped(&objects, from, "192.0.2.1:80"), "{from}");
        for other in ["198.51.100.1:80", "172.18.0.2:30080", "10.96.0.1:80"] {
            assert!(!dropped(&objects, from, other), "{from} {other}");
        }
    }
    let covering_the_node = with(&["172.18.0.0/24"]);
    assert!(!dropped(&covering_the_node, "192.0.2.1", "192.0.2.1:80"), "the VIP as source");
    assert!(dropped(&covering_the_node, CLIENT, "192.0.2.1:80"));
    let wrong_family = with(&["fd00::/16"]);
    assert!(!dropped(&wrong_family, CLIENT, "192.0.2.1:80"));
    let everybody = with(&["10.0.0.0/8", "0.0.0.0/0"]);
    assert!(!dropped(&everybody, CLIENT, "192.0.2.1:80"));
    let without_endpoints = [lb().ranges(&["10.0.0.0/8".to_owned()]).build()];
    assert_eq!(fate(&without_endpoints, &Config::default(), CLIENT, "192.0.2.1:80"), "drop");
    assert_eq!(fate(&without_endpoints, &Config::default(), CLIENT, "198.51.100.1:80"), "reject");
}

#[test]
fn two_services_that_claim_one_address_leave_it_open() {
    let objects = [
        web().build(),
        ends([at("pod-a")]),
        service("rival").ip("10.96.0.1").tcp("http", 80).build(),
        slice("rival", "rival").tcp("http", 80).with([at("pod-b")]).build(),
    ];
    let expected = "dnat 10.244.1.10:80 or dnat 10.244.1.11:80";
    assert_eq!(fate(&objects, &Config::default(), POD, "10.96.0.1:80"), expected);
}
