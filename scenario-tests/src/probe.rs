//! One packet's life: a [`Shot`] sends the first packet of a new connection and finds out what became of it,
//! from the answer of a backend, the error at the socket and the sightings on the wires.

use std::io::{self, ErrorKind, Read};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use socket2::{Domain, Protocol as SocketProtocol, Socket, Type};

use crate::echo::Answer;
use crate::sightings::Sightings;
use crate::topology::Host;
use crate::wire::{self, Flow, Protocol};

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It reached this backend.
    Dnat {
        /// the backend's address
        backend: SocketAddr,
        /// the source, as the backend saw it
        peer: SocketAddr,
        /// whether that is another one than the packet was sent from. Between a node and its neighbour
        /// masquerading changes the port alone.
        masqueraded: bool,
    },
    /// It reached whom it was addressed to.
    Pass,
    /// An ICMP port unreachable came from the node, and the socket noticed as it should.
    Reject,
    /// Refused in some other way, such as a TCP reset: nobody in these tests should do that.
    Refused,
    /// Nothing at all.
    Silence,
}

/// When to look for the first time what became of a packet. On a host that is enough for most.
const FIRST_LOOK: Duration = Duration::from_millis(1);
/// Pauses between looks become longer: those who wait for nothing shall not take the time of others.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// Where source ports come from: no two packets of a run share one, so that conntrack never takes a new
/// packet for an old flow. Clear of the NodePort range.
static NEXT_PORT: AtomicU32 = AtomicU32::new(0);
static NEXT_TAG: AtomicU32 = AtomicU32::new(1);

/// The next of them.
pub(crate) fn next_port() -> u16 {
    33_000 + (NEXT_PORT.fetch_add(1, Ordering::Relaxed) % 28_000) as u16
}

/// The source address that the kernel would choose, in the namespace of the calling thread.
pub fn source_towards(to: IpAddr) -> io::Result<IpAddr> {
    let any: IpAddr = if to.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect((to, 9))?;
    Ok(socket.local_addr()?.ip())
}

/// A packet under way.
#[derive(Debug)]
pub struct Shot {
    socket: Socket,
    flow: Flow,
    tag: u32,
    text: Vec<u8>,
    /// the error of the socket, once there is one
    error: Option<Errno>,
}

impl Shot {
    /// Sends from `source`, in the namespace of the calling thread.
    ///
    /// # Errors
    /// When the packet could not be made. What the ruleset does to it is not an error.
    pub fn fire(protocol: Protocol, source: IpAddr, to: SocketAddr) -> io::Result<Shot> {
        let port = next_port();
        let tag = NEXT_TAG.fetch_add(1, Ordering::Relaxed);
        let domain = Domain::for_address(to);
        let local = SocketAddr::new(source, port);
        let mut flow = Flow { protocol, source: local, destination: to };
        let (socket, local) = match protocol {
            Protocol::Tcp => (Socket::new(domain, Type::STREAM, None)?, local),
            Protocol::Udp => (Socket::new(domain, Type::DGRAM, None)?, local),
            Protocol::Sctp | Protocol::Icmp => {
                let number = match (protocol, to.is_ipv4()) {
                    (Protocol::Icmp, true) => 1,
                    (Protocol::Icmp, false) => 58,
                    _ => 132,
                };
                (
                    Socket::new(domain, Type::RAW, Some(SocketProtocol::from(number)))?,
                    SocketAddr::new(source, 0),
                )
            }
        };
        socket.bind(&local.into())?;
        socket.set_nonblocking(true)?;
        let to_host = SocketAddr::new(to.ip(), 0);
        let sent = match protocol {
            Protocol::Tcp => {
                // A reset at the end leaves nothing behind in conntrack.
                socket.set_linger(Some(Duration::ZERO))?;
                socket.connect(&to.into()).map(|()| 0)
            }
            Protocol::Udp => socket.connect(&to.into()).and_then(|()| socket.send(b"who are you?")),
            Protocol::Sctp => socket.send_to(&wire::sctp_init(port, to.port(), tag), &to_host.into()),
            Protocol::Icmp => {
                flow.destination.set_port(0);
                socket.send_to(&wire::echo_request(to.ip(), port), &to_host.into())
            }
        };
        let error = match sent {
            Ok(_) => None,
            Err(e) => match e.raw_os_error().map(Errno::from_raw) {
                Some(Errno::EINPROGRESS) => None,
                // What the output hook says to a refused or dropped packet.
                Some(errno @ (Errno::EPERM | Errno::ECONNREFUSED)) => Some(errno),
                _ => return Err(e),
            },
        };
        Ok(Shot { socket, flow, tag, text: Vec::new(), error })
    }

    /// The addresses it was sent with.
    pub fn flow(&self) -> &Flow {
        &self.flow
    }

    /// What became of it, if that is known by now.
    pub fn look(&mut self, sightings: &Sightings) -> Option<Seen> {
        self.read();
        if let Some(Answer { server, peer }) = Answer::parse(&self.text) {
            return Some(self.arrived(server, peer));
        }
        if let Some(arrival) = sightings.init(self.tag).filter(|_| self.flow.protocol == Protocol::Sctp) {
            return Some(self.arrived(arrival.destination, arrival.source));
        }
        if sightings.strayed(&self.flow) {
            return Some(Seen::Pass);
        }
        let (sender, error) = sightings.error_about(&self.flow)?;
        let noticed = match self.flow.protocol {
            // In the output hook the first send fails at once.
            Protocol::Udp => matches!(self.error, Some(Errno::ECONNREFUSED | Errno::EPERM)),
            // An error that comes while the kernel still sends the SYN is taken for transient: the socket
            // hears of it with the next SYN, a second later.
            Protocol::Tcp => matches!(self.error, Some(Errno::ECONNREFUSED) | None),
            Protocol::Sctp | Protocol::Icmp => true,
        };
        let by_node = Host::of(sender) == Some(Host::Node);
        (noticed && by_node && error.is_port_unreachable()).then_some(Seen::Reject)
    }

    /// What to say when the time is up.
    pub fn give_up(&self) -> Seen {
        // EPERM alone: the output hook dropped it.
        if self.error == Some(Errno::ECONNREFUSED) { Seen::Refused } else { Seen::Silence }
    }

    fn arrived(&self, server: SocketAddr, peer: SocketAddr) -> Seen {
        if server == self.flow.destination {
            Seen::Pass
        } else {
            Seen::Dnat { backend: server, peer, masqueraded: peer != self.flow.source }
        }
    }

    fn read(&mut self) {
        if !matches!(self.flow.protocol, Protocol::Tcp | Protocol::Udp) {
            return;
        }
        let mut buffer = [0u8; 512];
        match (&self.socket).read(&mut buffer) {
            Ok(length) => self.text.extend_from_slice(&buffer[..length]),
            // Not connected yet, or nothing yet.
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {}
            Err(e) => self.error = self.error.or(e.raw_os_error().map(Errno::from_raw)),
        }
    }
}

/// Fires `count` packets at once and follows them until all are known or `patience` is over.
///
/// # Errors
/// When a packet could not be made.
pub fn volley(
    protocol: Protocol,
    source: IpAddr,
    to: SocketAddr,
    count: usize,
    patience: Duration,
    sightings: &Sightings,
) -> io::Result<Vec<Seen>> {
    let mut shots: Vec<(Shot, Option<Seen>)> = Vec::with_capacity(count);
    for _ in 0..count {
        shots.push((Shot::fire(protocol, source, to)?, None));
    }
    let deadline = Instant::now() + patience;
    let mut pause = FIRST_LOOK;
    loop {
        for (shot, seen) in shots.iter_mut().filter(|(_, seen)| seen.is_none()) {
            *seen = shot.look(sightings);
        }
        if shots.iter().all(|(_, seen)| seen.is_some()) || Instant::now() > deadline {
            return Ok(shots
                .into_iter()
                .map(|(shot, seen)| seen.unwrap_or_else(|| shot.give_up()))
                .collect());
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
