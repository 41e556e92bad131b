//! UDP flows follow their Service: what conntrack remembers of the old rules goes, and only that (reference §8).

use kube_verdict_scenario_tests::conversation::Conversation;
use kube_verdict_scenario_tests::flow::{Flow, Heard};
use kube_verdict_scenario_tests::kernel;
use kube_verdict_scenario_tests::prelude::*;
use kube_verdict_scenario_tests::wire::Protocol;

fn dns() -> Service {
    service("dns")
        .ip("10.96.0.10")
        .port("dns", "UDP", 53)
        .node_port(30053)
        .external_ip("198.51.100.10")
        .load_balancer("192.0.2.10", None)
        .tcp("dns-tcp", 53)
}

fn ends(endpoints: impl IntoIterator<Item = Endpoint>) -> Objects {
    slice("dns", "dns").port("dns", "UDP", 5353).tcp("dns-tcp", 5354).with(endpoints).build()
}

/// Another Service, to see when a clean-up has taken place, or that it spares others.
fn other(endpoint: &str) -> Objects {
    [
        service("other").ip("10.96.0.11").port("udp", "UDP", 53).build(),
        slice("other", "other").port("udp", "UDP", 5353).with([at(endpoint)]).build(),
    ]
    .concat()
}

fn at_pod(family: Family, pod: &str) -> Heard {
    Heard::From(plan::socket(family, &format!("{pod}:5353")))
}

/// Flows by every frontend, from everywhere.
fn flows(scenario: &Scenario, family: Family) -> Vec<Flow> {
    let mut flows = Vec::new();
    for from in [From::PodB, From::Node, From::Client] {
        for to in ["10.96.0.10:53", "node:30053", "198.51.100.10:53", "192.0.2.10:53"] {
            flows.push(Flow::open(scenario, from, family, to));
        }
    }
    flows
}

/// Counts the first packets of connections to a port that reach the node, and are sent by it.
fn count_new(scenario: &Scenario, port: u16) {
    let chain = |hook: &str| {
        format!(
            "chain {hook} {{ type filter hook {hook} priority -150; \
             udp dport {port} ct state new counter name seen; }}\n"
        )
    };
    let chains = [chain("prerouting"), chain("output")].concat();
    kernel::load(scenario.node(), &format!("table inet new-{port} {{ counter seen {{ }}\n{chains}}}\n"));
}

fn counted_new(scenario: &Scenario, port: u16) -> u64 {
    let table = format!("new-{port}");
    let listing = kernel::nft(scenario.node(), &["list", "counter", "inet", &table, "seen"], "").expect("it");
    let mut words = listing.split_whitespace().skip_while(|word| *word != "packets");
    words.nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

#[test]
fn a_flow_stays_while_its_endpoint_serves_and_no_longer() {
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply([dns().build(), ends([at("pod-a")]), other("pod-a")]);
    let all: Vec<(Family, Vec<Flow>)> = Family::BOTH.map(|f| (f, flows(&scenario, f))).into();
    let canaries = Family::BOTH.map(|f| (f, Flow::open(&scenario, From::Client, f, "10.96.0.11:53")));
    let hear = |pod: &str| {
        for (family, flows) in &all {
            flows.iter().for_each(|flow| flow.hears(at_pod(*family, pod)));
        }
    };
    hear("pod-a");

    let stays: [(&str, Objects, Endpoint); 6] = [
        ("another endpoint beside it", dns().build(), at("pod-a")),
        ("terminating, still serving", dns().build(), at("pod-a").terminating()),
        ("unready, still serving", dns().build(), at("pod-a").serving_only()),
        ("policies", dns().internal_local().external_local().build(), at("pod-a")),
        ("hints for elsewhere", dns().build(), at("pod-a").zones(&["zone-b"])),
        ("affinity", dns().affinity(600).build(), at("pod-a").terminating()),
    ];
    for (round, (name, service, endpoint)) in stays.into_iter().enumerate() {
        eprintln!("{name}");
        let canary = ["pod-c", "pod-a"][round % 2];
        scenario.apply([service, ends([endpoint, at("pod-c")]), other(canary)]);
        for (family, flow) in &canaries {
            flow.comes_to(&scenario, at_pod(*family, canary));
        }
        hear("pod-a");
    }

    let moves: [(&str, Vec<Endpoint>, Option<&str>); 4] = [
        ("no longer serving", vec![at("pod-a").gone(), at("pod-c")], Some("pod-c")),
        ("replaced", vec![at("pod-b")], Some("pod-b")),
        ("scaled to zero", vec![], None),
        ("and up again", vec![at("pod-a")], Some("pod-a")),
    ];
    for (name, endpoints, pod) in moves {
        eprintln!("{name}");
        scenario.apply([dns().build(), ends(endpoints), other("pod-a")]);
        for (family, flows) in &all {
            let expected = pod.map_or(Heard::Refused, |pod| at_pod(*family, pod));
            flows.iter().for_each(|flow| flow.comes_to(&scenario, expected));
        }
    }
}

#[test]
fn a_flow_from_before_its_service_is_translated() {
    let mut scenario = Scenario::start(&Config::default());
    let all: Vec<(Family, Vec<Flow>)> = Family::BOTH.map(|f| (f, flows(&scenario, f))).into();
    // At once: each of them waits for an answer.
    std::thread::scope(|scope| {
        for flow in all.iter().flat_map(|(_, flows)| flows) {
            scope.spawn(|| assert!(!matches!(flow.ask(), Heard::From(_)), "who answers?"));
        }
    });
    // Its slices come first.
    scenario.apply([ends([at("pod-a")])]);
    scenario.apply([ends([at("pod-a")]), dns().build()]);
    for (family, flows) in &all {
        flows.iter().for_each(|flow| flow.comes_to(&scenario, at_pod(*family, "pod-a")));
    }
}

#[test]
fn what_is_not_the_services_is_left_alone() {
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply([dns().build(), ends([at("pod-a")]), other("pod-b")]);
    let mut tcp: Vec<Conversation> = Family::BOTH
        .into_iter()
        .flat_map(|family| ["10.96.0.10:53", "192.0.2.10:53"].map(|to| (family, to)))
        .map(|(family, to)| Conversation::open(&scenario, From::Client, family, to))
        .collect();
    let mut spared = Vec::new();
    let mut moved = Vec::new();
    for family in Family::BOTH {
        // They cross the node, or go to it, but are to nobody's frontend.
        for foreign in ["pod-c:30053", "pod-d:30053", "10.0.99.1:53", "pod-c:53"] {
            scenario.listen(plan::socket(family, foreign), Protocol::Udp);
            let heard = Heard::From(plan::socket(family, foreign));
            spared.push((Flow::open(&scenario, From::Client, family, foreign), heard));
        }
        spared.push((Flow::open(&scenario, From::Client, family, "10.96.0.11:53"), at_pod(family, "pod-b")));
        for to in ["10.96.0.10:53", "node:30053"] {
            moved.push((Flow::open(&scenario, From::Client, family, to), family));
        }
    }
    spared.iter().for_each(|(flow, heard)| flow.hears(*heard));
    moved.iter().for_each(|(flow, family)| flow.hears(at_pod(*family, "pod-a")));

    [53, 30053].into_iter().for_each(|port| count_new(&scenario, port));
    scenario.apply([dns().build(), ends([at("pod-c")]), other("pod-b")]);
    moved.iter().for_each(|(flow, family)| flow.comes_to(&scenario, at_pod(*family, "pod-c")));
    spared.iter().for_each(|(flow, heard)| flow.hears(*heard));
    tcp.iter_mut().for_each(Conversation::still_lives);
    // Those of the moved flows: of each family one to each port.
    assert_eq!([53, 30053].map(|port| counted_new(&scenario, port)), [2, 2], "some flow began anew");
}

#[test]
fn a_flow_outlives_its_service_as_connections_do() {
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply([dns().build(), ends([at("pod-a")]), other("pod-a")]);
    let flows = Family::BOTH.map(|f| (f, Flow::open(&scenario, From::Client, f, "10.96.0.10:53")));
    let canaries = Family::BOTH.map(|f| (f, Flow::open(&scenario, From::Client, f, "10.96.0.11:53")));
    flows.iter().chain(&canaries).for_each(|(family, flow)| flow.hears(at_pod(*family, "pod-a")));
    scenario.apply([other("pod-c")]);
    for (family, flow) in &canaries {
        flow.comes_to(&scenario, at_pod(*family, "pod-c"));
    }
    flows.iter().for_each(|(family, flow)| flow.hears(at_pod(*family, "pod-a")));
}

#[test]
fn a_restart_keeps_right_flows_and_repairs_others() {
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply([dns().build(), ends([at("pod-a")]), other("pod-b")]);
    let wrong: Vec<(Family, Vec<Flow>)> = Family::BOTH.map(|f| (f, flows(&scenario, f))).into();
    let right = Family::BOTH.map(|f| (f, Flow::open(&scenario, From::Client, f, "10.96.0.11:53")));
    for (family, flows) in &wrong {
        flows.iter().for_each(|flow| flow.hears(at_pod(*family, "pod-a")));
    }
    right.iter().for_each(|(family, flow)| flow.hears(at_pod(*family, "pod-b")));
    scenario.take_daemon().kill();
    scenario.write([dns().build(), ends([at("pod-c")]), other("pod-b")]);
    count_new(&scenario, 53);
    for (family, flows) in &wrong {
        flows.iter().for_each(|flow| flow.hears(at_pod(*family, "pod-a")));
    }
    scenario.start_daemon();
    scenario.settle();
    for (family, flows) in &wrong {
        flows.iter().for_each(|flow| flow.comes_to(&scenario, at_pod(*family, "pod-c")));
    }
    let begun = counted_new(&scenario, 53);
    right.iter().for_each(|(family, flow)| flow.hears(at_pod(*family, "pod-b")));
    assert_eq!(counted_new(&scenario, 53), begun, "a right flow began anew");

    // Again, with nothing changed.
    scenario.take_daemon().kill();
    scenario.start_daemon();
    scenario.apply([dns().build(), ends([at("pod-c")]), other("pod-a")]);
    for (family, flow) in &right {
        flow.comes_to(&scenario, at_pod(*family, "pod-a"));
    }
    let begun = counted_new(&scenario, 53);
    for (family, flows) in &wrong {
        flows.iter().for_each(|flow| flow.hears(at_pod(*family, "pod-c")));
    }
    assert_eq!(counted_new(&scenario, 53), begun, "a flow that was right began anew");
}
