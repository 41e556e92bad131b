//! The flows that matter most, once more: the objects come by an API server (reference §§2, 3, 5, 6).

use kube_verdict_scenario_tests::cluster::ControlPlane;
use kube_verdict_scenario_tests::prelude::*;

/// A Service with every kind of frontend, numbered.
fn external(name: &str, number: u8) -> Service {
    service(name)
        .ip(&format!("10.96.0.{number}"))
        .tcp("http", 80)
        .node_port(30000 + u16::from(number))
        .external_ip(&format!("198.51.100.{number}"))
        .load_balancer(&format!("192.0.2.{number}"), None)
}

fn objects() -> Vec<Objects> {
    vec![
        service("web")
            .ip("10.96.0.10")
            .tcp("http", 80)
            .node_port(30010)
            .port("dns", "UDP", 53)
            .node_port(30053)
            .build(),
        slice("web", "web")
            .tcp("http", 8080)
            .port("dns", "UDP", 5353)
            .with([at("pod-a"), at("pod-c")])
            .build(),
        external("ranges", 11).ranges_of(&["203.0.113.0/24"]).build(),
        slice("ranges", "ranges").tcp("http", 8080).with([at("pod-c")]).build(),
        external("outer", 12).external_local().build(),
        slice("outer", "outer").tcp("http", 8080).with([at("pod-a"), at("pod-c")]).build(),
        external("away", 13).external_local().build(),
        slice("away", "away").tcp("http", 8080).with([at("pod-c")]).build(),
        service("inner").ip("10.96.0.14").tcp("http", 80).internal_local().build(),
        slice("inner", "inner").tcp("http", 8080).with([at("pod-b"), at("pod-c")]).build(),
        service("hinted").ip("10.96.0.15").tcp("http", 80).build(),
        slice("hinted", "hinted")
            .tcp("http", 8080)
            .with([at("pod-a").zones(&[plan::ZONE]), at("pod-c").zones(&["zone-b"])])
            .build(),
        service("leaving").ip("10.96.0.16").tcp("http", 80).build(),
        slice("leaving", "leaving")
            .tcp("http", 8080)
            .with([at("pod-a").terminating(), at("pod-b").gone()])
            .build(),
        service("sticky").ip("10.96.0.17").tcp("http", 80).affinity(600).build(),
        slice("sticky", "sticky").tcp("http", 8080).with([at("pod-a"), at("pod-b"), at("pod-c")]).build(),
        service("empty").ip("10.96.0.18").tcp("http", 80).build(),
        service("proxied")
            .ip("10.96.0.19")
            .tcp("http", 80)
            .load_balancer("192.0.2.19", Some("Proxy"))
            .build(),
        slice("proxied", "proxied").tcp("http", 8080).with([at("pod-c")]).build(),
    ]
}

#[test]
fn through_an_api_server() {
    let control_plane = ControlPlane::start();
    let mut scenario = Scenario::start_in(&control_plane, &Config::default());
    scenario.apply(objects());
    let both = &["pod-a:8080", "pod-c:8080"];
    let remote = snat(&["pod-c:8080"]);
    scenario.check(&[
        case("a ClusterIP from a pod", From::PodB, "10.96.0.10:80", dnat(both)),
        case("from outside", From::Client, "10.96.0.10:80", snat(both)),
        case("from the node", From::Node, "10.96.0.10:80", snat(both)),
        case("UDP", From::PodB, "10.96.0.10:53/udp", dnat(&["pod-a:5353", "pod-c:5353"])),
        case("a port of no service", From::PodB, "10.96.0.10:81", REJECT),
        case("an address of no service, in the API server's own prefix", From::PodB, "10.96.0.99:80", DROP),
        case("a NodePort", From::Client, "node:30010", snat(both)),
        case("a UDP NodePort", From::Client, "node:30053/udp", snat(&["pod-a:5353", "pod-c:5353"])),
        case("a load balancer, within its source ranges", From::Client, "192.0.2.11:80", remote.clone()),
        case("outside of them", From::Client2, "192.0.2.11:80", DROP),
        case("ranges are the load balancer's only", From::Client2, "node:30011", remote.clone()),
        case("external policy Local", From::Client, "192.0.2.12:80", dnat(&["pod-a:8080"])),
        case("the same by NodePort", From::Client, "node:30012", dnat(&["pod-a:8080"])),
        case("the same by external IP", From::Client, "198.51.100.12:80", dnat(&["pod-a:8080"])),
        case("short circuit for pods", From::PodB, "192.0.2.12:80", dnat(both)),
        case("external policy Local without endpoints here", From::Client, "192.0.2.13:80", DROP),
        case("internal policy Local", From::PodA, "10.96.0.14:80", dnat(&["pod-b:8080"])),
        case("hints of this zone", From::PodD, "10.96.0.15:80", dnat(&["pod-a:8080"])),
        case("terminating ones stand in", From::PodD, "10.96.0.16:80", dnat(&["pod-a:8080"])),
        case(
            "affinity",
            From::PodD,
            "10.96.0.17:80",
            dnat(&["pod-a:8080", "pod-b:8080", "pod-c:8080"]).sticky(),
        ),
        case("no endpoints", From::PodA, "10.96.0.18:80", REJECT),
        case("a load balancer that is a proxy", From::PodA, "192.0.2.19:80", PASS),
    ]);
    scenario.becomes_what_is_rendered();
    assert!(scenario.files().log().contains("the kernel is as the API says"));

    // Everything changes, and goes.
    scenario.apply([
        service("web").ip("10.96.0.10").tcp("http", 80).build(),
        slice("web", "web").tcp("http", 9090).with([at("pod-d")]).build(),
    ]);
    scenario.check(&[
        case("another endpoint on another port", From::PodB, "10.96.0.10:80", dnat(&["pod-d:9090"])),
        case("the NodePort is gone", From::Client, "node:30010", PASS),
        case("so is the Service", From::PodB, "10.96.0.17:80", DROP),
        case("and the load balancer", From::Client, "192.0.2.12:80", PASS),
    ]);
    scenario.becomes_what_is_rendered();
    scenario.take_daemon().terminate();
    scenario.check_packets(&[case("the rules stay", From::PodB, "10.96.0.10:80", dnat(&["pod-d:9090"]))]);
}
