//! TCP, UDP and SCTP (reference §7): the same port number in each is a service port of its own.

use kube_verdict_scenario_tests::prelude::*;

#[test]
fn the_same_number_in_each_protocol() {
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply([
        service("dns")
            .ip("10.96.0.10")
            .every_protocol(53)
            .node_port(30053)
            .external_ip("198.51.100.1")
            .load_balancer("192.0.2.1", None)
            .build(),
        slice("tcp", "dns").tcp("tcp", 1053).with([at("pod-a")]).build(),
        slice("udp", "dns").port("udp", "UDP", 2053).with([at("pod-b"), at("pod-c")]).build(),
        slice("sctp", "dns").port("sctp", "SCTP", 3053).with([at("pod-c"), at("pod-d")]).build(),
    ]);
    let backends: [(&str, &[&str]); 3] = [
        ("tcp", &["pod-a:1053"]),
        ("udp", &["pod-b:2053", "pod-c:2053"]),
        ("sctp", &["pod-c:3053", "pod-d:3053"]),
    ];
    let mut cases = Vec::new();
    for (protocol, backends) in backends {
        for from in [From::PodA, From::Node, From::Client, From::PodD] {
            let inside = matches!(from, From::PodA | From::PodD);
            let to = |address: &str| format!("{address}/{protocol}");
            if from != From::PodD {
                let by_cluster_ip = if inside { dnat(backends) } else { snat(backends) };
                cases.push(case("ClusterIP", from, &to("10.96.0.10:53"), by_cluster_ip));
            }
            cases.push(case("NodePort", from, &to("node:30053"), snat(backends)));
            cases.push(case("external IP", from, &to("198.51.100.1:53"), snat(backends)));
            cases.push(case("load balancer IP", from, &to("192.0.2.1:53"), snat(backends)));
        }
    }
    scenario.check(&cases);
}

#[test]
fn a_protocol_less() {
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply([
        service("udp").ip("10.96.0.10").port("dns", "UDP", 53).node_port(30053).build(),
        // The same name, another protocol: not this port's.
        slice("tcp", "udp").tcp("dns", 53).with([at("pod-a")]).build(),
        slice("udp", "udp").port("dns", "UDP", 53).with([at("pod-b")]).build(),
    ]);
    scenario.check(&[
        case("UDP", From::PodA, "10.96.0.10:53/udp", dnat(&["pod-b:53"])),
        case("TCP is unknown", From::PodA, "10.96.0.10:53/tcp", REJECT),
        case("SCTP is unknown", From::PodA, "10.96.0.10:53/sctp", REJECT),
        case("UDP by NodePort", From::Client, "node:30053/udp", snat(&["pod-b:53"])),
        case("TCP by NodePort is the node's", From::Client, "node:30053/tcp", PASS),
    ]);
}
