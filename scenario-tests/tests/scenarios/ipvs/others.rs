//! Others who use IPVS, and others who mark packets: both keep what is theirs.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use kube_verdict_scenario_tests::kernel;
use kube_verdict_scenario_tests::pace;
use kube_verdict_scenario_tests::prelude::*;
use socket2::{Domain, SockRef, Socket, Type};

use super::ends;

/// By address, by a mark that is not of ours, and one that differs in a single bit of the mask; in both families. As
/// `ipvsadm -Sn` writes them.
fn foreign(family: Family) -> Vec<String> {
    let node = plan::socket(family, "node:8888");
    let pod = plan::socket(family, "pod-a:8080");
    let six = if family == Family::V6 { " -6" } else { "" };
    let near = 0x4a00_0001;
    let mut lines = vec![format!("-A -t {node} -s wlc"), format!("-a -t {node} -r {pod} -m -w 1")];
    for mark in [77, near] {
        lines.push(format!("-A -f {mark}{six} -s wlc"));
        lines.push(format!("-a -f {mark}{six} -r {pod} -m -w 5"));
    }
    lines
}

fn sorted(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(|line| line.trim().to_owned()).collect();
    lines.sort();
    lines
}

#[test]
fn their_virtual_servers_are_left_alone() {
    if !is_about_ipvs() {
        return;
    }
    let mut scenario = Scenario::without_daemon(&Config::default().sync_period("1s"));
    scenario.node().run(|| std::fs::write("/proc/sys/net/ipv4/vs/conntrack", "1").expect("IPVS"));
    let lines: Vec<String> = Family::BOTH.into_iter().flat_map(foreign).collect();
    lines.iter().for_each(|line| kernel::ipvsadm(scenario.node(), line));
    let theirs = sorted(&kernel::virtual_servers(scenario.node()));
    assert_eq!(theirs.len(), lines.len(), "{theirs:?}");
    let there = |scenario: &Scenario| {
        let all = sorted(&kernel::virtual_servers(scenario.node()));
        assert!(theirs.iter().all(|line| all.contains(line)), "something is missing: {all:?}");
    };
    scenario.start_daemon();
    let web = || service("web").ip("10.96.0.10").tcp("http", 80).build();
    for pods in [&["pod-a", "pod-c"][..], &["pod-c"], &[]] {
        scenario.apply([web(), ends("web", pods)]);
        there(&scenario);
        for family in Family::BOTH {
            let reached = scenario.reach(From::Client, family, "node:8888");
            assert_eq!(reached, plan::socket(family, "pod-a:8080"), "their virtual server serves");
        }
    }
    scenario.take_daemon().kill();
    scenario.start_daemon();
    scenario.apply([web(), ends("web", &["pod-a"])]);
    there(&scenario);
    scenario.take_daemon().kill();
    scenario.files().cleanup(scenario.node());
    assert_eq!(sorted(&kernel::virtual_servers(scenario.node())), theirs);
}

/// Somebody's mark, clear of the masquerade bit and of IPVS's.
const MARK: u32 = 0x0021_0042;

/// Counts what is on its way to the endpoints: all of it, and what has the mark.
fn counters() -> String {
    let mut text = String::from("table inet theirs {\n");
    for name in ["first", "first-marked", "later", "later-marked"] {
        text += &format!("counter {name} {{ }}\n");
    }
    text += "chain sees { type filter hook postrouting priority 300; tcp dport 8080 ct direction original jump counts; }\n\
             chain counts {\n";
    for (name, state) in [("first", "new"), ("later", "established")] {
        text += &format!(
            "ct state {state} counter name {name}\n\
             ct state {state} meta mark {MARK} counter name {name}-marked\n"
        );
    }
    text += &format!(
        "}}\nchain marks {{ type filter hook prerouting priority raw; iifname eth0 tcp dport {{ 80, 30010 }} meta mark set {MARK}; }}\n}}\n"
    );
    text
}

fn counted(scenario: &Scenario, name: &str) -> u64 {
    let listing = kernel::nft(scenario.node(), &["list", "counter", "inet", "theirs", name], "").expect("it");
    let mut words = listing.split_whitespace().skip_while(|word| *word != "packets");
    words.nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

/// Opens a connection and says something on it; a process of the node has its socket marked.
fn talk(scenario: &Scenario, from: From, family: Family, to: &str) {
    let to = plan::socket(family, to);
    scenario.topology().of(from.host()).run(|| {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).expect("a socket");
        if from == From::Node {
            socket.set_mark(MARK).expect("SO_MARK");
        }
        if let Some(source) = from.address(family) {
            socket.bind(&SocketAddr::new(source, 0).into()).expect("an address");
        }
        let patience = pace::limit(Duration::from_secs(5));
        socket.connect_timeout(&to.into(), patience).unwrap_or_else(|e| panic!("{from:?} -> {to}: {e}"));
        socket.set_read_timeout(Some(patience)).expect("a timeout");
        let mut stream = TcpStream::from(socket);
        let mut text = [0; 256];
        for round in 0..4 {
            if round > 0 {
                stream.write_all(b"go on\n").expect("an established connection");
            }
            let length = stream.read(&mut text).unwrap_or_else(|e| panic!("{from:?} -> {to}: {e}"));
            assert!(length > 0);
        }
        // What the kernel says for a socket that is no more has nobody's mark.
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("no lingering");
    });
}

#[test]
fn their_marks_reach_the_other_side() {
    if !is_about_ipvs() {
        return;
    }
    let mut scenario = Scenario::start(&Config::default());
    for affinity in [false, true] {
        let web = service("web").ip("10.96.0.10").tcp("http", 80).node_port(30010);
        let web = if affinity { web.affinity(600) } else { web };
        scenario.apply([web.build(), ends("web", &["pod-a", "pod-c"])]);
        for (from, to) in [
            (From::Client, "10.96.0.10:80"),
            (From::Client, "node:30010"),
            (From::Node, "10.96.0.10:80"),
            (From::Node, "node:30010"),
        ] {
            for family in Family::BOTH {
                kernel::load(scenario.node(), &counters());
                (0..3).for_each(|_| talk(&scenario, from, family, to));
                let counts =
                    ["first", "first-marked", "later", "later-marked"].map(|n| counted(&scenario, n));
                let [first, first_marked, later, later_marked] = counts;
                assert!(first >= 3 && later >= 9, "{from:?} -> {to}: {counts:?}");
                assert_eq!(
                    first_marked, first,
                    "{from:?} -> {to}, {family:?}: first packets lost their mark"
                );
                assert_eq!(
                    later_marked, later,
                    "{from:?} -> {to}, {family:?}: later packets lost their mark"
                );
                kernel::load(scenario.node(), "delete table inet theirs\n");
            }
        }
    }
}
