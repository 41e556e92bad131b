//! What is for us and what is not (reference §1.1), and in which order it comes.

use std::time::{Duration, Instant};

use kube_verdict_scenario_tests::cluster::ControlPlane;
use kube_verdict_scenario_tests::kernel;
use kube_verdict_scenario_tests::prelude::*;
use kube_verdict_scenario_tests::probe::Seen;

use crate::{IN_SYNC, web};

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

/// Whose Service carries our name is ours; kube-proxy's Services and rules are left alone.
#[test]
fn beside_kube_proxy() {
    let control_plane = ControlPlane::start();
    let mut scenario = Scenario::in_cluster(&control_plane, &Config::default());
    scenario.files_mut().add_words(&["--service-proxy-name", "mine"]);
    let named = |name: &str, number: u8, proxy: Option<&str>| {
        let service = service(name).ip(&format!("10.96.0.{number}")).tcp("http", 80);
        let service = if let Some(proxy) = proxy { service.label(PROXY_NAME, proxy) } else { service };
        [service.build(), slice(name, name).tcp("http", 8080).with([at("pod-c")]).build()].concat()
    };
    scenario.write([
        named("ours", 10, Some("mine")),
        named("another", 11, Some("another")),
        named("kube-proxys", 12, None),
    ]);
    kernel::load(scenario.node(), "table ip kube-proxy {\n}\n");
    scenario.start_daemon();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !scenario.files().log().contains(IN_SYNC) {
        assert!(Instant::now() < deadline, "{}", scenario.files().log());
        std::thread::sleep(Duration::from_millis(20));
    }
    scenario.check_packets(&[
        case("ours", From::PodA, "10.96.0.10:80", dnat(&["pod-c:8080"])),
        case("another's", From::PodA, "10.96.0.11:80", PASS),
        case("kube-proxy's", From::PodA, "10.96.0.12:80", PASS),
        case("nobody's", From::PodA, "10.96.0.13:80", PASS),
    ]);
    assert!(kernel::nft(scenario.node(), &["list", "table", "ip", "kube-proxy"], "").is_ok());
    // What changes hands follows.
    control_plane.api().apply(&named("ours", 10, Some("another")));
    control_plane.api().apply(&named("another", 11, Some("mine")));
    let deadline = Instant::now() + Duration::from_secs(20);
    let served = |to: &str| matches!(scenario.try_send(From::PodA, Family::V4, to), Seen::Dnat { .. });
    while served("10.96.0.10:80") || !served("10.96.0.11:80") {
        assert!(Instant::now() < deadline, "{}", scenario.files().log());
    }
}
