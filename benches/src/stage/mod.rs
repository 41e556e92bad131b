//! Where a contender plays: three network namespaces in a row, made anew for every turn.
//!
//! ```text
//!   client 10.0.1.2 ── 10.0.1.1 node 10.0.2.1 ── 10.0.2.2 server, which is all of 10.128.0.0/9
//! ```
//!
//! Traffic has the machine's last core: the threads of clients and of the server are pinned to it, so that what a packet
//! costs does not depend on where the scheduler puts them. Contenders run where the scheduler wants.
//!
//! The client's route to everything leads through the node, where the contender is. The server answers as every endpoint
//! that there may be, at [`crate::workload::TARGET_PORT`], and says which one was reached. What no contender translates
//! goes on to the server as well, as it would to a node's default gateway, and is refused: clients hear at once that a
//! Service is not there, where the word of a node without a route would come now and then only (net.ipv4.route.error_cost).

mod client;
mod client_thread;
mod cpu;
mod flows;
mod server;

use std::net::Ipv4Addr;

pub use client::{ask, send_for};
pub use client_thread::{ClientThread, Pending};
pub use flows::forget_flows;
use kube_verdict_scenario_tests::netns::Netns;
use kube_verdict_scenario_tests::topology::ip_batch;

use crate::Error;
use server::Server;

/// The client's address: a pod's, as far as contenders know.
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 2);
/// The node's address on the client's side, its InternalIP.
pub const NODE_IP: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 1);
/// The clusterCIDR that contenders are told: with the client in it, nothing has to be masqueraded.
pub const CLUSTER_CIDR: &str = "10.0.0.0/8";

/// The namespaces.
#[derive(Debug)]
pub struct Stage {
    /// where questions come from
    pub client: Netns,
    /// where the contender is
    pub node: Netns,
    /// where the endpoints are
    pub server: Netns,
    /// the endpoints
    _endpoints: Server,
}

impl Stage {
    /// Lays the cables and starts the server.
    ///
    /// # Panics
    /// When the kernel refuses, which means that this does not run as root.
    pub fn new() -> Self {
        let (client, node, server) = (Netns::new(), Netns::new(), Netns::new());
        node.run(|| {
            ip_batch(&format!(
                "link set lo up
link add client address 02:00:00:00:01:01 type veth peer name node address 02:00:00:00:01:02 netns {}
link add server address 02:00:00:00:02:01 type veth peer name node address 02:00:00:00:02:02 netns {}
addr add {NODE_IP}/24 dev client
addr add 10.0.2.1/24 dev server
link set client up
link set server up
neigh replace {CLIENT} lladdr 02:00:00:00:01:02 dev client
neigh replace 10.0.2.2 lladdr 02:00:00:00:02:02 dev server
route add 10.128.0.0/9 via 10.0.2.2
route add 10.96.0.0/13 via 10.0.2.2
",
                client.path(),
                server.path()
            ));
            let _ = std::fs::write("/proc/sys/net/ipv4/ip_forward", "1");
            refuse_every_time();
        });
        client.run(|| {
            ip_batch(&format!(
                "link set lo up
addr add {CLIENT}/24 dev node
link set node up
neigh replace {NODE_IP} lladdr 02:00:00:00:01:01 dev node
route add default via {NODE_IP}
"
            ));
            // The same client opens tens of thousands of connections to one address.
            let _ = std::fs::write("/proc/sys/net/ipv4/ip_local_port_range", "1025 65535");
        });
        let endpoints = server.run(|| {
            ip_batch(
                "link set lo up
addr add 10.0.2.2/24 dev node
link set node up
neigh replace 10.0.2.1 lladdr 02:00:00:00:02:01 dev node
route add default via 10.0.2.1
route add local 10.128.0.0/9 dev lo
route add local 10.96.0.0/13 dev lo
",
            );
            refuse_every_time();
            Server::start()
        });
        Stage { client, node, server, _endpoints: endpoints }
    }

    /// Empty datagrams that reached an endpoint at its port since the stage was made; they are not answered.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn unanswered(&self) -> Result<u64, Error> {
        self.server.run(server::unanswered)
    }
}

/// No word that there is nobody is held back because there were many: who asks again and again need not wait to be sure.
fn refuse_every_time() {
    let _ = std::fs::write("/proc/sys/net/ipv4/icmp_ratemask", "0");
}

impl Default for Stage {
    fn default() -> Self {
        Stage::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::{Protocol, TARGET_PORT};

    #[test]
    fn every_endpoint_answers_with_its_own_address() {
        let stage = Stage::new();
        for endpoint in [Ipv4Addr::new(10, 128, 0, 0), Ipv4Addr::new(10, 200, 3, 4)] {
            for protocol in [Protocol::Tcp, Protocol::Udp] {
                let to = std::net::SocketAddrV4::new(endpoint, TARGET_PORT);
                let answer = stage.client.run(|| ask(protocol, to, std::time::Duration::from_secs(5)));
                assert_eq!(answer.ok(), Some(endpoint), "{protocol:?}");
            }
        }
    }

    #[test]
    fn who_asks_for_a_service_that_is_not_there_is_told_so_every_time() {
        let stage = Stage::new();
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let to = std::net::SocketAddrV4::new(Ipv4Addr::new(10, 96, 0, 1), 80);
            let refused = stage.client.run(|| {
                let asked = (0..20).map(|_| ask(protocol, to, std::time::Duration::from_secs(1)));
                asked.filter(|answer| answer.as_ref().is_err_and(|error| !is_silence(error))).count()
            });
            assert_eq!(refused, 20, "{protocol:?}");
        }
    }

    /// Nobody has said anything within the time.
    fn is_silence(error: &std::io::Error) -> bool {
        use std::io::ErrorKind;
        matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock)
    }

    #[test]
    fn empty_datagrams_are_counted_and_not_answered() {
        let stage = Stage::new();
        let to = std::net::SocketAddrV4::new(Ipv4Addr::new(10, 128, 0, 7), TARGET_PORT);
        stage.client.run(|| {
            let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a port");
            for _ in 0..3 {
                socket.send_to(&[], to).expect("a route");
            }
            socket.set_read_timeout(Some(std::time::Duration::from_millis(20))).expect("a time");
            assert!(socket.recv(&mut [0; 4]).is_err(), "no answer");
        });
        assert_eq!(stage.unanswered().expect("the kernel knows"), 3);
    }

    #[test]
    fn all_that_is_sent_over_one_connection_is_counted_where_it_arrives() {
        let stage = Stage::new();
        let to = std::net::SocketAddrV4::new(Ipv4Addr::new(10, 128, 0, 7), TARGET_PORT);
        let (bytes, time) = stage
            .client
            .run(|| send_for(to, std::time::Duration::from_millis(20), std::time::Duration::from_secs(5)))
            .expect("the server answers");
        assert!(bytes > 0 && !time.is_zero());
    }
}
