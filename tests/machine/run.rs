//! Runs tests one after the other, and says how they went, in libtest's words.

use std::panic::catch_unwind;
use std::process::ExitCode;
use std::time::Instant;

/// A test and its name.
type Test = (&'static str, fn());

/// Options of libtest's that have a value in a word of its own.
const WITH_VALUE: [&str; 5] = ["--test-threads", "--skip", "--color", "--format", "--logfile"];

/// What the command line asks for.
pub struct Chosen {
    pub tests: Vec<Test>,
    pub only_listed: bool,
}

impl Chosen {
    /// Words that are no options choose tests that have one of them in their names.
    pub fn of(words: impl Iterator<Item = String>, tests: &[Test]) -> Chosen {
        let (mut filters, mut only_listed) = (Vec::new(), false);
        let mut words = words;
        while let Some(word) = words.next() {
            match word.as_str() {
                "--list" => only_listed = true,
                option if WITH_VALUE.contains(&option) => drop(words.next()),
                option if option.starts_with('-') => {}
                _ => filters.push(word),
            }
        }
        let is_chosen = |test: &&Test| {
            filters.is_empty() || filters.iter().any(|filter| test.0.contains(filter.as_str()))
        };
        Chosen { tests: tests.iter().filter(is_chosen).copied().collect(), only_listed }
    }

    pub fn run(&self) -> ExitCode {
        if self.only_listed {
            self.tests.iter().for_each(|(name, _)| println!("{name}: test"));
            return ExitCode::SUCCESS;
        }
        println!("running {} tests", self.tests.len());
        let mut failed = Vec::new();
        for (name, test) in &self.tests {
            let start = Instant::now();
            let outcome = if catch_unwind(test).is_ok() {
                "ok"
            } else {
                failed.push(name);
                "FAILED"
            };
            println!("test {name} ... {outcome} ({:.1} s)", start.elapsed().as_secs_f32());
        }
        println!("{} passed; {} failed", self.tests.len() - failed.len(), failed.len());
        if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
