//! The same objects, changing step by step, to the real kube-proxy and to us; the same packets through both
//! kernels. Each is judged by the independent model: verdict, set of backends and masquerading, packet by
//! packet. Where the two may differ is listed in docs/differences.md, and left out of the grid below.
//!
//! `KUBE_VERDICT_SEED` repeats a run; the seed of a failing one is printed with it. `KUBE_VERDICT_STEPS` makes it
//! longer (`make differential`).

mod grid;
mod world;

use kube_verdict_scenario_tests::rng;

/// Steps of one run, in each of which some of the objects change.
const STEPS: u32 = 5;

fn run(number: u64) {
    let seed = rng::seed().wrapping_add(number);
    eprintln!("differential test: KUBE_VERDICT_SEED={}", seed.wrapping_sub(number));
    let steps = std::env::var("KUBE_VERDICT_STEPS").ok().map(|text| text.parse().expect("a number of steps"));
    world::World::new(seed).walk(steps.unwrap_or(STEPS));
}

#[test]
fn kube_proxy_and_we_agree_1() {
    run(11);
}

#[test]
fn kube_proxy_and_we_agree_2() {
    run(12);
}
