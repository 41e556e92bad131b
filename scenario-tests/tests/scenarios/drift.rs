//! Others change our tables: it is noticed as it happens, mended, and said who it was. The sync period is so long
//! that looking at times plays no part.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kube_verdict_scenario_tests::kernel;
use kube_verdict_scenario_tests::pace;
use kube_verdict_scenario_tests::prelude::*;

/// Generous, and a small part of the sync period.
const SOON: Duration = Duration::from_secs(10);

const REPAIRED: &str = "kubeverdict_foreign_changes_repaired_total{what=\"nftables\"}";
const LATE: &str = "kubeverdict_foreign_changes_repaired_late_total{what=\"nftables\"}";
const COMPARED: &str = "kubeproxy_sync_full_proxy_rules_duration_seconds_count{ip_family=\"IPv4\"}";

fn start() -> Scenario {
    let mut scenario = Scenario::start(&Config::default().sync_period("1h"));
    scenario.apply([
        service("web").ip("10.96.0.10").tcp("http", 80).node_port(30080).build(),
        slice("web", "web").tcp("http", 8080).with([at("pod-a")]).build(),
    ]);
    scenario
}

fn until(scenario: &Scenario, what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + pace::limit(SOON);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}; the daemon's log:\n{}", scenario.files().log());
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn connections(name: &str) -> [Case; 2] {
    [
        case(name, From::Client, "10.96.0.10:80", snat(&["pod-a:8080"])),
        case(name, From::Client, "node:30080", snat(&["pod-a:8080"])),
    ]
}

/// Who was said to be mended after: the numbers that nft ran under.
fn named(log: &str) -> Vec<u32> {
    let repairs = log.lines().filter(|line| line.contains("they are as they should be again"));
    repairs.filter_map(|line| line.split("nft (pid ").nth(1)?.split(')').next()?.parse().ok()).collect()
}

/// Spoils what says where the frontends' packets go.
fn flush_targets() -> &'static str {
    match mode() {
        Mode::Nftables => "flush map ip6 kube-verdict endpoints",
        Mode::Ipvs => "flush map ip6 kube-verdict marks",
    }
}

#[test]
fn what_others_change_is_mended_as_it_happens() {
    let scenario = start();
    let changes = [
        "flush chain ip kube-verdict prerouting",
        "delete element ip kube-verdict services { 10.96.0.10 . tcp . 80 }",
        "add element ip kube-verdict cluster-ips { 10.96.0.99 }",
        "add rule ip kube-verdict dispatch drop",
        flush_targets(),
        "flush ruleset",
        "delete table ip kube-verdict",
        "delete table ip kube-verdict; add table ip kube-verdict",
    ];
    for (round, change) in changes.into_iter().enumerate() {
        kernel::load(scenario.node(), &format!("{change}\n"));
        until(&scenario, change, || scenario.metric(REPAIRED) > round as u64);
        scenario.check_packets(&connections(change));
    }
    scenario.becomes_what_is_rendered();
    let log = scenario.files().log();
    let named = named(&log);
    assert_eq!(named.len(), changes.len(), "not everybody is named:\n{log}");
    assert!(named.iter().all(|pid| *pid > 0) && named.windows(2).all(|pids| pids[0] != pids[1]), "{named:?}");
}

#[test]
fn what_others_change_elsewhere_is_not_our_business() {
    let scenario = start();
    let compared = scenario.metric(COMPARED);
    for n in 0..50 {
        let ruleset = format!(
            "add table ip other\nadd set ip other s {{ type ipv4_addr; }}\n\
             add element ip other s {{ 192.0.2.{n} }}\nadd table inet kube-verdict\n"
        );
        kernel::load(scenario.node(), &ruleset);
    }
    kernel::load(scenario.node(), "delete table ip other\n");
    // Something of ours is noticed after all that.
    kernel::load(scenario.node(), "flush chain ip kube-verdict prerouting\n");
    until(&scenario, "a flushed chain", || scenario.metric(REPAIRED) == 1);
    assert_eq!(scenario.metric(COMPARED), compared + 1, "{}", scenario.files().log());
    scenario.check_packets(&connections("after others were busy"));
}

/// Somebody who does not give up gets fewer and fewer answers, and is told by name.
#[test]
fn a_fight_is_fought_slowly() {
    let mut scenario = start();
    let daemon = scenario.take_daemon();
    let pid = daemon.pid();
    scenario.put_daemon(daemon);
    let stop = AtomicBool::new(false);
    let mut rounds = 0;
    let before = processor_time(pid);
    let started = Instant::now();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let mut rounds = 0u64;
            while !stop.load(Ordering::Relaxed) {
                // Half of the time the table is not there.
                if kernel::nft(scenario.node(), &["flush", "ruleset"], "").is_ok() {
                    rounds += 1;
                }
            }
            rounds
        });
        std::thread::sleep(pace::limit(Duration::from_secs(4)));
        stop.store(true, Ordering::Relaxed);
        rounds = other.join().expect("the other");
    });
    let spent = processor_time(pid) - before;
    let lasted = started.elapsed();
    let repairs = scenario.metric(REPAIRED);
    assert!(rounds > pace::times(30), "the other did little: {rounds}");
    assert!((2..12).contains(&repairs), "{repairs} repairs of {rounds} changes");
    assert_eq!(scenario.metric(LATE), repairs - 1);
    assert!(spent < lasted / 4, "{spent:?} of {lasted:?} were spent");
    let log = scenario.files().log();
    assert!(log.contains("changes our nftables tables again and again: the next repair waits"), "{log}");
    assert!(log.lines().count() < 60, "{log}");
    // The last word is ours.
    until(&scenario, "peace", || scenario.metric(REPAIRED) > repairs || scenario_is_whole(&scenario));
    until(&scenario, "the tables", || scenario_is_whole(&scenario));
    scenario.check_packets(&connections("after the fight"));
}

/// What a process has used of processors so far.
fn processor_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the daemon");
    let (_, rest) = stat.rsplit_once(')').expect("a name");
    // utime and stime, in USER_HZ, which is 100 everywhere.
    let ticks: u64 = rest.split_whitespace().skip(11).take(2).map(|t| t.parse::<u64>().expect("ticks")).sum();
    Duration::from_millis(ticks * 10)
}

fn scenario_is_whole(scenario: &Scenario) -> bool {
    Family::BOTH.into_iter().all(|family| {
        kernel::list(scenario.node(), family).is_some_and(|text| text.contains("jump dispatch"))
    })
}
