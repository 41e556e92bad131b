//! Backends: tiny TCP and UDP servers that answer with who they are and whom they see as their peer, so that
//! one answer tells which endpoint was chosen and whether the source was translated.
//!
//! One thread serves all servers of a scenario. A TCP server speaks first, then once more for every time it is
//! spoken to, so a test can ask an established connection whether it still lives.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use socket2::{Domain, Socket, Type};

use crate::netns::Netns;
use crate::wire::Protocol;

/// What a server said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// the server's own address, after any DNAT
    pub server: SocketAddr,
    /// the client as the server saw it, after any SNAT
    pub peer: SocketAddr,
}

impl Answer {
    fn text(self) -> String {
        format!("{} {}\n", self.server, self.peer)
    }

    /// Reads what [`Answer::text`] wrote; None when it is incomplete.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let line = std::str::from_utf8(text).ok()?.lines().last()?;
        let (server, peer) = line.split_once(' ')?;
        Some(Answer { server: server.parse().ok()?, peer: peer.parse().ok()? })
    }
}

#[derive(Debug)]
enum Server {
    Tcp(TcpListener),
    Udp(UdpSocket),
    Connection(TcpStream),
}

impl AsFd for Server {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        match self {
            Server::Tcp(socket) => socket.as_fd(),
            Server::Udp(socket) => socket.as_fd(),
            Server::Connection(socket) => socket.as_fd(),
        }
    }
}

/// All servers of a scenario.
#[derive(Debug)]
pub struct Echo {
    known: HashMap<(SocketAddr, Protocol), ()>,
    arrivals: Arc<Mutex<Vec<Server>>>,
    wake: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    /// No server yet.
    pub fn new() -> Self {
        let arrivals: Arc<Mutex<Vec<Server>>> = Arc::default();
        let wake = Arc::new(EventFd::from_flags(EfdFlags::EFD_NONBLOCK).expect("eventfd"));
        let thread = std::thread::spawn({
            let (arrivals, wake) = (Arc::clone(&arrivals), Arc::clone(&wake));
            move || serve(&arrivals, &wake)
        });
        Echo { known: HashMap::new(), arrivals, wake, thread: Some(thread) }
    }

    /// Makes sure that somebody answers at `address` in `netns`. Protocols without sockets are left out: the
    /// taps see them arrive.
    pub fn ensure(&mut self, netns: &Netns, address: SocketAddr, protocol: Protocol) {
        if !matches!(protocol, Protocol::Tcp | Protocol::Udp)
            || self.known.insert((address, protocol), ()).is_some()
        {
            return;
        }
        let server = netns.run(|| open(address, protocol));
        self.arrivals.lock().expect("arrivals").push(server);
        self.wake.write(1).expect("waking the servers");
    }
}

impl Default for Echo {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = self.wake.write(1 << 32);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn open(address: SocketAddr, protocol: Protocol) -> Server {
    let kind = if protocol == Protocol::Tcp { Type::STREAM } else { Type::DGRAM };
    let socket = Socket::new(Domain::for_address(address), kind, None).expect("socket");
    // Tests may take an address away and give it to another host; a server need not wait for it.
    socket.set_reuse_address(true).expect("SO_REUSEADDR");
    socket
        .bind(&address.into())
        .unwrap_or_else(|e| panic!("a server cannot listen on {address}/{protocol}: {e}"));
    socket.set_nonblocking(true).expect("nonblocking");
    if protocol == Protocol::Tcp {
        socket.listen(256).expect("listen");
        Server::Tcp(socket.into())
    } else {
        Server::Udp(socket.into())
    }
}

fn serve(arrivals: &Mutex<Vec<Server>>, wake: &EventFd) {
    let mut servers: Vec<Server> = Vec::new();
    loop {
        let mut fds: Vec<PollFd<'_>> = vec![PollFd::new(wake.as_fd(), PollFlags::POLLIN)];
        fds.extend(servers.iter().map(|server| PollFd::new(server.as_fd(), PollFlags::POLLIN)));
        if poll(&mut fds, PollTimeout::NONE).is_err() {
            continue; // interrupted
        }
        let ready: Vec<bool> = fds[1..].iter().map(|fd| fd.any() == Some(true)).collect();
        if wake.read().is_ok_and(|count| count >= 1 << 32) {
            return;
        }
        let mut kept = Vec::with_capacity(servers.len());
        for (mut server, ready) in servers.into_iter().zip(ready) {
            if !ready || step(&mut server, &mut kept) {
                kept.push(server);
            }
        }
        servers = kept;
        servers.append(&mut arrivals.lock().expect("arrivals"));
    }
}

/// Does what a ready server has to do; false when it is done for good.
fn step(server: &mut Server, fresh: &mut Vec<Server>) -> bool {
    let mut buffer = [0u8; 512];
    match server {
        Server::Tcp(listener) => {
            while let Ok((stream, _)) = listener.accept() {
                if stream.set_nonblocking(true).is_ok() && greet(&stream) {
                    fresh.push(Server::Connection(stream));
                }
            }
            true
        }
        Server::Udp(socket) => {
            while let Ok((_, peer)) = socket.recv_from(&mut buffer) {
                if let Ok(server) = socket.local_addr() {
                    let _ = socket.send_to(Answer { server, peer }.text().as_bytes(), peer);
                }
            }
            true
        }
        Server::Connection(stream) => match stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(_) => greet(stream),
            Err(e) => e.kind() == ErrorKind::WouldBlock,
        },
    }
}

fn greet(mut stream: &TcpStream) -> bool {
    match (stream.local_addr(), stream.peer_addr()) {
        (Ok(server), Ok(peer)) => stream.write_all(Answer { server, peer }.text().as_bytes()).is_ok(),
        _ => false,
    }
}
