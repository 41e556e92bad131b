//! What is tried, within what an API server takes and both proxies promise.

use kube_verdict_scenario_tests::prelude::*;
use kube_verdict_scenario_tests::random;
use kube_verdict_scenario_tests::rng::Rng;
use kube_verdict_scenario_tests::topology::Host;
use serde_json::Value;

/// Configurations that mean the same to kube-proxy 1.36. Interfaces of pods are told by name in both.
pub fn config(rng: &mut Rng) -> Config {
    random::config(rng)
}

/// Service `n` and its slices, as an API server takes them.
pub fn objects(rng: &mut Rng, n: u8) -> Vec<Value> {
    let mut objects = random::objects(rng, n).concat();
    objects.iter_mut().for_each(admit);
    objects
}

fn admit(object: &mut Value) {
    let exposed = object["spec"]["type"] != "ClusterIP" || object["spec"]["externalIPs"].is_array();
    let spec = object.get_mut("spec").and_then(Value::as_object_mut);
    if let Some(spec) = spec.filter(|_| !exposed) {
        // A policy for traffic from outside, where there is none.
        spec.remove("externalTrafficPolicy");
    }
    let endpoints = object.get_mut("endpoints").and_then(Value::as_array_mut);
    for endpoint in endpoints.into_iter().flatten() {
        // An endpoint without a node may be the source of a hairpin here and not there (docs/differences.md).
        if endpoint["nodeName"].is_null() {
            let ip = endpoint["addresses"][0].as_str().and_then(|text| text.parse().ok());
            let is_local = matches!(ip.and_then(Host::of), Some(Host::PodA | Host::PodB | Host::Node));
            endpoint["nodeName"] = if is_local { plan::NODE } else { "node-elsewhere" }.into();
        }
    }
}
