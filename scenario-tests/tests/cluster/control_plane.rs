//! The harness itself.

use kube_verdict_scenario_tests::cluster::{ControlPlane, path_of};
use kube_verdict_scenario_tests::manifest::{at, service, slice};
use kube_verdict_scenario_tests::netns::Netns;
use kube_verdict_scenario_tests::plan;

#[test]
fn objects_outlive_the_api_server() {
    let mut control_plane = ControlPlane::start();
    let objects: Vec<_> = [
        service("web").ip("10.96.0.10").tcp("http", 80).build(),
        slice("web-1", "web").tcp("http", 8080).with([at(plan::POD_A)]).build(),
    ]
    .concat();
    control_plane.api().replace(&objects);
    control_plane.kill_api_server();
    assert!(control_plane.api().get(&path_of(&objects[0])).is_err());
    control_plane.start_api_server();
    let found = control_plane.api().get(&path_of(&objects[0])).unwrap();
    assert_eq!(found["spec"]["clusterIP"], "10.96.0.10");
    control_plane.compact();
    control_plane.api().replace(&Vec::new());
    assert_eq!(control_plane.api().get(&path_of(&objects[0])).unwrap_err().code, Some(404));
}

#[test]
fn a_node_reaches_it_over_its_link() {
    let control_plane = ControlPlane::start();
    let node = Netns::new();
    let link = control_plane.connect(&node);
    let seen = node.run(|| std::net::TcpStream::connect((link.server, link.port)).is_ok());
    assert!(seen);
    assert!(control_plane.kubectl(&["get", "--raw", "/readyz"]).is_ok_and(|text| text == "ok"));
}
