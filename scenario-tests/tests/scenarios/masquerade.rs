//! Who is masqueraded (reference §4.1), with each kind of detector (§4.2).

use kube_verdict_scenario_tests::kernel;
use kube_verdict_scenario_tests::prelude::*;

/// The sources of every row below, in this order.
const SOURCES: [(From, &str); 6] = [
    (From::PodA, "a local pod"),
    (From::PodB, "another local pod"),
    (From::PodD, "a pod of another node"),
    (From::Node, "a process of the node"),
    (From::Node2, "another node"),
    (From::Client, "a client outside"),
];

/// A ClusterIP masquerades the sources marked, external frontends what the policy says.
fn matrix(config: &Config, cluster_ip: [bool; 6], pods: [bool; 6]) {
    let mut scenario = Scenario::start(config);
    scenario.apply([
        service("web")
            .ip("10.96.0.10")
            .tcp("http", 80)
            .node_port(30010)
            .external_ip("198.51.100.10")
            .load_balancer("192.0.2.10", None)
            .build(),
        slice("web", "web").tcp("http", 8080).with([at("pod-c")]).build(),
        service("local")
            .ip("10.96.0.11")
            .tcp("http", 80)
            .node_port(30011)
            .external_ip("198.51.100.11")
            .load_balancer("192.0.2.11", None)
            .external_local()
            .build(),
        slice("local", "local").tcp("http", 8080).with([at("pod-c"), at("node")]).build(),
        service("internal").ip("10.96.0.12").tcp("http", 80).internal_local().build(),
        slice("internal", "internal").tcp("http", 8080).with([at("pod-b")]).build(),
    ]);
    let mut cases = Vec::new();
    for (index, (from, who)) in SOURCES.into_iter().enumerate() {
        let towards = |masquerade: bool, backends: &[&str]| {
            if masquerade { snat(backends) } else { dnat(backends) }
        };
        let to_c = &["pod-c:8080"];
        cases.push(case(
            &format!("{who}, ClusterIP"),
            from,
            "10.96.0.10:80",
            towards(cluster_ip[index], to_c),
        ));
        if from != From::PodB {
            cases.push(case(
                &format!("{who}, ClusterIP with internal policy Local"),
                from,
                "10.96.0.12:80",
                towards(cluster_ip[index], &["pod-b:8080"]),
            ));
        }
        for to in ["198.51.100.10:80", "192.0.2.10:80", "node:30010"] {
            cases.push(case(&format!("{who}, external policy Cluster"), from, to, snat(to_c)));
        }
        let here_and_there = &["pod-c:8080", "node:8080"];
        let local = match from {
            // Inside, by the detector.
            _ if pods[index] => dnat(here_and_there),
            From::Node => snat(here_and_there),
            _ => dnat(&["node:8080"]),
        };
        for to in ["198.51.100.11:80", "192.0.2.11:80", "node:30011"] {
            cases.push(case(&format!("{who}, external policy Local"), from, to, local.clone()));
        }
    }
    scenario.check(&cases);
}

#[test]
fn by_cluster_cidr() {
    // The pods of every node, despite "local".
    matrix(
        &Config::default(),
        [false, false, false, true, true, true],
        [true, true, true, false, false, false],
    );
}

#[test]
fn by_node_cidr() {
    matrix(
        &Config::detecting(Detect::NodeCidr),
        [false, false, true, true, true, true],
        [true, true, false, false, false, false],
    );
}

#[test]
fn by_bridge_interface() {
    matrix(
        &Config::detecting(Detect::Bridge("veth-a")),
        [false, true, true, true, true, true],
        [true, false, false, false, false, false],
    );
}

#[test]
fn by_interface_name_prefix() {
    matrix(
        &Config::detecting(Detect::Prefix("veth-")),
        [false, false, true, true, true, true],
        [true, true, false, false, false, false],
    );
}

#[test]
fn without_a_detector() {
    matrix(&Config::detecting(Detect::Nothing), [false; 6], [false; 6]);
}

#[test]
fn masquerade_all() {
    matrix(&Config::default().masquerade_all(), [true; 6], [true, true, true, false, false, false]);
}

#[test]
fn masquerade_all_without_a_detector() {
    matrix(&Config::detecting(Detect::Nothing).masquerade_all(), [true; 6], [false; 6]);
}

#[test]
fn a_detector_of_one_family_only() {
    let mut scenario = Scenario::start(&Config::detecting(Detect::ClusterCidrText(plan::CLUSTER_CIDR)));
    scenario.apply([
        service("web").ip("10.96.0.10").tcp("http", 80).build(),
        slice("web", "web").tcp("http", 8080).with([at("pod-c")]).build(),
    ]);
    scenario.check(&[
        case("IPv4 has one", From::Client, "10.96.0.10:80", snat(&["pod-c:8080"])).only(Family::V4),
        case("IPv4 has one", From::PodA, "10.96.0.10:80", dnat(&["pod-c:8080"])).only(Family::V4),
        case("IPv6 has none", From::Client, "10.96.0.10:80", dnat(&["pod-c:8080"])).only(Family::V6),
    ]);
}

/// The mark's other bits are not ours, and ours does not stay (reference §4.1, mechanics). IPVS knows a virtual server
/// by the whole mark: there the other bits are put aside on the way and come back.
fn leaves_other_bits_alone(config: &Config, ours: u32) {
    let mut scenario = Scenario::start(config);
    scenario.apply([
        service("web").ip("10.96.0.10").tcp("http", 80).build(),
        slice("web", "web").tcp("http", 8080).with([at("pod-c")]).build(),
    ]);
    // Another tool marks before us; after us it counts its own mark, and drops what still has ours.
    for family in Family::BOTH {
        kernel::load(
            scenario.node(),
            &format!(
                "table {} other {{
  chain marking {{ type filter hook prerouting priority -250; meta mark set 0x40000001; }}
  chain counting {{ type filter hook postrouting priority 300; tcp dport 8080 meta mark 0x40000001 counter; }}
  chain spoilt {{ type filter hook postrouting priority 300; meta mark & {ours:#x} != 0 counter drop; }}
}}\n",
                family.table()
            ),
        );
    }
    scenario.check(&[case("masqueraded", From::Client, "10.96.0.10:80", snat(&["pod-c:8080"]))]);
    for family in Family::BOTH {
        let words = ["list", "chain", family.table(), "other", "counting"];
        let listing = kernel::nft(scenario.node(), &words, "").expect("the other tool's chain");
        assert!(!listing.contains("packets 0 "), "the other tool's mark is lost: {listing}");
    }
}

#[test]
fn the_usual_bit() {
    leaves_other_bits_alone(&Config::default(), 1 << 14);
}

#[test]
fn another_bit() {
    leaves_other_bits_alone(&Config::default().masquerade_bit(20), 1 << 20);
}
