//! External IPs (reference §3.1): any type of Service may have them; ports that it does not have are not its.

use kube_verdict_scenario_tests::prelude::*;

#[test]
fn external_ips() {
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply([
        service("web")
            .ip("10.96.0.10")
            .tcp("http", 80)
            .external_ip("198.51.100.1")
            .external_ip("198.51.100.2")
            .build(),
        slice("web", "web").tcp("http", 8080).with([at("pod-a"), at("pod-c")]).build(),
        service("empty").ip("10.96.0.11").tcp("http", 80).external_ip("198.51.100.3").build(),
        // An address that the node has.
        service("here").ip("10.96.0.12").tcp("http", 8443).external_ip("node").build(),
        slice("here", "here").tcp("http", 443).with([at("pod-b")]).build(),
    ]);
    let web = &["pod-a:8080", "pod-c:8080"];
    scenario.check(&[
        case("a client", From::Client, "198.51.100.1:80", snat(web)),
        case("each address", From::Client, "198.51.100.2:80", snat(web)),
        case("a pod is masqueraded too", From::PodB, "198.51.100.1:80", snat(web)),
        case("a process of the node", From::Node, "198.51.100.1:80", snat(web)),
        case("a port of no service is left alone", From::Client, "198.51.100.1:81", PASS),
        case("a protocol of no service is left alone", From::Client, "198.51.100.1:80/udp", PASS),
        case("no endpoints", From::Client, "198.51.100.3:80", REJECT),
        case("an address of the node", From::Client, "node:8443", snat(&["pod-b:443"])),
        case("another port of that address", From::Client, "node:8444", PASS),
    ]);
}

/// The feature gate AllowServiceExternalIPs (reference §18). The model does not know it.
#[test]
fn external_ips_that_are_not_allowed() {
    let mut scenario = Scenario::start(&Config::default().gate("AllowServiceExternalIPs", false));
    scenario.apply([
        service("web")
            .ip("10.96.0.10")
            .tcp("http", 80)
            .external_ip("198.51.100.1")
            .load_balancer("192.0.2.1", None)
            .node_port(30080)
            .build(),
        slice("web", "web").tcp("http", 8080).with([at("pod-a")]).build(),
    ]);
    let web = &["pod-a:8080"];
    scenario.check(&[
        case("the other frontends stay", From::Client, "10.96.0.10:80", snat(web)),
        case("the other frontends stay", From::Client, "192.0.2.1:80", snat(web)),
        case("the other frontends stay", From::Client, "node:30080", snat(web)),
    ]);
    scenario.check_packets(&[case("not captured", From::Client, "198.51.100.1:80", PASS)]);
}
