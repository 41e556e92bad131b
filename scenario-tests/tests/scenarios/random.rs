//! Random objects, a grid of packets, three judges: the kernel, the model and `explain` agree on every fate.
//! `KUBE_VERDICT_SEED` repeats a run; the seed of a failing one is printed with it.

use kube_verdict_scenario_tests::prelude::*;
use kube_verdict_scenario_tests::random;
use kube_verdict_scenario_tests::rng::{self, Rng};

/// Sets of objects tried with one configuration.
const ROUNDS: usize = 5;
/// Services in a set.
const SERVICES: u8 = 6;
/// Packets of the grid that are tried in a round.
const PACKETS: usize = 70;

fn rounds(config_number: u64) {
    let seed = rng::seed().wrapping_add(config_number);
    eprintln!("random scenario: KUBE_VERDICT_SEED={}", seed.wrapping_sub(config_number));
    let mut rng = Rng::new(seed);
    let config = random::config(&mut rng);
    let mut scenario = Scenario::start(&config);
    for round in 0..ROUNDS {
        let mut parts: Vec<Objects> = (1..=SERVICES).flat_map(|n| random::objects(&mut rng, n)).collect();
        if rng.one_in(2) {
            parts.push(service_cidr("kubernetes", plan::SERVICE_CIDR));
        }
        if rng.one_in(4) {
            parts.push(node(rng.pick(&[None, Some("zone-b"), Some("zone-z")])));
        }
        scenario.apply(parts);
        let mut cases = random::packets(&mut rng, &scenario, 1..=SERVICES, PACKETS);
        let name = format!("round {round} with {config:?}");
        for case in &mut cases {
            case.name.clone_from(&name);
        }
        scenario.check(&cases);
    }
}

#[test]
fn kernel_model_and_explain_agree_1() {
    rounds(1);
}

#[test]
fn kernel_model_and_explain_agree_2() {
    rounds(2);
}

#[test]
fn kernel_model_and_explain_agree_3() {
    rounds(3);
}

#[test]
fn kernel_model_and_explain_agree_4() {
    rounds(4);
}
