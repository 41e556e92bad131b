//! The benchmark itself, on tiny sizes: every contender that this machine can have plays, every measurement is made, and
//! the report and the comparison are what they should be. What the figures are is nobody's business here.
//!
//! Contenders mostly wait, so several runs go on at once.

mod expected;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use kube_verdict_bench::contender::{Contender, Kind};
use kube_verdict_bench::results::{Quantity, Results};
use kube_verdict_scenario_tests::cluster::program;
use tempfile::TempDir;

use expected::{absent_here, expected};

/// Runs that go on at once: contenders, as `--modes` names them.
const RUNS: &[&str] = &[
    "kube-verdict-nftables,kube-verdict-ipvs,floor-netlink,floor-routing,floor-conntrack,floor-dnat",
    "rules-nftables,rules-iptables-legacy,rules-iptables-nft",
    "kube-proxy-nftables",
    "kube-proxy-iptables-legacy",
    "kube-proxy-iptables-nft,kube-proxy-ipvs",
];
const SIZES: [u32; 2] = [1, 3];

fn bench(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kube-verdict-bench")).args(words).output().expect("the benchmark starts")
}

fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}

/// Beside the benchmark, as `cargo build` puts it.
fn daemon() -> String {
    let path = Path::new(env!("CARGO_BIN_EXE_kube-verdict-bench")).with_file_name("kube-verdict");
    assert!(path.exists(), "{} is not there: `cargo build` builds it", path.display());
    path.display().to_string()
}

fn run(folder: &Path, modes: &str, more: &[&str]) -> Results {
    let (folder, kube_proxy) = (folder.display().to_string(), program("kube-proxy").display().to_string());
    let words = ["run", "--modes", modes, "--rounds", "1", "--budget", "0.1", "--kube-proxy", &kube_proxy];
    let output = bench(&[&words, more, &["-o", &folder, "--daemon", &daemon()]].concat());
    assert!(output.status.success(), "{modes}: {}", text(&output));
    assert!(text(&output).contains(&format!("{folder}/report.md")), "{}", text(&output));
    Results::load(Path::new(&folder)).expect("results")
}

#[test]
fn everybody_plays_and_every_measurement_is_made() {
    let folders: Vec<TempDir> = RUNS.iter().map(|_| tempfile::tempdir().expect("a folder")).collect();
    let all: Vec<Results> = thread::scope(|scope| {
        let start = |(modes, folder): (&&'static str, &TempDir)| {
            let (modes, folder) = (*modes, folder.path().to_owned());
            scope.spawn(move || run(&folder, modes, &["--services", "1,3", "--endpoints", "3"]))
        };
        let runs: Vec<_> = RUNS.iter().zip(&folders).map(start).collect();
        runs.into_iter()
            .map(|run| run.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    for results in &all {
        assert_eq!(results.failures, [], "{:?}", results.contenders);
        assert_eq!(results.rounds, 1);
        check_figures(results);
    }
    let played: Vec<Contender> =
        all.iter().flat_map(|results| &results.contenders).map(|entrant| entrant.contender).collect();
    let missing = all.iter().flat_map(|results| &results.absent);
    for absence in missing {
        assert!(absent_here(absence.contender), "{:?}: {}", absence.contender, absence.reason);
        assert!(!absence.reason.is_empty());
    }
    assert!(played.iter().any(|contender| contender.kind() == Kind::Peer));
    check_report(&all, &played);
    check_comparison(folders[0].path(), folders[2].path());
}

/// There is every figure that is expected, with one sample, and no other.
fn check_figures(results: &Results) {
    for entrant in &results.contenders {
        let contender = entrant.contender;
        let sizes: &[u32] = if expected(contender).1 { &SIZES } else { &[0] };
        for services in sizes {
            let found: std::collections::BTreeSet<Quantity> = (results.figures.iter())
                .filter(|figure| (figure.contender, figure.services) == (contender, *services))
                .inspect(|figure| assert_eq!(figure.samples.len(), 1, "{figure:?}"))
                .map(|figure| figure.quantity)
                .collect();
            assert_eq!(found, expected(contender).0, "{contender:?} with {services} Services");
        }
    }
}

/// One report of all runs has all sections, and pictures that are XML.
fn check_report(all: &[Results], played: &[Contender]) {
    let mut whole = all[0].clone();
    for results in &all[1..] {
        whole.contenders.extend(results.contenders.clone());
        whole.figures.extend(results.figures.clone());
        whole.absent.extend(results.absent.clone());
    }
    let folder = tempfile::tempdir().expect("a folder");
    whole.save(folder.path()).expect("results are kept");
    let output = bench(&["report", &folder.path().display().to_string()]);
    assert!(output.status.success(), "{}", text(&output));
    let report = std::fs::read_to_string(folder.path().join("report.md")).expect("a report");
    for section in [
        "# Service proxies side by side",
        "## One change",
        "## First sync and restart",
        "## Packets and connections",
        "## Memory, and a node at rest",
        "## Where kube-verdict loses or ties",
        "## Failures and absences",
        "## How it was measured",
    ] {
        assert!(report.contains(section), "{section} is missing:\n{report}");
    }
    for contender in played {
        assert!(report.contains(&format!("\n| {} |", contender.label())), "{contender:?}:\n{report}");
    }
    let plots: Vec<PathBuf> = (folder.path().join("plots").read_dir().expect("plots"))
        .map(|entry| entry.expect("a plot").path())
        .collect();
    assert!(plots.len() > 10, "{plots:?}");
    for plot in plots {
        let parse = "import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])";
        let status = Command::new("python3").args(["-c", parse]).arg(&plot).status().expect("python3");
        assert!(status.success(), "{} is not XML", plot.display());
    }
}

/// A run is what it is; and another is not.
fn check_comparison(one: &Path, other: &Path) {
    let (one, other) = (one.display().to_string(), other.display().to_string());
    let same = bench(&["compare", &one, &one, "--fail-on-slower"]);
    assert!(same.status.success(), "{}", text(&same));
    let words = text(&same);
    assert!(words.contains("the same machine") && words.contains("Slower: nothing."), "{words}");
    assert!(words.contains("Faster: nothing.") && !words.contains("Only in"), "{words}");
    let differ = bench(&["compare", &one, &other, "-o", "json"]);
    let value: serde_json::Value = serde_json::from_slice(&differ.stdout).expect("JSON");
    assert!(value["only_in_old"].as_array().is_some_and(|keys| !keys.is_empty()), "{value}");
}

/// A stream of changes needs more Services. That a busy machine cannot make so many changes is no failure of the test.
#[test]
fn a_stream_of_changes_is_measured() {
    let folder = tempfile::tempdir().expect("a folder");
    let modes = "kube-verdict-nftables";
    let results = run(folder.path(), modes, &["--services", "10", "--endpoints", "3", "--what", "churn"]);
    let quantities: std::collections::BTreeSet<Quantity> =
        results.figures.iter().map(|figure| figure.quantity).collect();
    let churn =
        Quantity::ALL.iter().filter(|quantity| quantity.group() == kube_verdict_bench::results::Group::Churn);
    assert_eq!(quantities, churn.copied().collect());
    for failure in &results.failures {
        assert!(failure.error.contains("this programme could not make"), "{failure:?}");
    }
}

#[test]
fn what_cannot_be_is_told_with_the_next_step() {
    let refused = |words: &[&str], reason: &str| {
        let output = bench(words);
        assert!(!output.status.success(), "{words:?}");
        assert!(text(&output).contains(reason), "{words:?}: {}", text(&output));
    };
    refused(&["run", "--modes", "ebpf"], "kube-verdict-nftables");
    refused(&["run", "--services", "200000"], "fewer --services");
    refused(&["run", "--services", "1", "--daemon", "/nowhere/kube-verdict"], "build it");
    refused(&["run", "--what", "everything"], "datapath");
    refused(&["report", "/nowhere"], "kube-verdict-bench run");
    refused(&["compare", "/nowhere", "/nowhere"], "cannot read /nowhere");
}
