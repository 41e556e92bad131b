//! Plots, as SVG of our own writing: the same contender has the same colour in all of them, and they stand on a white card,
//! so that they can be read on a dark page too.

mod chart;
mod labels;
mod overview;
mod scale;
mod svg;

use super::sheet::Sheet;
use chart::{Frame, chart};
use svg::{Canvas, Item};

pub use overview::overview;

const WHITE: &str = "#ffffff";
const EDGE: &str = "#d0d7de";

/// A sheet's plot; none if there is nothing to be drawn.
pub fn plot(sheet: &Sheet) -> Option<String> {
    let frame = Frame { size: (780.0, 360.0), names: 264.0, title: 15.0 };
    let drawn = chart(sheet, &sheet.title(), frame)?;
    Some(on_card(drawn, frame.size).render(frame.size, &sheet.title()))
}

fn on_card(drawn: Canvas, (width, height): (f64, f64)) -> Canvas {
    let card = Item::Card {
        from: (0.5, 0.5),
        size: (width - 1.0, height - 1.0),
        fill: WHITE.into(),
        edge: EDGE.into(),
    };
    let mut canvas = Canvas { items: vec![card] };
    canvas.place(drawn, (0.0, 0.0));
    canvas
}

#[cfg(test)]
mod tests;
