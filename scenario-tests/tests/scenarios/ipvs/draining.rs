//! Endpoints that leave while somebody talks to them (reference §12.5): weight 0 until that is over.

use kube_verdict_scenario_tests::conversation::Conversation;
use kube_verdict_scenario_tests::prelude::*;

use super::{at_pod, ends};

/// From everywhere, by a ClusterIP and by a NodePort.
const WAYS: [(From, &str); 6] = [
    (From::Client, "10.96.0.10:80"),
    (From::Client, "node:30010"),
    (From::PodB, "10.96.0.10:80"),
    (From::PodB, "node:30010"),
    (From::Node, "10.96.0.10:80"),
    (From::Node, "node:30010"),
];

fn web() -> Objects {
    service("web").ip("10.96.0.10").tcp("http", 80).node_port(30010).build()
}

/// A connection by each way, all to the same endpoint, since there is no other yet.
fn talk(scenario: &Scenario) -> Vec<Conversation> {
    let mut all = Vec::new();
    for family in Family::BOTH {
        all.extend(WAYS.map(|(from, to)| Conversation::open(scenario, from, family, to)));
    }
    all
}

/// New connections by each way.
fn come(scenario: &Scenario, pod: &str) {
    for family in Family::BOTH {
        for (from, to) in WAYS {
            assert_eq!(scenario.reach(from, family, to), at_pod(family, pod), "{from:?} to {to}");
        }
    }
}

fn weigh(scenario: &Scenario, pod: &str, weights: &[u32]) {
    for family in Family::BOTH {
        assert_eq!(scenario.weights(at_pod(family, pod)), weights, "{pod}, {family:?}");
    }
}

fn goes(scenario: &Scenario, pod: &str) {
    scenario.until(&format!("{pod} is gone"), || {
        Family::BOTH.into_iter().all(|family| scenario.weights(at_pod(family, pod)).is_empty())
    });
}

/// Each way to leave, to come back, and to go for good.
#[test]
fn an_endpoint_that_leaves() {
    if !is_about_ipvs() {
        return;
    }
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply([web(), ends("web", &["pod-a"])]);
    weigh(&scenario, "pod-a", &[1]);
    let mut talking = talk(&scenario);
    let left = |endpoint| slice("web", "web").tcp("http", 8080).with([endpoint, at("pod-c")]).build();
    let ways_to_leave = [
        ("removed", ends("web", &["pod-c"])),
        ("terminating", left(at("pod-a").terminating())),
        ("unready", left(at("pod-a").unready())),
        ("no longer serving", left(at("pod-a").gone())),
    ];
    for (how, without) in ways_to_leave {
        eprintln!("{how}");
        scenario.apply([web(), without]);
        weigh(&scenario, "pod-a", &[0]);
        weigh(&scenario, "pod-c", &[1]);
        come(&scenario, "pod-c");
        talking.iter_mut().for_each(Conversation::still_lives);
        // It comes back, and serves.
        scenario.apply([web(), ends("web", &["pod-a"])]);
        weigh(&scenario, "pod-a", &[1]);
        come(&scenario, "pod-a");
        talking.iter_mut().for_each(Conversation::still_lives);
    }
    scenario.apply([web(), ends("web", &["pod-c"])]);
    talking.iter_mut().for_each(Conversation::still_lives);
    talking.into_iter().for_each(Conversation::reset);
    goes(&scenario, "pod-a");
    come(&scenario, "pod-c");
}

/// The last endpoint, too: new connections are refused, the old one goes on. And a daemon that comes anew goes on with
/// what drains.
#[test]
fn the_last_endpoint_and_a_restart() {
    if !is_about_ipvs() {
        return;
    }
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply([web(), ends("web", &["pod-a"])]);
    let mut talking = talk(&scenario);
    scenario.apply([web()]);
    let refused: Vec<Case> = WAYS.into_iter().map(|(from, to)| case("none left", from, to, REJECT)).collect();
    scenario.check(&refused);
    weigh(&scenario, "pod-a", &[0]);
    talking.iter_mut().for_each(Conversation::still_lives);

    scenario.take_daemon().kill();
    talking.iter_mut().for_each(Conversation::still_lives);
    scenario.start_daemon();
    scenario.apply([web(), ends("web", &["pod-c"])]);
    weigh(&scenario, "pod-a", &[0]);
    come(&scenario, "pod-c");
    talking.iter_mut().for_each(Conversation::still_lives);
    talking.into_iter().for_each(Conversation::reset);
    goes(&scenario, "pod-a");
}

#[test]
fn the_whole_service_leaves() {
    if !is_about_ipvs() {
        return;
    }
    let mut scenario = Scenario::start(&Config::default());
    let cidr = || service_cidr("kubernetes", plan::SERVICE_CIDR);
    let nothing = scenario.virtual_servers();
    scenario.apply([web(), ends("web", &["pod-a"]), cidr()]);
    let mut talking = talk(&scenario);
    scenario.apply([cidr()]);
    weigh(&scenario, "pod-a", &[0]);
    assert_eq!(scenario.virtual_servers().len(), nothing.len() + 2, "one of each family");
    for _ in 0..2 {
        talking.iter_mut().for_each(Conversation::still_lives);
        scenario.check(&[
            case("nobody's any more", From::Client, "10.96.0.10:80", DROP),
            case("nobody's any more", From::PodB, "10.96.0.10:80", DROP),
            case("nobody's any more", From::Node, "10.96.0.10:80", DROP),
            case("the node's own", From::Client, "node:30010", PASS),
        ]);
    }
    talking.into_iter().for_each(Conversation::reset);
    goes(&scenario, "pod-a");
    scenario.until("its virtual servers are gone", || scenario.virtual_servers() == nothing);
}
