//! How a run gets on, for who watches: a bar where there is a terminal, a line for each turn where there is none.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::plan::Slot;

/// The bar's length, which stands for the whole.
const WHOLE: u64 = 1000;

/// What is told on standard error.
#[derive(Debug)]
pub struct Progress {
    start: Instant,
    bar: Option<ProgressBar>,
    title: String,
}

impl Progress {
    /// Begins; how long it will take about, if that is known.
    pub fn start(about: Option<Duration>) -> Self {
        let about = about.map_or(String::new(), |about| format!(" of about {}", clock(about)));
        let template = format!("{{elapsed}}{about} [{{bar:30}}] {{msg}}");
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(WHOLE);
            if let Ok(style) = ProgressStyle::with_template(&template) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.enable_steady_tick(Duration::from_secs(1));
            bar
        });
        Progress { start: Instant::now(), bar, title: String::new() }
    }

    /// A turn begins.
    pub fn turn(&mut self, slot: &Slot, share: f64) {
        self.title = title(slot);
        if let Some(bar) = &self.bar {
            bar.set_position((share * WHOLE as f64) as u64);
            bar.set_message(self.title.clone());
        }
    }

    /// A step of it begins.
    pub fn step(&self, name: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{}: {name}", self.title));
        }
    }

    /// A turn is over.
    pub fn over(&self, took: Duration, failures: usize) {
        let failed = match failures {
            0 => String::new(),
            1 => ", 1 failure".to_owned(),
            many => format!(", {many} failures"),
        };
        if self.bar.is_none() {
            self.say(&format!("{}: {:.1} s{failed}", self.title, took.as_secs_f64()));
        }
    }

    /// Something to be read at once.
    pub fn say(&self, text: &str) {
        let line = format!("{} {text}", clock(self.start.elapsed()));
        match &self.bar {
            Some(bar) => bar.println(line),
            None => eprintln!("{line}"),
        }
    }

    /// No more.
    pub fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

fn title(slot: &Slot) -> String {
    let services = match slot.services {
        0 => String::new(),
        1 => ", 1 Service".to_owned(),
        services => format!(", {services} Services"),
    };
    format!("round {}, {}{services}", slot.round, slot.contender.label())
}

/// Minutes and seconds.
fn clock(time: Duration) -> String {
    format!("{}:{:02}", time.as_secs() / 60, time.as_secs() % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contender::Contender;

    #[test]
    fn turns_are_told_in_words() {
        let slot = |services| Slot { round: 2, contender: Contender::KubeVerdictNftables, services };
        assert_eq!(title(&slot(1)), "round 2, kube-verdict nftables, 1 Service");
        assert_eq!(title(&slot(0)), "round 2, kube-verdict nftables");
        assert_eq!(clock(Duration::from_secs(185)), "3:05");
    }
}
