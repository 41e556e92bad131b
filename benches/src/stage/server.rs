//! All endpoints at once.

use std::io::{ErrorKind, IoSlice, IoSliceMut, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::thread;

use nix::sys::socket::sockopt::Ipv4PacketInfo;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn};
use nix::sys::socket::{Shutdown, recvmsg, sendmsg, setsockopt, shutdown};

use crate::workload::TARGET_PORT;

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
        let server = Server { tcp: Arc::new(tcp), udp: Arc::new(udp) };
        let listener = Arc::clone(&server.tcp);
        thread::spawn(move || answer_connections(&listener));
        let socket = Arc::clone(&server.udp);
        thread::spawn(move || while answer_datagram(&socket).is_some() {});
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
    }
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
