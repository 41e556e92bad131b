//! How it is told: headings, commands, their output. Colours on a terminal only.

use std::cell::Cell;
use std::io::IsTerminal;

/// The teller.
pub struct Voice {
    colours: bool,
    steps: Cell<u32>,
}

const BOLD: &str = "1";
const BLUE: &str = "1;34";
const RED: &str = "1;31";
const GREEN: &str = "1;32";

impl Voice {
    /// Plain, unless a person watches.
    pub fn new() -> Self {
        let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Voice { colours, steps: Cell::new(0) }
    }

    /// A step begins.
    pub fn step(&self, heading: &str) {
        let number = self.steps.get() + 1;
        self.steps.set(number);
        println!("\n{}", self.paint(BLUE, &format!("{number}. {heading}")));
    }

    /// A sentence about what follows.
    pub fn say(&self, sentence: &str) {
        println!("   {sentence}");
    }

    /// What somebody does somewhere.
    pub fn command(&self, place: &str, command: &str) {
        println!("   {}", self.paint(BOLD, &format!("{place}$ {command}")));
    }

    /// What came of it.
    pub fn output(&self, text: &str) {
        text.lines().for_each(|line| println!("   {}", line.replace('\t', "    ")));
    }

    /// What was found to be true.
    pub fn found(&self, sentence: &str) {
        println!("   {} {sentence}", self.paint(GREEN, "ok:"));
    }

    /// The end.
    pub fn end(&self, sentence: &str) {
        println!("\n{}", self.paint(GREEN, sentence));
    }

    /// The other end.
    pub fn fail(&self, why: &str, log: &str) {
        println!("\n{} {why}", self.paint(RED, "The demo failed:"));
        println!("   The daemon's log:");
        self.output(log);
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
