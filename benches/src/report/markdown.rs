//! The report's text.

use std::fmt::Write;

use super::findings::findings;
use super::headlines::{PLOTTED, is_open};
use super::sheet::Sheet;
use super::standing::{Standing, Verdict, standings};
use super::table::table;
use super::units::{self, Scale};
use super::{OVERVIEW_FILE, plot_file};
use crate::contender::Kind;
use crate::results::{Group, Quantity, Results, Spread};

/// Groups in the order in which they are told.
const GROUPS: &[(Group, &str)] = &[
    (Group::Change, "One change"),
    (Group::Program, "First sync and restart"),
    (Group::Datapath, "Packets and connections"),
    (Group::Churn, "Streams of changes"),
    (Group::Memory, "Memory, and a node at rest"),
];

/// All of it; `plots` are the sheets of which there is a plot.
pub fn markdown(results: &Results, plots: &[(Quantity, &str)]) -> String {
    let standings = standings(results);
    let mut text = opening(results, &standings);
    for (group, title) in GROUPS {
        text.push_str(&section(results, *group, title, plots));
    }
    text.push_str(&losses(&standings));
    text.push_str(&failures(results));
    text.push_str(&conditions(results));
    text
}

/// What a team lead reads.
fn opening(results: &Results, standings: &[Standing]) -> String {
    let names = |kinds: &[Kind]| {
        let all = results.contenders.iter().map(|entrant| entrant.contender);
        let names: Vec<&str> =
            all.filter(|who| kinds.contains(&who.kind())).map(|contender| contender.label()).collect();
        names.join(", ")
    };
    let sizes: std::collections::BTreeSet<u32> =
        results.figures.iter().map(|figure| figure.services).filter(|services| *services > 0).collect();
    let sizes: Vec<String> = sizes.into_iter().map(units::count).collect();
    let endpoints = results.figures.iter().map(|figure| figure.endpoints).max().unwrap_or_default();
    let machine = &results.machine;
    let mut text = format!(
        "# Service proxies side by side, on Linux {}\n\n\
         On {}, each of {} served {} Services of {endpoints} endpoints on one machine ({}, {}, {} of memory), in turns \
         of its own, each in new network namespaces: a client, a node and a server. What is told is what a client \
         noticed, and what the kernel says of processes; nobody was asked how fast it is.\n\n",
        machine.kernel,
        results.started.split('T').next().unwrap_or_default(),
        names(&[Kind::Ours, Kind::Peer, Kind::Rules]),
        sizes.join(", "),
        machine.processor,
        if machine.cores == 1 { "1 core".to_owned() } else { format!("{} cores", machine.cores) },
        units::human(crate::results::Unit::Bytes, machine.memory as f64),
    );
    for finding in findings(results, standings) {
        let _ = writeln!(text, "- {finding}");
    }
    if !results.failures.is_empty() {
        let _ = writeln!(
            text,
            "- {} measurements failed or were not tried: [which, and why](#failures-and-absences).",
            results.failures.len()
        );
    }
    let _ = writeln!(text, "\n![Overview]({OVERVIEW_FILE})\n");
    text.push_str(
        "A cell of a table has the median of the rounds' samples, the lowest and the highest in parentheses, and how \
         many times kube-verdict's median that is; `=` says that there is no difference beyond the noise of both. The \
         best of a column is bold, with what is equal to it.\n\n",
    );
    text
}

fn section(results: &Results, group: Group, title: &str, plots: &[(Quantity, &str)]) -> String {
    let sheets: Vec<Sheet> =
        Sheet::all(results).into_iter().filter(|sheet| sheet.quantity.group() == group).collect();
    if sheets.is_empty() {
        return String::new();
    }
    let mut text = format!("## {title}\n\n");
    let (open, closed): (Vec<&Sheet>, Vec<&Sheet>) =
        sheets.iter().partition(|sheet| is_open(sheet.quantity, sheet.variant));
    for sheet in open {
        if PLOTTED.contains(&(sheet.quantity, sheet.variant))
            && plots.contains(&(sheet.quantity, sheet.variant))
        {
            let _ = writeln!(text, "![{}]({})\n", sheet.title(), plot_file(sheet));
        }
        let _ = writeln!(text, "{}", table(results, sheet));
    }
    if !closed.is_empty() {
        let _ = writeln!(text, "<details><summary>{} more tables</summary>\n", closed.len());
        for sheet in closed {
            let _ = writeln!(text, "{}", table(results, sheet));
        }
        text.push_str("</details>\n\n");
    }
    text
}

fn losses(standings: &[Standing]) -> String {
    let of = |wanted: &[Verdict]| -> Vec<&Standing> {
        standings.iter().filter(|standing| wanted.contains(&standing.verdict)).collect()
    };
    let (lost, ties) = (of(&[Verdict::Loses, Verdict::Missing]), of(&[Verdict::Ties]));
    let mut text = "## Where kube-verdict loses or ties\n\n".to_owned();
    if standings.is_empty() {
        text.push_str("There is nobody to compare it with in this run.\n\n");
        return text;
    }
    text.push_str(
        "Every figure in which a kube-proxy, or rules of its shape, is better than kube-verdict or not worse beyond the \
         noise of both.\n\n",
    );
    match lost.is_empty() {
        true => text.push_str("It loses nowhere.\n\n"),
        false => text.push_str(&standing_table(&lost, "is better by")),
    }
    match ties.is_empty() {
        true => text.push_str("It ties nowhere.\n\n"),
        false => {
            let _ = writeln!(text, "<details><summary>{} ties</summary>\n", ties.len());
            text.push_str(&standing_table(&ties, "differs by"));
            text.push_str("</details>\n\n");
        }
    }
    text
}

fn standing_table(standings: &[&Standing], differs: &str) -> String {
    let mut text =
        format!("| | Services | who | has | kube-verdict has | {differs} |\n|---|---:|---|---:|---:|---:|\n");
    for standing in standings {
        let theirs = standing.theirs;
        let unit = theirs.quantity.unit();
        let variant =
            if theirs.variant.is_empty() { String::new() } else { format!(" ({})", theirs.variant) };
        let our = standing.our.map_or("*failed*".to_owned(), |our| with_spread(unit, our));
        let ratio = standing.our.map_or("—".to_owned(), |our| {
            let (more, less) = (our.median.max(standing.their.median), our.median.min(standing.their.median));
            if more == less { "–".to_owned() } else { units::ratio(more / less) }
        });
        let services = if theirs.services == 0 { "any".to_owned() } else { units::count(theirs.services) };
        let _ = writeln!(
            text,
            "| {}{variant} | {services} | {} | {} | {our} ({}) | {ratio} |",
            theirs.quantity.title(),
            theirs.contender.label(),
            with_spread(unit, standing.their),
            standing.ours.label().trim_start_matches("kube-verdict "),
        );
    }
    text.push('\n');
    text
}

fn with_spread(unit: crate::results::Unit, spread: Spread) -> String {
    let scale = Scale::of(unit, spread.median);
    match spread.low == spread.high {
        true => scale.text(spread.median),
        false => {
            let (low, high) = (scale.number(spread.low), scale.number(spread.high));
            format!("{} ({low}–{high})", scale.text(spread.median))
        }
    }
}

fn failures(results: &Results) -> String {
    let mut text = "## Failures and absences\n\n".to_owned();
    if results.failures.is_empty() {
        text.push_str("Nothing failed.\n\n");
    } else {
        text.push_str("| who | Services | what | |\n|---|---:|---|---|\n");
        for failure in &results.failures {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} |",
                failure.contender.label(),
                units::count(failure.services),
                cell(&failure.what),
                cell(&failure.error)
            );
        }
        text.push('\n');
    }
    if results.absent.is_empty() {
        text.push_str("Nobody was absent.\n\n");
    } else {
        text.push_str("Absent:\n\n");
        for absence in &results.absent {
            let _ = writeln!(text, "- {}: {}", absence.contender.label(), absence.reason);
        }
        text.push('\n');
    }
    text
}

/// Text within a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn conditions(results: &Results) -> String {
    let mut text = "## How it was measured\n\n".to_owned();
    let rounds =
        if results.rounds == 1 { "1 round".to_owned() } else { format!("{} rounds", results.rounds) };
    let _ = writeln!(
        text,
        "- {rounds} in {:.0} minutes and {:.0} seconds, from {}, with `{}`.",
        (results.took / 60.0).floor(),
        results.took % 60.0,
        results.started,
        results.command.join(" ")
    );
    for (size, samples) in samples(results) {
        let _ =
            writeln!(text, "- {} Services: {samples} samples of each figure at most.", units::count(size));
    }
    for note in &results.notes {
        let _ = writeln!(text, "- {note}");
    }
    let versions = results.contenders.iter().filter(|entrant| !entrant.version.is_empty());
    let versions = versions.map(|entrant| format!("{} {}", entrant.contender.label(), entrant.version));
    let programs = results.machine.programs.iter().map(|(name, version)| format!("{name} {version}"));
    let versions: Vec<String> = versions.chain(programs).collect();
    let _ = writeln!(text, "- Versions: {}.", versions.join(", "));
    text.push_str(
        "- Medians that differ by less than a twentieth, or whose samples overlap, are equal; fewer than three samples \
         are taken to be uncertain by a tenth at least. What each quantity means is told in docs/benchmark.md.\n",
    );
    text
}

/// The most samples that a figure has, by size.
fn samples(results: &Results) -> std::collections::BTreeMap<u32, usize> {
    let mut samples = std::collections::BTreeMap::new();
    for figure in results.figures.iter().filter(|figure| figure.services > 0) {
        let most = samples.entry(figure.services).or_insert(0);
        *most = figure.samples.len().max(*most);
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn text() -> String {
        let results = sample::results();
        markdown(&results, &[(Quantity::FirstSync, ""), (Quantity::ChangeP50, "")])
    }

    #[test]
    fn all_sections_are_there_and_nothing_is_hidden() {
        let text = text();
        for (_, title) in GROUPS {
            assert!(text.contains(&format!("## {title}\n")), "{title}");
        }
        for title in ["Where kube-verdict loses or ties", "Failures and absences", "How it was measured"] {
            assert!(text.contains(&format!("## {title}\n")), "{title}");
        }
        assert!(
            text.contains(
                "| kube-proxy iptables-nft | 1,000 | first sync | round 1: not served after 60 s |"
            )
        );
        assert!(text.contains("- kube-proxy ipvs: this kernel has no IPVS"));
        assert!(text.contains("![First sync: start until a client is served](plots/first-sync.svg)"));
    }

    #[test]
    fn losses_have_figures() {
        let line = "| first packet through the node, p50 (udp, last Service) | 1,000 | kube-proxy nftables | 5 µs \
                    (4.85–5.10) | 6 µs (5.82–6.12) (nftables) | 1.20 × |";
        assert!(text().contains(line), "{}", text());
        assert!(text().contains(
            "failed new connections (100 changes/s, tcp) | 1 | kube-proxy nftables | 0 | 0 (nftables) | – |"
        ));
    }

    #[test]
    fn an_empty_run_has_a_report() {
        let text = markdown(&Results::default(), &[]);
        assert!(text.contains("nobody to compare it with") && text.contains("Nothing failed"));
    }
}
