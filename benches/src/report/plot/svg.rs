//! A small writer of SVG: what a plot is drawn with, as data first, so that tests can look at it, and then as text.

use std::fmt::Write;

/// The typeface; whoever shows it has one of these.
const FONT: &str = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif";

/// Where a text is with respect to its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// it begins there
    Start,
    /// its middle is there
    Middle,
    /// it ends there
    End,
}

/// Something drawn.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// a line through points
    Path { points: Vec<(f64, f64)>, colour: String, width: f64, dashed: bool },
    /// a disc
    Disc { at: (f64, f64), radius: f64, colour: String },
    /// a filled rectangle with rounded corners
    Card { from: (f64, f64), size: (f64, f64), fill: String, edge: String },
    /// a line of text
    Text { at: (f64, f64), size: f64, anchor: Anchor, colour: String, bold: bool, text: String },
}

/// A drawing.
#[derive(Clone, Debug, Default)]
pub struct Canvas {
    /// what is drawn, the last on top
    pub items: Vec<Item>,
}

impl Canvas {
    /// Text of a size, at a place.
    pub fn text(&mut self, at: (f64, f64), size: f64, anchor: Anchor, colour: &str, text: impl Into<String>) {
        let item = Item::Text { at, size, anchor, colour: colour.to_owned(), bold: false, text: text.into() };
        self.items.push(item);
    }

    /// A title.
    pub fn title(&mut self, at: (f64, f64), size: f64, colour: &str, text: impl Into<String>) {
        let (anchor, colour) = (Anchor::Start, colour.to_owned());
        self.items.push(Item::Text { at, size, anchor, colour, bold: true, text: text.into() });
    }

    /// A line.
    pub fn path(&mut self, points: Vec<(f64, f64)>, colour: &str, width: f64, dashed: bool) {
        self.items.push(Item::Path { points, colour: colour.to_owned(), width, dashed });
    }

    /// The same, elsewhere.
    pub fn place(&mut self, other: Canvas, by: (f64, f64)) {
        let moved = |(x, y): (f64, f64)| (x + by.0, y + by.1);
        self.items.extend(other.items.into_iter().map(|item| match item {
            Item::Path { points, colour, width, dashed } => {
                Item::Path { points: points.into_iter().map(moved).collect(), colour, width, dashed }
            }
            Item::Disc { at, radius, colour } => Item::Disc { at: moved(at), radius, colour },
            Item::Card { from, size, fill, edge } => Item::Card { from: moved(from), size, fill, edge },
            Item::Text { at, size, anchor, colour, bold, text } => {
                Item::Text { at: moved(at), size, anchor, colour, bold, text }
            }
        }));
    }

    /// As a file, for a drawing of this size. `title` is for who cannot see it.
    pub fn render(&self, (width, height): (f64, f64), title: &str) -> String {
        let mut text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} \
             {height}\" role=\"img\" font-family=\"{FONT}\">\n<title>{}</title>\n",
            escaped(title)
        );
        for item in &self.items {
            draw(&mut text, item);
        }
        text.push_str("</svg>\n");
        text
    }
}

fn draw(text: &mut String, item: &Item) {
    let _ = match item {
        Item::Path { points, colour, width, dashed } => {
            let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            let dashes = if *dashed { " stroke-dasharray=\"5 4\"" } else { "" };
            writeln!(
                text,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"{dashes}/>",
                points.join(" ")
            )
        }
        Item::Disc { at: (x, y), radius, colour } => {
            writeln!(text, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"{colour}\"/>")
        }
        Item::Card { from: (x, y), size: (width, height), fill, edge } => writeln!(
            text,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"{fill}\" \
             stroke=\"{edge}\"/>"
        ),
        Item::Text { at: (x, y), size, anchor, colour, bold, text: words } => {
            let anchor = match anchor {
                Anchor::Start => "start",
                Anchor::Middle => "middle",
                Anchor::End => "end",
            };
            let weight = if *bold { " font-weight=\"600\"" } else { "" };
            writeln!(
                text,
                "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" text-anchor=\"{anchor}\" \
                 fill=\"{colour}\"{weight}>{}</text>",
                escaped(words)
            )
        }
    };
}

/// What XML has its own meaning for.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// About how wide a text is: a little more than it will be.
pub fn width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * 0.58
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_escaped() {
        let mut canvas = Canvas::default();
        canvas.text((1.0, 2.0), 12.0, Anchor::End, "#000000", "a < b & \"c\"");
        let text = canvas.render((10.0, 20.0), "<t>");
        assert!(
            text.contains("<title>&lt;t&gt;</title>")
                && text.contains(">a &lt; b &amp; &quot;c&quot;</text>")
        );
    }
}
