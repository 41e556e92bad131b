//! What was seen on the wires: taps in every namespace write down ICMP errors, SCTP INITs that reached a host,
//! and everything that reached the world. Probes look up their own packets here.

use std::collections::{HashMap, HashSet};
use std::io::{IoSliceMut, Read};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, setsockopt, sockopt};
use socket2::{Domain, Protocol as SocketProtocol, Socket, Type};

use crate::topology::{Host, Topology};
use crate::wire::{self, Flow, IcmpError, Packet, Protocol};

/// An SCTP INIT that a host's transport layer got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// where
    pub host: Host,
    /// from whom, as the host saw it
    pub source: SocketAddr,
    /// to whom, as the host saw it
    pub destination: SocketAddr,
}

#[derive(Debug, Default)]
struct Book {
    errors: HashMap<Flow, (IpAddr, IcmpError)>,
    strays: HashSet<Flow>,
    inits: HashMap<u32, Arrival>,
}

/// The book of sightings and the taps that fill it.
#[derive(Debug)]
pub struct Sightings {
    book: Arc<Mutex<Book>>,
    stop: Arc<AtomicBool>,
    taps: Vec<JoinHandle<()>>,
}

impl Sightings {
    /// Taps every namespace of a topology.
    pub fn new(topology: &Topology) -> Self {
        let book = Arc::new(Mutex::new(Book::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let mut taps = Vec::new();
        for host in Host::ALL {
            let sockets = topology.of(host).run(|| open_taps(host));
            let (book, stop) = (Arc::clone(&book), Arc::clone(&stop));
            taps.push(thread::spawn(move || watch(host, sockets, &book, &stop)));
        }
        Sightings { book, stop, taps }
    }

    /// The ICMP error that came back for a packet, and who sent it.
    pub fn error_about(&self, flow: &Flow) -> Option<(IpAddr, IcmpError)> {
        self.book.lock().expect("book").errors.get(flow).copied()
    }

    /// Whether the world got a packet with these addresses, that is: nobody translated it.
    pub fn strayed(&self, flow: &Flow) -> bool {
        self.book.lock().expect("book").strays.contains(flow)
    }

    /// Where an INIT with this tag arrived.
    pub fn init(&self, tag: u32) -> Option<Arrival> {
        self.book.lock().expect("book").inits.get(&tag).copied()
    }
}

impl Drop for Sightings {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for tap in self.taps.drain(..) {
            let _ = tap.join();
        }
    }
}

/// A socket and how to read it.
enum Tap {
    /// what comes in by any interface, before anything is translated, from the IP header on
    Link(Socket),
    /// the SCTP packets that the host itself got, from the IP header on
    Sctp4(Socket),
    /// the same; IPv6 raw sockets give no header, the addresses come beside the data
    Sctp6(Socket),
}

impl Tap {
    fn socket(&self) -> &Socket {
        match self {
            Tap::Link(socket) | Tap::Sctp4(socket) | Tap::Sctp6(socket) => socket,
        }
    }

    fn next(&self, buffer: &mut [u8]) -> Option<Packet> {
        loop {
            let parsed = match self {
                Tap::Link(socket) | Tap::Sctp4(socket) => {
                    let mut socket = socket;
                    let length = socket.read(buffer).ok()?;
                    wire::parse(&buffer[..length])
                }
                Tap::Sctp6(socket) => {
                    let (source, destination, length) = receive_with_destination(socket, buffer)?;
                    wire::parse_transport(Protocol::Sctp, source, destination, &buffer[..length])
                }
            };
            // What does not parse is none of ours.
            if parsed.is_some() {
                return parsed;
            }
        }
    }
}

fn open_taps(host: Host) -> Vec<Tap> {
    let mut taps = Vec::new();
    for ethertype in [0x0800u16, 0x86dd] {
        // SOCK_DGRAM: without link-layer header. A single ethertype: only what comes in, not what goes out.
        let protocol = SocketProtocol::from(i32::from(ethertype.to_be()));
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(protocol))
            .expect("opening a packet socket (needs CAP_NET_RAW)");
        socket.set_recv_buffer_size(8 << 20).expect("receive buffer");
        taps.push(Tap::Link(socket));
    }
    if host != Host::World {
        let sctp = Some(SocketProtocol::from(132));
        taps.push(Tap::Sctp4(Socket::new(Domain::IPV4, Type::RAW, sctp).expect("raw socket")));
        let socket = Socket::new(Domain::IPV6, Type::RAW, sctp).expect("raw socket");
        setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true).expect("IPV6_RECVPKTINFO");
        taps.push(Tap::Sctp6(socket));
    }
    taps
}

fn receive_with_destination(socket: &Socket, buffer: &mut [u8]) -> Option<(IpAddr, IpAddr, usize)> {
    let mut control = nix::cmsg_space!([u8; 64]);
    let mut data = [IoSliceMut::new(buffer)];
    let message =
        recvmsg::<SockaddrIn6>(socket.as_raw_fd(), &mut data, Some(&mut control), MsgFlags::empty()).ok()?;
    let source = IpAddr::from(message.address?.ip());
    let destination = message.cmsgs().ok()?.find_map(|item| match item {
        ControlMessageOwned::Ipv6PacketInfo(info) => Some(Ipv6Addr::from(info.ipi6_addr.s6_addr)),
        _ => None,
    })?;
    Some((source, destination.into(), message.bytes))
}

fn watch(host: Host, taps: Vec<Tap>, book: &Mutex<Book>, stop: &AtomicBool) {
    let mut buffer = [0u8; 2048];
    for tap in &taps {
        tap.socket().set_nonblocking(true).expect("nonblocking");
    }
    while !stop.load(Ordering::Relaxed) {
        let mut ready: Vec<PollFd<'_>> =
            taps.iter().map(|tap| PollFd::new(tap.socket().as_fd(), PollFlags::POLLIN)).collect();
        let _ = nix::poll::poll(&mut ready, PollTimeout::from(50u8));
        for tap in &taps {
            while let Some(packet) = tap.next(&mut buffer) {
                book.lock().expect("book").note(host, tap, packet);
            }
        }
    }
}

impl Book {
    fn note(&mut self, host: Host, tap: &Tap, packet: Packet) {
        if let Some(error) = packet.error {
            self.errors.entry(error.about).or_insert((packet.flow.source.ip(), error));
        } else if host == Host::World {
            self.strays.insert(packet.flow);
        }
        // A router's packet socket sees what it only forwards, and before translation: not an arrival. The
        // world is nobody's router.
        let arrived = host == Host::World || !matches!(tap, Tap::Link(_));
        if let (Some(tag), true) = (packet.init_tag, arrived) {
            let Flow { source, destination, .. } = packet.flow;
            self.inits.insert(tag, Arrival { host, source, destination });
        }
    }
}
