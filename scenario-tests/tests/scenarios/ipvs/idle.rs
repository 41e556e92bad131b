//! IPVS forgets what is idle for longer than its timeout (900 s, if nobody sets it; reference §12.8), whatever both ends
//! think. Who goes on hears a reset: silence would have it wait for minutes.

use kube_verdict_scenario_tests::conversation::Conversation;
use kube_verdict_scenario_tests::kernel;
use kube_verdict_scenario_tests::prelude::*;
use serde_json::json;

use super::{at_pod, ends};

#[test]
fn what_ipvs_forgot_is_reset() {
    if !is_about_ipvs() {
        return;
    }
    let mut scenario = Scenario::start(&Config::default().field("ipvs", json!({ "tcpTimeout": "3s" })));
    scenario.apply([
        service("web").ip("10.96.0.10").tcp("http", 80).node_port(30010).build(),
        ends("web", &["pod-a", "pod-c"]),
    ]);
    let mut idle = Vec::new();
    for family in Family::BOTH {
        for from in [From::Client, From::PodB, From::Node] {
            for to in ["10.96.0.10:80", "node:30010"] {
                let mut conversation = Conversation::open(&scenario, from, family, to);
                conversation.still_lives();
                idle.push(conversation);
            }
        }
    }
    scenario.until("IPVS forgets", || !kernel::ipvs_connections(scenario.node()).contains("ESTABLISHED"));
    idle.into_iter().for_each(Conversation::is_reset);
    for family in Family::BOTH {
        for from in [From::Client, From::PodB, From::Node] {
            let next = scenario.reach(from, family, "10.96.0.10:80");
            assert!(["pod-a", "pod-c"].map(|pod| at_pod(family, pod)).contains(&next));
        }
    }
}
