//! The seven namespaces in which every scenario plays, and the links between them.
//!
//! ```text
//!   pod-a 10.244.1.10 ──veth-a─┐                       ┌─eth0── outside 203.0.113.10, 203.0.114.20, a crowd
//!                              ├─ node (under test) ───┤
//!   pod-b 10.244.1.11 ──veth-b─┘   172.18.0.2, .22     └─eth2── world: the default route, answers nobody,
//!                                       │                       writes down what it gets
//!                                eth1 ──┴── eth3
//!                                  │          │
//!        remote: the pod 10.244.2.10    farther: another node, 10.0.98.2,
//!                                       and its pod 10.244.2.11
//! ```
//!
//! Pods hang on routed links of their own, so that every packet between them crosses the node. Everything is
//! dual-stack ([`crate::plan`]).

use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::process::{Command, Stdio};

use crate::netns::Netns;
use crate::plan::{self, Family};
use crate::requirements;

/// A place that packets come from or arrive at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// the node under test
    Node,
    /// a local pod
    PodA,
    /// another local pod
    PodB,
    /// a remote pod
    Remote,
    /// another node and its pod; apart from the first, so that what they say to each other crosses the node
    Farther,
    /// clients outside the cluster
    Outside,
    /// whatever else there is
    World,
}

impl Host {
    /// All of them.
    pub const ALL: [Host; 7] =
        [Host::Node, Host::PodA, Host::PodB, Host::Remote, Host::Farther, Host::Outside, Host::World];

    /// Its addresses, loopback aside. IPv4; the twins are there too.
    pub fn addresses(self) -> &'static [&'static str] {
        match self {
            Host::Node => &[
                plan::NODE_IP,
                plan::NODE_IP_2,
                plan::NODE_LINK,
                plan::NODE_LINK_2,
                plan::NODE_UPLINK,
                plan::POD_GATEWAY,
            ],
            Host::PodA => &[plan::POD_A],
            Host::PodB => &[plan::POD_B],
            Host::Remote => &["10.0.99.2", plan::POD_C],
            Host::Farther => &[plan::NODE_2_IP, plan::POD_D],
            Host::Outside => &["172.18.0.1", plan::CLIENT, plan::CLIENT_2],
            Host::World => &["192.168.77.2"],
        }
    }

    /// Who has an address, if anyone but the world does.
    pub fn of(ip: IpAddr) -> Option<Host> {
        if ip.is_loopback() {
            return Some(Host::Node);
        }
        let family = Family::of(ip);
        if plan::in_crowd(ip) {
            return Some(Host::Outside);
        }
        Host::ALL
            .into_iter()
            .find(|host| host.addresses().iter().any(|address| plan::ip(family, address) == ip))
    }

    /// The interface of the node through which its packets come in. None: the node itself.
    pub fn node_interface(self) -> Option<&'static str> {
        match self {
            Host::Node => None,
            Host::PodA => Some("veth-a"),
            Host::PodB => Some("veth-b"),
            Host::Outside => Some("eth0"),
            Host::Remote => Some("eth1"),
            Host::Farther => Some("eth3"),
            Host::World => Some("eth2"),
        }
    }
}

/// The namespaces, wired up.
#[derive(Debug)]
pub struct Topology {
    hosts: Vec<Netns>,
}

impl Topology {
    /// Builds it.
    pub fn new() -> Self {
        requirements::check();
        let topology = Topology { hosts: Host::ALL.iter().map(|_| Netns::new()).collect() };
        for host in Host::ALL {
            topology.of(host).run(|| set_sysctls(host));
        }
        topology.of(Host::Node).run(|| ip_batch(&topology.node_commands()));
        std::thread::scope(|scope| {
            for host in Host::ALL.into_iter().filter(|host| *host != Host::Node) {
                let netns = topology.of(host);
                scope.spawn(move || {
                    netns.enter();
                    ip_batch(&host_commands(host));
                });
            }
        });
        topology
    }

    /// The namespace of a host.
    pub fn of(&self, host: Host) -> &Netns {
        &self.hosts[Host::ALL.iter().position(|h| *h == host).expect("listed")]
    }

    /// Every link is made from the node's side.
    fn node_commands(&self) -> String {
        let mut out = String::from("link set lo up\n");
        for (interface, host) in [
            ("veth-a", Host::PodA),
            ("veth-b", Host::PodB),
            ("eth0", Host::Outside),
            ("eth1", Host::Remote),
            ("eth3", Host::Farther),
            ("eth2", Host::World),
        ] {
            out += &format!(
                "link add {interface} type veth peer name eth0 netns {}\nlink set {interface} up\n",
                self.of(host).path()
            );
        }
        for (interface, address, length) in [
            ("veth-a", plan::POD_GATEWAY, 32),
            ("veth-b", plan::POD_GATEWAY, 32),
            ("eth0", plan::NODE_IP, 24),
            ("eth0", plan::NODE_IP_2, 24),
            ("eth1", plan::NODE_LINK, 24),
            ("eth3", plan::NODE_LINK_2, 24),
            ("eth2", plan::NODE_UPLINK, 24),
        ] {
            out += &address_commands(interface, address, length);
        }
        for (destination, via) in [
            (plan::POD_A, "dev veth-a"),
            (plan::POD_B, "dev veth-b"),
            (plan::POD_C, "10.0.99.2"),
            (plan::POD_D, plan::NODE_2_IP),
            ("203.0.113.0/24", "172.18.0.1"),
            ("203.0.114.0/24", "172.18.0.1"),
            (plan::CROWD, "172.18.0.1"),
            ("0.0.0.0/0", "192.168.77.2"),
        ] {
            out += &route_commands(destination, via);
        }
        out
    }
}

impl Default for Topology {
    fn default() -> Self {
        Self::new()
    }
}

fn host_commands(host: Host) -> String {
    let mut out = String::from("link set lo up\nlink set eth0 up\n");
    let gateway = match host {
        Host::PodA | Host::PodB => {
            out += &address_commands("eth0", host.addresses()[0], 32);
            out += &route_commands(plan::POD_GATEWAY, "dev eth0");
            plan::POD_GATEWAY
        }
        Host::Remote => {
            out += &address_commands("eth0", "10.0.99.2", 24);
            out += &address_commands("lo", plan::POD_C, 32);
            plan::NODE_LINK
        }
        Host::Farther => {
            out += &address_commands("eth0", plan::NODE_2_IP, 24);
            out += &address_commands("lo", plan::POD_D, 32);
            plan::NODE_LINK_2
        }
        Host::Outside => {
            out += &address_commands("eth0", "172.18.0.1", 24);
            out += &address_commands("lo", plan::CLIENT, 32);
            out += &address_commands("lo", plan::CLIENT_2, 32);
            for family in Family::BOTH {
                let crowd = plan::cidr(family, plan::CROWD);
                out += &format!("route add local {crowd} dev lo\n");
            }
            plan::NODE_IP
        }
        Host::World => {
            out += &address_commands("eth0", "192.168.77.2", 24);
            return out; // answers nobody
        }
        Host::Node => unreachable!("the node has commands of its own"),
    };
    out + &route_commands("0.0.0.0/0", gateway)
}

fn address_commands(interface: &str, address: &str, length: u8) -> String {
    let prefix = format!("{address}/{length}");
    let v6_length = if length == 32 { 128 } else { 64 };
    format!(
        "addr add {prefix} dev {interface}\naddr add {}/{v6_length} dev {interface} nodad\n",
        plan::ip(Family::V6, address)
    )
}

/// `via` is `dev NAME` or a gateway.
fn route_commands(destination: &str, via: &str) -> String {
    let mut out = String::new();
    for family in Family::BOTH {
        let destination = if destination.contains('/') {
            plan::cidr(family, destination)
        } else {
            plan::ip(family, destination).to_string()
        };
        let via = match via.strip_prefix("dev ") {
            Some(interface) => format!("dev {interface}"),
            None => format!("via {}", plan::ip(family, via)),
        };
        out += &format!("route add {destination} {via}\n");
    }
    out
}

fn set_sysctls(host: Host) {
    let router = if host == Host::Node { "1" } else { "0" };
    for (key, value) in [
        ("ipv4/ip_forward", router),
        ("ipv4/conf/all/rp_filter", "0"),
        ("ipv4/conf/default/rp_filter", "0"),
        ("ipv6/conf/all/disable_ipv6", "0"),
        ("ipv6/conf/default/disable_ipv6", "0"),
        ("ipv6/conf/all/forwarding", router),
        ("ipv6/conf/default/accept_dad", "0"),
        ("ipv6/conf/default/accept_ra", "0"),
        // Ports that the kernel chooses are neither NodePorts nor those of probes.
        ("ipv4/ip_local_port_range", "10000 29999"),
        // The crowd's addresses are on no interface.
        ("ipv6/ip_nonlocal_bind", "1"),
        // Several rejects a millisecond are what the tests are about.
        ("ipv4/icmp_ratemask", "0"),
        ("ipv6/icmp/ratelimit", "0"),
        ("ipv6/icmp/ratemask", "2"), // a type that is exempt anyway: none at all cannot be written
    ] {
        let path = format!("/proc/sys/net/{key}");
        fs::write(&path, value).unwrap_or_else(|e| panic!("writing {path}: {e}"));
    }
}

/// Runs `ip -batch` in the namespace of the calling thread.
pub fn ip_batch(commands: &str) {
    let mut child = Command::new("ip")
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("running ip (package iproute2)");
    let written = child.stdin.take().expect("piped").write_all(commands.as_bytes());
    let output = child.wait_with_output().expect("waiting for ip");
    written.expect("writing to ip");
    assert!(
        output.status.success(),
        "ip -batch failed: {}\n{commands}",
        String::from_utf8_lossy(&output.stderr)
    );
}
