//! How a rejected and a dropped packet feel to its sender (reference §3.2): the ICMP error is of the right
//! kind, a connection is refused at once or never answered.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use kube_verdict_scenario_tests::pace;
use kube_verdict_scenario_tests::prelude::*;
use kube_verdict_scenario_tests::topology::Host;

fn scenario() -> Scenario {
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply([
        service("empty")
            .ip("10.96.0.10")
            .every_protocol(80)
            .node_port(30010)
            .external_ip("198.51.100.10")
            .load_balancer("192.0.2.10", None)
            .build(),
        service("elsewhere")
            .ip("10.96.0.11")
            .every_protocol(80)
            .internal_local()
            .external_local()
            .node_port(30011)
            .external_ip("198.51.100.11")
            .load_balancer("192.0.2.11", None)
            .build(),
        slice("elsewhere", "elsewhere").every_protocol(8080).with([at("pod-c")]).build(),
        service("web").ip("10.96.0.12").tcp("http", 80).build(),
        slice("web", "web").tcp("http", 8080).with([at("pod-a")]).build(),
        service_cidr("kubernetes", plan::SERVICE_CIDR),
    ]);
    scenario
}

#[test]
fn on_every_frontend_and_protocol() {
    let scenario = scenario();
    let mut cases = Vec::new();
    for protocol in ["tcp", "udp", "sctp"] {
        for from in [From::PodA, From::Client, From::Node, From::PodD] {
            for frontend in ["10.96.0.10:80", "198.51.100.10:80", "192.0.2.10:80", "node:30010"] {
                cases.push(case("no endpoints", from, &format!("{frontend}/{protocol}"), REJECT));
            }
            cases.push(case("none here", from, &format!("10.96.0.11:80/{protocol}"), DROP));
        }
        for frontend in ["198.51.100.11:80", "192.0.2.11:80", "node:30011"] {
            cases.push(case("none here", From::Client, &format!("{frontend}/{protocol}"), DROP));
        }
        for from in [From::PodA, From::Client, From::Node] {
            cases.push(case("an unknown port", from, &format!("10.96.0.12:81/{protocol}"), REJECT));
            cases.push(case("an unallocated address", from, &format!("10.96.9.9:80/{protocol}"), DROP));
        }
    }
    scenario.check(&cases);
}

#[test]
fn pings_to_service_addresses() {
    let scenario = scenario();
    scenario.check(&[
        case("a ClusterIP with endpoints", From::PodA, "10.96.0.12:0/icmp", REJECT),
        case("a ClusterIP without", From::PodA, "10.96.0.10:0/icmp", REJECT),
        case("from the node", From::Node, "10.96.0.12:0/icmp", REJECT),
        case("an unallocated address", From::PodA, "10.96.9.9:0/icmp", DROP),
        case("an external IP is left alone", From::PodA, "198.51.100.10:0/icmp", PASS),
        case("a load balancer IP is left alone", From::Client, "192.0.2.10:0/icmp", PASS),
    ]);
}

#[test]
fn what_the_sockets_say() {
    let scenario = scenario();
    std::thread::scope(|scope| {
        for family in Family::BOTH {
            for host in [Host::PodA, Host::Node, Host::Outside] {
                for frontend in ["10.96.0.10:80", "198.51.100.10:80", "node:30010"] {
                    let (netns, to) = (scenario.topology().of(host), plan::socket(family, frontend));
                    scope.spawn(move || {
                        netns.enter();
                        assert_eq!(tcp_error(to), ErrorKind::ConnectionRefused, "{host:?} to {to}");
                        // In the output hook the first send fails at once.
                        let expected = match host {
                            Host::Node => ErrorKind::PermissionDenied,
                            _ => ErrorKind::ConnectionRefused,
                        };
                        assert_eq!(udp_error(to), expected, "{host:?} to {to}");
                    });
                }
            }
        }
    });
}

fn tcp_error(to: SocketAddr) -> ErrorKind {
    let connected = TcpStream::connect_timeout(&to, pace::limit(Duration::from_secs(5)));
    connected.expect_err("nobody listens").kind()
}

fn udp_error(to: SocketAddr) -> ErrorKind {
    let any: SocketAddr = if to.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).expect("a socket");
    socket.set_read_timeout(Some(pace::limit(Duration::from_secs(3)))).expect("a timeout");
    socket.connect(to).expect("a route");
    let answered = socket.send(b"?").and_then(|_| socket.recv(&mut [0; 16]));
    answered.expect_err("nobody listens").kind()
}
