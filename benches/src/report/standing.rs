//! How kube-verdict stands to everybody else, figure by figure: won, lost or equal, by the noise of both.

use crate::contender::{Contender, Kind};
use crate::results::{Better, Comparison, Figure, Quantity, Results, Spread, compare};

/// How a comparison ended, as kube-verdict sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// kube-verdict is better
    Wins,
    /// no difference beyond the noise
    Ties,
    /// the other one is better
    Loses,
    /// the other one has a figure, and kube-verdict has none
    Missing,
}

/// One comparison.
#[derive(Clone, Debug)]
pub struct Standing<'a> {
    /// kube-verdict's
    pub ours: Contender,
    /// the median and its spread; none: it has no figure
    pub our: Option<Spread>,
    /// the other's
    pub theirs: &'a Figure,
    /// the median and its spread
    pub their: Spread,
    /// who is better
    pub verdict: Verdict,
}

/// All comparisons of each of kube-verdict's modes with each kube-proxy, and with rules of its shape.
pub fn standings(results: &Results) -> Vec<Standing<'_>> {
    let who = |kinds: &'static [Kind]| {
        let all = results.contenders.iter().map(|entrant| entrant.contender);
        all.filter(move |contender| kinds.contains(&contender.kind()))
    };
    let mut standings = Vec::new();
    for ours in who(&[Kind::Ours]) {
        for other in who(&[Kind::Peer, Kind::Rules]) {
            let theirs = results.figures.iter().filter(|figure| figure.contender == other);
            standings.extend(theirs.filter_map(|theirs| against(results, ours, theirs)));
        }
    }
    standings.sort_by_key(|standing| {
        let theirs = standing.theirs;
        (standing.ours, theirs.quantity, theirs.variant.clone(), theirs.services, theirs.contender)
    });
    standings
}

fn against<'a>(results: &'a Results, ours: Contender, theirs: &'a Figure) -> Option<Standing<'a>> {
    let same = |figure: &&Figure| {
        figure.contender == ours
            && (figure.quantity, figure.services, figure.endpoints)
                == (theirs.quantity, theirs.services, theirs.endpoints)
            && figure.variant == theirs.variant
    };
    let our = results.figures.iter().find(same);
    let verdict = match our {
        Some(our) => verdict(theirs.quantity, compare(&theirs.samples, &our.samples)?),
        // What is measured of rules alone, and rates that only one of both was tried at, are no comparison.
        None if has_failed(results, ours, theirs.services) => Verdict::Missing,
        None => return None,
    };
    let our = our.and_then(|figure| Spread::of(&figure.samples));
    Some(Standing { ours, our, theirs, their: Spread::of(&theirs.samples)?, verdict })
}

fn verdict(quantity: Quantity, theirs: Comparison) -> Verdict {
    match (theirs, quantity.better()) {
        (Comparison::Equal, _) => Verdict::Ties,
        (Comparison::Lower(_), Better::Lower) | (Comparison::Higher(_), Better::Higher) => Verdict::Loses,
        _ => Verdict::Wins,
    }
}

fn has_failed(results: &Results, contender: Contender, services: u32) -> bool {
    results.failures.iter().any(|failure| (failure.contender, failure.services) == (contender, services))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use crate::results::Failure;

    fn verdicts(results: &Results, quantity: Quantity) -> Vec<Verdict> {
        let of = |standing: &Standing| standing.theirs.quantity == quantity;
        standings(results).iter().filter(|standing| of(standing)).map(|standing| standing.verdict).collect()
    }

    #[test]
    fn lost_won_and_equal() {
        let results = sample::results();
        assert_eq!(verdicts(&results, Quantity::Throughput), [Verdict::Ties; 3]);
        assert_eq!(verdicts(&results, Quantity::Resident), [Verdict::Wins; 3]);
        let packets = verdicts(&results, Quantity::FirstPacketP50);
        assert_eq!(packets.iter().filter(|verdict| **verdict == Verdict::Loses).count(), 3, "{packets:?}");
    }

    #[test]
    fn more_is_better_where_more_is_better() {
        assert_eq!(verdict(Quantity::Throughput, Comparison::Higher(1.5)), Verdict::Loses);
        assert_eq!(verdict(Quantity::Throughput, Comparison::Lower(0.5)), Verdict::Wins);
        assert_eq!(verdict(Quantity::FirstSync, Comparison::Lower(0.5)), Verdict::Loses);
    }

    #[test]
    fn a_figure_that_only_the_other_has_is_lost_if_ours_failed() {
        let mut results = sample::results();
        let ours = Contender::KubeVerdictNftables;
        results.figures.retain(|figure| figure.contender != ours || figure.quantity != Quantity::Throughput);
        assert_eq!(verdicts(&results, Quantity::Throughput), []);
        let failure = Failure { contender: ours, services: 1, what: "datapath".into(), error: "oh".into() };
        results.failures.push(failure);
        assert_eq!(verdicts(&results, Quantity::Throughput), [Verdict::Missing]);
    }
}
