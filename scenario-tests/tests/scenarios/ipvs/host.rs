//! Packets for a service are delivered to the node itself, where IPVS takes them. Should it not, because somebody deleted
//! the virtual server, no program of the node must get them that listens on every address: kube-proxy's IPVS mode is
//! known for that (reference §12.8).

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use kube_verdict_scenario_tests::kernel;
use kube_verdict_scenario_tests::pace;
use kube_verdict_scenario_tests::prelude::*;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use socket2::{Domain, Socket, Type};

use super::{at_pod, ends};

const TO: &str = "10.96.0.10:80";
const REPAIRED: &str = "kubeverdict_foreign_changes_repaired_total{what=\"ipvs\"}";

/// A program that would answer for everybody.
fn listen_everywhere(scenario: &Scenario, family: Family) -> TcpListener {
    let (domain, any) = match family {
        Family::V4 => (Domain::IPV4, SocketAddr::from(([0; 4], 80))),
        Family::V6 => (Domain::IPV6, SocketAddr::from(([0u16; 8], 80))),
    };
    scenario.node().run(|| {
        let socket = Socket::new(domain, Type::STREAM, None).expect("a socket");
        if family == Family::V6 {
            socket.set_only_v6(true).expect("IPv6 only");
        }
        socket.bind(&any.into()).expect("a free port");
        socket.listen(16).expect("listening");
        socket.set_nonblocking(true).expect("nonblocking");
        socket.into()
    })
}

#[test]
fn no_program_of_the_node_answers_for_a_service() {
    if !is_about_ipvs() {
        return;
    }
    let mut scenario = Scenario::start(&Config::default().sync_period("1s"));
    let listeners = Family::BOTH.map(|family| listen_everywhere(&scenario, family));
    scenario.apply([service("web").ip("10.96.0.10").tcp("http", 80).build(), ends("web", &["pod-a"])]);
    for family in Family::BOTH {
        for from in [From::Client, From::PodB, From::Node] {
            assert_eq!(scenario.reach(from, family, TO), at_pod(family, "pod-a"));
        }
    }
    let daemon = scenario.take_daemon();
    let pid = Pid::from_raw(daemon.pid() as i32);
    scenario.put_daemon(daemon);
    let before = scenario.metric(REPAIRED);
    kill(pid, Signal::SIGSTOP).expect("SIGSTOP");
    let added = scenario.virtual_servers();
    assert_eq!(added.len(), 2, "{added:?}");
    for line in &added {
        let server = line.trim_start_matches("-A ").split(" -s ").next().expect("a virtual server");
        kernel::ipvsadm(scenario.node(), &format!("-D {server}"));
    }
    for (family, listener) in Family::BOTH.into_iter().zip(&listeners) {
        for from in [From::Client, From::PodB, From::Node] {
            let to = plan::socket(family, TO);
            let connected = scenario
                .topology()
                .of(from.host())
                .run(|| TcpStream::connect_timeout(&to, pace::limit(Duration::from_millis(500))));
            assert!(connected.is_err(), "{from:?}, {family:?}: somebody answers");
            let accepted = listener.accept().map(|(_, peer)| peer);
            let nobody = matches!(&accepted, Err(error) if error.kind() == ErrorKind::WouldBlock);
            assert!(nobody, "{from:?}, {family:?}: the node's program got {accepted:?}");
        }
    }
    kill(pid, Signal::SIGCONT).expect("SIGCONT");
    scenario.until("the virtual servers are back", || scenario.virtual_servers() == added);
    scenario.until("it is counted", || scenario.metric(REPAIRED) > before);
    for family in Family::BOTH {
        assert_eq!(scenario.reach(From::Client, family, TO), at_pod(family, "pod-a"));
    }
    let log = scenario.files().log();
    assert!(
        log.contains("somebody changed our virtual servers of IPVS; they are as they should be"),
        "{log}"
    );
}
