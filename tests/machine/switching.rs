//! From one mode of ours to the other: established connections go on, whoever has them, new ones come to the mode that
//! runs, and in the end nothing is left of the one that was left. And a daemon that is killed, in either, under load.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::load::{Company, Load, SIZE};
use crate::node::{self, Daemon, Mode, NODE, run_there};
use crate::takeover::{in_ipvs, servers};
use crate::talk::within;

/// How long what has to end may take: IPVS remembers a reset for ten seconds, and a flow for thirty here.
const PATIENCE: Duration = Duration::from_secs(150);

/// Waits until something is so, and has everybody go on meanwhile.
fn wait_until(what: &str, company: &mut [&mut Company], is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}; {:?}", servers());
        company.iter_mut().for_each(|company| company.go_on());
        thread::sleep(Duration::from_millis(500));
    }
}

/// What mode ipvs has beside virtual servers.
fn traces() -> String {
    let rules = ["-4", "-6"].map(|family| run_there(&format!("ip {family} rule show lookup 19286"), ""));
    let routes = ["-4", "-6"].map(|family| run_there(&format!("ip {family} route show table all"), ""));
    let routes = routes.concat().lines().filter(|line| line.contains("table 19286")).collect::<String>();
    let listed = run_there("nft list ruleset", "");
    let ours = ["chain ipvs-", "other-marks", "marks {"];
    let ours = listed.lines().filter(|line| ours.iter().any(|word| line.contains(word)));
    rules.concat() + &routes + &ours.collect::<String>()
}

fn nothing_is_left_of_ipvs() {
    assert_eq!((servers(), traces()), (vec![], String::new()));
}

fn weights_are_zero() -> bool {
    servers().iter().all(|line| !line.starts_with("-a") || line.ends_with("-w 0"))
}

pub fn there_and_back() {
    node::set();
    let daemon = Daemon::start(Mode::Nftables);
    let mut before = Company::gather();
    daemon.kill();

    let daemon = Daemon::start(Mode::Ipvs);
    before.go_on();
    let mut with_ipvs = Company::gather();
    assert_eq!(in_ipvs(), SIZE, "IPVS is to have the new connections and no others");
    before.go_on();
    daemon.kill();
    before.go_on();
    with_ipvs.go_on();

    let daemon = Daemon::start(Mode::Nftables);
    wait_until("no new connections for IPVS", &mut [&mut before, &mut with_ipvs], weights_are_zero);
    let mut after = Company::gather();
    assert_eq!(in_ipvs(), SIZE, "IPVS has got new connections");
    daemon.kill();
    let _daemon = Daemon::start(Mode::Nftables);
    run_there("ip rule delete pref 6", "");
    [&mut before, &mut with_ipvs, &mut after].into_iter().for_each(Company::go_on);
    assert!(traces().contains("chain ipvs-steer"), "{}", traces());
    assert_eq!(in_ipvs(), SIZE, "a restart has ended connections");

    with_ipvs.end();
    wait_until("the end of IPVS", &mut [&mut before, &mut after], || servers().is_empty());
    wait_until("the end of what led to it", &mut [&mut before, &mut after], || traces().is_empty());
    nothing_is_left_of_ipvs();
    Company::gather().end();
    [&mut before, &mut after].into_iter().for_each(Company::go_on);
}

/// Marks are all that tells ours. What an earlier run had the policy routing tells.
pub fn other_marks() {
    node::set();
    let daemon = Daemon::start(Mode::Ipvs);
    Company::gather().end();
    run_there("ipvsadm -A -f 77 -s rr", "");
    daemon.kill();
    let daemon = Daemon::launch_with(Mode::Ipvs, &["--ipvs-mark", "0x30000/0x000f0000"]);
    let are_new = || {
        let marks = servers().into_iter().filter_map(|line| line.split_whitespace().nth(2)?.parse().ok());
        let mut marks: Vec<u32> = marks.filter(|mark| *mark != 77).collect();
        marks.retain(|mark| mark & 0x000f_0000 != 0x3_0000);
        marks.is_empty() && traces().contains("0x30000/0xf0000") && !traces().contains("0x4b000000")
    };
    wait_until("other marks", &mut [], are_new);
    daemon.wait(Mode::Ipvs);
    let company = Company::gather();
    assert!(in_ipvs() >= SIZE);
    daemon.kill();

    let cleanup = || Command::new("./kube-verdict").args(["cleanup", "--only", "kube-verdict"]).output();
    let output = within(NODE, cleanup).expect("running the daemon");
    let said = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let expected = "removed 4 virtual servers from IPVS, which ended ";
    assert!(said.contains(expected), "{said}");
    assert_eq!((servers(), traces()), (vec!["-A -f 77 -s rr".to_owned()], String::new()));
    company.end();
}

pub fn nobody_notices() {
    node::set();
    let mut daemon = Daemon::start(Mode::Ipvs);
    let mut company = Company::gather();
    let load = Load::begin();
    load.go_on(50);
    for round in 0..6 {
        daemon.kill();
        load.go_on(10);
        daemon = Daemon::launch(Mode::Ipvs);
        // Killed again while it starts, earlier or later.
        thread::sleep(Duration::from_millis(60 * round));
        daemon.kill();
        daemon = Daemon::start(Mode::Ipvs);
        load.go_on(20);
        company.go_on();
    }
    for mode in [Mode::Nftables, Mode::Ipvs, Mode::Nftables, Mode::Ipvs] {
        daemon.kill();
        daemon = Daemon::start(mode);
        load.go_on(40);
        company.go_on();
    }
    let (count, slow) = load.end();
    println!("{count} connections under load, of which {slow} took a second or more");
    company.go_on();
}
