//! The Node object: who we are (reference §1.4, §10.1 step 7).

use std::time::Duration;

use kube_verdict_scenario_tests::cluster::ControlPlane;
use kube_verdict_scenario_tests::prelude::*;
use serde_json::json;

use crate::{IN_SYNC, said, web};

const PATH: &str = "/api/v1/nodes/node-1";
const SOON: Duration = Duration::from_secs(20);

#[test]
fn labels_taints_and_zones_are_followed() {
    let control_plane = ControlPlane::start();
    let mut scenario = Scenario::start_in(&control_plane, &Config::default());
    let objects = |zone: &str| {
        vec![
            service("web").ip("10.96.0.10").tcp("http", 80).build(),
            slice("web", "web")
                .tcp("http", 8080)
                .with([at("pod-a").zones(&["zone-a"]), at("pod-c").zones(&["zone-b"])])
                .build(),
            node(Some(zone)),
        ]
    };
    scenario.apply(objects("zone-a"));
    scenario.check(&[case("in zone-a", From::PodD, "10.96.0.10:80", dnat(&["pod-a:8080"]))]);
    let api = control_plane.api();
    api.patch(PATH, &json!({"metadata": {"labels": {"color": "blue"}}})).unwrap();
    let taints = json!([{ "key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule" }]);
    api.patch(PATH, &json!({"spec": {"taints": taints, "unschedulable": true}})).unwrap();
    // The Node comes by a watch of its own: whether the zone was seen is only told by what follows from it.
    scenario.apply(objects("zone-b"));
    let deadline = std::time::Instant::now() + SOON;
    while scenario.reach(From::PodD, Family::V4, "10.96.0.10:80").ip() != plan::ip(Family::V4, "pod-c") {
        assert!(std::time::Instant::now() < deadline, "the zone is not followed");
    }
    scenario.check(&[case("in zone-b", From::PodD, "10.96.0.10:80", dnat(&["pod-c:8080"]))]);
}

#[test]
fn without_it_nothing_begins_and_with_another_everything_begins_anew() {
    let control_plane = ControlPlane::start();
    let mut scenario = Scenario::start_in(&control_plane, &Config::default());
    scenario.apply(web("web", 10, "pod-c"));
    let served = case("served", From::PodA, "10.96.0.10:80", dnat(&["pod-c:8080"]));
    let api = control_plane.api().clone();

    let other = json!({"status": {"addresses": [{"type": "InternalIP", "address": plan::NODE_IP_2}]}});
    api.patch(&format!("{PATH}/status"), &other).unwrap();
    let mut daemon = scenario.take_daemon();
    assert_eq!(daemon.ends_within(SOON).code(), Some(1));
    said(&scenario, "Node node-1: its addresses changed from 172.18.0.2, fd00:172:18::2 to 172.18.0.22", 1);
    scenario.check_packets(std::slice::from_ref(&served));

    scenario.start_daemon();
    said(&scenario, IN_SYNC, 2);
    api.delete(PATH).unwrap();
    let mut daemon = scenario.take_daemon();
    assert_eq!(daemon.ends_within(SOON).code(), Some(1));
    said(&scenario, "Node node-1: it was deleted", 1);
    scenario.check_packets(std::slice::from_ref(&served));

    scenario.start_daemon();
    said(&scenario, "there is no Node \"node-1\"", 1);
    let mut bare = node(None);
    bare[0].as_object_mut().unwrap().remove("status");
    api.apply(&bare);
    said(&scenario, "has neither an InternalIP nor an ExternalIP", 1);
    api.apply(&node(None));
    said(&scenario, IN_SYNC, 3);
    scenario.check_packets(&[served]);
}
