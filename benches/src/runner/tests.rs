//! The loop, with turns that only say what they would.

use super::*;
use crate::results::{Entrant, Quantity};

const OURS: Contender = Contender::KubeVerdictNftables;
const PROXY: Contender = Contender::KubeProxyNftables;

/// What a turn says, and how it ends.
type Script = fn(&Order, &mut dyn FnMut(Message)) -> End;

struct Fake {
    script: Script,
    elapsed: Duration,
    kept: u32,
    skipped: Vec<(Contender, u32, Vec<String>)>,
}

impl Outside for Fake {
    fn play(&mut self, order: &Order, hear: &mut dyn FnMut(Message)) -> End {
        self.elapsed += Duration::from_secs(1);
        self.skipped.push((order.contender, order.size.services, order.skip.clone()));
        (self.script)(order, hear)
    }

    fn elapsed(&self) -> Duration {
        self.elapsed
    }

    fn turn(&mut self, _: &Slot, _: f64) {}

    fn over(&mut self, _: &Results, _: Duration, _: usize) -> Result<(), Error> {
        self.kept += 1;
        Ok(())
    }
}

fn performed(script: Script) -> (Results, Fake) {
    let plan =
        Plan::new([1, 100].into_iter().flat_map(|size| [(size, OURS), (size, PROXY)]), Limit::Rounds(2));
    let patience = Duration::from_secs(1);
    let setting = Setting {
        endpoints: 10,
        what: vec![Group::Program],
        effort: Effort { patience, budget: patience, changes: 1 },
        programs: Programs { kube_verdict: "kube-verdict".into(), kube_proxy: None },
    };
    let entrant = |contender| Entrant { contender, version: String::new() };
    let mut results = Results { contenders: [OURS, PROXY].map(entrant).into(), ..Results::default() };
    let mut fake = Fake { script, elapsed: Duration::ZERO, kept: 0, skipped: Vec::new() };
    perform(plan, &setting, &mut results, &mut fake).unwrap();
    (results, fake)
}

fn sample(order: &Order, hear: &mut dyn FnMut(Message)) {
    let (contender, variant) = (order.contender, String::new());
    hear(Message::Sample { contender, quantity: Quantity::FirstSync, variant, value: 1.0 });
}

fn failure(hear: &mut dyn FnMut(Message), what: &str, slow: bool) {
    hear(Message::Failure { what: what.into(), error: "oh".into(), slow });
}

#[test]
fn samples_of_all_rounds_are_kept_after_every_turn() {
    let (results, fake) = performed(|order, hear| {
        sample(order, hear);
        End::Over
    });
    assert_eq!((results.figures.len(), results.rounds, fake.kept), (4, 2, 8));
    assert!(results.figures.iter().all(|figure| figure.samples == [1.0, 1.0]));
    assert_eq!(results.failures, []);
}

#[test]
fn who_is_too_slow_is_not_tried_again_and_that_is_told() {
    let (results, fake) = performed(|order, hear| {
        if order.contender == PROXY {
            failure(hear, FIRST, true);
        }
        End::Over
    });
    assert_eq!(fake.kept, 5, "one turn of the slow one");
    let told: Vec<(u32, &str)> =
        results.failures.iter().map(|failure| (failure.services, failure.error.as_str())).collect();
    assert_eq!(told, [(1, "round 1: oh"), (100, "not tried: too slow at 1")]);
}

#[test]
fn a_slow_measurement_is_left_out_and_the_others_go_on() {
    let (_, fake) = performed(|order, hear| {
        if order.contender == PROXY && order.size.services == 100 && order.skip.is_empty() {
            failure(hear, "churn", true);
        }
        End::Over
    });
    assert_eq!(fake.kept, 8);
    let skipped: Vec<_> = fake.skipped.iter().filter(|(.., steps)| !steps.is_empty()).collect();
    assert_eq!(skipped, [&(PROXY, 100, vec!["churn".to_owned()])]);
}

#[test]
fn what_fails_at_once_is_tried_again() {
    let (results, fake) = performed(|_, hear| {
        failure(hear, FIRST, false);
        End::Over
    });
    assert_eq!((fake.kept, results.failures.len()), (8, 8));
}

#[test]
fn a_death_is_a_failure_of_the_step_in_which_it_came() {
    let (results, fake) = performed(|order, hear| {
        sample(order, hear);
        hear(Message::Step("change".into()));
        if order.contender == PROXY { End::Died("signal 9".into()) } else { End::Over }
    });
    assert_eq!((fake.kept, results.failures.len(), results.figures.len()), (8, 4, 4));
    assert_eq!(results.failures[0].what, "change");
    assert!(results.failures[0].error.contains("signal 9"));
}

#[test]
fn after_an_interruption_there_is_what_there_was() {
    let (results, fake) = performed(|order, hear| {
        sample(order, hear);
        if order.size.services == 100 { End::Interrupted } else { End::Over }
    });
    assert_eq!((fake.kept, results.rounds, results.figures.len()), (3, 0, 3));
    assert!(results.notes[0].contains("interrupted"));
}
