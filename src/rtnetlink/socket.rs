//! A socket that asks.

use std::io;

use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use super::message::{request, take_in};

/// Asks, in the network namespace of the thread that opened it.
pub struct Rtnetlink {
    socket: Socket,
}

impl Rtnetlink {
    /// Opens it.
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        // Questions are taken at their word: the routes of one table are not those of all.
        socket.set_netlink_get_strict_chk(true)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Rtnetlink { socket })
    }

    /// Has the kernel do something.
    ///
    /// # Errors
    /// With the kernel's errno, when it refuses.
    pub fn order(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.exchange(message, flags | NLM_F_ACK, &mut |_| {})
    }

    /// Has it list all there is.
    pub fn list(
        &mut self,
        question: RouteNetlinkMessage,
        mut each: impl FnMut(RouteNetlinkMessage),
    ) -> io::Result<()> {
        self.exchange(question, NLM_F_DUMP, &mut each)
    }

    fn exchange(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
        each: &mut dyn FnMut(RouteNetlinkMessage),
    ) -> io::Result<()> {
        self.socket.send(&request(message, flags), 0)?;
        loop {
            let (datagram, _) = self.socket.recv_from_full()?;
            if take_in(&datagram, each)? {
                return Ok(());
            }
        }
    }
}
