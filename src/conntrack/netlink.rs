//! Conntrack through netlink (net/netfilter/nf_conntrack_netlink.c). The kernel asks for CAP_NET_ADMIN.
//!
//! Every request has a socket of its own, so that nothing is left over from one that went wrong, and nothing is
//! held while there is nothing to do. It acts in the network namespace of the thread that asks.

use std::io;

use netlink_packet_core::{NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, NLMSG_OVERRUN, NetlinkBuffer};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};

use super::entry::NEW;
use super::writer::{SUBSYSTEM, Writer};
use super::{Entry, Filter, Kernel};

/// The kernel's dumps come in pieces of at most 32 KiB.
const DATAGRAM: usize = 64 << 10;
/// Deletions in one datagram: their answers fit into a receive buffer of the usual size.
const DELETIONS: usize = 64;

/// The kernel.
#[derive(Clone, Copy, Debug, Default)]
pub struct Netlink {
    /// the kernel is not asked to filter
    unfiltered: bool,
}

impl Netlink {
    /// One that asks for every entry of a family, as is done where the kernel refuses our filters.
    pub fn unfiltered() -> Self {
        Netlink { unfiltered: true }
    }
}

impl Kernel for Netlink {
    fn dump(&mut self, filter: &Filter, each: &mut dyn FnMut(&Entry)) -> io::Result<bool> {
        let is_refusal = |error: &io::Error| {
            !self.unfiltered && matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EOPNOTSUPP))
        };
        match dump(filter, self.unfiltered, each) {
            Err(error) if is_refusal(&error) => {
                let is_complete = dump(filter, true, each)?;
                self.unfiltered = true;
                Ok(is_complete)
            }
            result => result,
        }
    }

    fn delete(&mut self, entries: &[Entry]) -> io::Result<usize> {
        let mut exchange = Exchange::open()?;
        let mut deleted = 0;
        for entries in entries.chunks(DELETIONS) {
            deleted += exchange.delete(entries)?;
        }
        Ok(deleted)
    }
}

fn dump(filter: &Filter, unfiltered: bool, each: &mut dyn FnMut(&Entry)) -> io::Result<bool> {
    let mut writer = Writer::default();
    filter.ask(&mut writer, 1, unfiltered);
    let mut exchange = Exchange::open()?;
    exchange.send(&writer.bytes)?;
    let mut is_complete = true;
    loop {
        let datagram = match exchange.receive() {
            Ok(datagram) => datagram,
            // Some answers are lost; those that are there still count.
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => return Ok(false),
            Err(error) => return Err(error),
        };
        for message in messages(datagram) {
            // Set when entries changed places during the dump.
            is_complete &= message.flags() & NLM_F_DUMP_INTR == 0;
            match message.message_type() {
                NLMSG_DONE => {
                    return match code(&message) {
                        0 => Ok(is_complete),
                        errno => interrupted(errno),
                    };
                }
                NLMSG_ERROR => return interrupted(code(&message)),
                NLMSG_OVERRUN => return Ok(false),
                kind if kind == SUBSYSTEM | u16::from(NEW) => {
                    if let Some(entry) = Entry::decode(message.payload()) {
                        each(&entry);
                    }
                }
                _ => {}
            }
        }
    }
}

/// What a dump comes to that ended with an error.
fn interrupted(errno: i32) -> io::Result<bool> {
    if errno == libc::EINTR { Ok(false) } else { Err(io::Error::from_raw_os_error(errno)) }
}

/// Requests and answers.
struct Exchange {
    socket: Socket,
    buffer: Vec<u8>,
}

impl Exchange {
    fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_NETFILTER)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        // Refusals come without the message that they refuse.
        socket.set_cap_ack(true)?;
        Ok(Exchange { socket, buffer: Vec::with_capacity(DATAGRAM) })
    }

    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        self.socket.send(bytes, 0).map(drop)
    }

    fn receive(&mut self) -> io::Result<&[u8]> {
        loop {
            self.buffer.clear();
            match self.socket.recv(&mut self.buffer, 0) {
                Ok(_) => return Ok(&self.buffer),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Deletes some entries and returns how many were still there.
    fn delete(&mut self, entries: &[Entry]) -> io::Result<usize> {
        let mut writer = Writer::default();
        for (sequence, entry) in entries.iter().enumerate() {
            entry.ask_to_delete(&mut writer, sequence as u32);
        }
        self.send(&writer.bytes)?;
        let (mut deleted, mut answered) = (0, 0);
        let mut trouble = None;
        while answered < entries.len() {
            for message in messages(self.receive()?).filter(|m| m.message_type() == NLMSG_ERROR) {
                answered += 1;
                match code(&message) {
                    0 => deleted += 1,
                    // It went by itself; or there is another flow of the same addresses now.
                    libc::ENOENT => {}
                    errno => trouble = Some(io::Error::from_raw_os_error(errno)),
                }
            }
        }
        trouble.map_or(Ok(deleted), Err)
    }
}

/// The errno of an error or of the end of a dump; 0: none.
fn code(message: &NetlinkBuffer<&[u8]>) -> i32 {
    let code = message.payload().get(..4).and_then(|bytes| bytes.try_into().ok());
    code.map_or(0, |bytes| i32::from_ne_bytes(bytes).saturating_neg())
}

/// The messages in a datagram, up to the first that does not fit.
fn messages(datagram: &[u8]) -> impl Iterator<Item = NetlinkBuffer<&[u8]>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let message = NetlinkBuffer::new_checked(rest).ok()?;
        rest = rest.get((message.length() as usize).next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    })
}

#[cfg(test)]
#[path = "netlink_tests.rs"]
mod tests;
