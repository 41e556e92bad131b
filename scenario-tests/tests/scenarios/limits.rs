//! Sizes that no sane cluster has. docs/limits.md says what is measured of larger ones.

use kube_verdict_scenario_tests::prelude::*;

const ENDPOINTS: usize = 5000;
/// Endpoints of a slice, as the EndpointSlice controller writes them.
const SLICE: usize = 100;

/// A slice of endpoints that are nowhere.
fn nowhere(number: usize) -> Objects {
    let address = |n: usize| {
        let n = number * SLICE + n;
        at(&format!("10.250.{}.{}", n / 250, n % 250 + 1))
    };
    slice(&format!("big-{number:02}"), "big")
        .only(Family::V4)
        .tcp("http", 8080)
        .with((0..SLICE).map(address))
        .build()
}

#[test]
fn a_service_of_five_thousand_endpoints() {
    let mut scenario = Scenario::start(&Config::default());
    let service =
        || service("big").only(Family::V4).ip("10.96.0.10").tcp("http", 80).node_port(30080).build();
    let slices: Vec<Objects> = (0..ENDPOINTS / SLICE).map(nowhere).collect();
    scenario.apply(std::iter::once(service()).chain(slices.iter().cloned()));
    let targets = match mode() {
        Mode::Nftables => "kubeverdict_elements{ip_family=\"IPv4\",set=\"endpoints\"}",
        Mode::Ipvs => "kubeverdict_ipvs_real_servers{ip_family=\"IPv4\"}",
    };
    scenario.until("every endpoint is there", || scenario.metric(targets) == ENDPOINTS as u64);
    scenario.becomes_what_is_rendered();
    // One of its slices changes; all but one go; it comes to nothing.
    let mut fewer = vec![service()];
    fewer.extend(slices[1..].iter().cloned());
    scenario.apply(fewer);
    scenario.until("a slice less", || scenario.metric(targets) == (ENDPOINTS - SLICE) as u64);
    let one = slice("big-00", "big").only(Family::V4).tcp("http", 8080).with([at("pod-a")]).build();
    scenario.apply([service(), one]);
    for to in ["10.96.0.10:80", "node:30080"] {
        let reached = scenario.reach(From::Client, Family::V4, to);
        assert_eq!(reached.to_string(), plan::socket(Family::V4, "pod-a:8080").to_string());
    }
}
