//! Random objects as an API server would take them, and a grid of packets to try on them.

use std::ops::RangeInclusive;

use crate::fate::Fate;
use crate::prelude::*;
use crate::rng::Rng;
use crate::topology::Host;

const SOURCES: [From; 9] = [
    From::PodA,
    From::PodB,
    From::PodC,
    From::PodD,
    From::Node,
    From::NodeAt(plan::NODE_IP_2),
    From::Node2,
    From::Client,
    From::Client2,
];

/// A configuration.
pub fn config(rng: &mut Rng) -> Config {
    let detect = rng.pick(&[
        Detect::ClusterCidr(plan::CLUSTER_CIDR),
        Detect::ClusterCidr(plan::POD_CIDR),
        Detect::ClusterCidrText(plan::CLUSTER_CIDR),
        Detect::NodeCidr,
        Detect::Bridge("veth-a"),
        Detect::Prefix("veth"),
        Detect::Prefix("eth"),
        Detect::Nothing,
    ]);
    let config = Config::detecting(detect);
    let config = if rng.one_in(3) { config.masquerade_all() } else { config };
    match rng.below(5) {
        0 => config.node_ports_in(&["172.18.0.0/24"]),
        1 => config.node_ports_in(&["0.0.0.0/0"]),
        2 => config.node_port_addresses(&["10.0.99.0/24"]),
        3 => config.node_port_addresses(&["primary"]),
        _ => config,
    }
}

fn endpoint(rng: &mut Rng, address: &'static str, hinted: bool) -> Endpoint {
    let mut endpoint = at(address);
    let flag = |rng: &mut Rng| rng.pick(&[None, Some(true), Some(false)]);
    endpoint = match rng.below(6) {
        0 => endpoint.conditions(flag(rng), flag(rng), flag(rng)),
        1 => endpoint.terminating(),
        2 => endpoint.unready(),
        _ => endpoint,
    };
    if hinted && !rng.one_in(8) {
        endpoint = endpoint.zones(&rng.some(&["zone-a", "zone-b"]));
        endpoint = endpoint.nodes(&rng.some(&["node-1", "node-2", "node-3"]));
    }
    if rng.one_in(12) { endpoint.on(None) } else { endpoint }
}

/// Service `n` and its slices.
pub fn objects(rng: &mut Rng, n: u8) -> Vec<Objects> {
    let name = format!("s{n}");
    let mut service = service(&name).ip(&format!("10.96.0.{n}"));
    let protocols = ["TCP", "UDP", "SCTP"];
    let ports: Vec<(&str, u16)> = (80..81 + rng.below(2) as u16).map(|p| (rng.pick(&protocols), p)).collect();
    for (protocol, port) in &ports {
        service = service.port(&format!("p{port}"), protocol, *port);
        if rng.one_in(2) {
            service = service.last_node_port(30000 + 40 * (port - 80) + u16::from(n));
        }
    }
    if rng.one_in(2) {
        service = service.external_ip(&format!("198.51.100.{n}"));
    }
    // What an API server would refuse is left out: source ranges without a load balancer.
    let balanced = rng.one_in(2);
    if balanced {
        let mode = rng.pick(&[None, Some("VIP"), Some("Proxy")]);
        service = service.load_balancer(&format!("192.0.2.{n}"), mode);
    }
    if balanced && rng.one_in(2) {
        let ranges = ["203.0.113.0/24", "10.244.0.0/16", "172.18.0.0/24", "192.168.77.1/32", "0.0.0.0/0"];
        let one = rng.pick(&ranges);
        let another = rng.pick(&ranges);
        service = if rng.one_in(3) {
            service.ranges(&[one.to_owned()])
        } else {
            service.ranges_of(&[one, another])
        };
    }
    if rng.one_in(2) {
        service = service.external_local();
    }
    if rng.one_in(3) {
        service = service.internal_local();
    }
    if rng.one_in(4) {
        service = service.affinity(600);
    }
    if rng.one_in(8) {
        service = service.only(rng.pick(&Family::BOTH));
    }
    let mut parts = vec![service.build()];
    let hinted = rng.one_in(2);
    for part in 0..rng.below(3) as u16 {
        let mut slice = slice(&format!("{name}-{part}"), &name);
        for (protocol, port) in &ports {
            if !rng.one_in(6) {
                // A number of its own: which of two like entries wins is nobody's promise (reference §1.3).
                slice = slice.port(&format!("p{port}"), protocol, 8000 + port + 100 * part);
            }
        }
        let addresses = rng.some(&["pod-a", "pod-b", "pod-c", "pod-d", "node"]);
        let endpoints = addresses.into_iter().map(|address| endpoint(rng, address, hinted));
        parts.push(slice.with(endpoints.collect::<Vec<_>>()).build());
    }
    parts
}

/// Every frontend there may be of these Services, and some that are none.
fn destination(rng: &mut Rng, services: RangeInclusive<u8>) -> String {
    let n = usize::from(*services.start()) + rng.below(services.count() + 1);
    let port = 80 + rng.below(3);
    let protocol = rng.pick(&["tcp", "udp", "sctp"]);
    let frontend = match rng.below(5) {
        0 => format!("10.96.0.{n}:{port}"),
        1 => format!("198.51.100.{n}:{port}"),
        2 => format!("192.0.2.{n}:{port}"),
        3 => format!(
            "{}:{}",
            rng.pick(&[plan::NODE_IP, plan::NODE_IP_2, plan::NODE_LINK]),
            30000 + 40 * (port - 80) + n
        ),
        _ => format!("10.96.0.{n}:{}", rng.pick(&[80, 81])),
    };
    format!("{frontend}/{protocol}")
}

/// A packet of the grid and what the model says of it. None: what it meets cannot be seen from here.
fn packet(rng: &mut Rng, scenario: &Scenario, services: RangeInclusive<u8>) -> Option<Case> {
    let (from, to, family) = (rng.pick(&SOURCES), destination(rng, services), rng.pick(&Family::BOTH));
    let blank = case("", from, &to, PASS);
    let probe = scenario.probe(from, blank.destination(family), blank.protocol());
    let fates = scenario.model().fates(&probe);
    assert_eq!(fates.len(), 1, "these Services claim nothing twice");
    let fate = fates.into_iter().next()?;
    let sticky = scenario.model().sticky(&probe);
    if let Fate::Dnat { backends, .. } = &fate {
        // What a remote pod says to its own node's pods, itself among them (reference §4.1), is answered there.
        let neighbours = backends.iter().any(|backend| Host::of(backend.ip()) == Some(from.host()));
        if neighbours && [Host::Remote, Host::Farther].contains(&from.host()) {
            return None;
        }
    }
    let expected = Expected::exactly(fate);
    let expected = if sticky { expected.sticky() } else { expected };
    Some(case("random", from, &to, expected).only(family))
}

/// Packets to try on a scenario with these Services, most of which are somebody's.
pub fn packets(rng: &mut Rng, scenario: &Scenario, services: RangeInclusive<u8>, count: usize) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut interesting = 0;
    while cases.len() < count {
        let Some(case) = packet(rng, scenario, services.clone()) else { continue };
        // Most of the grid belongs to nobody: not too much of that.
        let boring = case.fate.in_family(Family::V4) == Fate::Pass;
        interesting += usize::from(!boring);
        if !boring || cases.len() < 2 * interesting {
            cases.push(case);
        }
    }
    cases
}
