//! Topology hints (reference §2 step A), with each reason to set them aside.

use kube_verdict_scenario_tests::prelude::*;

const HERE: &str = plan::NODE;
const THERE: &str = "node-2";

/// A Service at 10.96.0.`number` with these endpoints.
fn of(number: u8, endpoints: Vec<Endpoint>) -> Vec<Objects> {
    let name = format!("s{number}");
    vec![
        service(&name).ip(&format!("10.96.0.{number}")).tcp("http", 80).build(),
        slice(&name, &name).tcp("http", 8080).with(endpoints).build(),
    ]
}

fn objects() -> Vec<Objects> {
    let zone = |address: &str, zones: &[&str]| at(address).zones(zones);
    let node = |address: &str, nodes: &[&str]| at(address).nodes(nodes);
    [
        of(
            10,
            vec![
                zone("pod-a", &["zone-a"]),
                zone("pod-b", &["zone-b"]),
                zone("pod-c", &["zone-a", "zone-b"]),
            ],
        ),
        of(11, vec![zone("pod-a", &["zone-a"]), at("pod-c")]),
        of(12, vec![zone("pod-a", &["zone-b"]), zone("pod-c", &["zone-c"])]),
        of(13, vec![zone("pod-a", &["zone-a"]), zone("pod-b", &["zone-b"]), at("pod-c").unready()]),
        of(14, vec![zone("pod-a", &["zone-b"]), zone("pod-b", &["zone-a"]).unready()]),
        of(15, vec![node("pod-a", &[THERE]), node("pod-c", &[HERE])]),
        of(16, vec![node("pod-a", &[HERE]), at("pod-c")]),
        of(17, vec![node("pod-a", &[HERE]).zones(&["zone-b"]), node("pod-c", &[THERE]).zones(&["zone-a"])]),
        of(18, vec![node("pod-a", &[THERE]).zones(&["zone-b"]), node("pod-c", &[THERE]).zones(&["zone-a"])]),
        of(19, vec![zone("pod-a", &["zone-a"]).terminating(), zone("pod-c", &["zone-b"]).terminating()]),
        of(20, vec![zone("pod-a", &["zone-a"]), zone("pod-c", &["zone-b"]).terminating()]),
        of(21, vec![node("pod-a", &[HERE]).zones(&["zone-b"]), at("pod-c").zones(&["zone-a"])]),
    ]
    .concat()
}

#[test]
fn in_a_zone() {
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply(objects());
    let from = From::PodD;
    scenario.check(&[
        case("those of this zone", from, "10.96.0.10:80", dnat(&["pod-a:8080", "pod-c:8080"])),
        case("the node is no exception", From::Node, "10.96.0.10:80", snat(&["pod-a:8080", "pod-c:8080"])),
        case("one without a hint: all", from, "10.96.0.11:80", dnat(&["pod-a:8080", "pod-c:8080"])),
        case("none for this zone: all", from, "10.96.0.12:80", dnat(&["pod-a:8080", "pod-c:8080"])),
        case("an unready one without a hint has no say", from, "10.96.0.13:80", dnat(&["pod-a:8080"])),
        case("an unready one's hint does not count", from, "10.96.0.14:80", dnat(&["pod-a:8080"])),
        case("those for this node, wherever they are", from, "10.96.0.15:80", dnat(&["pod-c:8080"])),
        case("one without a node hint: all", from, "10.96.0.16:80", dnat(&["pod-a:8080", "pod-c:8080"])),
        case("node hints come first", from, "10.96.0.17:80", dnat(&["pod-a:8080"])),
        case("then zone hints", from, "10.96.0.18:80", dnat(&["pod-c:8080"])),
        case(
            "terminating stand-ins are not narrowed",
            from,
            "10.96.0.19:80",
            dnat(&["pod-a:8080", "pod-c:8080"]),
        ),
        case("nor do they come in by another zone's hint", from, "10.96.0.20:80", dnat(&["pod-a:8080"])),
        case("a node hint missing, zone hints complete", from, "10.96.0.21:80", dnat(&["pod-c:8080"])),
    ]);
}

/// The zone is a label of the Node: it may be missing, and it may change while the daemon runs.
#[test]
fn as_the_node_moves() {
    let mut scenario = Scenario::start(&Config::default());
    let all = dnat(&["pod-a:8080", "pod-b:8080", "pod-c:8080"]);
    for (zone, by_zone) in [
        (None, all.clone()),
        (Some("zone-b"), dnat(&["pod-b:8080", "pod-c:8080"])),
        (Some(""), all.clone()),
        (Some("zone-a"), dnat(&["pod-a:8080", "pod-c:8080"])),
        (Some("zone-z"), all.clone()),
    ] {
        let mut parts = objects();
        parts.push(node(zone));
        scenario.apply(parts);
        scenario.check(&[
            case(&format!("the zone is {zone:?}"), From::PodD, "10.96.0.10:80", by_zone),
            case("node hints need no zone", From::PodD, "10.96.0.15:80", dnat(&["pod-c:8080"])),
        ]);
    }
}
