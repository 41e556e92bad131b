//! Tables that belong to the daemon: nobody else can change them while it runs, and they serve on when it does not.

use std::time::{Duration, Instant};

use kube_verdict_scenario_tests::conversation::Conversation;
use kube_verdict_scenario_tests::kernel;
use kube_verdict_scenario_tests::pace;
use kube_verdict_scenario_tests::prelude::*;

/// The first release whose tables can outlive their owner.
const PERSIST: (u32, u32) = (6, 9);

fn web(endpoint: &str) -> Vec<Objects> {
    vec![
        service("web").ip("10.96.0.10").tcp("http", 80).node_port(30080).affinity(600).build(),
        slice("web", "web").tcp("http", 8080).with([at(endpoint)]).build(),
    ]
}

fn scenario(words: &[&str]) -> Scenario {
    let mut scenario = Scenario::without_daemon(&Config::default().sync_period("1h"));
    scenario.files_mut().add_words(words);
    scenario.write([]);
    scenario.start_daemon();
    scenario
}

/// Whether the kernel has what this needs; and if it has not, that the daemon says so and ends.
fn can_own() -> bool {
    if kernel::is_at_least(PERSIST) {
        return true;
    }
    let mut scenario = scenario(&["--own-tables"]);
    let status = scenario.take_daemon().ends_within(pace::limit(Duration::from_secs(20)));
    assert!(!status.success());
    let log = scenario.files().log();
    assert!(log.contains("--own-tables needs Linux 6.9"), "{log}");
    assert_eq!(kernel::nft(scenario.node(), &["list", "tables"], "").expect("the tables").trim(), "");
    false
}

fn connections(name: &str) -> [Case; 2] {
    [
        case(name, From::Client, "10.96.0.10:80", snat(&["pod-a:8080"])),
        case(name, From::Client, "node:30080", snat(&["pod-a:8080"])),
    ]
}

fn conversations(scenario: &Scenario) -> Vec<Conversation> {
    let open = |family| Conversation::open(scenario, From::Client, family, "10.96.0.10:80");
    Family::BOTH.into_iter().map(open).collect()
}

/// Which of the families' tables are somebody's, as others see it.
fn owned(scenario: &Scenario) -> usize {
    let is_owned = |family| {
        let text = kernel::list(scenario.node(), family).unwrap_or_default();
        text.lines().any(|line| line.trim().starts_with("flags owner"))
    };
    Family::BOTH.into_iter().filter(|family| is_owned(*family)).count()
}

fn until(scenario: &Scenario, what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + pace::limit(Duration::from_secs(20));
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}; the daemon's log:\n{}", scenario.files().log());
        std::thread::sleep(Duration::from_millis(5));
    }
}

const CHANGES: [&str; 6] = [
    "flush chain ip kube-verdict prerouting",
    "delete element ip kube-verdict services { 10.96.0.10 . tcp . 80 }",
    "add rule ip kube-verdict dispatch drop",
    "add chain ip kube-verdict more",
    "delete table ip kube-verdict",
    "delete table ip6 kube-verdict",
];

#[test]
fn nobody_else_changes_them_and_they_outlive_the_daemon() {
    if !can_own() {
        return;
    }
    let mut scenario = scenario(&["--own-tables"]);
    scenario.apply(web("pod-a"));
    assert_eq!(owned(&scenario), 2);
    let mut established = conversations(&scenario);
    for _ in 0..2 {
        for change in CHANGES {
            let told = kernel::nft(scenario.node(), &["-f", "-"], &format!("{change}\n"));
            assert!(told.as_ref().is_err_and(|e| e.contains("not permitted")), "{change}: {told:?}");
        }
        // This leaves out what is somebody's.
        kernel::load(scenario.node(), "add table ip other\n");
        kernel::load(scenario.node(), "flush ruleset\n");
        let tables = kernel::nft(scenario.node(), &["list", "tables"], "").expect("the tables");
        assert_eq!(tables.matches("kube-verdict").count(), 2, "{tables}");
        assert!(!tables.contains("other"), "{tables}");
        scenario.check_packets(&connections("somebody tried to take the rules away"));
        established.iter_mut().for_each(Conversation::still_lives);
        assert_eq!(scenario.metric("kubeverdict_foreign_changes_repaired_total{what=\"nftables\"}"), 0);
        scenario.becomes_what_is_rendered();

        // Without a daemon they are nobody's, and serve.
        scenario.take_daemon().kill();
        until(&scenario, "somebody's for ever", || owned(&scenario) == 0);
        scenario.check_packets(&connections("without a daemon"));
        established.iter_mut().for_each(Conversation::still_lives);
        let said = scenario.files().log().matches("the kernel is as the manifests say").count();
        scenario.start_daemon();
        until(&scenario, "in sync again", || {
            scenario.files().log().matches("the kernel is as the manifests say").count() > said
        });
        assert_eq!(owned(&scenario), 2);
        // Taking them over is all that there was to do: counters and all stay.
        assert_eq!(scenario.metric("kubeverdict_operations_total"), 2);
        established.iter_mut().for_each(Conversation::still_lives);
    }
    // They can still be changed by whom they belong to.
    scenario.apply([web("pod-a"), vec![service("more").ip("10.96.0.11").tcp("http", 80).build()]].concat());
    scenario.check_packets(&connections("changed"));
    established.iter_mut().for_each(Conversation::still_lives);

    // What others do to them in between is mended when they are taken over.
    scenario.take_daemon().terminate();
    kernel::load(scenario.node(), "flush chain ip kube-verdict prerouting\n");
    scenario.start_daemon();
    until(&scenario, "mended", || owned(&scenario) == 2);
    scenario.becomes_what_is_rendered();
    scenario.check_packets(&connections("mended"));

    // And when the daemon is gone they can be removed.
    let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        scenario.files().cleanup(scenario.node());
    }));
    assert!(refused.is_err(), "the tables of a running daemon can be removed");
    scenario.take_daemon().terminate();
    scenario.files().cleanup(scenario.node());
    assert_eq!(kernel::nft(scenario.node(), &["list", "tables"], "").expect("the tables").trim(), "");
}

/// With and without, either way by a mere restart.
#[test]
fn turned_on_and_off_again() {
    if !can_own() {
        return;
    }
    let mut scenario = scenario(&[]);
    scenario.apply(web("pod-a"));
    let mut established = conversations(&scenario);
    let mut generation = 1;
    for is_on in [true, false, true] {
        scenario.take_daemon().terminate();
        if is_on {
            scenario.files_mut().add_words(&["--own-tables"]);
        } else {
            scenario.files_mut().drop_words(1);
        }
        scenario.start_daemon();
        generation += 1;
        let more = service("more").ip(&format!("10.96.0.{}", 20 + generation)).tcp("http", 80).build();
        scenario.apply([web("pod-a"), vec![more]].concat());
        established.iter_mut().for_each(Conversation::still_lives);
        scenario.check_packets(&connections(if is_on { "on" } else { "off" }));
        let told = kernel::nft(scenario.node(), &["-f", "-"], "flush chain ip kube-verdict prerouting\n");
        assert_eq!((owned(&scenario), told.is_err()), if is_on { (2, true) } else { (0, false) });
        until(&scenario, "mended", || {
            kernel::list(scenario.node(), Family::V4).is_some_and(|text| text.contains("jump dispatch"))
        });
        established.iter_mut().for_each(Conversation::still_lives);
    }
}

/// Two daemons: the second does not get what is the first's, says why, and has it when that is gone.
#[test]
fn what_is_anothers_is_waited_for() {
    if !can_own() {
        return;
    }
    let mut scenario = scenario(&["--own-tables"]);
    scenario.apply(web("pod-a"));
    let first = scenario.take_daemon();
    scenario.start_daemon();
    until(&scenario, "the reason", || {
        let log = scenario.files().log();
        log.contains("another process owns our table") && log.contains("what was programmed stays")
    });
    scenario.check_packets(&connections("while two want them"));
    first.kill();
    scenario.apply([web("pod-a"), vec![service("more").ip("10.96.0.11").tcp("http", 80).build()]].concat());
    assert_eq!(owned(&scenario), 2);
    scenario.check_packets(&connections("by the second"));
}
