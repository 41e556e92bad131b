//! Which endpoints are used, by their conditions (reference §2 steps B to D).

use kube_verdict_scenario_tests::prelude::*;

/// A Service at 10.96.0.`number`, reachable by NodePort too, with these endpoints.
fn of(number: u8, endpoints: Vec<Endpoint>) -> Vec<Objects> {
    let name = format!("s{number}");
    vec![
        service(&name)
            .ip(&format!("10.96.0.{number}"))
            .tcp("http", 80)
            .node_port(30000 + u16::from(number))
            .external_local()
            .build(),
        slice(&name, &name).tcp("http", 8080).with(endpoints).build(),
    ]
}

#[test]
fn conditions() {
    let odd = |ready, serving, terminating| at("pod-a").conditions(ready, serving, terminating);
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply(
        [
            of(10, vec![at("pod-a"), at("pod-b").terminating(), at("pod-c").unready()]),
            of(11, vec![at("pod-a").unready(), at("pod-b").terminating(), at("pod-c").terminating()]),
            of(12, vec![at("pod-a").gone(), at("pod-c").serving_only()]),
            of(13, vec![at("pod-b").terminating(), at("pod-c")]),
            of(14, vec![at("pod-c").terminating(), at("pod-d").terminating()]),
            of(15, vec![odd(None, None, None)]),
            of(16, vec![odd(Some(false), None, None)]),
            of(17, vec![odd(Some(false), None, Some(true))]),
            of(18, vec![odd(Some(true), Some(false), Some(true)), at("pod-c").terminating()]),
            of(19, vec![at("pod-a").gone(), at("pod-c")]),
        ]
        .concat(),
    );
    let (pod, client) = (From::PodD, From::Client);
    scenario.check(&[
        case("ready ones, when there are any", pod, "10.96.0.10:80", dnat(&["pod-a:8080"])),
        case("the same locally", client, "node:30010", dnat(&["pod-a:8080"])),
        case("serving, terminating ones stand in", pod, "10.96.0.11:80", dnat(&["pod-b:8080", "pod-c:8080"])),
        case("the same locally", client, "node:30011", dnat(&["pod-b:8080"])),
        case("neither gone nor merely serving ones do", pod, "10.96.0.12:80", REJECT),
        case("the same locally", client, "node:30012", REJECT),
        case("a ready one elsewhere counts for the cluster", pod, "10.96.0.13:80", dnat(&["pod-c:8080"])),
        case("but a terminating one here for Local", client, "node:30013", dnat(&["pod-b:8080"])),
        case("only terminating ones elsewhere", client, "node:30014", DROP),
        case("no conditions: ready", pod, "10.96.0.15:80", dnat(&["pod-a:8080"])),
        case("not ready, else nothing said", pod, "10.96.0.16:80", REJECT),
        case("terminating, serving not said", pod, "10.96.0.17:80", dnat(&["pod-a:8080"])),
        case("ready wins over everything", pod, "10.96.0.18:80", dnat(&["pod-a:8080"])),
        case("gone here, ready elsewhere", client, "node:30019", DROP),
    ]);
}

/// A rolling update as the packets see it.
#[test]
fn a_rolling_update() {
    let mut scenario = Scenario::start(&Config::default());
    let steps: [(&str, Vec<Endpoint>, Expected, Expected); 5] = [
        ("one serves", vec![at("pod-a")], dnat(&["pod-a:8080"]), dnat(&["pod-a:8080"])),
        (
            "its successor starts",
            vec![at("pod-a"), at("pod-b").unready()],
            dnat(&["pod-a:8080"]),
            dnat(&["pod-a:8080"]),
        ),
        (
            "its successor is ready",
            vec![at("pod-a").terminating(), at("pod-b")],
            dnat(&["pod-b:8080"]),
            dnat(&["pod-b:8080"]),
        ),
        (
            "the successor fails while the old one still goes",
            vec![at("pod-a").terminating(), at("pod-b").unready()],
            dnat(&["pod-a:8080"]),
            dnat(&["pod-a:8080"]),
        ),
        ("both are gone", vec![], REJECT, REJECT),
    ];
    for (name, endpoints, by_cluster_ip, by_node_port) in steps {
        scenario.apply(of(10, endpoints));
        scenario.check(&[
            case(name, From::PodD, "10.96.0.10:80", by_cluster_ip),
            case(name, From::Client, "node:30010", by_node_port),
        ]);
    }
}
