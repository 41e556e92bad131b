//! NodePorts and the addresses on which they are served (reference §3.3).

use std::time::{Duration, Instant};

use kube_verdict_scenario_tests::pace;
use kube_verdict_scenario_tests::prelude::*;
use kube_verdict_scenario_tests::probe::Seen;
use kube_verdict_scenario_tests::topology;

fn objects() -> [Objects; 3] {
    [
        service("web").ip("10.96.0.10").tcp("http", 80).node_port(30080).build(),
        slice("web", "web").tcp("http", 8080).with([at("pod-a"), at("pod-c")]).build(),
        service("empty").ip("10.96.0.11").tcp("http", 80).node_port(30081).build(),
    ]
}

/// The addresses to try, and a name for each.
const ADDRESSES: [(&str, &str); 5] = [
    ("the primary address", plan::NODE_IP),
    ("another address of the same link", plan::NODE_IP_2),
    ("an address of another link", plan::NODE_LINK),
    ("the address of the pods' gateway", plan::POD_GATEWAY),
    ("the address of the uplink", plan::NODE_UPLINK),
];

/// NodePorts are served on `accepted`, and nowhere else.
fn served_on(config: &Config, accepted: &[&str]) {
    let mut scenario = Scenario::start(config);
    scenario.apply(objects());
    let web = &["pod-a:8080", "pod-c:8080"];
    let mut cases = Vec::new();
    for (name, address) in ADDRESSES {
        let (served, empty) = if accepted.contains(&address) { (snat(web), REJECT) } else { (PASS, PASS) };
        for from in [From::Client, From::PodB, From::Node, From::PodD] {
            let name = format!("{name}, from {from:?}");
            cases.push(case(&name, from, &format!("{address}:30080"), served.clone()));
        }
        let name = format!("{name}, no endpoints");
        cases.push(case(&name, From::Client, &format!("{address}:30081"), empty));
    }
    cases.push(case("a port of no service", From::Client, "node:30082", PASS));
    cases.push(case("a protocol of no service", From::Client, "node:30080/udp", PASS));
    cases.push(case("the service's port is not the node's", From::Client, "node:80", PASS));
    cases.push(case("loopback is never served", From::Node, "localhost:30080", PASS));
    cases.push(case("the address of another host", From::PodA, "node-2:30080", PASS));
    scenario.check(&cases);
}

#[test]
fn unset_means_the_primary_address_and_every_one_in_ipvs_mode() {
    match mode() {
        Mode::Nftables => served_on(&Config::default(), &[plan::NODE_IP]),
        Mode::Ipvs => served_on(&Config::default(), &ADDRESSES.map(|(_, address)| address)),
    }
}

#[test]
fn the_keyword_primary() {
    served_on(&Config::default().node_port_addresses(&["primary"]), &[plan::NODE_IP]);
}

#[test]
fn prefixes() {
    let config = Config::default().node_ports_in(&["172.18.0.0/24", "10.0.99.0/24"]);
    served_on(&config, &[plan::NODE_IP, plan::NODE_IP_2, plan::NODE_LINK]);
}

#[test]
fn a_keyword_and_a_prefix() {
    let config = Config::default().node_ports_in(&["10.0.99.0/24"]);
    let entries = ["primary", "10.0.99.0/24", &plan::cidr(Family::V6, "10.0.99.0/24")];
    served_on(&config.node_port_addresses(&entries), &[plan::NODE_IP, plan::NODE_LINK]);
}

#[test]
fn zero_prefixes_mean_all() {
    served_on(&Config::default().node_ports_in(&["0.0.0.0/0"]), &ADDRESSES.map(|(_, address)| address));
}

#[test]
fn the_keyword_all() {
    served_on(&Config::default().node_port_addresses(&["all"]), &ADDRESSES.map(|(_, address)| address));
}

#[test]
fn a_family_without_entries_serves_all() {
    let mut scenario = Scenario::start(&Config::default().node_port_addresses(&["172.18.0.22/32"]));
    scenario.apply(objects());
    let web = &["pod-a:8080", "pod-c:8080"];
    scenario.check(&[
        case("IPv4 is restricted", From::Client, "node:30080", PASS).only(Family::V4),
        case("to the address named", From::Client, "172.18.0.22:30080", snat(web)).only(Family::V4),
        case("IPv6 is not", From::Client, "node:30080", snat(web)).only(Family::V6),
        case("on any address", From::Client, "10.0.99.1:30080", snat(web)).only(Family::V6),
    ]);
}

/// An address that the node gets while the daemon runs is served at once, if the prefix covers it, and no longer
/// when it is gone. (kube-proxy may take an hour.)
#[test]
fn addresses_come_and_go() {
    let mut scenario = Scenario::start(&Config::default().node_ports_in(&["172.18.0.0/24"]));
    scenario.apply(objects());
    let change = |verb: &str| {
        scenario.node().run(|| {
            topology::ip_batch(&format!(
                "addr {verb} 172.18.0.77/24 dev eth0\naddr {verb} {}/64 dev eth0 nodad\n",
                plan::ip(Family::V6, "172.18.0.77")
            ));
        });
    };
    let becomes = |served: bool| {
        let deadline = Instant::now() + pace::limit(Duration::from_secs(10));
        for family in Family::BOTH {
            // While the address is nobody's, packets to it may find no neighbour: anything but an answer.
            while matches!(scenario.try_send(From::Client, family, "172.18.0.77:30080"), Seen::Dnat { .. })
                != served
            {
                assert!(Instant::now() < deadline, "served: {}, though it should not be so", !served);
            }
        }
    };
    becomes(false);
    change("add");
    becomes(true);
    change("del");
    becomes(false);
}
