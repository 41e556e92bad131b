//! What IPVS mode has of its own (reference §12): its schedulers, what drains, what it forgets, and whom it lives beside.
//! What becomes of a packet is the same in both modes, and is in the other modules. In nftables mode each of these ends at
//! once, with a word.

mod affinity;
mod draining;
mod frontends;
mod host;
mod idle;
mod others;
mod routing;
mod schedulers;
mod sctp;

use kube_verdict_scenario_tests::prelude::*;

/// Two local pods and two remote ones.
const EVERYWHERE: [&str; 4] = ["pod-a", "pod-b", "pod-c", "pod-d"];

fn ends(name: &str, pods: &[&str]) -> Objects {
    slice(name, name).tcp("http", 8080).with(pods.iter().map(|pod| at(pod))).build()
}

fn at_pod(family: Family, pod: &str) -> std::net::SocketAddr {
    plan::socket(family, &format!("{pod}:8080"))
}
