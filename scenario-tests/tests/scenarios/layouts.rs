//! A table of another layout, of a release before or after this one: it is replaced in one step, and no packet falls
//! between the two.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kube_verdict_scenario_tests::conversation::Conversation;
use kube_verdict_scenario_tests::daemon::Daemon;
use kube_verdict_scenario_tests::flood::{self, Flood};
use kube_verdict_scenario_tests::kernel;
use kube_verdict_scenario_tests::netlink::Netfilter;
use kube_verdict_scenario_tests::netns::Netns;
use kube_verdict_scenario_tests::pace;
use kube_verdict_scenario_tests::prelude::*;
use kube_verdict_scenario_tests::topology::{Host, Topology};

/// Of tables that a later release wrote, an earlier one, and somebody else.
const COMMENTS: [&str; 3] =
    ["comment \"kube-verdict layout 99; to come\"", "comment \"kube-verdict layout 0; of old\"", ""];

const IN_SYNC: &str = "the kernel is as the manifests say";

fn web() -> Vec<Objects> {
    vec![
        service("web").ip("10.96.0.10").tcp("http", 80).port("dns", "UDP", 53).build(),
        slice("web", "web").tcp("http", 8080).port("dns", "UDP", 5353).with([at("pod-a")]).build(),
    ]
}

/// A table that serves the same, in a way that no release ever had: other chains, and sets of the same name and another
/// kind.
fn other_layout(family: Family, comment: &str) -> String {
    let vip = plan::ip(family, "10.96.0.10");
    let pod = match family {
        Family::V4 => plan::ip(family, "10.244.1.10").to_string(),
        Family::V6 => format!("[{}]", plan::ip(family, "10.244.1.10")),
    };
    let (ip, address) = if family == Family::V4 { ("ip", "ipv4_addr") } else { ("ip6", "ipv6_addr") };
    let bare = pod.trim_matches(['[', ']']);
    format!(
        "table {table} kube-verdict {{
  {comment}
  map services {{
    type inet_proto . inet_service . {address} : {address} . inet_service
    elements = {{ tcp . 80 . {vip} : {bare} . 8080, udp . 53 . {vip} : {bare} . 5353 }}
  }}
  set endpoints {{
    type {address}
    elements = {{ {vip} }}
  }}
  chain pick-2 {{
    {idle}
    dnat {ip} to meta l4proto . th dport . {ip} daddr map @services
  }}
  chain incoming {{
    type nat hook prerouting priority dstnat; policy accept;
    {ip} daddr @endpoints goto pick-2
  }}
  chain outgoing {{
    type nat hook output priority -100; policy accept;
    {ip} daddr @endpoints goto pick-2
  }}
}}\n",
        table = family.table(),
        idle = "meta mark 0xdeadbeef counter\n".repeat(300),
    )
}

/// Puts it in the place of ours, as another release would, in one transaction.
fn load_other(node: &Netns, comment: &str) {
    let replace = |family: Family| {
        format!("delete table {} kube-verdict\n{}", family.table(), other_layout(family, comment))
    };
    kernel::load(node, &Family::BOTH.map(replace).concat());
}

fn until(scenario: &Scenario, what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + pace::limit(Duration::from_secs(30));
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}; the daemon's log:\n{}", scenario.files().log());
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn in_sync(scenario: &Scenario) -> usize {
    scenario.files().log().matches(IN_SYNC).count()
}

/// First packets without a pause, but for when somebody asks for one.
struct Sender<'a> {
    stop: &'a AtomicBool,
    pause: &'a AtomicBool,
    rests: &'a AtomicBool,
}

impl Sender<'_> {
    fn run(&self, topology: &Topology, node: &Netns) -> u64 {
        let mut flood = Flood::open(topology.of(Host::Outside), Family::V4);
        let mut conntrack = Netfilter::open(node);
        let to: SocketAddr = plan::socket(Family::V4, "10.96.0.10:53");
        let mut rounds = 0u64;
        while !self.stop.load(Ordering::Relaxed) {
            let is_paused = self.pause.load(Ordering::Relaxed);
            self.rests.store(is_paused, Ordering::Relaxed);
            if is_paused {
                std::thread::sleep(Duration::from_millis(1));
                continue;
            }
            (0..500).for_each(|_| flood.send(to).expect("sending"));
            rounds += 1;
            if rounds.is_multiple_of(80) {
                conntrack.flush_conntrack();
            }
        }
        flood.sent()
    }

    fn pause(&self, pause: bool) {
        self.pause.store(pause, Ordering::Relaxed);
        while self.rests.load(Ordering::Relaxed) != pause && !self.stop.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Also when the test fails.
impl Drop for Sender<'_> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// How long packets flow; `KUBE_VERDICT_LAYOUTS` has other seconds.
fn time() -> Duration {
    let seconds = std::env::var("KUBE_VERDICT_LAYOUTS").ok().and_then(|text| text.parse().ok());
    seconds.map_or_else(|| pace::limit(Duration::from_secs(6)), Duration::from_secs)
}

/// Up and down: from a layout of before and from one that is yet to come, and from somebody else's table.
#[test]
fn none_falls_between_two_layouts() {
    if mode() == Mode::Ipvs {
        eprintln!("the other layout is one without IPVS");
        return;
    }
    let mut scenario = Scenario::start(&Config::detecting(Detect::Nothing));
    scenario.apply(web());
    scenario.take_daemon().terminate();
    flood::count(scenario.topology().of(Host::PodA), "arrived", "prerouting", "udp dport 5353");
    flood::count(scenario.topology().of(Host::World), "escaped", "prerouting", "");
    let node = scenario.node().share();
    let (stop, pause, rests) = Default::default();
    let sender = Sender { stop: &stop, pause: &pause, rests: &rests };
    let (mut rounds, mut said) = (0, 0);
    let sent = std::thread::scope(|scope| {
        let theirs = Sender { stop: &stop, pause: &pause, rests: &rests };
        let node = &node;
        let sending = scope.spawn({
            let topology = scenario.topology();
            move || theirs.run(topology, node)
        });
        let end = Instant::now() + time();
        while Instant::now() < end {
            // What another release does between two packets is not ours.
            sender.pause(true);
            load_other(node, COMMENTS[rounds % COMMENTS.len()]);
            sender.pause(false);
            let daemon = Daemon::start(scenario.files(), node);
            said += 1;
            until(&scenario, "in sync", || in_sync(&scenario) > said);
            daemon.kill();
            rounds += 1;
        }
        drop(sender);
        sending.join().expect("the sender")
    });
    let arrived = flood::counted(scenario.topology().of(Host::PodA), "arrived");
    let escaped = flood::counted(scenario.topology().of(Host::World), "escaped");
    eprintln!("{rounds} layouts, {sent} first packets: {arrived} arrived, {escaped} escaped");
    assert_eq!(escaped, 0, "packets left the node untranslated");
    assert!(arrived > sent * 99 / 100, "where are the others?");
    let log = scenario.files().log();
    for words in
        ["was of layout 99 and is of layout", "was of layout 0 and is of layout", "that is none of ours"]
    {
        assert!(log.contains(words), "{words:?} is not in the log:\n{log}");
    }
    scenario.start_daemon();
    scenario.apply(web());
    scenario.becomes_what_is_rendered();
    let tables = kernel::nft(scenario.node(), &["list", "tables"], "").expect("the tables");
    assert!(!tables.contains("bridge"), "{tables}");
}

#[test]
fn established_connections_do_not_mind() {
    if mode() == Mode::Ipvs {
        eprintln!("the other layout is one without IPVS");
        return;
    }
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply(web());
    let open = |family| Conversation::open(&scenario, From::Client, family, "10.96.0.10:80");
    let mut established: Vec<Conversation> = Family::BOTH.into_iter().map(open).collect();
    for round in 0..4 {
        scenario.take_daemon().terminate();
        load_other(scenario.node(), COMMENTS[round % COMMENTS.len()]);
        established.iter_mut().for_each(Conversation::still_lives);
        let said = in_sync(&scenario);
        scenario.start_daemon();
        until(&scenario, "in sync", || in_sync(&scenario) > said);
        established.iter_mut().for_each(Conversation::still_lives);
        scenario.check(&[case("new ones", From::Client, "10.96.0.10:80", snat(&["pod-a:8080"]))]);
    }
}

/// One that was interrupted in the middle leaves what stood in for the table; the next one removes it.
#[test]
fn what_an_interrupted_replacement_left_goes() {
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply(web());
    scenario.take_daemon().kill();
    let left = "add table ip kube-verdict-bridge\nadd chain ip kube-verdict-bridge prerouting { type nat hook \
                prerouting priority -100; }\nadd table ip6 kube-verdict-bridge\n";
    kernel::load(scenario.node(), left);
    let said = in_sync(&scenario);
    scenario.start_daemon();
    until(&scenario, "in sync", || in_sync(&scenario) > said);
    scenario.becomes_what_is_rendered();
    let tables = kernel::nft(scenario.node(), &["list", "tables"], "").expect("the tables");
    assert!(!tables.contains("bridge"), "{tables}");
    scenario.check(&[case("as before", From::Client, "10.96.0.10:80", snat(&["pod-a:8080"]))]);
}
