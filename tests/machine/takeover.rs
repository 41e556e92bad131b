//! From kube-proxy's IPVS mode to either of ours: what IPVS has established for it goes on, what is new is ours, and
//! afterwards nothing of kube-proxy's is left, and everything of others.

use std::net::IpAddr;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use kube_verdict::predecessor::{Established, Report, Wait, retire};
use kube_verdict_ipvs_codec::{Ipvs, Key};
use kube_verdict_nftables::layout::Marks;

use crate::codec::ipvsadm;
use crate::node::{self, Daemon, EXTERNAL, FOREIGN, IDLE, Mode, NODE, NODE_PORT, WEB, WEB_6, run_there};
use crate::talk::{Talk, enter, within};

/// How long waiting may take after the last connection: IPVS remembers a reset for ten seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// Connections that IPVS knows.
pub fn in_ipvs() -> u32 {
    connections(|_| true)
}

/// Those of kube-proxy's virtual servers.
fn of_kube_proxy() -> u32 {
    connections(|key| matches!(key, Key::Address { .. }))
}

fn connections(counts: fn(&Key) -> bool) -> u32 {
    within(NODE, || {
        let mut ipvs = Ipvs::open().expect("IPVS");
        let mut count = 0;
        for server in ipvs.virtual_servers().expect("virtual servers") {
            if !counts(&server.server.key) {
                continue;
            }
            let real = ipvs.real_servers(&server.server.key).expect("real servers");
            count += real.iter().map(|real| real.connections.active + real.connections.inactive).sum::<u32>();
        }
        count
    })
}

pub fn servers() -> Vec<String> {
    within(NODE, || ipvsadm("-Sn"))
}

fn has_server(to: &str) -> bool {
    servers().iter().any(|line| line.starts_with("-A") && line.contains(&format!(" {to} ")))
}

fn has_address(address: &str) -> bool {
    run_there("ip -o address show dev kube-ipvs0", "").contains(&format!(" {address}/"))
}

fn take_over() -> (Report, Option<Wait>) {
    within(NODE, || retire(Established::Spared))
}

/// Lets it wait, in the node; tells when it has returned.
fn wait_there(wait: Wait) -> Receiver<()> {
    let (done, waited) = channel();
    thread::spawn(move || {
        enter(NODE);
        wait.run();
        done.send(())
    });
    waited
}

/// Whether a line of ipvsadm's is about a virtual server of the daemon's.
fn is_the_daemons(line: &str) -> bool {
    let mark = line.split_whitespace().skip_while(|word| *word != "-f").nth(1);
    mark.and_then(|mark| mark.parse().ok()).is_some_and(|mark| Marks::DEFAULT.is_ours(mark))
}

fn only_others_are_left() {
    let left: Vec<String> = servers().into_iter().filter(|line| !is_the_daemons(line)).collect();
    assert_eq!(left, FOREIGN);
    let links = run_there("ip -o link", "");
    assert!(!links.contains("kube-ipvs0") && links.contains("mine0"), "{links}");
    assert_eq!(run_there("ipset list -n", "").trim(), "KUBE-MINE");
    let local = ["-4", "-6"].map(|family| run_there(&format!("ip {family} route show table local"), ""));
    let bound = ["10.96.0.1 ", "10.96.0.2 ", "198.51.100.7 ", "fd00:10:96::1 "];
    assert!(!bound.iter().any(|address| local.concat().contains(address)), "{local:?}");
    assert!(local[0].contains("10.96.0.9 "), "{local:?}");
    let rules = run_there("iptables-legacy-save", "");
    assert!(rules.contains("KUBE-MINE") && !rules.contains(":KUBE-"), "{rules}");
}

/// An address that others know, of the node.
fn is_nodes(address: IpAddr) -> bool {
    ["192.0.2.1", "2001:db8::1", "10.2.1.1", "10.2.2.1", "fd00:2:1::1", "fd00:2:2::1"]
        .iter()
        .any(|own| own.parse() == Ok(address))
}

pub fn connections_go_on() {
    connections_go_on_to(Mode::Nftables);
}

pub fn connections_go_on_to_ipvs() {
    connections_go_on_to(Mode::Ipvs);
}

fn connections_go_on_to(mode: Mode) {
    node::set_after_kube_proxy();
    let mut old: Vec<Talk> =
        [("client", WEB), ("client", NODE_PORT), (NODE, WEB), ("client", WEB_6), (NODE, WEB_6)]
            .into_iter()
            .map(|(from, to)| Talk::open(from, to))
            .collect();
    old.iter_mut().for_each(|talk| drop(talk.go_on()));
    let old_count = old.len() as u32;
    assert_eq!(in_ipvs(), old_count, "IPVS does not serve");

    let _daemon = Daemon::start(mode);
    old.iter_mut().for_each(|talk| drop(talk.go_on()));
    // kube-proxy's rules are still there, and are not asked.
    let mut new: Vec<Talk> = [("client", WEB), ("client", NODE_PORT), ("client", WEB_6)]
        .into_iter()
        .map(|(from, to)| Talk::open(from, to))
        .collect();
    let are_where_they_should_be = |new: &[Talk]| {
        assert_eq!(of_kube_proxy(), old_count, "kube-proxy's virtual servers have got new connections");
        let ours = if mode == Mode::Ipvs { new.len() as u32 } else { 0 };
        assert_eq!(in_ipvs() - of_kube_proxy(), ours, "connections that our virtual servers have");
    };
    are_where_they_should_be(&new);
    let (report, wait) = take_over();
    assert_eq!(report.failures, [""; 0]);
    let removed: Vec<String> = report.removed.iter().map(ToString::to_string).collect();
    assert!(removed.iter().any(|what| what.contains("iptables-legacy table nat")), "{removed:?}");
    assert!(removed.iter().any(|what| what.contains("ip6tables-nft table filter")), "{removed:?}");
    assert!(removed.contains(&"kube-proxy's 9 ipsets".to_owned()), "{removed:?}");
    assert!(
        removed.contains(&"kube-proxy's 2 virtual servers without connections from IPVS".to_owned()),
        "{removed:?}"
    );
    // The external address' has no connection; its real servers tell whose the NodePort's is.
    assert!(report.left.iter().any(|left| left.starts_with("4 of kube-proxy's")), "{:?}", report.left);
    assert!(!has_server(IDLE) && !has_address("10.96.0.2"));
    assert!([WEB, WEB_6, NODE_PORT, EXTERNAL].into_iter().all(has_server));

    let waited = wait_there(wait.expect("something to wait for"));
    let ways = [
        ("client", WEB),
        ("client", NODE_PORT),
        ("client", EXTERNAL),
        ("client", WEB_6),
        (NODE, WEB),
        (NODE, WEB_6),
    ];
    for (from, to) in ways {
        for _ in 0..5 {
            let mut talk = Talk::open(from, to);
            let (_, client) = talk.go_on();
            assert_eq!(
                is_nodes(client),
                from == NODE || [NODE_PORT, EXTERNAL].contains(&to),
                "{from} -> {to}: {client}"
            );
            new.push(talk);
        }
    }
    are_where_they_should_be(&new);
    // Some looks later everything still goes on.
    assert!(waited.recv_timeout(Duration::from_secs(10)).is_err(), "it did not wait");
    old.iter_mut().chain(&mut new).for_each(|talk| drop(talk.go_on()));

    old.into_iter().for_each(Talk::reset);
    waited.recv_timeout(PATIENCE).expect("it waits although nothing is established any more");
    only_others_are_left();
    new.iter_mut().for_each(|talk| drop(talk.go_on()));
    ways.iter().for_each(|(from, to)| drop(Talk::open(from, to).go_on()));
    let (report, wait) = take_over();
    assert_eq!((report, wait.is_none()), (Report::default(), true));
}

pub fn cleanup_does_not_wait() {
    node::set_after_kube_proxy();
    let mut talks = ["client", NODE].map(|from| Talk::open(from, WEB));
    talks.iter_mut().for_each(|talk| drop(talk.go_on()));
    let cleanup = || {
        let command = || Command::new("./kube-verdict").args(["cleanup", "--only", "kube-proxy"]).output();
        let output = within(NODE, command).expect("running the daemon");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    let said = cleanup();
    for expected in [
        "removed kube-proxy's 6 virtual servers from IPVS, which ended 2 connections\n",
        "removed kube-proxy's device kube-ipvs0\n",
        "removed kube-proxy's 9 ipsets\n",
    ] {
        assert!(said.contains(expected), "{said}");
    }
    only_others_are_left();
    assert_eq!(cleanup(), "there is nothing of kube-proxy's\n");
}

pub fn a_kube_proxy_that_runs_is_left_alone() {
    node::set_after_kube_proxy();
    let mut talk = Talk::open("client", WEB);
    talk.go_on();
    let (_, wait) = take_over();
    assert!(!has_server(IDLE));
    // As kube-proxy does at its next sync.
    run_there(&format!("ipvsadm -A -t {IDLE} -s rr"), "");
    let waited = wait_there(wait.expect("something to wait for"));
    waited.recv_timeout(PATIENCE).expect("it does not notice");
    assert!(has_server(IDLE) && has_server(WEB));
    talk.go_on();
}
