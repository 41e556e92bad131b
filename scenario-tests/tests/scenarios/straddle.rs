//! The straddle: a packet looks up its frontend in one generation of the ruleset and its slot in the next.
//! While endpoint counts flip, first packets come by the hundred thousand, and none may escape untranslated.
//! Without the rules that catch them, some do: so the test would notice.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kube_verdict_scenario_tests::flood::{self, Flood, Trap};
use kube_verdict_scenario_tests::kernel::{self, TABLE};
use kube_verdict_scenario_tests::listing::{Listing, elements_only_in};
use kube_verdict_scenario_tests::netlink::{Element, Netfilter};
use kube_verdict_scenario_tests::pace;
use kube_verdict_scenario_tests::prelude::*;
use kube_verdict_scenario_tests::topology::Host;

/// A way to look up a slot, and a Service that is looked up so.
struct Variant {
    name: &'static str,
    frontend: &'static str,
    service: fn(Service, u8) -> Service,
}

const VARIANTS: [Variant; 6] = [
    Variant { name: "plain", frontend: "10.96.0.10:80", service: |s, _| s },
    Variant { name: "affinity", frontend: "10.96.0.11:80", service: |s, _| s.affinity(1) },
    Variant {
        name: "local",
        frontend: "198.51.100.12:80",
        service: |s, n| s.external_ip(&format!("198.51.100.{n}")).external_local(),
    },
    Variant {
        name: "local-affinity",
        frontend: "198.51.100.13:80",
        service: |s, n| s.external_ip(&format!("198.51.100.{n}")).external_local().affinity(1),
    },
    Variant { name: "nodeport", frontend: "node:30014", service: |s, n| s.node_port(30_000 + u16::from(n)) },
    Variant {
        name: "nodeport-local-affinity",
        frontend: "node:30015",
        service: |s, n| s.node_port(30_000 + u16::from(n)).external_local().affinity(1),
    },
];

/// The two numbers of endpoints between which Services flip.
const FEW: usize = 1;
const MANY: usize = 4;
/// First packets between two looks at the clock.
const ROUND: u64 = 600;

fn service_of(variant: &Variant, name: &str, number: u8) -> Objects {
    let service = service(name).ip(&format!("10.96.0.{number}")).port("udp", "UDP", 80);
    (variant.service)(service, number).build()
}

/// Endpoints `range` of a Service: each in a slice with a port of its own, on one pod or the other.
fn endpoints_of(name: &str, range: std::ops::Range<usize>) -> Objects {
    let mut all = Vec::new();
    for index in range {
        let slice = slice(&format!("{name}-{index}"), name).port("udp", "UDP", 8080 + index as u16);
        all.extend(slice.with([at(["pod-a", "pod-b"][index % 2])]).build());
    }
    all
}

/// What does not flip: the Services, their first endpoints, and twins of each with few and with many endpoints,
/// which keep every chain in use, so that elements alone make a valid flip.
fn steady() -> Vec<Objects> {
    let mut parts = vec![node(Some(plan::ZONE))];
    for (variant, number) in VARIANTS.iter().zip(10..) {
        for (suffix, offset, count) in [("", 0, FEW), ("-few", 20, FEW), ("-many", 40, MANY)] {
            let name = format!("{}{suffix}", variant.name);
            parts.push(service_of(variant, &name, number + offset));
            parts.push(endpoints_of(&name, 0..count));
        }
    }
    parts
}

/// What does: the other endpoints.
fn others() -> Vec<Objects> {
    VARIANTS.iter().map(|variant| endpoints_of(variant.name, FEW..MANY)).collect()
}

/// Counters wherever a packet may end up.
struct Watch<'a> {
    scenario: &'a Scenario,
    /// what is addressed to the node itself, and untranslated
    traps: Vec<Trap>,
}

impl<'a> Watch<'a> {
    fn over(scenario: &'a Scenario) -> Self {
        for host in [Host::PodA, Host::PodB] {
            flood::count(scenario.topology().of(host), "arrived", "prerouting", "");
        }
        flood::count(scenario.topology().of(Host::World), "escaped", "prerouting", "");
        let node_ports = VARIANTS.iter().filter(|variant| variant.frontend.starts_with("node:"));
        let traps = node_ports
            .flat_map(|variant| Family::BOTH.map(|family| plan::socket(family, variant.frontend)))
            .map(|address| Trap::set(scenario.node(), address))
            .collect();
        Watch { scenario, traps }
    }

    fn escaped(&self) -> u64 {
        let world = flood::counted(self.scenario.topology().of(Host::World), "escaped");
        world + self.traps.iter().map(Trap::caught).sum::<u64>()
    }

    fn arrived(&self) -> u64 {
        let at = |host| flood::counted(self.scenario.topology().of(host), "arrived");
        at(Host::PodA) + at(Host::PodB)
    }
}

/// Sends first packets to these frontends in turn until `enough` says so of how many they were.
fn send(scenario: &Scenario, family: Family, variants: &[Variant], enough: impl Fn(u64) -> bool) -> u64 {
    let mut flood = Flood::open(scenario.topology().of(Host::Outside), family);
    let mut conntrack = Netfilter::open(scenario.node());
    let frontends: Vec<SocketAddr> = variants.iter().map(|v| plan::socket(family, v.frontend)).collect();
    while !enough(flood.sent()) {
        for to in frontends.iter().cycle().take(ROUND as usize) {
            flood.send(*to).expect("sending");
        }
        if flood.sent() % 48_000 < ROUND && flood.sent() > ROUND {
            // Masquerading would run out of ports, and the table of room.
            conntrack.flush_conntrack();
        }
    }
    flood.sent()
}

/// The daemon flips, as fast as it follows a file that is rewritten all the time.
#[test]
fn flips_by_the_daemon() {
    let mut scenario = Scenario::start(&Config::detecting(Detect::Nothing));
    scenario.apply(steady());
    let watch = Watch::over(&scenario);
    let mut nf_tables = Netfilter::open(scenario.node());
    let first = nf_tables.generation();
    let stop = AtomicBool::new(false);
    let sent: u64 = std::thread::scope(|scope| {
        let (here, stop) = (&scenario, &stop);
        let flipping = scope.spawn(move || {
            let states = [others().concat(), Vec::new()];
            for state in states.iter().cycle() {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                here.files().write("others.json", state);
                std::thread::sleep(Duration::from_micros(500));
            }
        });
        let enough = pace::times(150_000);
        let sent =
            Family::BOTH.map(|family| send(here, family, &VARIANTS, |sent| sent >= enough)).iter().sum();
        stop.store(true, Ordering::Relaxed);
        flipping.join().expect("the flipping thread");
        sent
    });
    let transactions = nf_tables.generation().wrapping_sub(first);
    let (arrived, escaped) = (watch.arrived(), watch.escaped());
    eprintln!(
        "{sent} first packets during {transactions} transactions: {arrived} arrived, {escaped} escaped"
    );
    assert_eq!(escaped, 0, "packets left the node untranslated");
    assert!(
        u64::from(transactions) > pace::times(100),
        "the daemon did not follow: {}",
        scenario.files().log()
    );
    assert!(arrived > sent * 9 / 10, "where are the others?");
}

/// Elements flip by hand, much faster than files can: with the catching rules nothing escapes; without them
/// something does, by every way to look up a slot. There are no slots in IPVS mode, and a mark does not change with the
/// endpoints: nothing to straddle.
#[test]
fn flips_by_hand_and_what_catches_them() {
    if mode() == Mode::Ipvs {
        eprintln!("there are no slots");
        return;
    }
    let mut scenario = Scenario::start(&Config::detecting(Detect::Nothing));
    let family = Family::V4;
    let list =
        |scenario: &Scenario| Listing::parse(&kernel::list(scenario.node(), family).expect("our table"));
    scenario.apply(steady().into_iter().chain(others()));
    let many = list(&scenario);
    scenario.apply(steady());
    let few = list(&scenario);
    // From here on the table is ours.
    scenario.take_daemon().kill();
    let watch = Watch::over(&scenario);
    change_rules(&scenario, family, widen);

    let flips = Flips::between(&few, &many, None);
    let caught = flip_under_load(&watch, family, &flips, &VARIANTS, |sent| sent >= pace::times(300_000));
    assert_eq!(caught, 0, "packets left the node untranslated");

    change_rules(&scenario, family, remove_safeguard);
    for variant in VARIANTS.chunks(1) {
        let flips = Flips::between(&few, &many, Some(plan::socket(family, variant[0].frontend)));
        let before = watch.escaped();
        let deadline = Instant::now() + pace::limit(Duration::from_secs(30));
        let escapes = flip_under_load(&watch, family, &flips, variant, |_| {
            watch.escaped() > before || Instant::now() > deadline
        });
        assert!(escapes > 0, "{}: nothing escapes without what catches it: no proof", variant[0].name);
    }
}

/// The elements that only one of two states has.
struct Flips {
    few: Vec<Element>,
    many: Vec<Element>,
}

impl Flips {
    /// All of them, or those of one frontend.
    fn between(few: &Listing, many: &Listing, frontend: Option<SocketAddr>) -> Flips {
        const MAPS: [&str; 12] = [
            "services",
            "services-inside",
            "nodeports",
            "nodeports-inside",
            "endpoints",
            "local-endpoints",
            "nodeport-endpoints",
            "nodeport-local-endpoints",
            "sticky-endpoints",
            "sticky-local-endpoints",
            "sticky-nodeport-endpoints",
            "sticky-nodeport-local-endpoints",
        ];
        let concerned = |element: &Element| match frontend {
            None => true,
            // A NodePort's key begins with the protocol, an address' with the address.
            Some(to) if element.map.contains("nodeport") => element.key[4..6] == to.port().to_be_bytes(),
            Some(SocketAddr::V4(to)) => element.key[..4] == to.ip().octets(),
            Some(SocketAddr::V6(to)) => element.key[..16] == to.ip().octets(),
        };
        let only_in = |one, other| -> Vec<Element> {
            elements_only_in(one, other, &MAPS).into_iter().filter(concerned).collect()
        };
        Flips { few: only_in(few, many), many: only_in(many, few) }
    }
}

/// Flips between few and many endpoints while packets flow; how many escaped.
fn flip_under_load(
    watch: &Watch<'_>,
    family: Family,
    flips: &Flips,
    variants: &[Variant],
    enough: impl Fn(u64) -> bool,
) -> u64 {
    let grow = Netfilter::batch(family, TABLE, &flips.few, &flips.many);
    let shrink = Netfilter::batch(family, TABLE, &flips.many, &flips.few);
    let (scenario, before) = (watch.scenario, watch.escaped());
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let stop = &stop;
        let flipping = scope.spawn(move || {
            let mut nf_tables = Netfilter::open(scenario.node());
            let mut count = 0u64;
            // Ends where it began.
            while !stop.load(Ordering::Relaxed) {
                nf_tables.commit(&grow).expect("growing");
                nf_tables.commit(&shrink).expect("shrinking");
                count += 2;
            }
            count
        });
        let sent = send(scenario, family, variants, enough);
        stop.store(true, Ordering::Relaxed);
        let count = flipping.join().expect("the flipping thread");
        let escapes = watch.escaped() - before;
        let names: Vec<&str> = variants.iter().map(|v| v.name).collect();
        eprintln!("{}: {sent} first packets during {count} flips, {escapes} escaped", names.join(", "));
        escapes
    })
}

/// Changes the rules of every chain that looks up slots; `change` gets chain, rule and handle.
fn change_rules(scenario: &Scenario, family: Family, change: fn(&str, &str, &str) -> Option<String>) {
    let words = ["-a", "list", "table", family.table(), TABLE];
    let listing = kernel::nft(scenario.node(), &words, "").expect("our table");
    let mut chain = "";
    let mut commands = String::new();
    for line in listing.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("chain ") {
            chain = rest.split_whitespace().next().unwrap_or_default();
        } else if ["pick-", "local-"].iter().any(|kind| chain.contains(kind))
            && let Some((rule, handle)) = line.split_once(" # handle ")
        {
            commands +=
                &change(&format!("{} {TABLE} {chain}", family.table()), rule, handle).unwrap_or_default();
        }
    }
    assert!(!commands.is_empty(), "no chain looks up slots:\n{listing}");
    kernel::load(scenario.node(), &commands);
}

/// Puts a few hundred idle rules before the first look at the slots: the longer it takes to get there, the more
/// packets straddle.
fn widen(chain: &str, rule: &str, handle: &str) -> Option<String> {
    let first_look = rule.contains("numgen random") && rule.contains(" map @");
    first_look
        .then(|| format!("insert rule {chain} handle {handle} meta mark 0xdeadbeef counter\n").repeat(200))
}

/// Takes away the second look, at slot 0, and the drop at the end.
fn remove_safeguard(chain: &str, rule: &str, handle: &str) -> Option<String> {
    let catches = rule.contains("numgen inc mod 1 map") || rule == "drop";
    catches.then(|| format!("delete rule {chain} handle {handle}\n"))
}
