//! Plots, looked at by their geometry: nothing is outside, and no text lies on another.

use super::svg::{Anchor, width};
use super::*;
use crate::report::headlines::OVERVIEW;
use crate::report::sample;
use crate::results::Results;

/// The box of a text: left, top, right, bottom.
type Box = (f64, f64, f64, f64);

fn boxes(canvas: &Canvas) -> Vec<(Box, String)> {
    let of = |item: &Item| match item {
        Item::Text { at: (x, y), size, anchor, text, .. } => {
            let wide = width(text, *size);
            let left = match anchor {
                Anchor::Start => *x,
                Anchor::Middle => x - wide / 2.0,
                Anchor::End => x - wide,
            };
            Some(((left, y - size * 0.8, left + wide, y + size * 0.2), text.clone()))
        }
        _ => None,
    };
    canvas.items.iter().filter_map(of).collect()
}

fn check(canvas: &Canvas, size: (f64, f64)) {
    let texts = boxes(canvas);
    assert!(texts.len() > 5);
    for ((left, top, right, bottom), text) in &texts {
        assert!(*left >= 0.0 && *top >= 0.0 && *right <= size.0 && *bottom <= size.1, "{text} is outside");
    }
    for (number, (one, text)) in texts.iter().enumerate() {
        for (other, beside) in &texts[number + 1..] {
            let apart = one.2 <= other.0 || other.2 <= one.0 || one.3 <= other.1 || other.3 <= one.1;
            assert!(apart, "{text:?} and {beside:?} overlap: {one:?} {other:?}");
        }
    }
}

fn all(results: &Results) -> Vec<Sheet<'_>> {
    Sheet::all(results)
}

#[test]
fn texts_are_inside_and_apart() {
    let results = sample::results();
    let large = Frame { size: (780.0, 360.0), names: 264.0, title: 15.0 };
    for sheet in all(&results) {
        check(&chart(&sheet, &sheet.title(), large).unwrap(), large.size);
    }
    let small = Frame { size: (320.0, 270.0), names: 0.0, title: 12.0 };
    for (quantity, variant, title) in OVERVIEW {
        if let Some(sheet) = Sheet::find(&results, *quantity, variant) {
            check(&chart(&sheet, title, small).unwrap(), small.size);
        }
    }
}

#[test]
fn a_run_of_one_size_is_drawn_too() {
    let mut results = sample::results();
    results.figures.retain(|figure| figure.services <= 1);
    for sheet in all(&results) {
        assert!(plot(&sheet).is_some(), "{}", sheet.title());
    }
    assert!(overview(&results).is_some());
}

#[test]
fn without_figures_nothing_is_drawn() {
    assert!(overview(&Results::default()).is_none());
}
