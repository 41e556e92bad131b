//! Many seeds, and whether the judge can find anything at all.

use super::plan::{Cheat, Plan};
use super::script::{Failure, simulate, simulate_as};

/// So many are run unless somebody asks for more.
const SEEDS: u64 = 1500;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text:?} is not a number")))
}

/// Fails with what happened, in as few steps as it happens.
fn complain(seed: u64, failure: Failure) -> ! {
    let shorter = (0..5).map(|n| 1 << n).find_map(|steps| simulate(seed, Some(steps)).err());
    let Failure { what, trace } = shorter.unwrap_or(failure);
    panic!(
        "seed {seed}: {what}\n{trace}\nTo see it again: KUBE_VERDICT_SEED={seed} cargo test -p kube-verdict --lib \
         simulation::tests::seeds"
    );
}

#[test]
fn seeds_end_well() {
    let one = number("KUBE_VERDICT_SEED");
    let many = number("KUBE_VERDICT_SEEDS");
    let (first, count) = match (one, many) {
        (Some(first), many) => (first, many.unwrap_or(1)),
        (None, None) => (0, SEEDS),
        (None, Some(count)) => {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            (now.map_or(0, |since| since.as_nanos() as u64), count)
        }
    };
    for seed in first..first.saturating_add(count) {
        if let Err(failure) = simulate(seed, None) {
            complain(seed, failure);
        }
    }
}

#[test]
fn a_seed_repeats_itself() {
    for seed in 0..40 {
        let told = |result: Result<String, Failure>| result.unwrap_or_else(|failure| failure.trace);
        assert_eq!(told(simulate(seed, None)), told(simulate(seed, None)), "seed {seed}");
    }
}

/// How many of some seeds end badly, and the first complaint.
fn complaints(cheat: Cheat) -> (usize, String) {
    let played = (0..20).filter_map(|seed| {
        let plan = Plan { cheat, ..Plan::quiet(seed % 2 == 1) };
        simulate_as(seed, plan).err().map(|failure| failure.what)
    });
    let complaints: Vec<String> = played.collect();
    (complaints.len(), complaints.into_iter().next().unwrap_or_default())
}

#[test]
fn without_trouble_nobody_complains() {
    assert_eq!(complaints(Cheat::Never), (0, String::new()));
}

#[test]
fn a_kernel_that_loses_an_element_is_noticed() {
    let (count, first) = complaints(Cheat::Loses);
    assert!(count > 15 && first.contains("a change of ours leads packets from"), "{count}: {first}");
}

#[test]
fn a_kernel_that_lies_is_noticed() {
    let (count, first) = complaints(Cheat::Lies);
    assert!(count > 15 && first.contains("all is said to be well"), "{count}: {first}");
}
