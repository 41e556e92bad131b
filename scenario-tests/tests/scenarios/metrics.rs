//! `/metrics` (reference §14.1): well-formed, documented, and true.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use kube_verdict_scenario_tests::exposition::{self, Exposition};
use kube_verdict_scenario_tests::http;
use kube_verdict_scenario_tests::kernel;
use kube_verdict_scenario_tests::metrics_page;
use kube_verdict_scenario_tests::prelude::*;

fn scrape(scenario: &Scenario) -> Exposition {
    let address = SocketAddr::from(([127, 0, 0, 1], 10249));
    let answer = http::get(scenario.node(), address, "/metrics").expect("metrics");
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    exposition::parse(&answer.body).unwrap_or_else(|error| panic!("{error}\n{}", answer.body))
}

/// The one sample of a metric that has these labels.
fn value(exposition: &Exposition, name: &str, labels: &[(&str, &str)]) -> f64 {
    let family = exposition.values().find(|family| family.samples.iter().any(|s| s.name == name));
    let samples = family.unwrap_or_else(|| panic!("no {name}")).samples.iter();
    let has = |sample: &&exposition::Sample| {
        let mut labels = labels.iter();
        sample.name == name && labels.all(|(k, v)| sample.labels.get(*k).is_some_and(|value| value == v))
    };
    let found: Vec<f64> = samples.filter(has).map(|sample| sample.value).collect();
    assert_eq!(found.len(), 1, "{name} {labels:?}");
    found[0]
}

fn objects() -> Vec<Objects> {
    vec![
        service("web").ip("10.96.0.10").tcp("http", 80).node_port(30080).external_local().build(),
        slice("web-1", "web").tcp("http", 8080).with([at("pod-c"), at("pod-d")]).build(),
    ]
}

#[test]
fn they_are_well_formed_and_documented() {
    let mut scenario = Scenario::without_daemon(&Config::default());
    let state = scenario.files().directory().join("state");
    scenario.files_mut().add_words(&["--state-dir", state.to_str().expect("text")]);
    scenario.write([]);
    scenario.start_daemon();
    let mut objects = objects();
    // Who asks nobody has nothing to tell of it.
    objects[0][0]["metadata"]["annotations"] = serde_json::json!({"kube-verdict.io/health-check": "tcp"});
    scenario.apply(objects);
    let exposition = scrape(&scenario);
    let complaints = exposition::lint(&exposition, metrics_page::UPSTREAM_NAMES);
    assert_eq!(complaints, Vec::<String>::new());
    let mut documented = metrics_page::ours();
    // There is no API server to ask here.
    assert!(documented.remove("rest_client_requests_total").is_some());
    let names: BTreeSet<&String> = exposition.keys().collect();
    let known: BTreeSet<&String> = documented.keys().collect();
    assert_eq!(names, known, "docs/metrics.md and the daemon disagree");
    for (name, family) in &exposition {
        let (kind, labels) = &documented[name];
        assert_eq!(&family.kind, kind, "{name}");
        assert_eq!(&family.labels(), labels, "{name}");
    }
}

#[test]
fn they_say_what_is_there() {
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply(objects());
    let first = scrape(&scenario);
    // A slot for each endpoint; the same for the NodePort is in another map. One mark for however many.
    let (targets_of_web, targets) = match mode() {
        Mode::Nftables => (("set", "endpoints"), 2.0),
        Mode::Ipvs => (("set", "marks"), 1.0),
    };
    for family in ["IPv4", "IPv6"] {
        let family = ("ip_family", family);
        let lacking = |policy| {
            value(
                &first,
                "kubeproxy_sync_proxy_rules_no_local_endpoints_total",
                &[("traffic_policy", policy), family],
            )
        };
        assert_eq!((lacking("internal"), lacking("external")), (0.0, 1.0));
        assert_eq!(value(&first, "kubeverdict_elements", &[targets_of_web, family]), targets);
        assert!(value(&first, "kubeproxy_sync_proxy_rules_last_timestamp_seconds", &[family]) > 1.6e9);
        assert!(value(&first, "kubeproxy_sync_full_proxy_rules_duration_seconds_count", &[family]) >= 1.0);
    }
    // The sentinel and web; the slice of each family.
    assert_eq!(value(&first, "kubeverdict_objects", &[("kind", "Service")]), 2.0);
    assert_eq!(value(&first, "kubeverdict_objects", &[("kind", "EndpointSlice")]), 2.0);
    assert_eq!(value(&first, "kubeproxy_sync_proxy_rules_endpoint_changes_pending", &[]), 0.0);
    assert!(value(&first, "process_resident_memory_bytes", &[]) > 1e6);

    scenario.apply([service("web").ip("10.96.0.10").tcp("http", 80).build()]);
    let second = scrape(&scenario);
    let grew = |name: &str| value(&second, name, &[]) - value(&first, name, &[]);
    // The Service and the sentinel; a slice of each family went.
    assert_eq!(grew("kubeproxy_sync_proxy_rules_service_changes_total"), 2.0);
    assert_eq!(grew("kubeproxy_sync_proxy_rules_endpoint_changes_total"), 2.0);
    assert!(grew("kubeverdict_batches_total") >= 2.0 && grew("kubeverdict_operations_total") > 4.0);
    assert_eq!(value(&second, "kubeverdict_elements", &[targets_of_web, ("ip_family", "IPv4")]), 0.0);
    for what in ["nftables", "ipvs", "routing"] {
        assert_eq!(value(&second, "kubeverdict_foreign_changes_repaired_total", &[("what", what)]), 0.0);
    }
}

#[test]
fn foreign_changes_are_counted_when_they_are_mended() {
    let mut scenario = Scenario::start(&Config::default().sync_period("1s"));
    scenario.apply(objects());
    kernel::load(scenario.node(), "flush chain ip kube-verdict prerouting\n");
    let address = SocketAddr::from(([127, 0, 0, 1], 10249));
    http::becomes(scenario.node(), address, "/metrics", |answer| {
        answer.body.contains("\nkubeverdict_foreign_changes_repaired_total{what=\"nftables\"} 1\n")
    });
}
