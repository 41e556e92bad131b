//! Figures of one quantity under the same circumstances, side by side: what a table and a plot show.

use std::collections::BTreeSet;

use crate::contender::{Contender, Kind};
use crate::results::{Figure, Quantity, Results, Spread};

/// One quantity.
#[derive(Clone, Debug)]
pub struct Sheet<'a> {
    /// what
    pub quantity: Quantity,
    /// under which circumstances; empty: there is one way only
    pub variant: &'a str,
    /// numbers of Services of all of its figures, ascending, without 0
    pub sizes: Vec<u32>,
    /// who has figures, in the order of the results
    pub rows: Vec<Row<'a>>,
}

/// A contender's figures.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    /// who
    pub contender: Contender,
    figures: Vec<&'a Figure>,
}

impl<'a> Row<'a> {
    /// With so many Services.
    pub fn at(&self, services: u32) -> Option<&'a Figure> {
        self.figures.iter().copied().find(|figure| figure.services == services)
    }

    /// Whatever the number of Services.
    pub fn constant(&self) -> Option<&'a Figure> {
        self.at(0)
    }

    /// Those that depend on the number of Services, ascending, with their spread.
    pub fn points(&self) -> Vec<(u32, Spread)> {
        let figures = self.figures.iter().filter(|figure| figure.services > 0);
        let spread = |figure: &&'a Figure| Some((figure.services, Spread::of(&figure.samples)?));
        let mut points: Vec<_> = figures.filter_map(spread).collect();
        points.sort_by_key(|(services, _)| *services);
        points
    }
}

impl<'a> Sheet<'a> {
    /// All sheets, in the order of quantities.
    pub fn all(results: &'a Results) -> Vec<Sheet<'a>> {
        Quantity::ALL.iter().flat_map(|quantity| Sheet::of(results, *quantity)).collect()
    }

    /// The sheet of a quantity under these circumstances.
    pub fn find(results: &'a Results, quantity: Quantity, variant: &str) -> Option<Sheet<'a>> {
        Sheet::of(results, quantity).into_iter().find(|sheet| sheet.variant == variant)
    }

    /// A row, if there is one.
    pub fn row(&self, contender: Contender) -> Option<&Row<'a>> {
        self.rows.iter().find(|row| row.contender == contender)
    }

    /// Its title, circumstances included.
    pub fn title(&self) -> String {
        let title = self.quantity.title();
        let mut letters = title.chars();
        let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
        let variant = if self.variant.is_empty() { String::new() } else { format!(" ({})", self.variant) };
        format!("{first}{}{variant}", letters.as_str())
    }

    fn of(results: &'a Results, quantity: Quantity) -> Vec<Sheet<'a>> {
        let figures: Vec<&Figure> =
            results.figures.iter().filter(|figure| figure.quantity == quantity).collect();
        let mut variants: Vec<&str> = Vec::new();
        for figure in &figures {
            if !variants.contains(&figure.variant.as_str()) {
                variants.push(&figure.variant);
            }
        }
        // In the order in which they were measured, and rates by number.
        variants.sort_by_key(|variant| leading_number(variant));
        variants.into_iter().map(|variant| Sheet::gather(results, quantity, variant, &figures)).collect()
    }

    fn gather(results: &Results, quantity: Quantity, variant: &'a str, figures: &[&'a Figure]) -> Self {
        let figures: Vec<&Figure> =
            figures.iter().copied().filter(|figure| figure.variant == variant).collect();
        let sizes: BTreeSet<u32> = figures.iter().map(|figure| figure.services).collect();
        let rows = results.contenders.iter().map(|entrant| Row {
            contender: entrant.contender,
            figures: figures.iter().copied().filter(|figure| figure.contender == entrant.contender).collect(),
        });
        Sheet {
            quantity,
            variant,
            sizes: sizes.into_iter().filter(|services| *services > 0).collect(),
            rows: rows.filter(|row: &Row| !row.figures.is_empty()).collect(),
        }
    }
}

/// Whom all others are compared with.
pub fn baseline(results: &Results) -> Option<Contender> {
    let mut contenders = results.contenders.iter().map(|entrant| entrant.contender);
    contenders.find(|contender| contender.kind() == Kind::Ours)
}

fn leading_number(text: &str) -> u64 {
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn circumstances_are_sheets_in_order_and_rows_are_contenders_with_figures() {
        let results = sample::results();
        let rates: Vec<&str> =
            Sheet::of(&results, Quantity::ChurnCpu).iter().map(|sheet| sheet.variant).collect();
        assert_eq!(rates, ["100 changes/s", "1000 changes/s"]);
        let sheet = Sheet::find(&results, Quantity::FirstSync, "").unwrap();
        assert_eq!(sheet.sizes, [1, 1000, 10_000]);
        assert!(sheet.row(Contender::FloorRouting).is_none());
        assert_eq!(sheet.row(Contender::KubeVerdictNftables).unwrap().points().len(), 3);
        let packets = Sheet::find(&results, Quantity::FirstPacketP50, "udp, last Service").unwrap();
        assert!(packets.row(Contender::FloorRouting).is_some_and(|row| row.constant().is_some()));
        assert_eq!(packets.title(), "First packet through the node, p50 (udp, last Service)");
    }
}
