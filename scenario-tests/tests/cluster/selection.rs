//! What is for us and what is not (reference §1.1), and in which order it comes.

use kube_verdict_scenario_tests::cluster::ControlPlane;
use kube_verdict_scenario_tests::prelude::*;

use crate::web;

const PROXY_NAME: &str = "service.kubernetes.io/service-proxy-name";
const HEADLESS: &str = "service.kubernetes.io/headless";

#[test]
fn labels_come_and_go() {
    let control_plane = ControlPlane::start();
    let mut scenario = Scenario::start_in(&control_plane, &Config::default());
    let ends = || slice("web", "web").tcp("http", 8080).with([at("pod-c")]);
    let ours = || service("web").ip("10.96.0.10").tcp("http", 80);
    let none = || service("none").set("clusterIP", "None".into()).tcp("http", 80).build();
    let served = case("served", From::PodA, "10.96.0.10:80", dnat(&["pod-c:8080"]));
    let dropped = case("nobody's address in a service prefix", From::PodA, "10.96.0.10:80", DROP);
    let refused = case("no endpoints", From::PodA, "10.96.0.10:80", REJECT);
    for value in ["", "another"] {
        scenario.apply([ours().build(), ends().build(), none()]);
        scenario.check(std::slice::from_ref(&served));
        scenario.apply([ours().label(PROXY_NAME, value).build(), ends().build(), none()]);
        scenario.check(std::slice::from_ref(&dropped));
    }
    scenario.apply([ours().build(), ends().build(), none()]);
    scenario.check(std::slice::from_ref(&served));
    scenario.apply([ours().build(), ends().label(HEADLESS, "").build(), none()]);
    scenario.check(std::slice::from_ref(&refused));
    scenario.apply([ours().build(), ends().build()]);
    scenario.check(&[served]);
    scenario.becomes_what_is_rendered();
}

#[test]
fn in_any_order() {
    let control_plane = ControlPlane::start();
    let mut scenario = Scenario::start_in(&control_plane, &Config::default());
    let [service, slice]: [Objects; 2] = web("web", 10, "pod-c").try_into().unwrap();
    let both = case("served", From::PodA, "10.96.0.10:80", dnat(&["pod-c:8080"]));
    let no_service = case("endpoints without a Service", From::PodA, "10.96.0.10:80", DROP);
    let no_slice = case("a Service without endpoints", From::PodA, "10.96.0.10:80", REJECT);
    for (objects, case) in [
        (vec![slice.clone()], &no_service),
        (vec![slice.clone(), service.clone()], &both),
        (vec![service.clone()], &no_slice),
        (vec![service.clone(), slice.clone()], &both),
        (vec![slice], &no_service),
        (vec![], &no_service),
    ] {
        scenario.apply(objects);
        scenario.check(std::slice::from_ref(case));
    }
}
