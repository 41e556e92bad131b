//! Several quantities in one picture, small, with one legend: for README and the top of a report.

use super::chart::{Frame, INK, chart};
use super::on_card;
use super::svg::{Anchor, Canvas, Item, width};
use crate::contender::Contender;
use crate::report::headlines::OVERVIEW;
use crate::report::sheet::Sheet;
use crate::results::Results;

const COLUMNS: usize = 3;
const PANEL: (f64, f64) = (320.0, 270.0);
const LINE: f64 = 20.0;

/// The picture; none if there is nothing to be drawn.
pub fn overview(results: &Results) -> Option<String> {
    let sheets: Vec<(Sheet, &str)> = OVERVIEW
        .iter()
        .filter_map(|(quantity, variant, title)| Some((Sheet::find(results, *quantity, variant)?, *title)))
        .collect();
    let frame = Frame { size: PANEL, names: 0.0, title: 12.0 };
    let panels: Vec<Canvas> = sheets.iter().filter_map(|(sheet, title)| chart(sheet, title, frame)).collect();
    if panels.is_empty() {
        return None;
    }
    let rows = panels.len().div_ceil(COLUMNS);
    let across = PANEL.0 * panels.len().min(COLUMNS) as f64;
    let mut canvas = Canvas::default();
    for (number, panel) in panels.into_iter().enumerate() {
        let place = ((number % COLUMNS) as f64 * PANEL.0, (number / COLUMNS) as f64 * PANEL.1);
        canvas.place(panel, place);
    }
    let shown = results.contenders.iter().map(|entrant| entrant.contender);
    let shown: Vec<Contender> =
        shown.filter(|contender| sheets.iter().any(|(sheet, _)| sheet.row(*contender).is_some())).collect();
    let below = legend(&mut canvas, &shown, rows as f64 * PANEL.1 + 14.0, across);
    let size = (across, below + 8.0);
    Some(on_card(canvas, size).render(size, "Service proxies side by side"))
}

/// Names and colours, in as many lines as it takes; where it ends.
fn legend(canvas: &mut Canvas, contenders: &[Contender], top: f64, across: f64) -> f64 {
    let (mut x, mut y) = (20.0, top);
    for contender in contenders {
        let needed = 16.0 + width(contender.label(), 12.0) + 14.0;
        if x + needed > across && x > 20.0 {
            (x, y) = (20.0, y + LINE);
        }
        let colour = contender.colour().to_owned();
        canvas.items.push(Item::Disc { at: (x + 4.0, y - 4.0), radius: 5.0, colour });
        canvas.text((x + 16.0, y), 12.0, Anchor::Start, INK, contender.label());
        x += needed;
    }
    y + LINE / 2.0
}
