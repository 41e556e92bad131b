//! What a client does: ask where a Service leads, and send a lot.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt::Ipv4RecvErr};
use socket2::{Domain, Socket, Type};

use super::server::STAYING;
use crate::workload::Protocol;

/// Sent at once.
const PIECE: usize = 256 << 10;

/// Opens a new connection, or sends a datagram from a new port, and returns the address of the endpoint that answers. To
/// be called by a thread in the client's namespace. A connection is ended with a reset, so that nobody keeps it in
/// TIME_WAIT: ports, and room in the kernel's tables, would run out otherwise. Sockets ask for errors (IP_RECVERR), or the
/// word that there is no way would be lost: for UDP it is none otherwise, and TCP has no ear for it yet, since the kernel
/// walks the way to the node and back within `connect`.
///
/// # Errors
/// Nobody answers within the time, or the connection is refused.
pub fn ask(protocol: Protocol, to: SocketAddrV4, patience: Duration) -> io::Result<Ipv4Addr> {
    let mut answer = [0; 4];
    match protocol {
        Protocol::Tcp => {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            setsockopt(&socket, Ipv4RecvErr, &true)?;
            socket.connect_timeout(&to.into(), patience)?;
            socket.set_linger(Some(Duration::ZERO))?;
            let mut stream = TcpStream::from(socket);
            stream.set_read_timeout(Some(patience))?;
            stream.read_exact(&mut answer)?;
        }
        Protocol::Udp => {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            setsockopt(&socket, Ipv4RecvErr, &true)?;
            socket.connect(to)?;
            socket.set_read_timeout(Some(patience))?;
            socket.send(b"?")?;
            let length = socket.recv(&mut answer)?;
            if length != answer.len() {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "an answer of the wrong length"));
            }
        }
    }
    Ok(Ipv4Addr::from(answer))
}

/// Sends over one TCP connection for a while; returns how many bytes arrived, and in what time: from the first that was
/// sent until the server had counted the last. To be called by a thread in the client's namespace.
///
/// # Errors
/// The server is not reached, or does not take or count what is sent within the patience.
pub fn send_for(to: SocketAddrV4, time: Duration, patience: Duration) -> io::Result<(u64, Duration)> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, STAYING).into())?;
    socket.connect_timeout(&to.into(), patience)?;
    socket.set_linger(Some(Duration::ZERO))?;
    socket.set_read_timeout(Some(patience))?;
    socket.set_write_timeout(Some(patience))?;
    let mut stream = TcpStream::from(socket);
    stream.read_exact(&mut [0; 4])?;
    let piece = vec![0; PIECE];
    let start = Instant::now();
    while start.elapsed() < time {
        stream.write_all(&piece)?;
    }
    stream.shutdown(Shutdown::Write)?;
    let mut count = [0; 8];
    stream.read_exact(&mut count)?;
    Ok((u64::from_be_bytes(count), start.elapsed()))
}
