//! EndpointSlices (reference §1.3): several a Service, each with its own port numbers; endpoints that move
//! between them; and targetPort, which is never read.

use kube_verdict_scenario_tests::prelude::*;

#[test]
fn several_slices_make_one_service() {
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply([
        service("web").ip("10.96.0.10").tcp("http", 80).tcp("admin", 81).build(),
        slice("one", "web").tcp("http", 8080).tcp("admin", 9090).with([at("pod-a"), at("pod-b")]).build(),
        slice("two", "web").tcp("http", 18080).with([at("pod-c"), at("pod-b")]).build(),
        slice("three", "web").tcp("admin", 9090).with([at("pod-d")]).build(),
    ]);
    // Every Service of these tests has a targetPort that nobody listens on.
    scenario.check(&[
        case(
            "every slice with its own number",
            From::Client,
            "10.96.0.10:80",
            snat(&["pod-a:8080", "pod-b:8080", "pod-c:18080", "pod-b:18080"]),
        ),
        case(
            "a port of some slices",
            From::Client,
            "10.96.0.10:81",
            snat(&["pod-a:9090", "pod-b:9090", "pod-d:9090"]),
        ),
    ]);
}

#[test]
fn duplicates() {
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply([
        service("web").ip("10.96.0.10").tcp("http", 80).build(),
        slice("a", "web").tcp("http", 8080).with([at("pod-a"), at("pod-b").terminating()]).build(),
        slice("b", "web").tcp("http", 8080).with([at("pod-a").terminating(), at("pod-b")]).build(),
        slice("c", "web").tcp("http", 8080).with([at("pod-a"), at("pod-b").gone(), at("pod-c")]).build(),
    ]);
    scenario.check(&[case(
        "a terminating entry only fills a gap, in whatever order",
        From::Client,
        "10.96.0.10:80",
        snat(&["pod-a:8080", "pod-b:8080", "pod-c:8080"]),
    )]);
}

/// Moving an endpoint from slice to slice is two events, in either order.
#[test]
fn an_endpoint_moves() {
    let mut scenario = Scenario::start(&Config::default());
    let web = || service("web").ip("10.96.0.10").tcp("http", 80).build();
    let slice_with = |name: &str, endpoints: &[&str]| {
        slice(name, "web").tcp("http", 8080).with(endpoints.iter().map(|e| at(e))).build()
    };
    let states: [(&str, &[&str], &[&str]); 5] = [
        ("in the first", &["pod-a", "pod-b"], &["pod-c"]),
        ("in both", &["pod-a", "pod-b"], &["pod-b", "pod-c"]),
        ("in the second", &["pod-a"], &["pod-b", "pod-c"]),
        ("in neither", &["pod-a"], &["pod-c"]),
        ("in the first again", &["pod-a", "pod-b"], &["pod-c"]),
    ];
    for (name, one, two) in states {
        scenario.apply([web(), slice_with("one", one), slice_with("two", two)]);
        let mut expected = vec!["pod-a:8080", "pod-c:8080"];
        if name != "in neither" {
            expected.push("pod-b:8080");
        }
        scenario.check(&[case(name, From::Client, "10.96.0.10:80", snat(&expected))]);
    }
}

/// Slices may be there before and after their Service.
#[test]
fn slices_without_their_service() {
    let mut scenario = Scenario::start(&Config::default());
    let web = || service("web").ip("10.96.0.10").tcp("http", 80).build();
    let ends = || slice("web", "web").tcp("http", 8080).with([at("pod-a")]).build();
    scenario.apply([ends()]);
    scenario.check(&[case("a slice alone", From::PodB, "10.96.0.10:80", PASS)]);
    scenario.apply([ends(), web()]);
    scenario.check(&[case("then its Service", From::PodB, "10.96.0.10:80", dnat(&["pod-a:8080"]))]);
    scenario.apply([web()]);
    scenario.check(&[case("the Service alone", From::PodB, "10.96.0.10:80", REJECT)]);
    scenario.apply([]);
    scenario.check(&[case("neither", From::PodB, "10.96.0.10:80", PASS)]);
}

/// Renaming a port, renumbering it and changing the ClusterIP take effect.
#[test]
fn a_service_changes() {
    let mut scenario = Scenario::start(&Config::default());
    let ends = || slice("web", "web").tcp("http", 8080).tcp("new", 8081).with([at("pod-a")]).build();
    scenario.apply([service("web").ip("10.96.0.10").tcp("http", 80).node_port(30010).build(), ends()]);
    scenario.check(&[case("as it was", From::PodB, "10.96.0.10:80", dnat(&["pod-a:8080"]))]);
    scenario.apply([service("web").ip("10.96.0.10").tcp("new", 80).node_port(30010).build(), ends()]);
    scenario.check(&[case("renamed", From::PodB, "10.96.0.10:80", dnat(&["pod-a:8081"]))]);
    scenario.apply([service("web").ip("10.96.0.10").tcp("http", 90).node_port(30011).build(), ends()]);
    scenario.check(&[
        case("renumbered", From::PodB, "10.96.0.10:90", dnat(&["pod-a:8080"])),
        case("no more", From::PodB, "10.96.0.10:80", REJECT),
        case("renumbered NodePort", From::Client, "node:30011", snat(&["pod-a:8080"])),
        case("no more", From::Client, "node:30010", PASS),
    ]);
    scenario.apply([service("web").ip("10.96.0.20").tcp("http", 90).build(), ends()]);
    scenario.check(&[
        case("another ClusterIP", From::PodB, "10.96.0.20:90", dnat(&["pod-a:8080"])),
        case("the old one", From::PodB, "10.96.0.10:90", PASS),
        case("no NodePort", From::Client, "node:30011", PASS),
    ]);
}

/// Addresses are compared as addresses: leading zeros do not make another endpoint.
#[test]
fn leading_zeros() {
    let mut scenario = Scenario::start(&Config::default());
    let mut odd = slice("odd", "web").tcp("http", 8080).with([at("pod-a").terminating()]).build();
    odd[0]["endpoints"][0]["addresses"][0] = "010.244.001.010".into();
    odd[1]["endpoints"][0]["addresses"][0] = "fd00:0010:0244:0001:0::010".into();
    scenario.apply([
        service("web").ip("10.96.0.10").tcp("http", 80).build(),
        odd,
        slice("even", "web").tcp("http", 8080).with([at("pod-a")]).build(),
    ]);
    let text = scenario.files().render(scenario.node());
    // What is rendered has endpoints in nftables mode only.
    assert!(mode() == Mode::Ipvs || text.contains("pick-1"), "{text}");
    assert!(!text.contains("pick-2"), "two endpoints were made of one:\n{text}");
    scenario.check(&[case("one endpoint", From::PodB, "10.96.0.10:80", dnat(&["pod-a:8080"]))]);
}
