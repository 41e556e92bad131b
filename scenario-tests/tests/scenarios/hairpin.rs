//! A pod that reaches itself through a Service is masqueraded (reference §4.1), or its answer would never come
//! back through the node.

use kube_verdict_scenario_tests::prelude::*;

#[test]
fn hairpins() {
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply([
        service("self")
            .ip("10.96.0.10")
            .every_protocol(80)
            .node_port(30010)
            .external_ip("198.51.100.10")
            .external_local()
            .build(),
        slice("self", "self").every_protocol(8080).with([at("pod-a")]).build(),
        service("both").ip("10.96.0.11").tcp("http", 80).build(),
        slice("both", "both").tcp("http", 8083).with([at("pod-a"), at("pod-b")]).build(),
        service("anonymous").ip("10.96.0.12").tcp("http", 80).build(),
        slice("anonymous", "anonymous").tcp("http", 8081).with([at("pod-a").on(None)]).build(),
        service("internal").ip("10.96.0.13").tcp("http", 80).internal_local().build(),
        slice("internal", "internal").tcp("http", 8082).with([at("pod-a")]).build(),
    ]);
    // That a hairpin is masqueraded goes without saying in every table: see the judge of fates. Every Service has
    // endpoints of its own: hairpins are known by address and port.
    let alone = dnat(&["pod-a:8080"]);
    let mut cases = vec![
        case("itself or its neighbour", From::PodA, "10.96.0.11:80", dnat(&["pod-a:8083", "pod-b:8083"])),
        case("its neighbour the same", From::PodB, "10.96.0.11:80", dnat(&["pod-a:8083", "pod-b:8083"])),
        case("without a node name", From::PodA, "10.96.0.12:80", dnat(&["pod-a:8081"])),
        case("with internal policy Local", From::PodA, "10.96.0.13:80", dnat(&["pod-a:8082"])),
    ];
    for protocol in ["tcp", "udp", "sctp"] {
        for to in ["10.96.0.10:80", "node:30010", "198.51.100.10:80"] {
            let to = format!("{to}/{protocol}");
            cases.push(case("to itself", From::PodA, &to, alone.clone()));
            cases.push(case("to another", From::PodB, &to, alone.clone()));
        }
    }
    scenario.check(&cases);
}

#[test]
fn without_a_detector_too() {
    let mut scenario = Scenario::start(&Config::detecting(Detect::Nothing));
    scenario.apply([
        service("self").ip("10.96.0.10").tcp("http", 80).build(),
        slice("self", "self").tcp("http", 8080).with([at("pod-a")]).build(),
    ]);
    scenario.check(&[
        case("to itself", From::PodA, "10.96.0.10:80", dnat(&["pod-a:8080"])),
        case("to another", From::PodB, "10.96.0.10:80", dnat(&["pod-a:8080"])),
    ]);
}

/// An endpoint that moves to this node becomes a hairpin; one that leaves no longer is.
#[test]
fn hairpins_follow_their_endpoints() {
    let mut scenario = Scenario::start(&Config::default());
    let objects = |endpoint: Endpoint| {
        [
            service("self").ip("10.96.0.10").tcp("http", 80).build(),
            slice("self", "self").tcp("http", 8080).with([endpoint]).build(),
        ]
    };
    scenario.apply(objects(at("pod-b")));
    scenario.check(&[case("another", From::PodA, "10.96.0.10:80", dnat(&["pod-b:8080"]))]);
    scenario.apply(objects(at("pod-a")));
    scenario.check(&[case("itself", From::PodA, "10.96.0.10:80", dnat(&["pod-a:8080"]))]);
    scenario.apply(objects(at("pod-b")));
    scenario.check(&[case("itself", From::PodB, "10.96.0.10:80", dnat(&["pod-b:8080"]))]);
}
