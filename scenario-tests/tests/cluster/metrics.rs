//! The metrics of the real kube-proxy and ours, name by name: dashboards and alerts go on working, or
//! docs/metrics.md says why not.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use kube_verdict_scenario_tests::cluster::ControlPlane;
use kube_verdict_scenario_tests::exposition::{self, Exposition};
use kube_verdict_scenario_tests::metrics_page;
use kube_verdict_scenario_tests::peer::{KubeProxy, Mode};
use kube_verdict_scenario_tests::prelude::*;
use kube_verdict_scenario_tests::topology::Host;
use kube_verdict_scenario_tests::{http, topology::Topology};
use serde_json::json;

fn objects() -> Vec<Objects> {
    vec![
        service("web").ip("10.96.0.10").tcp("http", 80).build(),
        slice("web-1", "web").tcp("http", 8080).with([at("pod-a")]).build(),
    ]
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn scrape(netns: &kube_verdict_scenario_tests::netns::Netns) -> Exposition {
    // So that counters by answer are there.
    for path in ["/healthz", "/livez"] {
        http::becomes(netns, address(10256), path, |answer| answer.status == 200);
    }
    let answer = http::becomes(netns, address(10249), "/metrics", |answer| answer.status == 200);
    exposition::parse(&answer.body).unwrap_or_else(|error| panic!("{error}\n{}", answer.body))
}

fn theirs() -> Exposition {
    let control_plane = ControlPlane::start();
    let topology = Topology::new();
    let netns = topology.of(Host::Node);
    let api = control_plane.connect(netns);
    let objects: Objects = objects().into_iter().chain([node(Some(plan::ZONE))]).flatten().collect();
    control_plane.api().apply(&objects);
    let config = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration", "mode": "nftables",
        "clusterCIDR": plan::both_cidrs(plan::CLUSTER_CIDR).join(","),
    });
    let mut kube_proxy = KubeProxy::start(Mode::Nftables, netns, &config, &api);
    kube_proxy.wait_for(&["10.96.0.10".to_owned()]);
    scrape(netns)
}

#[test]
fn every_metric_of_kube_proxy_is_here_or_accounted_for() {
    let theirs = theirs();
    let control_plane = ControlPlane::start();
    let mut scenario = Scenario::start_in(&control_plane, &Config::default());
    scenario.apply(objects());
    let ours = scrape(scenario.node());
    let absent = metrics_page::absent();
    let is_absent = |name: &str| {
        absent
            .keys()
            .any(|key| key == name || key.strip_suffix('*').is_some_and(|start| name.starts_with(start)))
    };
    let mut complaints = Vec::new();
    for (name, family) in &theirs {
        let Some(own) = ours.get(name) else {
            if !is_absent(name) {
                complaints.push(format!("{name} is neither here nor in docs/metrics.md: {}", family.help));
            }
            continue;
        };
        if is_absent(name) {
            complaints.push(format!("{name} is here, and docs/metrics.md says that it is not"));
        }
        if own.kind != family.kind || own.help != family.help || own.labels() != family.labels() {
            complaints.push(format!(
                "{name} differs: {} {:?} {:?} instead of {} {:?} {:?}",
                own.kind,
                own.labels(),
                own.help,
                family.kind,
                family.labels(),
                family.help
            ));
        }
        // What requests had come to at this moment is chance.
        for label in
            ["le", "ip_family", "traffic_policy", "code"].iter().filter(|_| !name.starts_with("rest_"))
        {
            let (own, their) = (own.values(label), family.values(label));
            let missing: BTreeSet<_> = their.difference(&own).collect();
            if !missing.is_empty() {
                complaints.push(format!("{name}: {label} is never {missing:?}"));
            }
        }
    }
    let has = |key: &str| match key.strip_suffix('*') {
        Some(start) => theirs.keys().any(|name| name.starts_with(start)),
        None => theirs.contains_key(key),
    };
    // Some are there only after something happened, and the page says so.
    let gone = absent.iter().filter(|(name, reason)| !has(name) && !reason.starts_with("only there"));
    let gone: Vec<&String> = gone.map(|(name, _)| name).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert!(
        gone.is_empty(),
        "docs/metrics.md speaks of metrics that this kube-proxy does not have: {gone:?}"
    );
}

/// Health answers differ in nothing but times.
#[test]
fn health_is_told_in_kube_proxys_words() {
    let control_plane = ControlPlane::start();
    let topology = Topology::new();
    let netns = topology.of(Host::Node);
    let api = control_plane.connect(netns);
    control_plane.api().apply(&node(Some(plan::ZONE)));
    let config = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration", "mode": "nftables",
    });
    let _kube_proxy = KubeProxy::start(Mode::Nftables, netns, &config, &api);
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply([]);
    for (port, path) in [
        (10256, "/healthz"),
        (10256, "/livez"),
        (10256, "/nowhere"),
        (10249, "/proxyMode"),
        (10249, "/healthz"),
        (10249, "/nowhere"),
    ] {
        let wanted = if path == "/nowhere" { 404 } else { 200 };
        let [theirs, ours] = [netns, scenario.node()]
            .map(|netns| http::becomes(netns, address(port), path, |answer| answer.status == wanted));
        assert_eq!(shape(&ours.body), shape(&theirs.body), "{path}");
        for header in ["content-type", "x-content-type-options"] {
            assert_eq!(ours.header(header), theirs.header(header), "{path}");
        }
    }
}

/// A text with every time in it replaced.
fn shape(text: &str) -> String {
    let parts =
        text.split('"').map(|part| if part.starts_with("20") && part.contains('T') { "TIME" } else { part });
    parts.collect::<Vec<_>>().join("\"")
}
