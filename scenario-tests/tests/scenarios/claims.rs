//! Two Services that claim one address (reference §3.1): upstream leaves the outcome open. Here it must be one
//! of the two, the same after a restart, and the other must take over when the first gives up.

use std::collections::BTreeSet;

use kube_verdict_scenario_tests::prelude::*;

fn claimant(name: &str, number: u8, endpoint: &str) -> Vec<Objects> {
    vec![
        service(name)
            .ip(&format!("10.96.0.{number}"))
            .tcp("http", 80)
            .external_ip("198.51.100.1")
            .node_port(30080)
            .build(),
        slice(name, name).tcp("http", 8080).with([at(endpoint)]).build(),
    ]
}

/// The one backend that a frontend has, in both families and over several connections.
fn owner(scenario: &Scenario, frontend: &str) -> &'static str {
    let mut owners = BTreeSet::new();
    for family in Family::BOTH {
        for _ in 0..5 {
            let backend = scenario.reach(From::Client, family, frontend);
            owners.insert(if backend.ip() == plan::ip(family, "pod-a") { "pod-a" } else { "pod-b" });
        }
    }
    assert_eq!(owners.len(), 1, "{frontend} is torn between {owners:?}");
    owners.first().expect("one")
}

#[test]
fn one_of_two_claimants_wins() {
    let mut scenario = Scenario::start(&Config::default());
    let both = || [claimant("first", 10, "pod-a"), claimant("second", 11, "pod-b")].concat();
    for frontend in ["198.51.100.1:80", "node:30080"] {
        scenario.apply(both());
        let before = owner(&scenario, frontend);

        scenario.take_daemon().kill();
        scenario.start_daemon();
        scenario.apply(both());
        assert_eq!(owner(&scenario, frontend), before, "a restart changes the owner of {frontend}");

        // Which came first does not matter.
        scenario.apply(claimant("second", 11, "pod-b"));
        assert_eq!(owner(&scenario, frontend), "pod-b");
        scenario.apply(both());
        assert_eq!(owner(&scenario, frontend), before, "the order of events decides about {frontend}");
        scenario.apply(claimant("first", 10, "pod-a"));
        assert_eq!(owner(&scenario, frontend), "pod-a");
    }
    scenario.apply(both());
    scenario.check(&[
        case("the first's own frontend", From::Client, "10.96.0.10:80", snat(&["pod-a:8080"])),
        case("the second's own frontend", From::Client, "10.96.0.11:80", snat(&["pod-b:8080"])),
    ]);
}
