//! A node comes back from a reboot, and its manifests do not: it serves the table that was kept on disk. A reboot is
//! here what it is to the kernel: nothing of ours is there.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kube_verdict_scenario_tests::conversation::Conversation;
use kube_verdict_scenario_tests::flood::{self, Flood};
use kube_verdict_scenario_tests::http;
use kube_verdict_scenario_tests::kernel;
use kube_verdict_scenario_tests::netlink::Netfilter;
use kube_verdict_scenario_tests::pace;
use kube_verdict_scenario_tests::prelude::*;
use kube_verdict_scenario_tests::topology::Host;

const SERVING: &str = "serving the table that was kept in";
const TAKEN_OVER: &str = "it takes the place of the table that was kept";

fn web(name: &str, number: u8, endpoint: &str) -> Vec<Objects> {
    vec![
        service(name).ip(&format!("10.96.0.{number}")).tcp("http", 80).port("dns", "UDP", 53).build(),
        slice(name, name).tcp("http", 8080).port("dns", "UDP", 5353).with([at(endpoint)]).build(),
    ]
}

/// A scenario that keeps its table.
fn scenario() -> Scenario {
    let mut scenario = Scenario::without_daemon(&Config::default());
    let state = state(&scenario);
    scenario.files_mut().add_words(&["--state-dir", state.to_str().expect("text")]);
    scenario.write([]);
    scenario.start_daemon();
    scenario
}

fn state(scenario: &Scenario) -> PathBuf {
    scenario.files().directory().join("state")
}

fn said(scenario: &Scenario, words: &str, times: usize) {
    let deadline = Instant::now() + pace::limit(Duration::from_secs(60));
    while scenario.files().log().matches(words).count() < times {
        assert!(Instant::now() < deadline, "{words:?} is not in the log:\n{}", scenario.files().log());
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn serves_what_was_kept(scenario: &Scenario) {
    said(scenario, SERVING, 1);
    said(scenario, "the kernel is as the table says that was kept", 1);
}

/// Takes the manifests away, or brings them back.
fn hide(scenario: &Scenario) {
    let manifests = scenario.files().manifests();
    fs::rename(&manifests, manifests.with_extension("away")).expect("renaming the manifests");
}

fn bring_back(scenario: &Scenario) {
    let manifests = scenario.files().manifests();
    fs::rename(manifests.with_extension("away"), &manifests).expect("renaming the manifests");
}

/// The daemon ends as at a shutdown, the kernel forgets, and the manifests are not there afterwards.
fn reboot_without_manifests(scenario: &mut Scenario) {
    scenario.take_daemon().terminate();
    scenario.files().cleanup(scenario.node());
    hide(scenario);
}

fn reaches(name: &str, endpoint: &str) -> [Case; 2] {
    let endpoint = format!("{endpoint}:8080");
    [
        case(name, From::PodB, "10.96.0.10:80", dnat(&[&endpoint])),
        case(name, From::Client, "10.96.0.10:80", snat(&[&endpoint])),
    ]
}

fn healthz(scenario: &Scenario) -> String {
    let address = SocketAddr::from(([127, 0, 0, 1], 10256));
    http::becomes(scenario.node(), address, "/healthz", |answer| answer.status == 200).body
}

#[test]
fn a_node_without_its_manifests_serves_what_it_knew() {
    let mut scenario = scenario();
    scenario
        .apply([web("stays", 10, "pod-a"), web("goes", 11, "pod-a"), web("changes", 12, "pod-a")].concat());
    assert!(!healthz(&scenario).contains("kept"));
    reboot_without_manifests(&mut scenario);
    scenario.check_packets(&[case("nobody's", From::Client, "10.96.0.10:80", PASS)]);

    scenario.start_daemon();
    serves_what_was_kept(&scenario);
    scenario.check_packets(&[
        case("kept", From::PodB, "10.96.0.10:80", dnat(&["pod-a:8080"])),
        case("kept", From::PodB, "10.96.0.10:53/UDP", dnat(&["pod-a:5353"])),
        case("kept", From::Client, "10.96.0.12:80", snat(&["pod-a:8080"])),
    ]);
    let health = healthz(&scenario);
    assert!(health.contains("\"healthy\":true") && health.contains("\"keptTable\":\"20"), "{health}");
    assert_eq!(scenario.metric("kubeverdict_warm_start_serving"), 1);
    assert!(scenario.metric("kubeverdict_warm_start_table_timestamp_seconds") > 1_700_000_000);

    // The manifests return, and say something else. What did not change is never without an answer, and its flows and
    // connections go on.
    let mut conversation = Conversation::open(&scenario, From::PodB, Family::V4, "10.96.0.10:80");
    flood::count(scenario.topology().of(Host::PodA), "arrived", "prerouting", "udp dport 5353");
    flood::count(scenario.topology().of(Host::World), "escaped", "prerouting", "");
    let mut nf_tables = Netfilter::open(scenario.node());
    let stop = AtomicBool::new(false);
    let outside = scenario.topology().of(Host::Outside).share();
    let sent = std::thread::scope(|scope| {
        let stop = &stop;
        let sending = scope.spawn(move || {
            let mut flood = Flood::open(&outside, Family::V4);
            let to = plan::socket(Family::V4, "10.96.0.10:53");
            while !stop.load(Ordering::Relaxed) {
                (0..50).for_each(|_| flood.send(to).expect("sending"));
                std::thread::sleep(Duration::from_millis(1));
            }
            flood.sent()
        });
        std::thread::sleep(Duration::from_millis(200));
        let before = nf_tables.generation();
        bring_back(&scenario);
        scenario.write(
            [web("stays", 10, "pod-a"), web("changes", 12, "pod-c"), web("comes", 13, "pod-c")].concat(),
        );
        said(&scenario, TAKEN_OVER, 1);
        scenario.settle();
        let batches = nf_tables.generation().wrapping_sub(before);
        // One or two changes of both families, and the chains that nobody uses any more: what may be written in two
        // steps is the directory that is there again, and the file that changes in it.
        assert!(batches <= 8, "{batches} transactions");
        std::thread::sleep(Duration::from_millis(200));
        stop.store(true, Ordering::Relaxed);
        sending.join().expect("the sender")
    });
    let arrived = flood::counted(scenario.topology().of(Host::PodA), "arrived");
    let escaped = flood::counted(scenario.topology().of(Host::World), "escaped");
    eprintln!("{sent} first packets while the source took over: {arrived} arrived, {escaped} escaped");
    assert_eq!((escaped, arrived), (0, sent));
    conversation.still_lives();
    scenario.check(&[
        case("as before", From::PodB, "10.96.0.10:80", dnat(&["pod-a:8080"])),
        case("gone", From::Client, "10.96.0.11:80", PASS),
        case("changed", From::Client, "10.96.0.12:80", snat(&["pod-c:8080"])),
        case("new", From::Client, "10.96.0.13:80", snat(&["pod-c:8080"])),
    ]);
    assert_eq!(scenario.metric("kubeverdict_warm_start_serving"), 0);
    assert!(!healthz(&scenario).contains("kept"));
    scenario.becomes_what_is_rendered();
}

#[test]
fn a_file_that_is_broken_after_a_reboot_is_stood_in_for() {
    let mut scenario = scenario();
    scenario.apply(web("web", 10, "pod-a"));
    scenario.take_daemon().terminate();
    scenario.files().cleanup(scenario.node());
    let file = scenario.files().manifests().join("scenario.json");
    let good = fs::read(&file).expect("the manifest");
    fs::write(&file, "{ broken").expect("writing");
    scenario.start_daemon();
    serves_what_was_kept(&scenario);
    scenario.check_packets(&reaches("the broken file's", "pod-a"));
    fs::write(&file, good).expect("writing");
    said(&scenario, TAKEN_OVER, 1);
    scenario.apply(web("web", 10, "pod-c"));
    scenario.check_packets(&reaches("mended", "pod-c"));
}

#[test]
fn what_the_kernel_has_is_newer_than_any_file() {
    let mut scenario = scenario();
    scenario.apply(web("web", 10, "pod-a"));
    scenario.take_daemon().terminate();
    let old = fs::read(state(&scenario).join("table")).expect("the table");
    scenario.start_daemon();
    scenario.apply(web("web", 10, "pod-c"));
    // A crash: the kernel has what the file does not.
    scenario.take_daemon().kill();
    fs::write(state(&scenario).join("table"), old).expect("writing");
    hide(&scenario);
    let mut nf_tables = Netfilter::open(scenario.node());
    let generation = nf_tables.generation();
    scenario.start_daemon();
    said(&scenario, "the kernel has the rules of an earlier run, which stay", 1);
    scenario.check_packets(&reaches("as the kernel has it", "pod-c"));
    assert_eq!(nf_tables.generation(), generation, "something was written");
    // They go as well, and there is nothing newer than the file.
    kernel::load(scenario.node(), "flush ruleset\n");
    serves_what_was_kept(&scenario);
    scenario.check_packets(&reaches("as the file has it", "pod-a"));
    bring_back(&scenario);
    said(&scenario, TAKEN_OVER, 1);
    scenario.settle();
    scenario.check_packets(&reaches("as the manifests have it", "pod-c"));
}

#[test]
fn a_damaged_file_is_refused_and_everything_is_as_without_it() {
    let mut scenario = scenario();
    scenario.apply(web("web", 10, "pod-a"));
    scenario.take_daemon().terminate();
    scenario.files().cleanup(scenario.node());
    let path = state(&scenario).join("table");
    let mut bytes = fs::read(&path).expect("the table");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).expect("writing");
    let file = scenario.files().manifests().join("scenario.json");
    let good = fs::read(&file).expect("the manifest");
    fs::write(&file, "{ broken").expect("writing");
    scenario.start_daemon();
    said(&scenario, "is not used: it is damaged: the checksum is another", 1);
    assert_eq!(scenario.metric("kubeverdict_warm_start_refused"), 1);
    scenario.check_packets(&[case("nobody's", From::Client, "10.96.0.10:80", PASS)]);
    fs::write(&file, good).expect("writing");
    scenario.settle();
    scenario.check_packets(&reaches("by the manifests", "pod-a"));
    // A directory that cannot be read, and no table: as ever an error.
    scenario.take_daemon().kill();
    hide(&scenario);
    fs::remove_dir_all(state(&scenario)).expect("removing the state");
    scenario.start_daemon();
    let mut daemon = scenario.take_daemon();
    assert!(!daemon.ends_within(pace::limit(Duration::from_secs(20))).success());
    assert!(
        scenario.files().log().contains("cannot read the manifest directory"),
        "{}",
        scenario.files().log()
    );
}

/// A file system of a few pages, gone with its value.
struct Tiny(PathBuf);

impl Tiny {
    fn on(path: &Path) -> Tiny {
        fs::create_dir(path).expect("a directory");
        run("mount", &["-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", path.to_str().expect("text")]);
        Tiny(path.to_owned())
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        run("umount", &["-l", self.0.to_str().expect("text")]);
    }
}

fn run(program: &str, words: &[&str]) {
    let done = Command::new(program).args(words).status().unwrap_or_else(|e| panic!("{program}: {e}"));
    assert!(done.success(), "{program} {words:?}: {done}");
}

#[test]
fn a_full_disk_harms_neither_the_daemon_nor_what_it_kept() {
    let mut scenario = Scenario::without_daemon(&Config::default());
    let directory = state(&scenario);
    let _tiny = Tiny::on(&directory);
    scenario.files_mut().add_words(&["--state-dir", directory.to_str().expect("text")]);
    scenario.write([]);
    scenario.start_daemon();
    scenario.apply(web("web", 10, "pod-a"));
    scenario.take_daemon().terminate();
    let kept = fs::read(directory.join("table")).expect("the table");

    let filler = fs::write(directory.join("filler"), vec![0; 1 << 20]);
    assert!(filler.is_err(), "the disk is not full");
    scenario.start_daemon();
    let many: Vec<Objects> = (20..60).flat_map(|n| web(&format!("web-{n}"), n, "pod-b")).collect();
    scenario.apply([many, web("web", 10, "pod-c")].concat());
    scenario.check_packets(&reaches("with a full disk", "pod-c"));
    said(&scenario, "the table cannot be kept in", 1);
    assert!(scenario.metric("kubeverdict_warm_start_write_failures_total") >= 1);
    scenario.take_daemon().terminate();
    assert_eq!(fs::read(directory.join("table")).expect("the table"), kept);
    assert!(!directory.join("table.new").exists());
    assert_eq!(scenario.files().log().matches("the table cannot be kept in").count(), 1);

    scenario.files().cleanup(scenario.node());
    hide(&scenario);
    scenario.start_daemon();
    serves_what_was_kept(&scenario);
    scenario.check_packets(&reaches("what was kept before", "pod-a"));
}

#[test]
fn cleanup_forgets_what_was_kept() {
    let mut scenario = scenario();
    scenario.apply(web("web", 10, "pod-a"));
    scenario.take_daemon().terminate();
    let path = state(&scenario).join("table");
    assert!(path.exists());
    let words =
        ["cleanup", "--only", "kube-verdict", "--state-dir", path.parent().unwrap().to_str().expect("text")];
    let done = scenario.node().run(|| {
        Command::new(kube_verdict_scenario_tests::daemon::program()).args(words).status().expect("cleanup")
    });
    assert!(done.success() && !path.exists());
}
