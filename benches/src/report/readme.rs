//! The part of README that has figures: put between its marks, so that nobody types a figure.

use super::sheet::{Sheet, baseline};
use super::units::{self, Scale};
use crate::Error;
use crate::contender::Kind;
use crate::results::{Quantity, Results, Spread};

const BEGIN: &str = "<!-- benchmark: written by `kube-verdict-bench report DIR --readme FILE` -->";
const END: &str = "<!-- benchmark: end -->";

/// What is shown, and what it is called there.
const SHOWN: &[(Quantity, &str, &str)] = &[
    (Quantity::ChangeP50, "", "an endpoint is replaced → a client notices, p50"),
    (Quantity::ChangeP99, "", "… p99"),
    (Quantity::FirstSync, "", "start on an empty node → clients are served"),
    (Quantity::Restart, "", "restart → a change made meanwhile is live"),
    (Quantity::ChurnCpu, "100 changes/s", "CPU at 100 changes a second, of one core"),
    (Quantity::FirstPacketP50, "udp, last Service", "first packet of a flow to the last Service"),
    (Quantity::Connections, "tcp, last Service", "new connections to it, one after the other"),
    (Quantity::Resident, "", "resident memory at rest"),
];

/// README with this run's figures and picture; `picture` is where the overview is, from README.
///
/// # Errors
/// There are no marks to put them between, or no figures of kube-verdict.
pub fn readme(text: &str, results: &Results, picture: &str) -> Result<String, Error> {
    let marked = text.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) =
        marked.ok_or_else(|| format!("there is no place for figures: {BEGIN} and {END}"))?;
    let figures = figures(results, picture).ok_or("this run has no figures of kube-verdict")?;
    Ok(format!("{before}{BEGIN}\n{figures}{END}{after}"))
}

fn figures(results: &Results, picture: &str) -> Option<String> {
    let ours = baseline(results)?;
    let services = results
        .figures
        .iter()
        .filter(|figure| figure.contender == ours)
        .map(|figure| figure.services)
        .max()?;
    let shown: Vec<_> =
        (results.contenders.iter()).filter(|entrant| entrant.contender.kind() != Kind::Floor).collect();
    let heads: Vec<String> =
        shown.iter().map(|entrant| format!("{} {}", entrant.contender.label(), entrant.version)).collect();
    let machine = &results.machine;
    let mut text = format!(
        "![kube-verdict and others]({picture})\n\n{} Services, {}, {} cores of {}, Linux {}, `{}`:\n\n| | {} |\n|---|{}\n",
        units::count(services),
        results.started.split('T').next().unwrap_or_default(),
        machine.cores,
        machine.processor,
        machine.kernel,
        command(results),
        heads.join(" | "),
        "---:|".repeat(heads.len())
    );
    for (quantity, variant, name) in SHOWN {
        let Some(sheet) = Sheet::find(results, *quantity, variant) else { continue };
        let cells: Vec<String> = shown
            .iter()
            .map(|entrant| {
                let figure = sheet.row(entrant.contender).and_then(|row| row.at(services));
                match figure.and_then(|figure| Spread::of(&figure.samples)) {
                    Some(spread) => Scale::of(quantity.unit(), spread.median).text(spread.median),
                    None => "–".to_owned(),
                }
            })
            .collect();
        text.push_str(&format!("| {name} | {} |\n", cells.join(" | ")));
    }
    Some(text)
}

/// The command line without the folders of the machine that it was given on.
fn command(results: &Results) -> String {
    let mut words = results.command.iter().map(String::as_str);
    let program = words.next().and_then(|program| program.rsplit('/').next()).unwrap_or_default();
    let mut told = vec![program];
    while let Some(word) = words.next() {
        match word {
            "-o" | "--output" | "--daemon" | "--kube-proxy" => drop(words.next()),
            word => told.push(word),
        }
    }
    told.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn figures_are_put_between_the_marks_again_and_again() {
        let mut results = sample::results();
        results.command =
            ["/some/where/bench", "run", "-o", "/a/folder", "--rounds", "3"].map(String::from).into();
        let text = format!("before\n{BEGIN}\nold\n{END}\nafter\n");
        let once = readme(&text, &results, "benches/results/overview.svg").unwrap();
        assert!(once.starts_with("before\n") && once.ends_with("after\n") && !once.contains("old"), "{once}");
        assert!(
            once.contains("| start on an empty node → clients are served | 600 ms | 15.3 s | 10.2 s | – |"),
            "{once}"
        );
        assert!(once.contains("`bench run --rounds 3`"), "{once}");
        assert_eq!(readme(&once, &results, "benches/results/overview.svg").unwrap(), once);
        assert!(readme("nothing", &results, "").is_err());
    }
}
