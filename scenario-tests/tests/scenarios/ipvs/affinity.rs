//! Affinity beside IPVS (reference §6): IPVS chooses for a client once, and nftables remembers it. What a client sees
//! of it is in the other module `affinity`.

use kube_verdict_scenario_tests::conversation::Conversation;
use kube_verdict_scenario_tests::prelude::*;

use super::{EVERYWHERE, ends};

const TO: &str = "10.96.0.10:80";

fn web() -> Objects {
    service("web").ip("10.96.0.10").tcp("http", 80).node_port(30010).affinity(10800).build()
}

fn other(pods: &[&str]) -> Objects {
    [service("other").ip("10.96.0.11").tcp("http", 80).build(), ends("other", pods)].concat()
}

#[test]
fn only_the_first_connection_is_ipvss() {
    if !is_about_ipvs() {
        return;
    }
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply([web(), ends("web", &EVERYWHERE), other(&["pod-a"])]);
    let open = |scenario: &Scenario, family, to| Conversation::open(scenario, From::Client, family, to);
    let client = |family| plan::ip(family, plan::CLIENT);
    let known = |scenario: &Scenario| Family::BOTH.map(|f| scenario.connections_of(client(f)).len());
    let mut talking: Vec<(Family, Conversation)> =
        Family::BOTH.map(|family| (family, open(&scenario, family, TO))).into();
    let chosen = [0, 1].map(|index: usize| talking[index].1.backend());
    assert_eq!(known(&scenario), [1, 1], "IPVS chose");
    let mut again = |scenario: &Scenario| {
        for (index, family) in Family::BOTH.into_iter().enumerate() {
            for to in [TO, "node:30010"] {
                let next = open(scenario, family, to);
                assert_eq!(next.backend(), chosen[index], "the client was moved");
                talking.push((family, next));
            }
        }
        assert_eq!(known(scenario), [1, 1], "a known client needs no choice");
        talking.iter_mut().for_each(|(_, conversation)| conversation.still_lives());
    };
    again(&scenario);
    for pods in [&EVERYWHERE[..], &["pod-b"], &[]] {
        scenario.apply([web(), ends("web", &EVERYWHERE), other(pods)]);
        again(&scenario);
    }
    scenario.take_daemon().kill();
    again(&scenario);
    scenario.start_daemon();
    scenario.apply([web(), ends("web", &EVERYWHERE)]);
    again(&scenario);

    // Its endpoint leaves: the client is served by another, chosen by IPVS, and what is established goes on.
    for (family, gone) in Family::BOTH.into_iter().zip(chosen) {
        let stay: Vec<&str> =
            EVERYWHERE.into_iter().filter(|pod| plan::ip(family, pod) != gone.ip()).collect();
        scenario.apply([web(), ends("web", &stay)]);
        let next = open(&scenario, family, TO);
        assert_ne!(next.backend(), gone);
        assert!(scenario.connections_of(client(family)).len() > 1, "IPVS chose again");
        assert_eq!(open(&scenario, family, TO).backend(), next.backend());
        talking.iter_mut().for_each(|(_, conversation)| conversation.still_lives());
    }
}
