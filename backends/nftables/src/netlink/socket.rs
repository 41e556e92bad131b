//! An nfnetlink socket for requests: a libmnl socket with the buffers and options that batches need.

use std::io;
use std::os::fd::AsRawFd;

use mnl::{Bus, Socket as Mnl};

/// NETLINK_CAP_ACK, NETLINK_EXT_ACK of linux/netlink.h
const NETLINK_CAP_ACK: libc::c_int = 10;
const NETLINK_EXT_ACK: libc::c_int = 11;

/// Room for the errors of a batch in which thousands of messages are refused.
const RECEIVE_BUFFER: libc::c_int = 8 << 20;
/// The kernel's dumps come in pieces of at most 32 KiB.
const DATAGRAM: usize = 64 << 10;
/// How long an answer may take; answers to batches are there when sending returns.
const PATIENCE: libc::timeval = libc::timeval { tv_sec: 10, tv_usec: 0 };

/// The socket.
pub struct Socket {
    mnl: Mnl,
    send_buffer: usize,
    buffer: Vec<u8>,
}

impl Socket {
    /// Opens and binds it.
    pub fn open() -> io::Result<Self> {
        let mnl = Mnl::new(Bus::Netfilter)?;
        let socket = Socket { mnl, send_buffer: 0, buffer: vec![0; DATAGRAM] };
        set_option(&socket.mnl, libc::SOL_SOCKET, libc::SO_RCVTIMEO, &PATIENCE)?;
        set_option(&socket.mnl, libc::SOL_NETLINK, NETLINK_CAP_ACK, &1i32)?;
        set_option(&socket.mnl, libc::SOL_NETLINK, NETLINK_EXT_ACK, &1i32)?;
        set_receive_buffer(&socket.mnl, RECEIVE_BUFFER)?;
        Ok(socket)
    }

    /// The number by which the kernel knows it (nl_pid).
    pub fn number(&self) -> u32 {
        self.mnl.portid()
    }

    /// Sends one datagram; the kernel has acted on it when this returns.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > self.send_buffer {
            let size = i32::try_from(bytes.len() + (bytes.len() >> 1) + 65536).unwrap_or(i32::MAX);
            if set_option(&self.mnl, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, &size).is_err() {
                set_option(&self.mnl, libc::SOL_SOCKET, libc::SO_SNDBUF, &size)?;
            }
            self.send_buffer = bytes.len();
        }
        self.mnl.send(bytes).map(drop)
    }

    /// Receives one datagram.
    pub fn receive(&mut self) -> io::Result<&[u8]> {
        let length = self.mnl.recv_raw(&mut self.buffer)?;
        Ok(&self.buffer[..length])
    }
}

/// Gives a socket a receive buffer. Without CAP_NET_ADMIN in the initial namespace only the system's maximum can
/// be had.
pub fn set_receive_buffer(socket: &impl AsRawFd, size: libc::c_int) -> io::Result<()> {
    set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &size)
        .or_else(|_| set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, &size))
}

#[allow(unsafe_code)]
fn set_option<T>(socket: &impl AsRawFd, level: libc::c_int, name: libc::c_int, value: &T) -> io::Result<()> {
    // SAFETY: the descriptor is open as long as its owner is borrowed; value points to size_of::<T>() readable
    // bytes, and the options above take plain integers or a timeval.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            std::ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
