//! A sheet as a table of Markdown: contenders are rows, numbers of Services are columns.
//!
//! A cell has the median, the lowest and the highest sample, and how many times kube-verdict's it is, or `=` where there
//! is no difference beyond the noise of both. The best of a column is bold, and so is what is equal to it.

use std::fmt::Write;

use super::sheet::{Row, Sheet, baseline};
use super::units::{self, Scale};
use crate::contender::{Contender, Kind};
use crate::results::{Better, Comparison, Figure, Results, Spread, compare};
use crate::runner;

/// The table, with its title above.
pub fn table(results: &Results, sheet: &Sheet) -> String {
    let base = baseline(results).and_then(|contender| sheet.row(contender));
    let mut columns: Vec<u32> = sheet.sizes.clone();
    let constant = sheet.rows.iter().any(|row| row.constant().is_some());
    if constant {
        columns.push(0);
    }
    let mut text = format!("**{}** – {}\n\n|", sheet.title(), units::better(sheet.quantity.better()));
    for services in &columns {
        let _ = write!(text, " | {}", heading(*services));
    }
    let _ = writeln!(text, " |\n|---|{}", "---:|".repeat(columns.len()));
    let bests: Vec<Option<&Figure>> = columns.iter().map(|services| best(sheet, *services)).collect();
    let failed = results.contenders.iter().map(|entrant| entrant.contender);
    for contender in failed {
        let row = sheet.row(contender);
        let cells: Vec<String> = (columns.iter().zip(&bests))
            .map(|(services, best)| match row.and_then(|row| row.at(*services)) {
                Some(figure) => cell(sheet, figure, base, *best),
                None => missing(results, sheet, contender, *services),
            })
            .collect();
        // Who has no business here (a floor without changes) is not shown; who failed is.
        if row.is_none() && cells.iter().all(|cell| cell == NOTHING) {
            continue;
        }
        let _ = writeln!(text, "| {} | {} |", contender.label(), cells.join(" | "));
    }
    text
}

/// What is not measured.
const NOTHING: &str = "–";

fn heading(services: u32) -> String {
    match services {
        0 => "any number".to_owned(),
        1 => "1 Service".to_owned(),
        services => format!("{} Services", units::count(services)),
    }
}

fn cell(sheet: &Sheet, figure: &Figure, base: Option<&Row>, best: Option<&Figure>) -> String {
    let Some(spread) = Spread::of(&figure.samples) else { return NOTHING.to_owned() };
    let scale = Scale::of(sheet.quantity.unit(), spread.median);
    let mut median = scale.text(spread.median);
    let is_best = best.is_some_and(|best| {
        std::ptr::eq(best, figure) || compare(&figure.samples, &best.samples) == Some(Comparison::Equal)
    });
    if is_best {
        median = format!("**{median}**");
    }
    let mut text = median;
    if spread.low != spread.high {
        let _ = write!(text, " ({}–{})", scale.number(spread.low), scale.number(spread.high));
    }
    let other = base.filter(|base| base.contender != figure.contender);
    if let Some(ours) = other.and_then(|base| base.at(figure.services))
        && let Some(comparison) = compare(&figure.samples, &ours.samples)
    {
        match comparison {
            Comparison::Equal => text.push_str(" · ="),
            Comparison::Lower(ratio) | Comparison::Higher(ratio) => {
                let _ = write!(text, " · {}", units::ratio(ratio));
            }
        }
    }
    text
}

/// The best of a column, floors aside: nobody is asked to be better than these.
fn best<'a>(sheet: &Sheet<'a>, services: u32) -> Option<&'a Figure> {
    let rows = sheet.rows.iter().filter(|row| row.contender.kind() != Kind::Floor);
    let mut figures: Vec<(&Figure, f64)> = rows
        .filter_map(|row| row.at(services))
        .filter_map(|figure| Some((figure, Spread::of(&figure.samples)?.median)))
        .collect();
    figures.sort_by(|one, other| one.1.total_cmp(&other.1));
    match sheet.quantity.better() {
        _ if figures.len() < 2 => None,
        Better::Lower => figures.first().map(|(figure, _)| *figure),
        Better::Higher => figures.last().map(|(figure, _)| *figure),
    }
}

/// Why there is no figure.
fn missing(results: &Results, sheet: &Sheet, contender: Contender, services: u32) -> String {
    let concerns = |what: &str| runner::concerns(what, sheet.quantity.group());
    let mut failures = results.failures.iter().filter(|failure| {
        (failure.contender, failure.services) == (contender, services) && concerns(&failure.what)
    });
    match failures.next() {
        None => NOTHING.to_owned(),
        Some(failure) if failure.error.starts_with(runner::NOT_TRIED) => "*not tried*".to_owned(),
        Some(_) => "*failed*".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use crate::results::Quantity;

    fn of(quantity: Quantity, variant: &str) -> String {
        let results = sample::results();
        table(&results, &Sheet::find(&results, quantity, variant).unwrap())
    }

    #[test]
    fn medians_spreads_ratios_and_failures() {
        let expected = "\
**First sync: start until a client is served** – less is better

| | 1 Service | 1,000 Services | 10,000 Services |
|---|---:|---:|---:|
| kube-verdict nftables | **100 ms** (97.0–102) | **150 ms** (146–153) | **600 ms** (582–612) |
| kube-proxy nftables | 302 ms (292–308) · 3.01 × | 1.80 s (1.75–1.84) · 12.0 × | 15.3 s (14.8–15.6) · 25.5 × |
| kube-proxy iptables-legacy | 251 ms (243–256) · 2.51 × | 1.25 s (1.21–1.27) · 8.33 × | 10.2 s (9.94–10.5) · 17.1 × |
| kube-proxy iptables-nft | 400 ms (388–408) · 4.00 × | *failed* | *not tried* |
";
        assert_eq!(of(Quantity::FirstSync, ""), expected);
    }

    #[test]
    fn what_is_equal_is_told_so_and_is_best_too() {
        let table = of(Quantity::Throughput, "");
        assert_eq!(table.matches("**9.40 Gbit/s** (9.12–9.59)").count(), 6, "{table}");
        assert_eq!(table.matches(" · =").count(), 3, "{table}");
    }

    #[test]
    fn floors_are_shown_beside_and_are_never_the_best() {
        let table = of(Quantity::FirstPacketP50, "udp, last Service");
        assert!(table.contains("| any number |"), "{table}");
        assert!(table.contains("| floor: routing | – | – | – | 3.50 µs (3.39–3.57) |"), "{table}");
        assert!(table.contains("| kube-proxy nftables | **5 µs**"), "{table}");
    }
}
