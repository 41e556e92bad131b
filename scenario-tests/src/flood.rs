//! First packets by the hundred thousand: crafted UDP from a crowd of clients, each packet a new connection,
//! and counters at every place where one may end up.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::kernel;
use crate::netns::Netns;
use crate::plan::{self, Family};
use crate::wire;

/// A source of first packets, in the namespace where it was opened.
#[derive(Debug)]
pub struct Flood {
    family: Family,
    socket: Socket,
    sent: u64,
}

/// Half of the packets come from these many clients, who are remembered where there is affinity.
const REGULARS: u64 = 250;
/// The others come from so many that none comes again soon.
const STRANGERS: u64 = 60_000;
/// Ports of a client before it begins anew. By then conntrack must have forgotten it.
const PORTS: u64 = 60_000;

impl Flood {
    /// Opens one in the namespace of the clients.
    pub fn open(netns: &Netns, family: Family) -> Flood {
        let domain = if family == Family::V4 { Domain::IPV4 } else { Domain::IPV6 };
        // IPPROTO_RAW: we make the IP header.
        let socket =
            netns.run(|| Socket::new(domain, Type::RAW, Some(Protocol::from(255)))).expect("raw socket");
        Flood { family, socket, sent: 0 }
    }

    /// Packets sent.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Sends one packet of a connection that there was not yet.
    ///
    /// # Errors
    /// The socket's.
    pub fn send(&mut self, to: SocketAddr) -> io::Result<()> {
        // Frontends come in turn: who comes must not depend on that.
        let regular = self.sent.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 63 == 0;
        let (client, visit) = if regular {
            (self.sent % REGULARS, self.sent / REGULARS)
        } else {
            (REGULARS + self.sent % STRANGERS, self.sent / STRANGERS)
        };
        let address = format!("198.18.{}.{}", client / 250, client % 250 + 1);
        let source = SocketAddr::new(plan::ip(self.family, &address), 1024 + (visit % PORTS) as u16);
        let packet = udp(source, to);
        self.socket.send_to(&packet, &SockAddr::from(SocketAddr::new(to.ip(), 0)))?;
        self.sent += 1;
        Ok(())
    }
}

fn udp(source: SocketAddr, to: SocketAddr) -> Vec<u8> {
    const LENGTH: u8 = 16;
    let mut datagram = Vec::with_capacity(64);
    datagram.extend(source.port().to_be_bytes());
    datagram.extend(to.port().to_be_bytes());
    datagram.extend([0, LENGTH, 0, 0]); // length, checksum
    datagram.extend([0; 8]);
    let mut packet = Vec::with_capacity(64);
    match (source.ip(), to.ip()) {
        (IpAddr::V4(source), IpAddr::V4(to)) => {
            // The kernel fills in length, identification and checksum. IPv4 needs none for UDP.
            packet.extend([0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0]);
            packet.extend(source.octets());
            packet.extend(to.octets());
        }
        (IpAddr::V6(source), IpAddr::V6(to)) => {
            packet.extend([0x60, 0, 0, 0, 0, LENGTH, 17, 64]);
            packet.extend(source.octets());
            packet.extend(to.octets());
            let pseudo_header = [&packet[8..40], &[0, 17, 0, LENGTH], &datagram].concat();
            let checksum = !wire::internet_sum(&pseudo_header);
            datagram[6..8].copy_from_slice(&checksum.to_be_bytes());
        }
        _ => panic!("{source} cannot send to {to}"),
    }
    packet.extend(datagram);
    packet
}

/// A socket that takes what arrives untranslated at the node itself. Reading a counter of the ruleset that is
/// being flipped would take nft many attempts.
#[derive(Debug)]
pub struct Trap {
    socket: UdpSocket,
    caught: AtomicU64,
}

impl Trap {
    /// Sets one on an address.
    pub fn set(netns: &Netns, address: SocketAddr) -> Trap {
        let socket = netns.run(|| UdpSocket::bind(address)).unwrap_or_else(|e| panic!("{address}: {e}"));
        socket.set_nonblocking(true).expect("nonblocking");
        Trap { socket, caught: AtomicU64::new(0) }
    }

    /// What it caught so far. (Less than all if it is not looked at for long, but never none.)
    pub fn caught(&self) -> u64 {
        while self.socket.recv(&mut [0; 64]).is_ok() {
            self.caught.fetch_add(1, Ordering::Relaxed);
        }
        self.caught.load(Ordering::Relaxed)
    }
}

/// Counts, and swallows, the UDP packets that match in a namespace: at `hook`, before anybody else there.
pub fn count(netns: &Netns, name: &str, hook: &str, matching: &str) {
    kernel::load(
        netns,
        &format!(
            "table inet {name} {{
  counter {name} {{ }}
  chain {name} {{ type filter hook {hook} priority -300; meta l4proto udp {matching} counter name {name} drop; }}
}}\n"
        ),
    );
}

/// What [`count`] counted so far.
///
/// # Panics
/// When there is no such counter.
pub fn counted(netns: &Netns, name: &str) -> u64 {
    let listing = kernel::nft(netns, &["list", "counter", "inet", name, name], "").expect("a counter");
    let mut words = listing.split_whitespace().skip_while(|word| *word != "packets");
    words.nth(1).and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no packets in {listing}"))
}
