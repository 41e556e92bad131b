//! The rules and routes that bring packets to IPVS: who deletes them gets them back.

use kube_verdict_scenario_tests::kernel;
use kube_verdict_scenario_tests::prelude::*;

use super::{at_pod, ends};

#[test]
fn deleted_rules_and_routes_are_back() {
    if !is_about_ipvs() {
        return;
    }
    let mut scenario = Scenario::start(&Config::default().sync_period("1h"));
    scenario.apply([service("web").ip("10.96.0.10").tcp("http", 80).build(), ends("web", &["pod-c"])]);
    let routing = kernel::routing(scenario.node());
    let deletions = [
        "-4 rule del priority 6",
        "-6 rule del priority 6",
        "-4 rule del priority 5",
        "-6 rule del priority 7",
        "-4 route flush table 19286",
        "-6 route flush table 19286",
    ];
    const REPAIRED: &str = "kubeverdict_foreign_changes_repaired_total{what=\"routing\"}";
    for (round, deletion) in deletions.into_iter().enumerate() {
        kernel::ip(scenario.node(), deletion);
        let said = || scenario.files().log().matches("somebody changed the policy routing for IPVS").count();
        scenario.until(deletion, || said() > round && kernel::routing(scenario.node()) == routing);
        scenario.until("it is counted", || scenario.metric(REPAIRED) == said() as u64);
        for family in Family::BOTH {
            for from in [From::Client, From::PodB, From::Node] {
                let reached = scenario.reach(from, family, "10.96.0.10:80");
                assert_eq!(reached, at_pod(family, "pod-c"), "{deletion}");
            }
        }
    }
}
