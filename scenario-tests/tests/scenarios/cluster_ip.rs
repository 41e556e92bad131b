//! ClusterIPs (reference §3.1): reached from everywhere, on the Service's ports and no others.

use kube_verdict_scenario_tests::prelude::*;

#[test]
fn cluster_ips() {
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply([
        service("web").ip("10.96.0.10").tcp("http", 80).tcp("alt", 8081).build(),
        slice("web", "web").tcp("http", 8080).tcp("alt", 9090).with([at("pod-a"), at("pod-c")]).build(),
        service("host").ip("10.96.0.11").tcp("", 80).build(),
        slice("host", "host").tcp("", 6443).with([at("node")]).build(),
        service("empty").ip("10.96.0.12").tcp("http", 80).build(),
    ]);
    let web = &["pod-a:8080", "pod-c:8080"];
    let alt = &["pod-a:9090", "pod-c:9090"];
    scenario.check(&[
        case("a pod reaches every endpoint", From::PodB, "10.96.0.10:80", dnat(web)),
        case("the other port has its own numbers", From::PodB, "10.96.0.10:8081", dnat(alt)),
        case("a process of the node", From::Node, "10.96.0.10:80", snat(web)),
        case("a process bound to a node address", From::NodeAt(plan::NODE_IP_2), "10.96.0.10:80", snat(web)),
        case("a pod of another node", From::PodD, "10.96.0.10:80", dnat(web)),
        case("another node", From::Node2, "10.96.0.10:80", snat(web)),
        case("a client outside the cluster", From::Client, "10.96.0.10:80", snat(web)),
        case("an endpoint on the node's own network", From::PodA, "10.96.0.11:80", dnat(&["node:6443"])),
        case("the same, from the node", From::Node, "10.96.0.11:80", snat(&["node:6443"])),
        case("a port of no service", From::PodA, "10.96.0.10:81", REJECT),
        case("the endpoints' port is not the service's", From::PodA, "10.96.0.10:8080", REJECT),
        case("a protocol of no service", From::PodA, "10.96.0.10:80/udp", REJECT),
        case("a port of no service, from the node", From::Node, "10.96.0.10:81", REJECT),
        case("no endpoints at all", From::PodA, "10.96.0.12:80", REJECT),
        case("an address of no service", From::PodA, "10.96.0.13:80", PASS),
    ]);
}
