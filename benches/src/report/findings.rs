//! What a reader in a hurry should know: sentences, computed.

use super::sheet::{Sheet, baseline};
use super::standing::{Standing, Verdict};
use super::units::{self, Scale};
use crate::contender::{Contender, Kind};
use crate::results::{Comparison, Figure, Quantity, Results, Spread, compare};

/// What is told, in this order, and how the sentence begins.
const TOLD: &[(Quantity, &str, &str)] = &[
    (Quantity::ChangeP50, "", "When an endpoint is replaced, a client notices after"),
    (Quantity::FirstSync, "", "An empty node serves its clients after"),
    (Quantity::FirstPacketP50, "udp, last Service", "The first packet of a flow to the last Service takes"),
];

/// The sentences.
pub fn findings(results: &Results, standings: &[Standing]) -> Vec<String> {
    let mut told: Vec<String> = TOLD
        .iter()
        .filter_map(|(quantity, variant, lead)| sentence(results, *quantity, variant, lead))
        .collect();
    told.extend(tally(results, standings));
    told
}

/// One quantity at the largest size at which kube-verdict has it.
fn sentence(results: &Results, quantity: Quantity, variant: &str, lead: &str) -> Option<String> {
    let sheet = Sheet::find(results, quantity, variant)?;
    let ours = sheet.row(baseline(results)?)?;
    let (services, spread) = ours.points().pop()?;
    let ours = ours.at(services)?;
    let said = Scale::of(quantity.unit(), spread.median).text(spread.median);
    let others: Vec<String> = (results.contenders.iter().map(|entrant| entrant.contender))
        .filter(|contender| matches!(contender.kind(), Kind::Peer | Kind::Rules))
        .filter_map(|contender| {
            let theirs = sheet.row(contender).and_then(|row| row.at(services));
            Some(match theirs {
                Some(figure) => other(ours, figure, contender)?,
                None if failed(results, contender, services) => {
                    format!("{} did not get there", contender.label())
                }
                None => return None,
            })
        })
        .collect();
    let compared = if others.is_empty() { String::new() } else { format!("; {}", others.join(", ")) };
    let number = match services {
        1 => "1 Service".to_owned(),
        services => format!("{} Services", units::count(services)),
    };
    Some(format!("{lead} **{said}** with {} and {number}{compared}.", ours.contender.label()))
}

fn other(ours: &Figure, theirs: &Figure, contender: Contender) -> Option<String> {
    let median = Spread::of(&theirs.samples)?.median;
    let said = units::human(theirs.quantity.unit(), median);
    let times = match compare(&theirs.samples, &ours.samples)? {
        Comparison::Equal => "no difference beyond the noise".to_owned(),
        Comparison::Lower(ratio) | Comparison::Higher(ratio) => units::ratio(ratio),
    };
    Some(format!("{said} with {} ({times})", contender.label()))
}

fn failed(results: &Results, contender: Contender, services: u32) -> bool {
    results.failures.iter().any(|failure| (failure.contender, failure.services) == (contender, services))
}

/// How often kube-verdict wins, ties and loses.
fn tally(results: &Results, standings: &[Standing]) -> Option<String> {
    let ours = baseline(results)?;
    let count = |wanted: &[Verdict]| {
        let of_ours = standings.iter().filter(|standing| standing.ours == ours);
        of_ours.filter(|standing| wanted.contains(&standing.verdict)).count()
    };
    let (wins, ties) = (count(&[Verdict::Wins]), count(&[Verdict::Ties]));
    let losses = count(&[Verdict::Loses, Verdict::Missing]);
    (wins + ties + losses > 0).then(|| {
        format!(
            "Of {} comparisons with others, {} is better in {wins}, equal within the noise in {ties}, and worse in \
             {losses}: [all of the latter](#where-kube-verdict-loses-or-ties).",
            wins + ties + losses,
            ours.label()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{sample, standing};

    #[test]
    fn the_largest_size_is_told_with_who_did_not_get_there() {
        let results = sample::results();
        let told = findings(&results, &standing::standings(&results));
        assert_eq!(told.len(), 4);
        assert_eq!(
            told[1],
            "An empty node serves its clients after **600 ms** with kube-verdict nftables and 10,000 Services; \
             15.3 s with kube-proxy nftables (25.5 ×), 10.2 s with kube-proxy iptables-legacy (17.1 ×), \
             kube-proxy iptables-nft did not get there."
        );
        assert!(told[3].starts_with("Of 34 comparisons"), "{}", told[3]);
    }

    #[test]
    fn without_figures_nothing_is_told() {
        assert_eq!(findings(&Results::default(), &[]), Vec::<String>::new());
    }
}
