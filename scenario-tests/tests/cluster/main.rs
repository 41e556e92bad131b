//! Against a real kube-apiserver and etcd.

mod configuration;
mod control_plane;
mod credentials;
mod flows;
mod manifests;
mod many;
mod metrics;
mod node;
mod outages;
mod selection;
mod warm;

use std::fs;
use std::time::{Duration, Instant};

use kube_verdict_scenario_tests::prelude::*;
use serde_json::Value;

/// What the daemon says when it has compared the kernel with the API for the first time.
const IN_SYNC: &str = "the kernel is as the API says";

/// A Service at 10.96.0.`number`, and its endpoint.
fn web(name: &str, number: u8, endpoint: &str) -> Vec<Objects> {
    vec![
        service(name).ip(&format!("10.96.0.{number}")).tcp("http", 80).build(),
        slice(name, name).tcp("http", 8080).with([at(endpoint)]).build(),
    ]
}

/// Waits until the daemon's log says something, so many times.
fn said(scenario: &Scenario, words: &str, times: usize) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while scenario.files().log().matches(words).count() < times {
        assert!(Instant::now() < deadline, "{words:?} is not in the log:\n{}", scenario.files().log());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Changes the file that leads the daemon to the API server.
fn edit_kubeconfig(scenario: &Scenario, edit: impl FnOnce(&mut Value)) {
    let path = scenario.files().kubeconfig();
    let mut value: Value = serde_json::from_slice(&fs::read(&path).expect("the file")).expect("JSON");
    edit(&mut value);
    let new = path.with_extension("new");
    fs::write(&new, value.to_string()).expect("writing a kubeconfig");
    fs::rename(new, path).expect("renaming a kubeconfig");
}
