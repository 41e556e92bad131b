//! The harness itself, against a hand-written ruleset instead of the daemon: every fate is told apart from
//! every other, in each protocol, family and from each place.

#![allow(missing_docs)]

use kube_verdict_scenario_tests::case::{Case, From, case};
use kube_verdict_scenario_tests::config::Config;
use kube_verdict_scenario_tests::fate::{DROP, PASS, REJECT, dnat, snat};
use kube_verdict_scenario_tests::kernel;
use kube_verdict_scenario_tests::plan::{self, Family};
use kube_verdict_scenario_tests::scenario::Scenario;
use kube_verdict_scenario_tests::wire::Protocol;

/// 10.96.0.1 goes to pod-b, .2 the same and masqueraded, .3 is rejected, .4 dropped, .5 goes to pods a and c.
fn ruleset(family: Family) -> String {
    let table = family.table();
    let ip = |text| plan::ip(family, text);
    let to = |text| plan::socket(family, text);
    let protocols = "meta l4proto { tcp, udp, sctp }";
    format!(
        "table {table} hand {{
  chain choose {{
    dnat {table} to numgen inc mod 2 map {{ 0 : {a}, 1 : {c} }}
  }}
  chain nat {{
    {table} daddr {vip1} {protocols} dnat {table} to {b}
    {table} daddr {vip2} {protocols} meta mark set 0x4000 dnat {table} to {b}
    {table} daddr {vip5} {protocols} goto choose
  }}
  chain filter {{
    {table} daddr {vip3} reject
    {table} daddr {vip4} drop
  }}
  chain nat-pre {{ type nat hook prerouting priority dstnat; jump nat; }}
  chain nat-out {{ type nat hook output priority -100; jump nat; }}
  chain filter-forward {{ type filter hook forward priority -110; jump filter; }}
  chain filter-out {{ type filter hook output priority -110; jump filter; }}
  chain nat-post {{ type nat hook postrouting priority srcnat; meta mark & 0x4000 != 0 masquerade fully-random; }}
}}\n",
        a = ip("pod-a"),
        b = to("pod-b:8080"),
        c = ip("pod-c"),
        vip1 = ip("10.96.0.1"),
        vip2 = ip("10.96.0.2"),
        vip3 = ip("10.96.0.3"),
        vip4 = ip("10.96.0.4"),
        vip5 = ip("10.96.0.5"),
    )
}

#[test]
fn fates_are_told_apart() {
    let scenario = Scenario::without_daemon(&Config::default());
    for family in Family::BOTH {
        kernel::load(scenario.node(), &ruleset(family));
        for backend in ["pod-a:80", "pod-b:8080", "pod-c:80"] {
            for protocol in Protocol::SERVICE {
                scenario.listen(plan::socket(family, backend), protocol);
            }
        }
    }
    let mut cases: Vec<Case> = Vec::new();
    for protocol in ["tcp", "udp", "sctp"] {
        for from in [From::PodA, From::PodC, From::Node, From::Client] {
            let to = |address: &str| format!("{address}:80/{protocol}");
            let name = |what: &str| format!("{what}, {from:?}");
            cases.push(case(&name("translated"), from, &to("10.96.0.1"), dnat(&["pod-b:8080"])));
            cases.push(case(&name("masqueraded"), from, &to("10.96.0.2"), snat(&["pod-b:8080"])));
            cases.push(case(&name("rejected"), from, &to("10.96.0.3"), REJECT));
            cases.push(case(&name("dropped"), from, &to("10.96.0.4"), DROP));
            cases.push(case(&name("left alone"), from, &to("10.96.0.6"), PASS));
            cases.push(case(&name("for the node"), from, &to("node"), PASS));
            if from == From::Client || from == From::Node {
                cases.push(case(&name("spread"), from, &to("10.96.0.5"), dnat(&["pod-a:80", "pod-c:80"])));
            }
        }
    }
    cases.push(case("a ping", From::PodA, "10.96.0.3:0/icmp", REJECT));
    cases.push(case("a ping", From::PodA, "10.96.0.4:0/icmp", DROP));
    cases.push(case("a ping", From::PodA, "10.96.0.6:0/icmp", PASS));
    scenario.check_packets(&cases);
}

/// A table that expects the wrong thing fails: the harness is no yes-man.
#[test]
fn wrong_expectations_are_noticed() {
    let scenario = Scenario::without_daemon(&Config::default());
    kernel::load(scenario.node(), &ruleset(Family::V4));
    for backend in ["pod-a:80", "pod-b:8080", "pod-c:80"] {
        scenario.listen(plan::socket(Family::V4, backend), Protocol::Tcp);
    }
    let wrong = [
        ("10.96.0.1:80", dnat(&["pod-a:80"])),
        ("10.96.0.1:80", snat(&["pod-b:8080"])),
        ("10.96.0.2:80", dnat(&["pod-b:8080"])),
        ("10.96.0.5:80", dnat(&["pod-a:80"])),
        ("10.96.0.5:80", dnat(&["pod-a:80", "pod-c:80"]).sticky()),
        ("10.96.0.1:80", dnat(&["pod-a:8080", "pod-b:8080"])),
        ("10.96.0.3:80", DROP),
        ("10.96.0.3:80", PASS),
        ("10.96.0.6:80", DROP),
    ];
    for (to, fate) in wrong {
        let table = [case("wrong", From::Client, to, fate.clone()).only(Family::V4)];
        let checked =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| scenario.check_packets(&table)));
        assert!(checked.is_err(), "nobody noticed that {to} does not meet {fate:?}");
    }
}
