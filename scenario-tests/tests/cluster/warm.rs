//! A node comes back from a reboot while the API server is away, and serves the table that it kept.

use kube_verdict_scenario_tests::cluster::ControlPlane;
use kube_verdict_scenario_tests::conversation::Conversation;
use kube_verdict_scenario_tests::kernel;
use kube_verdict_scenario_tests::prelude::*;

use crate::{said, web};

const KEPT: &str = "the kernel is as the table says that was kept";
const TAKEN_OVER: &str = "it takes the place of the table that was kept";
/// Enough for a table to be of kube-proxy.
const KUBE_PROXY: &str = "add table ip kube-proxy\nadd chain ip kube-proxy services\n";

#[test]
fn a_node_that_comes_back_without_its_api_server() {
    let mut control_plane = ControlPlane::start();
    let mut scenario = Scenario::in_cluster(&control_plane, &Config::default());
    let state = scenario.files().directory().join("state");
    scenario.files_mut().add_words(&["--state-dir", state.to_str().expect("text")]);
    scenario.start_daemon();
    scenario
        .apply([web("stays", 10, "pod-c"), web("goes", 11, "pod-b"), web("changes", 12, "pod-c")].concat());
    scenario.take_daemon().terminate();
    scenario.files().cleanup(scenario.node());
    // Something happens while the node is down, and nobody tells it.
    scenario.write([web("stays", 10, "pod-c"), web("changes", 12, "pod-d")].concat());
    control_plane.kill_api_server();
    // A kube-proxy may have served meanwhile, and may know more.
    kernel::load(scenario.node(), KUBE_PROXY);

    scenario.start_daemon();
    said(&scenario, KEPT, 1);
    scenario.check_packets(&[
        case("kept", From::PodA, "10.96.0.10:80", dnat(&["pod-c:8080"])),
        case("kept", From::PodA, "10.96.0.11:80", dnat(&["pod-b:8080"])),
        case("kept", From::PodA, "10.96.0.12:80", dnat(&["pod-c:8080"])),
    ]);
    assert_eq!(scenario.metric("kubeverdict_warm_start_serving"), 1);
    let tables = || kernel::nft(scenario.node(), &["list", "tables"], "").expect("the tables");
    assert!(tables().contains("kube-proxy"), "kube-proxy's rules went for what was kept");
    let mut conversations: Vec<Conversation> = Family::BOTH
        .map(|family| Conversation::open(&scenario, From::PodA, family, "10.96.0.10:80"))
        .into_iter()
        .collect();

    // A restart meanwhile finds the rules and leaves them.
    scenario.take_daemon().kill();
    scenario.start_daemon();
    said(&scenario, "the kernel has the rules of an earlier run, which stay", 1);
    conversations.iter_mut().for_each(Conversation::still_lives);
    scenario.take_daemon().terminate();
    scenario.files().cleanup(scenario.node());
    kernel::load(scenario.node(), KUBE_PROXY);
    scenario.start_daemon();
    said(&scenario, KEPT, 2);

    control_plane.start_api_server();
    said(&scenario, TAKEN_OVER, 1);
    scenario.catch_up();
    scenario.check(&[
        case("as before", From::PodA, "10.96.0.10:80", dnat(&["pod-c:8080"])),
        case("gone", From::PodA, "10.96.0.11:80", DROP),
        case("changed", From::PodA, "10.96.0.12:80", dnat(&["pod-d:8080"])),
    ]);
    assert_eq!(scenario.metric("kubeverdict_warm_start_serving"), 0);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while kernel::nft(scenario.node(), &["list", "tables"], "").expect("the tables").contains("kube-proxy") {
        assert!(std::time::Instant::now() < deadline, "kube-proxy's rules stay:\n{}", scenario.files().log());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    scenario.becomes_what_is_rendered();
}
