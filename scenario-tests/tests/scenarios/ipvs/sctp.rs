//! SCTP by IPVS. It begins a connection with an INIT and with nothing else; any other first packet of a connection is
//! nobody's, and goes nowhere. (nf_tables would not translate it either: to conntrack it is invalid.)

use std::collections::BTreeSet;

use kube_verdict_scenario_tests::prelude::*;

use super::EVERYWHERE;

const TO: &str = "10.96.0.10:80/sctp";

#[test]
fn associations_take_turns() {
    if !is_about_ipvs() {
        return;
    }
    let mut scenario = Scenario::start(&Config::default());
    let web = || service("web").ip("10.96.0.10").every_protocol(80).node_port(30010).build();
    let ends =
        |pods: &[&str]| slice("web", "web").every_protocol(8080).with(pods.iter().map(|pod| at(pod))).build();
    scenario.apply([web(), ends(&EVERYWHERE)]);
    for family in Family::BOTH {
        for from in [From::Client, From::PodB, From::Node] {
            let turns: Vec<_> = (0..8).map(|_| scenario.reach(from, family, TO)).collect();
            assert_eq!(turns.iter().collect::<BTreeSet<_>>().len(), 4, "{from:?}: {turns:?}");
            assert!(turns.windows(5).all(|five| five[0] == five[4]), "{from:?}: {turns:?}");
        }
    }
    let pods = &["pod-a:8080", "pod-b:8080", "pod-c:8080", "pod-d:8080"];
    scenario.check(&[
        case("from outside", From::Client, TO, snat(pods)),
        case("by NodePort", From::Client, "node:30010/sctp", snat(pods)),
        case("from a pod", From::PodA, TO, dnat(pods)),
        case("from the node", From::Node, TO, snat(pods)),
    ]);
    // What has begun with an endpoint that leaves is none of the others' business.
    scenario.apply([web(), ends(&["pod-c"])]);
    scenario.check(&[
        case("one is left", From::Client, TO, snat(&["pod-c:8080"])),
        case("one is left", From::Node, "node:30010/sctp", snat(&["pod-c:8080"])),
    ]);
}
