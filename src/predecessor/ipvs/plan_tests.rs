//! Nodes with kube-proxy's virtual servers, and those of others.

use kube_verdict_ipvs_codec::{Connections, Family, RealServer, Statistics};

use super::*;

const TCP: u8 = 6;

fn key(text: &str) -> Key {
    let to: std::net::SocketAddr = text.parse().unwrap();
    Key::Address { address: to.ip(), protocol: TCP, port: to.port() }
}

fn real(text: &str, active: u32, inactive: u32) -> ListedRealServer {
    let to: std::net::SocketAddr = text.parse().unwrap();
    ListedRealServer {
        server: RealServer::new(to.ip(), to.port()),
        connections: Connections { active, inactive, persistent: 5 },
        statistics: Statistics::default(),
    }
}

fn server(text: &str, real: impl Into<Vec<ListedRealServer>>) -> Server {
    Server { key: key(text), real: real.into() }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A node with addresses 192.0.2.1 and 192.0.2.2.
fn node(servers: impl Into<Vec<Server>>) -> State {
    State {
        servers: servers.into(),
        bound: ["10.96.0.1", "10.96.0.2"].map(ip).into(),
        local: ["127.0.0.1", "192.0.2.1", "192.0.2.2"].map(ip).into(),
        node_ports: [(TCP, 30081)].into(),
    }
}

fn gone(plan: &Plan) -> Vec<Key> {
    let keys = plan.steps.iter().filter_map(|step| match step {
        Step::Server { key, .. } => Some(*key),
        _ => None,
    });
    keys.collect()
}

fn all() -> Vec<Step> {
    vec![Step::Address(ip("10.96.0.1")), Step::Address(ip("10.96.0.2")), Step::Device]
}

#[test]
fn what_has_no_connections_goes_at_once_and_the_device_last() {
    let state = node([
        server("10.96.0.1:80", [real("10.2.0.2:8080", 0, 0), real("10.2.0.3:8080", 0, 0)]),
        server("10.96.0.2:80", []),
        server("192.0.2.1:30080", [real("10.2.0.3:8080", 0, 0)]),
    ]);
    let plan = plan(&state, Established::Spared);
    assert_eq!(gone(&plan), ["192.0.2.1:30080", "10.96.0.1:80", "10.96.0.2:80"].map(key));
    assert_eq!(plan.steps[3..], all());
    assert!(plan.waiting.is_over());
}

#[test]
fn a_node_without_virtual_servers_loses_the_device() {
    assert_eq!(plan(&node([]), Established::Spared).steps, all());
}

#[test]
fn what_has_connections_waits_and_so_does_its_address() {
    for (active, inactive) in [(2, 0), (0, 2)] {
        let state = node([
            server("10.96.0.1:80", [real("10.2.0.2:8080", active, inactive)]),
            server("10.96.0.1:81", [real("10.2.0.4:8080", 0, 0)]),
            server("10.96.0.2:80", [real("10.2.0.3:8080", 0, 0)]),
        ]);
        let plan = plan(&state, Established::Spared);
        assert_eq!(gone(&plan), ["10.96.0.1:81", "10.96.0.2:80"].map(key));
        assert_eq!(plan.steps[2..], [Step::Address(ip("10.96.0.2"))]);
        assert_eq!(plan.waiting, Waiting { servers: 1, connections: 2 });
    }
}

#[test]
fn those_of_others_stay_in_any_case() {
    let foreign = [
        // keepalived's, at an address of the node; at one of nobody; by mark.
        server("192.0.2.2:80", [real("10.9.0.1:80", 0, 0)]),
        server("192.0.2.2:81", [real("10.2.0.2:8080", 0, 0), real("10.9.0.1:80", 0, 0)]),
        server("198.51.100.1:80", [real("10.2.0.2:8080", 0, 0)]),
        Server { key: Key::Mark { family: Family::V4, mark: 7 }, real: vec![real("10.2.0.2:8080", 0, 0)] },
        // It forwards otherwise.
        server(
            "192.0.2.2:82",
            [{
                let mut real = real("10.2.0.2:8080", 0, 0);
                real.server.forwarding = Forwarding::Route;
                real
            }],
        ),
    ];
    let mut servers = vec![server("10.96.0.1:80", [real("10.2.0.2:8080", 1, 1)])];
    servers.extend(foreign);
    // The same real server of another protocol.
    servers.push(Server {
        key: Key::Address { address: ip("192.0.2.1"), protocol: 17, port: 53 },
        real: vec![real("10.2.0.2:8080", 0, 0)],
    });
    let plan = plan(&node(servers), Established::Ended);
    assert_eq!(plan.steps[0], Step::Server { key: key("10.96.0.1:80"), connections: 2 });
    assert_eq!(plan.steps[1..], all());
    assert_eq!((plan.waiting, plan.doubtful), (Waiting::default(), 0));
}

#[test]
fn one_without_real_servers_could_be_anybodys() {
    let plan = plan(&node([server("192.0.2.1:30080", []), server("198.51.100.1:1", [])]), Established::Ended);
    assert_eq!((gone(&plan), plan.doubtful), (vec![], 1));
}

#[test]
fn one_of_a_node_port_is_known_by_its_port() {
    let state = node([server("192.0.2.1:30081", []), server("198.51.100.1:30081", [])]);
    let plan = plan(&state, Established::Spared);
    assert_eq!((gone(&plan), plan.doubtful), (vec![key("192.0.2.1:30081")], 0));
}

/// After a restart nothing else would tell whose it is.
#[test]
fn who_vouches_for_a_node_port_stays_as_long() {
    let web = server("10.96.0.1:80", [real("10.2.0.2:8080", 0, 0)]);
    let other = server("10.96.0.2:80", [real("10.2.0.9:8080", 0, 0)]);
    let busy = server("192.0.2.1:30080", [real("10.2.0.2:8080", 1, 0)]);
    let waits = plan(&node([web.clone(), other, busy]), Established::Spared);
    assert_eq!(gone(&waits), [key("10.96.0.2:80")]);
    assert_eq!(waits.waiting, Waiting { servers: 2, connections: 1 });
    assert!(!waits.steps.contains(&Step::Address(ip("10.96.0.1"))));
    let idle = server("192.0.2.1:30080", [real("10.2.0.2:8080", 0, 0)]);
    assert!(plan(&node([web, idle]), Established::Spared).waiting.is_over());
}
