//! Session affinity by client IP (reference §6).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use kube_verdict_scenario_tests::conversation::Conversation;
use kube_verdict_scenario_tests::pace;
use kube_verdict_scenario_tests::prelude::*;

const EVERYWHERE: [&str; 4] = ["pod-a", "pod-b", "pod-c", "pod-d"];

fn web(seconds: u32) -> Service {
    service("web")
        .ip("10.96.0.10")
        .every_protocol(80)
        .node_port(30010)
        .external_ip("198.51.100.10")
        .load_balancer("192.0.2.10", None)
        .affinity(seconds)
}

fn ends(addresses: &[&str]) -> Objects {
    slice("web", "web").every_protocol(8080).with(addresses.iter().map(|address| at(address))).build()
}

/// As many clients as are served by other backends when they come again unremembered, even where a scheduler takes
/// its four backends in turn.
const NO_ROUND: u8 = 7;

/// So many hundredths of a timeout.
fn share_of(timeout: u32, hundredths: u32) -> Duration {
    Duration::from_millis(10) * timeout * hundredths
}

/// Who is served by whom.
type Served = BTreeMap<(Family, u8), SocketAddr>;

/// The backend of one new connection of each of `clients` of the crowd.
fn served(scenario: &Scenario, clients: u8, to: &str) -> Served {
    let mut served = Served::new();
    for family in Family::BOTH {
        for client in 1..=clients {
            served.insert((family, client), scenario.reach(From::Crowd(client), family, to));
        }
    }
    served
}

fn spread_over(served: &Served, family: Family) -> usize {
    let mut backends: Vec<_> =
        served.iter().filter(|((f, _), _)| *f == family).map(|(_, backend)| backend).collect();
    backends.sort();
    backends.dedup();
    backends.len()
}

#[test]
fn a_client_keeps_its_backend() {
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply([web(10800).build(), ends(&EVERYWHERE)]);
    let all = &["pod-a:8080", "pod-b:8080", "pod-c:8080", "pod-d:8080"];
    let mut cases = Vec::new();
    for protocol in ["tcp", "udp", "sctp"] {
        for to in ["10.96.0.10:80", "198.51.100.10:80", "192.0.2.10:80", "node:30010"] {
            let to = format!("{to}/{protocol}");
            cases.push(case("a client outside", From::Client, &to, snat(all).sticky()));
            cases.push(case("another", From::Client2, &to, snat(all).sticky()));
            cases.push(case("a process of the node", From::NodeAt(plan::NODE_IP), &to, snat(all).sticky()));
        }
        let to = format!("10.96.0.10:80/{protocol}");
        cases.push(case("another node", From::Node2, &to, snat(all).sticky()));
    }
    scenario.check(&cases);

    let first = served(&scenario, 30, "10.96.0.10:80");
    for family in Family::BOTH {
        assert_eq!(spread_over(&first, family), 4, "clients are spread over all backends: {first:?}");
    }
    assert_eq!(served(&scenario, 30, "10.96.0.10:80"), first);
}

/// The key is client and service port, whichever frontend was used.
#[test]
fn across_the_frontends_of_one_service_port() {
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply([web(10800).build(), ends(&EVERYWHERE)]);
    for protocol in ["tcp", "udp", "sctp"] {
        let first = served(&scenario, 12, &format!("10.96.0.10:80/{protocol}"));
        for to in ["198.51.100.10:80", "192.0.2.10:80", "node:30010"] {
            let to = format!("{to}/{protocol}");
            assert_eq!(served(&scenario, 12, &to), first, "{to}");
        }
    }
    // And the other way round: first seen by NodePort.
    let mut fresh = BTreeMap::new();
    for family in Family::BOTH {
        for client in 100..112 {
            let backend = scenario.reach(From::Crowd(client), family, "node:30010");
            fresh.insert((family, client), backend);
            let again = scenario.reach(From::Crowd(client), family, "10.96.0.10:80");
            assert_eq!(again, backend, "client {client}");
        }
    }
    for family in Family::BOTH {
        assert!(spread_over(&fresh, family) > 1);
    }
}

/// Ports of one Service, and protocols of one port number, are independent.
#[test]
fn ports_are_independent() {
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply([
        service("web").ip("10.96.0.10").tcp("one", 80).tcp("two", 81).affinity(10800).build(),
        slice("web", "web").tcp("one", 8080).tcp("two", 8081).with(EVERYWHERE.map(at)).build(),
    ]);
    let hosts = |served: Served| -> Vec<_> { served.into_values().map(|backend| backend.ip()).collect() };
    let one = hosts(served(&scenario, 30, "10.96.0.10:80"));
    // Somebody else comes to the second, or schedulers that take turns would serve both in step.
    for family in Family::BOTH {
        scenario.reach(From::Client, family, "10.96.0.10:81");
    }
    let two = hosts(served(&scenario, 30, "10.96.0.10:81"));
    assert_ne!(one, two, "sixty clients chose the same pods on both ports");
}

/// Removing a backend moves its clients at once, for good, and nobody else.
#[test]
fn a_removed_backend_is_forgotten() {
    let mut scenario = Scenario::start(&Config::default());
    let clients = 12;
    let to = "10.96.0.10:80";
    let ways_to_go: [(&str, Objects); 4] = [
        ("removed", ends(&["pod-a", "pod-b", "pod-c"])),
        ("not ready", {
            let others = EVERYWHERE[..3].iter().map(|address| at(address));
            slice("web", "web").every_protocol(8080).with(others.chain([at("pod-d").unready()])).build()
        }),
        ("terminating", {
            let others = EVERYWHERE[..3].iter().map(|address| at(address));
            slice("web", "web").every_protocol(8080).with(others.chain([at("pod-d").terminating()])).build()
        }),
        ("hinted away", {
            let others = EVERYWHERE[..3].iter().map(|address| at(address).zones(&[plan::ZONE]));
            slice("web", "web")
                .every_protocol(8080)
                .with(others.chain([at("pod-d").zones(&["zone-b"])]))
                .build()
        }),
    ];
    for (how, without) in ways_to_go {
        scenario.apply([web(10800).build(), ends(&EVERYWHERE)]);
        let before = served(&scenario, clients, to);
        scenario.apply([web(10800).build(), without]);
        let after = served(&scenario, clients, to);
        for (client, backend) in &before {
            let gone = backend.ip() == plan::ip(client.0, "pod-d");
            assert!(gone || after[client] == *backend, "{how}: {client:?} was moved without need");
            assert!(after[client].ip() != plan::ip(client.0, "pod-d"), "{how}: {client:?} still goes there");
        }
        assert_eq!(served(&scenario, clients, to), after, "{how}: their new backends are remembered");
        scenario.apply([web(10800).build(), ends(&EVERYWHERE)]);
        assert_eq!(served(&scenario, clients, to), after, "{how}: when it is back, nobody returns to it");
        // A clean slate for the next way.
        scenario.apply([]);
    }
}

#[test]
fn time_without_a_new_connection_ends_it() {
    let mut scenario = Scenario::start(&Config::default());
    // An emulated machine needs a while for that many connections.
    let timeout = pace::seconds(2);
    scenario.apply([web(timeout).build(), ends(&EVERYWHERE)]);
    let (clients, to) = (NO_ROUND, "10.96.0.10:80");
    let first = served(&scenario, clients, to);
    // Together longer than it; each well within it, with all connections.
    for _ in 0..4 {
        std::thread::sleep(share_of(timeout, 30));
        assert_eq!(served(&scenario, clients, to), first, "new connections keep it alive");
    }
    std::thread::sleep(share_of(timeout, 160));
    assert_ne!(served(&scenario, clients, to), first, "it outlives its time");
}

/// Only new connections count: a busy old one does not keep its client's backend remembered.
#[test]
fn established_connections_do_not_refresh_it() {
    let mut scenario = Scenario::start(&Config::default());
    let timeout = pace::seconds(2);
    scenario.apply([web(timeout).build(), ends(&EVERYWHERE)]);
    let to = "10.96.0.10:80";
    let mut busy: Vec<(Family, u8, Conversation)> = Vec::new();
    for family in Family::BOTH {
        for client in 1..=10 {
            busy.push((family, client, Conversation::open(&scenario, From::Crowd(client), family, to)));
        }
    }
    for _ in 0..13 {
        std::thread::sleep(share_of(timeout, 15));
        busy.iter_mut().for_each(|(_, _, conversation)| conversation.still_lives());
    }
    let loyal = busy.iter().all(|(family, client, conversation)| {
        scenario.reach(From::Crowd(*client), *family, to) == conversation.backend()
    });
    assert!(!loyal, "every one of {} clients returned to its backend", busy.len());
}

/// The timeout may change; without affinity connections are spread again.
#[test]
fn affinity_is_changed_and_switched_off() {
    let mut scenario = Scenario::start(&Config::default());
    let (clients, to) = (NO_ROUND, "10.96.0.10:80");
    scenario.apply([web(10800).build(), ends(&EVERYWHERE)]);
    served(&scenario, clients, to);
    let timeout = pace::seconds(1);
    scenario.apply([web(timeout).build(), ends(&EVERYWHERE)]);
    // Refreshed with the new timeout, at the latest by this connection.
    let first = served(&scenario, clients, to);
    std::thread::sleep(share_of(timeout, 220));
    assert_ne!(served(&scenario, clients, to), first, "the shorter timeout is not in effect");

    scenario.apply([web(10800).set("sessionAffinity", "None".into()).build(), ends(&EVERYWHERE)]);
    let all = &["pod-a:8080", "pod-b:8080", "pod-c:8080", "pod-d:8080"];
    scenario.check(&[case("no affinity", From::Client, to, snat(all))]);

    scenario.apply([web(10800).build(), ends(&EVERYWHERE)]);
    scenario.check(&[case("affinity again", From::Client, to, snat(all).sticky())]);
}

/// An entry recorded by one path helps on another only where its backend may be used.
#[test]
fn with_policies() {
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply([web(10800).external_local().build(), ends(&EVERYWHERE)]);
    for family in Family::BOTH {
        for client in 1..24 {
            let by_cluster_ip = scenario.reach(From::Crowd(client), family, "10.96.0.10:80");
            let by_node_port = scenario.reach(From::Crowd(client), family, "node:30010");
            let local = ["pod-a", "pod-b"].map(|pod| plan::ip(family, pod));
            assert!(local.contains(&by_node_port.ip()), "a client outside got {by_node_port}");
            if local.contains(&by_cluster_ip.ip()) {
                assert_eq!(by_node_port, by_cluster_ip, "client {client}");
            }
            let again = scenario.reach(From::Crowd(client), family, "node:30010");
            assert_eq!(again, by_node_port, "client {client}");
        }
    }
    scenario.check(&[
        case(
            "pods: the cluster's",
            From::PodA,
            "198.51.100.10:80",
            dnat(&["pod-a:8080", "pod-b:8080", "pod-c:8080", "pod-d:8080"]).sticky(),
        ),
        case(
            "outsiders: local ones",
            From::Client2,
            "198.51.100.10:80",
            dnat(&["pod-a:8080", "pod-b:8080"]).sticky(),
        ),
    ]);
}

/// Affinity is kept while the daemon is away and when it comes back.
#[test]
fn a_restart_keeps_it() {
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply([web(10800).build(), ends(&EVERYWHERE)]);
    let to = "10.96.0.10:80";
    let first = served(&scenario, 16, to);
    scenario.take_daemon().kill();
    assert_eq!(served(&scenario, 16, to), first);
    scenario.start_daemon();
    scenario.apply([web(10800).build(), ends(&EVERYWHERE)]);
    assert_eq!(served(&scenario, 16, to), first);
}

/// A Service without affinity whose port happens to be the NodePort of one with affinity is no business of it,
/// even where both have the same endpoints.
#[test]
fn a_port_that_is_another_services_node_port() {
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply([
        web(10800).build(),
        ends(&EVERYWHERE),
        service("other").ip("10.96.0.20").tcp("http", 30010).build(),
        slice("other", "other").tcp("http", 8080).with([at("pod-b")]).build(),
    ]);
    for family in Family::BOTH {
        for client in 1..=16 {
            scenario.reach(From::Crowd(client), family, "10.96.0.20:30010");
        }
    }
    let served = served(&scenario, 16, "node:30010");
    for family in Family::BOTH {
        assert!(
            spread_over(&served, family) > 1,
            "clients are bound by what another Service chose: {served:?}"
        );
    }
}
