//! All endpoints at once.
//!
//! A connection or a datagram is answered with the address that it reached. Two things are different: a connection from
//! [`STAYING`] is read to its end, and then told how much that was; and an empty datagram is dropped by the socket's
//! filter, which counts it, so that whoever sends thousands of them measures the way there and nobody's answer.

use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::thread;

use nix::sys::socket::sockopt::Ipv4PacketInfo;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn};
use nix::sys::socket::{Shutdown, recvmsg, sendmsg, setsockopt, shutdown};
use socket2::{SockFilter, SockRef};

use super::cpu;
use crate::Error;
use crate::workload::TARGET_PORT;

/// The port of a client that stays on; below those that the client's kernel chooses.
pub const STAYING: u16 = 1024;
/// `struct udphdr`
const UDP_HEADER: u32 = 8;
/// `BPF_LD | BPF_W | BPF_LEN` of linux/bpf_common.h
const LOAD_LENGTH: u16 = 0x80;
/// `BPF_JMP | BPF_JGT | BPF_K`
const JUMP_IF_GREATER: u16 = 0x25;
/// `BPF_RET | BPF_K`
const RETURN: u16 = 0x06;

/// Two sockets, and a thread at each, until this is dropped.
#[derive(Debug)]
pub struct Server {
    tcp: Arc<TcpListener>,
    udp: Arc<UdpSocket>,
}

impl Server {
    /// Listens in the caller's namespace.
    pub fn start() -> Self {
        let tcp = TcpListener::bind((Ipv4Addr::UNSPECIFIED, TARGET_PORT)).expect("a server for TCP");
        let udp = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, TARGET_PORT)).expect("a server for UDP");
        setsockopt(&udp, Ipv4PacketInfo, &true).expect("IP_PKTINFO");
        let filter = [
            SockFilter::new(LOAD_LENGTH, 0, 0, 0),
            SockFilter::new(JUMP_IF_GREATER, 1, 0, UDP_HEADER),
            SockFilter::new(RETURN, 0, 0, 0),
            SockFilter::new(RETURN, 0, 0, u32::MAX),
        ];
        SockRef::from(&udp).attach_filter(&filter).expect("SO_ATTACH_FILTER");
        let server = Server { tcp: Arc::new(tcp), udp: Arc::new(udp) };
        let listener = Arc::clone(&server.tcp);
        thread::spawn(move || {
            cpu::pin();
            answer_connections(&listener);
        });
        let socket = Arc::clone(&server.udp);
        thread::spawn(move || {
            cpu::pin();
            while answer_datagram(&socket).is_some() {}
        });
        server
    }
}

impl Drop for Server {
    /// Wakes the threads; an unconnected socket's refusal to be shut down wakes its reader all the same.
    fn drop(&mut self) {
        let _ = shutdown(self.tcp.as_raw_fd(), Shutdown::Both);
        let _ = shutdown(self.udp.as_raw_fd(), Shutdown::Both);
    }
}

/// Says at which address it was reached, and closes.
fn answer_connections(listener: &TcpListener) {
    for stream in listener.incoming() {
        let mut stream = match stream {
            Ok(stream) => stream,
            // The listener was shut down.
            Err(error) if error.kind() == ErrorKind::InvalidInput => return,
            Err(_) => continue,
        };
        if let Ok(SocketAddr::V4(here)) = stream.local_addr() {
            let _ = stream.write_all(&here.ip().octets());
        }
        if stream.peer_addr().is_ok_and(|peer| peer.port() == STAYING) {
            thread::spawn(move || {
                cpu::pin();
                read_to_the_end(stream)
            });
        }
    }
}

/// Says how many bytes came.
fn read_to_the_end(mut stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = vec![0; 256 << 10];
    let mut sum = 0u64;
    loop {
        match stream.read(&mut buffer)? {
            0 => return stream.write_all(&sum.to_be_bytes()),
            bytes => sum += bytes as u64,
        }
    }
}

/// What the filter dropped in the caller's namespace, as /proc/net/udp counts it in its last column.
pub fn unanswered() -> Result<u64, Error> {
    let sockets = std::fs::read_to_string("/proc/thread-self/net/udp")?;
    let ours = format!(":{TARGET_PORT:04X}");
    let line = sockets.lines().find(|line| {
        let local = line.split_whitespace().nth(1);
        local.is_some_and(|local| local.ends_with(&ours))
    });
    let drops =
        line.and_then(|line| line.split_whitespace().last()).ok_or("no such socket in /proc/net/udp")?;
    Ok(drops.parse()?)
}

/// Says at which address it was reached, from that address. None: the socket was shut down.
fn answer_datagram(socket: &UdpSocket) -> Option<()> {
    let mut buffer = [0; 2048];
    let mut control = nix::cmsg_space!(nix::libc::in_pktinfo);
    let mut parts = [IoSliceMut::new(&mut buffer)];
    let flags = MsgFlags::empty();
    let Ok(message) = recvmsg::<SockaddrIn>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags) else {
        // What came back for an answer that nobody wanted.
        return Some(());
    };
    let info = message.cmsgs().ok().into_iter().flatten().find_map(|message| match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => Some(info),
        _ => None,
    });
    let (mut info, from) = (info?, message.address?);
    let here = info.ipi_addr.s_addr.to_ne_bytes();
    info.ipi_ifindex = 0;
    info.ipi_spec_dst = info.ipi_addr;
    let control = [ControlMessage::Ipv4PacketInfo(&info)];
    let _ = sendmsg(socket.as_raw_fd(), &[IoSlice::new(&here)], &control, flags, Some(&from));
    Some(())
}
