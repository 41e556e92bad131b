//! From one run to another: what became better or worse beyond the noise of both.

use serde::Serialize;

use super::{Better, Comparison, Figure, Key, Machine, Results, Spread, compare};
use crate::contender::Contender;
use crate::workload::Size;

/// What became of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// worse than before
    Slower,
    /// better than before
    Faster,
    /// no difference beyond the noise
    Same,
}

/// A figure that both runs have.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// which
    pub key: Key,
    /// in the earlier run
    pub old: Spread,
    /// in the later run
    pub new: Spread,
    /// what became of it
    pub change: Change,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Difference {
    /// figures of both, the largest change first among those of the same kind
    pub pairs: Vec<Pair>,
    /// figures that only the earlier run has
    pub gone: Vec<Key>,
    /// figures that only the later run has
    pub added: Vec<Key>,
    /// failures that only the later run has: of whom, at which number of Services, what
    pub failures: Vec<(Contender, u32, String)>,
    /// How the machines differ: what, before, after. Empty: it is the same, as far as can be seen.
    pub machine: Vec<(String, String, String)>,
}

impl Difference {
    /// From an earlier run to a later one.
    pub fn between(old: &Results, new: &Results) -> Self {
        let mut difference =
            Difference { machine: machine(&old.machine, &new.machine), ..Default::default() };
        for figure in &old.figures {
            let key = figure.key();
            match new.figures.iter().find(|other| other.is(&key)) {
                Some(other) => difference.pairs.extend(pair(key, figure, other)),
                None => difference.gone.push(key),
            }
        }
        let is_new = |figure: &&Figure| {
            let key = figure.key();
            !old.figures.iter().any(|other| other.is(&key))
        };
        difference.added = new.figures.iter().filter(is_new).map(Figure::key).collect();
        for failure in &new.failures {
            let failed = (failure.contender, failure.services, failure.what.clone());
            let before = old.failures.iter().any(|other| {
                (other.contender, other.services, &other.what) == (failed.0, failed.1, &failed.2)
            });
            if !before && !difference.failures.contains(&failed) {
                difference.failures.push(failed);
            }
        }
        difference.pairs.sort_by(|one, other| other.factor().total_cmp(&one.factor()));
        difference
    }

    /// Those with this fate.
    pub fn of(&self, change: Change) -> impl Iterator<Item = &Pair> {
        self.pairs.iter().filter(move |pair| pair.change == change)
    }
}

impl Pair {
    /// How many times the lower is the higher: at least 1.
    fn factor(&self) -> f64 {
        let ratio = self.new.median / self.old.median;
        if ratio < 1.0 { 1.0 / ratio } else { ratio }
    }
}

fn pair(key: Key, old: &Figure, new: &Figure) -> Option<Pair> {
    let change = match (compare(&new.samples, &old.samples)?, key.quantity.better()) {
        (Comparison::Equal, _) => Change::Same,
        (Comparison::Lower(_), Better::Lower) | (Comparison::Higher(_), Better::Higher) => Change::Faster,
        (Comparison::Lower(_) | Comparison::Higher(_), _) => Change::Slower,
    };
    Some(Pair { key, old: Spread::of(&old.samples)?, new: Spread::of(&new.samples)?, change })
}

impl Figure {
    /// What it is of.
    pub fn key(&self) -> Key {
        Key {
            quantity: self.quantity,
            contender: self.contender,
            size: Size { services: self.services, endpoints: self.endpoints },
            variant: self.variant.clone(),
        }
    }
}

fn machine(old: &Machine, new: &Machine) -> Vec<(String, String, String)> {
    let described = |machine: &Machine| {
        [
            ("kernel", machine.kernel.clone()),
            ("processor", machine.processor.clone()),
            ("cores", machine.cores.to_string()),
            ("MiB of memory", (machine.memory >> 20).to_string()),
        ]
    };
    let pairs = described(old).into_iter().zip(described(new));
    let differ = pairs.filter(|((_, old), (_, new))| old != new);
    differ.map(|((name, old), (_, new))| (name.to_owned(), old, new)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{Failure, Quantity};

    const OURS: Contender = Contender::KubeVerdictNftables;

    fn run(samples: &[(Quantity, [f64; 3])]) -> Results {
        let mut results = Results::default();
        for (quantity, values) in samples {
            for value in values {
                let size = Size { services: 10, endpoints: 1 };
                let key = Key { quantity: *quantity, contender: OURS, size, variant: String::new() };
                results.add(key, *value);
            }
        }
        results
    }

    #[test]
    fn slower_faster_and_the_same() {
        let old = run(&[
            (Quantity::FirstSync, [1.0, 1.0, 1.1]),
            (Quantity::ChurnRate, [100.0, 101.0, 102.0]),
            (Quantity::Resident, [5.0, 5.0, 5.0]),
            (Quantity::Peak, [5.0, 5.0, 5.0]),
        ]);
        let new = run(&[
            (Quantity::FirstSync, [3.0, 3.1, 3.2]),
            (Quantity::ChurnRate, [200.0, 201.0, 202.0]),
            (Quantity::Resident, [5.0, 5.0, 5.1]),
            (Quantity::Restart, [5.0, 5.0, 5.0]),
        ]);
        let difference = Difference::between(&old, &new);
        let found: Vec<_> = difference.pairs.iter().map(|pair| (pair.key.quantity, pair.change)).collect();
        assert_eq!(
            found,
            [
                (Quantity::FirstSync, Change::Slower),
                (Quantity::ChurnRate, Change::Faster),
                (Quantity::Resident, Change::Same)
            ]
        );
        assert_eq!(
            (difference.gone[0].quantity, difference.added[0].quantity),
            (Quantity::Peak, Quantity::Restart)
        );
    }

    #[test]
    fn new_failures_and_other_machines_are_told() {
        let (old, mut new) = (run(&[]), run(&[]));
        new.machine.kernel = "7.2".into();
        for round in [1, 2] {
            let error = format!("round {round}");
            new.failures.push(Failure { contender: OURS, services: 10, what: "change".into(), error });
        }
        let difference = Difference::between(&old, &new);
        assert_eq!(difference.failures, [(OURS, 10, "change".to_owned())]);
        assert_eq!(difference.machine, [("kernel".to_owned(), String::new(), "7.2".to_owned())]);
        assert_eq!(Difference::between(&new, &new), Difference::default());
    }
}
