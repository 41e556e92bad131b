//! One question: where does this lead?

use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream, UdpSocket};
use std::time::Duration;

use crate::workload::Protocol;

/// Opens a new connection, or sends a datagram from a new port, and returns the address of the endpoint that answers. To
/// be called by a thread in the client's namespace.
///
/// # Errors
/// Nobody answers within the time, or the connection is refused.
pub fn ask(protocol: Protocol, to: SocketAddrV4, patience: Duration) -> io::Result<Ipv4Addr> {
    let mut answer = [0; 4];
    match protocol {
        Protocol::Tcp => {
            let mut stream = TcpStream::connect_timeout(&to.into(), patience)?;
            stream.set_read_timeout(Some(patience))?;
            stream.read_exact(&mut answer)?;
        }
        Protocol::Udp => {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
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
