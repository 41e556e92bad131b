//! What somebody else changes of virtual servers and of the policy routing that leads to them is mended and counted, and
//! shown in health while it cannot be mended.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::node::{self, Daemon, Mode, WEB, run_there};
use crate::takeover::servers;
use crate::talk::{Talk, within};

/// How long anything may take; emulation is slow.
const PATIENCE: Duration = Duration::from_secs(120);
/// Asked for from elsewhere, because `lo` goes down.
const METRICS: ([u8; 4], u16) = ([192, 0, 2, 1], 10249);
const HEALTH: ([u8; 4], u16) = ([192, 0, 2, 1], 10256);

/// An answer as a whole.
fn ask(at: ([u8; 4], u16), path: &str) -> String {
    within("client", || {
        let mut stream = TcpStream::connect(SocketAddr::from(at)).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: node\r\n\r\n").expect("a question");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    })
}

fn repaired(what: &str) -> u64 {
    let sample = format!("kubeverdict_foreign_changes_repaired_total{{what=\"{what}\"}} ");
    let page = ask(METRICS, "/metrics");
    let value = page.lines().find_map(|line| line.strip_prefix(&sample)?.parse().ok());
    value.unwrap_or_else(|| panic!("no {sample} in\n{page}"))
}

/// What health and metrics say of both families.
fn is_shown_well() -> bool {
    let page = ask(METRICS, "/metrics");
    let in_sync = |family| page.contains(&format!("kubeverdict_in_sync{{ip_family=\"{family}\"}} 1"));
    ask(HEALTH, "/livez").starts_with("HTTP/1.1 200") && in_sync("IPv4") && in_sync("IPv6")
}

fn is_shown_ill() -> bool {
    let page = ask(METRICS, "/metrics");
    let out_of_sync = |family| page.contains(&format!("kubeverdict_in_sync{{ip_family=\"{family}\"}} 0"));
    ask(HEALTH, "/livez").starts_with("HTTP/1.1 503") && out_of_sync("IPv4") && out_of_sync("IPv6")
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}; {:?}", servers());
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Whoever flushes looks once more, and takes what was mended. A connection that begins just then is lost for good: its
/// first packet has left untranslated.
fn until_it_rests() {
    let rest = || {
        let before = repaired("routing");
        std::thread::sleep(Duration::from_secs(1));
        repaired("routing") == before
    };
    until("nobody flushes any more", rest);
}

pub fn what_others_change_is_mended() {
    node::set();
    let flags = ["--ipvs-sync-period", "2s", "--metrics-bind-address", "0.0.0.0:10249"];
    let daemon = Daemon::launch_with(Mode::Ipvs, &flags);
    daemon.wait(Mode::Ipvs);
    until("well at first", is_shown_well);
    assert_eq!(["nftables", "ipvs", "routing"].map(repaired), [0; 3]);

    let changes = [
        "ip -4 rule del priority 6",
        "ip -6 rule del priority 5",
        "ip -4 route flush table 19286",
        "ip -6 rule add pref 6 fwmark 0x100000/0xf00000 lookup 19286 proto 75",
    ];
    for change in changes {
        // `ip route flush` may flush what was mended meanwhile.
        let before = repaired("routing");
        run_there(change, "");
        until(change, || repaired("routing") > before);
        until_it_rests();
        Talk::open("client", WEB).go_on();
    }

    let before = servers();
    for round in 1..=2 {
        run_there("ipvsadm -C", "");
        until("virtual servers are back", || servers() == before && repaired("ipvs") == round);
        Talk::open("client", WEB).go_on();
    }

    // No route can be had without its device.
    let routing = repaired("routing");
    run_there("ip link set lo down", "");
    until("health and metrics tell", is_shown_ill);
    run_there("ip link set lo up", "");
    until("well again", is_shown_well);
    until("it is counted", || repaired("routing") > routing);
    assert_eq!((repaired("nftables"), repaired("ipvs")), (0, 2));
    Talk::open("client", WEB).go_on();
}
