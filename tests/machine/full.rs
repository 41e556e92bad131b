//! A conntrack table that is full. New connections through the node fail then, by the kernel's own rule; those that are
//! there go on, the daemon programmes on, and what it deletes of UDP flows is gone when there is room again.

use std::fs;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::node::{self, Daemon, Mode, WEB, run_there};
use crate::talk::{Flow, Talk, within};

/// The limit, which is one for all namespaces.
const MAX: &str = "/proc/sys/net/netfilter/nf_conntrack_max";
const MANIFEST: &str = "/tmp/manifests/web.yaml";
const GONE: &str = ", {addresses: [10.2.2.2]}";

pub fn the_daemon_goes_on() {
    node::set();
    let daemon = Daemon::start(Mode::Nftables);
    let mut talk = Talk::open("client", WEB);
    talk.go_on();
    let mut flows: Vec<Flow> = (0..8).map(|_| Flow::begin("client", "10.96.0.1:7")).collect();
    let before: Vec<String> = flows.iter_mut().map(Flow::go_on).collect();
    assert!(before.iter().any(|pod| pod == "pod-b"), "by chance one in 256 times: {before:?}");

    let room = fs::read_to_string(MAX).expect("the limit");
    fs::write(MAX, "1").expect("a limit of one");
    let to = WEB.parse().expect("an address");
    let refused = within("client", || TcpStream::connect_timeout(&to, Duration::from_secs(2)));
    assert!(refused.is_err(), "the table is not full");
    talk.go_on();

    let manifests = fs::read_to_string(MANIFEST).expect("manifests");
    assert!(manifests.contains(GONE));
    fs::write(MANIFEST, manifests.replacen(GONE, "", 1)).expect("manifests");
    let deadline = Instant::now() + Duration::from_secs(60);
    while run_there("nft list map ip kube-verdict endpoints", "").contains("10.2.2.2") {
        assert!(Instant::now() < deadline, "a change is not programmed");
        std::thread::sleep(Duration::from_millis(50));
    }
    // The clean-up follows the change; a flow that it has not met yet would go on to where it was.
    std::thread::sleep(Duration::from_secs(3));
    talk.go_on();

    fs::write(MAX, room.trim()).expect("the limit as it was");
    let after: Vec<String> = flows.iter_mut().map(Flow::go_on).collect();
    assert!(after.iter().all(|pod| pod == "pod-a"), "{after:?}");
    Talk::open("client", WEB).go_on();
    drop(daemon);
}
