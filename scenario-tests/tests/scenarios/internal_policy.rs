//! internalTrafficPolicy (reference §§2, 3.2): decides about ClusterIPs only.

use kube_verdict_scenario_tests::prelude::*;

#[test]
fn internal_traffic_policy_local() {
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply([
        service("here")
            .ip("10.96.0.10")
            .tcp("http", 80)
            .internal_local()
            .node_port(30080)
            .external_ip("198.51.100.1")
            .load_balancer("192.0.2.1", None)
            .build(),
        slice("here", "here").tcp("http", 8080).with([at("pod-a"), at("pod-c")]).build(),
        service("elsewhere")
            .ip("10.96.0.11")
            .tcp("http", 80)
            .internal_local()
            .node_port(30081)
            .external_ip("198.51.100.2")
            .build(),
        slice("elsewhere", "elsewhere").tcp("http", 8080).with([at("pod-c"), at("pod-d")]).build(),
        service("nowhere").ip("10.96.0.12").tcp("http", 80).internal_local().node_port(30082).build(),
        slice("nowhere", "nowhere").tcp("http", 8080).with([at("pod-c").unready()]).build(),
        service("anonymous").ip("10.96.0.13").tcp("http", 80).internal_local().build(),
        slice("anonymous", "anonymous").tcp("http", 8080).with([at("pod-a").on(None)]).build(),
        service("internal").ip("10.96.0.14").tcp("http", 80).internal_local().build(),
        slice("internal", "internal").tcp("http", 8080).with([at("pod-b"), at("pod-c")]).build(),
    ]);
    let all = &["pod-a:8080", "pod-c:8080"];
    let remote = &["pod-c:8080", "pod-d:8080"];
    scenario.check(&[
        case("local endpoints only", From::PodB, "10.96.0.10:80", dnat(&["pod-a:8080"])),
        case("for the node too", From::Node, "10.96.0.10:80", snat(&["pod-a:8080"])),
        case("for outsiders too", From::Client, "10.96.0.10:80", snat(&["pod-a:8080"])),
        case("external frontends do not care: external IP", From::Client, "198.51.100.1:80", snat(all)),
        case("load balancer IP", From::Client, "192.0.2.1:80", snat(all)),
        case("NodePort", From::Client, "node:30080", snat(all)),
        case("none here, some elsewhere", From::PodA, "10.96.0.11:80", DROP),
        case("for the node too", From::Node, "10.96.0.11:80", DROP),
        case("for outsiders too", From::Client, "10.96.0.11:80", DROP),
        case("but the NodePort finds them", From::Client, "node:30081", snat(remote)),
        case("and the external IP", From::PodA, "198.51.100.2:80", snat(remote)),
        case("none anywhere", From::PodA, "10.96.0.12:80", REJECT),
        case("none anywhere, NodePort", From::Client, "node:30082", REJECT),
        case("without a node name it is not local", From::PodB, "10.96.0.13:80", DROP),
        case("without external frontends", From::PodA, "10.96.0.14:80", dnat(&["pod-b:8080"])),
        case("an unknown port is rejected all the same", From::PodA, "10.96.0.11:81", REJECT),
    ]);
}
