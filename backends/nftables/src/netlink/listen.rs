//! Listening to what others do: the multicast group of nf_tables' transactions.
//!
//! Each object of a transaction is a message, and a last one (NFT_MSG_NEWGEN) says which generation it began and
//! who sent it (`nft_commit_notify`, `nf_tables_gen_notify` of net/netfilter/nf_tables_api.c). What an object is
//! like is not read, only whose table it is in; what has become of ours is for a comparison to tell.
//!
//! The kernel makes these messages, a page for each element, only while somebody is in the group. So we are not,
//! while we write: a hundred thousand elements of our own cost nothing, and no message is ever about us. What
//! others do in that time shows in the generation.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use kube_verdict_table::Family;
use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr};

use super::attributes::{Message, attribute, messages};
use super::encode::kind;
use super::objects::nfproto;
use super::socket::set_receive_buffer;
use crate::kernel::{Author, Note};
use crate::layout::TABLE;

/// NFNLGRP_NFTABLES of linux/netfilter/nfnetlink.h
const GROUP: u32 = 7;
/// NFT_MSG_NEWGEN
const NEWGEN: u16 = 15;
/// NFTA_GEN_*
const GENERATION: u16 = 1;
const PROCESS: u16 = 2;
const PROCESS_NAME: u16 = 3;
/// NFTA_TABLE_NAME, and NFTA_*_TABLE of everything that is in a table: all of them have one number.
const IN_TABLE: u16 = 1;

/// Room for the tens of thousands of messages of somebody's large transaction, used only while there is one.
const RECEIVE_BUFFER: libc::c_int = 4 << 20;
/// The kernel puts as many messages together as fit into a page, but a page may have 64 KiB.
const DATAGRAM: usize = 64 << 10;

/// Becomes readable when there is something to hear.
#[derive(Clone, Debug)]
pub struct Ear(Arc<Socket>);

impl AsRawFd for Ear {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// A member of the group.
pub(super) struct Listener {
    socket: Arc<Socket>,
    is_member: bool,
    buffer: Vec<u8>,
    /// of `buffer`, what was not read yet
    rest: std::ops::Range<usize>,
    reader: Reader,
}

impl Listener {
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_NETFILTER)?;
        socket.bind(&SocketAddr::new(0, 0))?;
        socket.set_non_blocking(true)?;
        set_receive_buffer(&socket, RECEIVE_BUFFER)?;
        socket.add_membership(GROUP)?;
        let buffer = Vec::with_capacity(DATAGRAM);
        Ok(Listener {
            socket: Arc::new(socket),
            is_member: true,
            buffer,
            rest: 0..0,
            reader: Reader::default(),
        })
    }

    pub(super) fn ear(&self) -> Ear {
        Ear(Arc::clone(&self.socket))
    }

    /// Leaves the group, until [`Listener::rejoin`].
    pub(super) fn leave(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.is_member) { self.socket.drop_membership(GROUP) } else { Ok(()) }
    }

    pub(super) fn rejoin(&mut self) -> io::Result<()> {
        if self.is_member {
            return Ok(());
        }
        self.is_member = true;
        self.reader = Reader::default();
        self.socket.add_membership(GROUP)
    }

    /// The next note; None: there is none yet.
    pub(super) fn next(&mut self) -> io::Result<Option<Note>> {
        loop {
            let mut read = 0;
            let note = messages(&self.buffer[self.rest.clone()]).find_map(|message| {
                read += message.whole.len().next_multiple_of(4);
                self.reader.read(&message)
            });
            if note.is_some() {
                self.rest.start = (self.rest.start + read).min(self.rest.end);
                return Ok(note);
            }
            self.buffer.clear();
            self.rest = 0..0;
            match self.socket.recv(&mut self.buffer, 0) {
                Ok(length) => self.rest = 0..length.min(self.buffer.len()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    self.reader = Reader::default();
                    return Ok(Some(Note::Lost));
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Makes notes of messages.
#[derive(Debug, Default)]
struct Reader {
    /// whether an object of the transaction that is being read is in a table of ours
    is_about_us: bool,
}

impl Reader {
    /// A note, if this message ends a transaction.
    fn read(&mut self, message: &Message<'_>) -> Option<Note> {
        if message.kind != kind::of(NEWGEN) {
            // Once is enough, and most objects are somebody else's.
            self.is_about_us = self.is_about_us || concerns_us(message);
            return None;
        }
        let body = message.body();
        let number = |kind| attribute(body, kind).and_then(|attribute| attribute.u32());
        let name = attribute(body, PROCESS_NAME).map(|name| {
            let name = name.data.split(|byte| *byte == 0).next().unwrap_or_default();
            String::from_utf8_lossy(name).into_owned()
        });
        let author = name.zip(number(PROCESS)).map(|(name, pid)| Author { name, pid });
        let is_about_us = std::mem::take(&mut self.is_about_us);
        Some(match number(GENERATION) {
            Some(generation) => Note::Transaction { generation, is_about_us, author },
            None => Note::Lost,
        })
    }
}

fn concerns_us(message: &Message<'_>) -> bool {
    let family = message.payload().first();
    family.is_some_and(|family| Family::BOTH.map(nfproto).contains(family))
        && attribute(message.body(), IN_TABLE).and_then(|table| table.str()) == Some(TABLE)
}

#[cfg(test)]
mod tests {
    use super::super::attributes::Writer;
    use super::*;

    fn read(reader: &mut Reader, writer: &Writer) -> Vec<Note> {
        messages(&writer.bytes).filter_map(|message| reader.read(&message)).collect()
    }

    fn object(writer: &mut Writer, kind: u16, family: i32, table: &str) {
        let open = writer.message(kind::of(kind), 0, 1, family as u8, 0);
        writer.put_str(IN_TABLE, table);
        writer.end_message(open);
    }

    fn end(writer: &mut Writer, generation: u32) {
        let open = writer.message(kind::of(NEWGEN), 0, 1, 0, 0);
        writer.put_u32(GENERATION, generation);
        writer.put_u32(PROCESS, 77);
        writer.put_str(PROCESS_NAME, "nft");
        writer.end_message(open);
    }

    #[test]
    fn a_transaction_is_about_us_if_any_of_its_objects_is() {
        let mut writer = Writer::default();
        object(&mut writer, kind::DELSETELEM, libc::AF_INET, "filter");
        object(&mut writer, kind::DELSETELEM, libc::AF_INET6, TABLE);
        object(&mut writer, kind::DELSETELEM, libc::AF_INET, "filter");
        end(&mut writer, 5);
        // An inet table of our name is not ours, nor is one whose name only begins like ours.
        object(&mut writer, kind::DELSETELEM, 1, TABLE);
        object(&mut writer, kind::DELSETELEM, libc::AF_INET, "kube-verdict-2");
        end(&mut writer, 6);
        let author = Some(Author { name: "nft".into(), pid: 77 });
        let about = |generation, is_about_us| {
            let author = author.clone();
            Note::Transaction { generation, is_about_us, author }
        };
        assert_eq!(read(&mut Reader::default(), &writer), [about(5, true), about(6, false)]);
    }

    #[test]
    fn an_end_without_a_generation_is_a_loss() {
        let mut writer = Writer::default();
        let open = writer.message(kind::of(NEWGEN), 0, 1, 0, 0);
        writer.end_message(open);
        assert_eq!(read(&mut Reader::default(), &writer), [Note::Lost]);
    }

    #[test]
    fn a_name_cannot_break_a_line_of_the_log() {
        let author = Author { name: "a\nb".into(), pid: 1 };
        assert_eq!(author.to_string(), "a\\nb (pid 1)");
    }
}
