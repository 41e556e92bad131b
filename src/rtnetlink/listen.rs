//! A socket that listens to what happens to addresses, routes, rules and links, whoever does it.

use std::io;
use std::time::Duration;

use netlink_packet_core::NetlinkPayload;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use socket2::SockRef;

use super::message::messages;

/// Groups of notifications, as RTNLGRP_* of linux/rtnetlink.h number them.
pub type Groups = &'static [u32];

/// The kernel's notifications are no longer than a page, which may have 64 KiB.
const DATAGRAM: usize = 64 << 10;

/// Listens, in the network namespace of the thread that opened it.
pub struct Listener {
    socket: Socket,
    buffer: Vec<u8>,
}

impl Listener {
    /// Begins to listen.
    pub fn open(groups: Groups) -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind(&SocketAddr::new(0, 0))?;
        groups.iter().try_for_each(|group| socket.add_membership(*group))?;
        Ok(Listener { socket, buffer: Vec::with_capacity(DATAGRAM) })
    }

    /// Has [`Listener::wait`] wait no longer than so.
    pub fn limit(&self, patience: Duration) -> io::Result<()> {
        SockRef::from(&self.socket).set_read_timeout(Some(patience))
    }

    /// Returns after one or more notifications, and whether one of them concerns who asks. Those that were lost
    /// or cannot be read may.
    pub fn wait(&mut self, concerns: impl Fn(&RouteNetlinkMessage) -> bool) -> io::Result<bool> {
        let (mut flags, mut is_news) = (0, false);
        loop {
            self.buffer.clear();
            match self.socket.recv(&mut self.buffer, flags) {
                Ok(_) => is_news = is_news || has_news(&self.buffer, &concerns),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(is_news),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => is_news = true,
                Err(error) => return Err(error),
            }
            // The first is waited for, the others are only cleared away.
            flags = libc::MSG_DONTWAIT;
        }
    }
}

fn has_news(datagram: &[u8], concerns: &impl Fn(&RouteNetlinkMessage) -> bool) -> bool {
    messages(datagram).any(|payload| match payload {
        Ok(NetlinkPayload::InnerMessage(message)) => concerns(&message),
        Ok(_) => false,
        Err(_) => true,
    })
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::address::AddressMessage;
    use netlink_packet_route::route::RouteMessage;

    use super::*;
    use crate::rtnetlink::message::request;

    #[test]
    fn what_concerns_nobody_is_no_news() {
        let about_addresses =
            |message: &RouteNetlinkMessage| matches!(message, RouteNetlinkMessage::NewAddress(_));
        let address = request(RouteNetlinkMessage::NewAddress(AddressMessage::default()), 0);
        let route = request(RouteNetlinkMessage::NewRoute(RouteMessage::default()), 0);
        assert!(!has_news(&route, &about_addresses));
        assert!(has_news(&[route.clone(), address].concat(), &about_addresses));
        assert!(
            has_news(&route[..route.len() - 1], &about_addresses),
            "what is half a message may be anything"
        );
    }
}
