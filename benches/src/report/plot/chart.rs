//! One quantity as a drawing: the number of Services to the right, a line for each contender, the spread at each point.

use super::labels::apart;
use super::scale::Axis;
use super::svg::{Anchor, Canvas, Item, width};
use crate::contender::Contender;
use crate::report::sheet::Sheet;
use crate::report::units::{self, Scale};
use crate::results::{Spread, Unit};

/// Of what is written.
pub const INK: &str = "#24292f";
const FAINT: &str = "#57606a";
const GRID: &str = "#e4e7eb";

/// How much room there is, and what is told beside the lines.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// of the whole
    pub size: (f64, f64),
    /// beside the lines, for their names; 0: they are told elsewhere
    pub names: f64,
    /// of the title's letters
    pub title: f64,
}

/// Ticks of an axis are round numbers of this.
fn whole(unit: Unit) -> f64 {
    match unit {
        Unit::Bytes => 1024.0 * 1024.0,
        _ => 1.0,
    }
}

/// A contender's line.
struct Line {
    contender: Contender,
    points: Vec<(u32, Spread)>,
    /// the same for any number of Services
    constant: Option<Spread>,
}

const LEFT: f64 = 82.0;
const TOP: f64 = 58.0;
const BOTTOM: f64 = 44.0;

/// Draws it; nothing if there is nothing to be drawn.
pub fn chart(sheet: &Sheet, title: &str, frame: Frame) -> Option<Canvas> {
    let lines: Vec<Line> = (sheet.rows.iter())
        .map(|row| Line {
            contender: row.contender,
            points: row.points(),
            constant: row.constant().and_then(|figure| Spread::of(&figure.samples)),
        })
        .collect();
    let spreads =
        lines.iter().flat_map(|line| line.points.iter().map(|(_, spread)| spread).chain(&line.constant));
    let whole = whole(sheet.quantity.unit());
    let numbers: Vec<f64> = spreads.flat_map(|spread| [spread.low / whole, spread.high / whole]).collect();
    let (first, last) = (*sheet.sizes.first()?, *sheet.sizes.last()?);
    let (right, bottom) = (frame.size.0 - frame.names.max(18.0), frame.size.1 - BOTTOM);
    let inner = (LEFT + 14.0, right - 10.0);
    let across = Axis::between(f64::from(first), f64::from(last), inner);
    let up = Axis::of(&numbers, (bottom, TOP)).times(whole);
    let mut canvas = Canvas::default();
    canvas.title((16.0, 24.0), frame.title, INK, title);
    canvas.text((16.0, 42.0), 11.0, Anchor::Start, FAINT, units::better(sheet.quantity.better()));
    axes(&mut canvas, sheet, &across, &up, (right, bottom));
    for line in &lines {
        draw(&mut canvas, line, &across, &up, right);
    }
    if frame.names > 0.0 {
        name(&mut canvas, &lines, &across, &up, (right, bottom));
    }
    Some(canvas)
}

fn axes(canvas: &mut Canvas, sheet: &Sheet, across: &Axis, up: &Axis, (right, bottom): (f64, f64)) {
    let ticks = up.ticks();
    let unit = sheet.quantity.unit();
    for tick in ticks {
        let y = up.place(tick);
        canvas.path(vec![(LEFT, y), (right, y)], GRID, 1.0, false);
        canvas.text((LEFT - 8.0, y + 4.0), 11.0, Anchor::End, FAINT, Scale::of(unit, tick).tick(tick));
    }
    canvas.path(vec![(LEFT, bottom), (right, bottom)], FAINT, 1.0, false);
    // Sizes that are near to each other are not all written.
    let mut free = f64::NEG_INFINITY;
    for services in &sheet.sizes {
        let (x, text) = (across.place(f64::from(*services)), units::count(*services));
        canvas.path(vec![(x, bottom), (x, bottom + 4.0)], FAINT, 1.0, false);
        if x - width(&text, 11.0) / 2.0 > free {
            free = x + width(&text, 11.0) / 2.0 + 6.0;
            canvas.text((x, bottom + 17.0), 11.0, Anchor::Middle, FAINT, text);
        }
    }
    canvas.text((right, bottom + 34.0), 11.0, Anchor::End, FAINT, "Services");
}

fn draw(canvas: &mut Canvas, line: &Line, across: &Axis, up: &Axis, right: f64) {
    let colour = line.contender.colour();
    if let Some(spread) = line.constant {
        let y = up.place(spread.median);
        canvas.path(vec![(LEFT, y), (right, y)], colour, 1.5, true);
    }
    let place =
        |(services, spread): &(u32, Spread)| (across.place(f64::from(*services)), up.place(spread.median));
    canvas.path(line.points.iter().map(place).collect(), colour, 2.0, false);
    for point in &line.points {
        let (x, y) = place(point);
        let (low, high) = (up.place(point.1.low), up.place(point.1.high));
        if (low - high).abs() > 7.0 {
            canvas.path(vec![(x, low), (x, high)], colour, 1.2, false);
            for end in [low, high] {
                canvas.path(vec![(x - 3.0, end), (x + 3.0, end)], colour, 1.2, false);
            }
        }
        canvas.items.push(Item::Disc { at: (x, y), radius: 3.5, colour: colour.to_owned() });
    }
}

/// Writes names beside the ends of lines.
fn name(canvas: &mut Canvas, lines: &[Line], across: &Axis, up: &Axis, (right, bottom): (f64, f64)) {
    let end = |line: &Line| match (line.points.last(), line.constant) {
        (Some((services, spread)), _) => Some((across.place(f64::from(*services)), up.place(spread.median))),
        (None, Some(spread)) => Some((right, up.place(spread.median))),
        (None, None) => None,
    };
    let ends: Vec<(&Line, (f64, f64))> = lines.iter().filter_map(|line| Some((line, end(line)?))).collect();
    let wanted: Vec<f64> = ends.iter().map(|(_, (_, y))| *y).collect();
    let places = apart(&wanted, 16.0, TOP + 4.0, bottom - 2.0);
    for ((line, (x, y)), place) in ends.into_iter().zip(places) {
        let colour = line.contender.colour();
        canvas.path(vec![(x + 5.0, y), (right + 4.0, place), (right + 10.0, place)], colour, 0.8, false);
        canvas.text((right + 14.0, place + 4.0), 12.0, Anchor::Start, colour, line.contender.label());
    }
}
