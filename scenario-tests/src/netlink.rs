//! The few netlink messages that the tests send themselves, where a program would be too slow or tells too
//! little: the generation of the ruleset, an empty conntrack table, and batches of set elements
//! (linux/netfilter/nf_tables.h).

use std::io::{self, Read};

use nix::errno::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use crate::netns::Netns;
use crate::plan::Family;

const NETLINK_NETFILTER: i32 = 12;
const REQUEST: u16 = 0x1;
const ACK: u16 = 0x4;
const CREATE: u16 = 0x400;
const ERROR: u16 = 0x2;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const SUBSYS_CTNETLINK: u16 = 1;
const SUBSYS_NFTABLES: u16 = 10;
const CT_DELETE: u16 = 2;
const NEWSETELEM: u16 = 12;
const DELSETELEM: u16 = 14;
const GETGEN: u16 = 16;
const NESTED: u16 = 0x8000;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// A netfilter socket of one namespace.
#[derive(Debug)]
pub struct Netfilter {
    socket: Socket,
    sequence: u32,
}

/// What an element maps to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// bytes of a register
    Value(Vec<u8>),
    /// `goto`
    Goto(String),
    /// `drop`
    Drop,
}

/// An element of a map, as the kernel has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// the map
    pub map: String,
    /// the key's register
    pub key: Vec<u8>,
    /// what it maps to
    pub data: Data,
}

impl Netfilter {
    /// Opens one.
    pub fn open(netns: &Netns) -> Self {
        let socket = netns.run(|| {
            Socket::new(Domain::from(16), Type::RAW, Some(Protocol::from(NETLINK_NETFILTER)))
                .expect("a netfilter socket (is nf_tables in this kernel?)")
        });
        socket.set_read_timeout(Some(std::time::Duration::from_secs(10))).expect("a timeout");
        Netfilter { socket, sequence: 1 }
    }

    /// The generation of the ruleset: it grows with every transaction.
    pub fn generation(&mut self) -> u32 {
        let mut request = Vec::new();
        self.message(&mut request, SUBSYS_NFTABLES << 8 | GETGEN, REQUEST, 0, 0, &[]);
        self.socket.send(&request).expect("asking for the generation");
        let reply = self.receive().expect("the generation");
        // nlmsghdr, nfgenmsg, then NFTA_GEN_ID: the first attribute.
        u32::from_be_bytes(reply[24..28].try_into().expect("four bytes"))
    }

    /// Forgets all connections.
    pub fn flush_conntrack(&mut self) {
        let mut request = Vec::new();
        self.message(&mut request, SUBSYS_CTNETLINK << 8 | CT_DELETE, REQUEST | ACK, 0, 0, &[]);
        self.socket.send(&request).expect("flushing conntrack");
        self.acknowledged().expect("flushing conntrack");
    }

    /// A batch that deletes and adds elements of a table, ready to be sent many times.
    pub fn batch(family: Family, table: &str, delete: &[Element], add: &[Element]) -> Vec<u8> {
        let mut builder = Netfilter::builder();
        let mut bytes = Vec::new();
        let (begin, end) = (BATCH_BEGIN, BATCH_END);
        builder.message(&mut bytes, begin, REQUEST, 0, SUBSYS_NFTABLES, &[]);
        let operations = delete.iter().map(|e| (DELSETELEM, e)).chain(add.iter().map(|e| (NEWSETELEM, e)));
        let count = delete.len() + add.len();
        for (index, (kind, element)) in operations.enumerate() {
            let ack = if index + 1 == count { ACK } else { 0 };
            let create = if kind == NEWSETELEM { CREATE } else { 0 };
            let family = if family == Family::V4 { AF_INET } else { AF_INET6 };
            let body = element_attributes(table, element, kind == NEWSETELEM);
            builder.message(
                &mut bytes,
                SUBSYS_NFTABLES << 8 | kind,
                REQUEST | create | ack,
                family,
                0,
                &body,
            );
        }
        builder.message(&mut bytes, end, REQUEST, 0, SUBSYS_NFTABLES, &[]);
        bytes
    }

    /// Sends a batch and waits for its commit.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn commit(&mut self, batch: &[u8]) -> io::Result<()> {
        self.socket.send(batch)?;
        self.acknowledged()
    }

    fn builder() -> MessageBuilder {
        MessageBuilder { sequence: 1 }
    }

    fn message(&mut self, out: &mut Vec<u8>, kind: u16, flags: u16, family: u8, resource: u16, body: &[u8]) {
        let mut builder = MessageBuilder { sequence: self.sequence };
        builder.message(out, kind, flags, family, resource, body);
        self.sequence = builder.sequence;
    }

    fn receive(&self) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0u8; 65536];
        let length = (&self.socket).read(&mut buffer)?;
        buffer.truncate(length);
        Ok(buffer)
    }

    fn acknowledged(&self) -> io::Result<()> {
        let reply = self.receive()?;
        let kind = u16::from_ne_bytes([reply[4], reply[5]]);
        assert_eq!(kind, ERROR, "not an acknowledgement");
        match i32::from_ne_bytes(reply[16..20].try_into().expect("four bytes")) {
            0 => Ok(()),
            error => Err(Errno::from_raw(-error).into()),
        }
    }
}

struct MessageBuilder {
    sequence: u32,
}

impl MessageBuilder {
    fn message(&mut self, out: &mut Vec<u8>, kind: u16, flags: u16, family: u8, resource: u16, body: &[u8]) {
        let length = 20 + body.len();
        out.extend((length as u32).to_ne_bytes());
        out.extend(kind.to_ne_bytes());
        out.extend(flags.to_ne_bytes());
        out.extend(self.sequence.to_ne_bytes());
        out.extend(0u32.to_ne_bytes());
        out.extend([family, 0]);
        out.extend(resource.to_be_bytes());
        out.extend(body);
        self.sequence += 1;
    }
}

fn attribute(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    out.extend(((value.len() + 4) as u16).to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

fn nested(kind: u16, fill: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let (mut inner, mut out) = (Vec::new(), Vec::new());
    fill(&mut inner);
    attribute(&mut out, kind | NESTED, &inner);
    out
}

fn text(kind: u16, value: &str) -> Vec<u8> {
    let mut out = Vec::new();
    attribute(&mut out, kind, &[value.as_bytes(), &[0]].concat());
    out
}

fn element_attributes(table: &str, element: &Element, with_data: bool) -> Vec<u8> {
    let data = match &element.data {
        // NFTA_DATA_VALUE
        Data::Value(bytes) => {
            let mut out = Vec::new();
            attribute(&mut out, 1, bytes);
            out
        }
        // NFTA_DATA_VERDICT { NFTA_VERDICT_CODE, NFTA_VERDICT_CHAIN }
        Data::Goto(chain) => nested(2, |out| {
            attribute(out, 1, &(-4i32).to_be_bytes());
            out.extend(text(2, chain));
        }),
        Data::Drop => nested(2, |out| attribute(out, 1, &0i32.to_be_bytes())),
    };
    let mut out = text(1, table); // NFTA_SET_ELEM_LIST_TABLE
    out.extend(text(2, &element.map)); // NFTA_SET_ELEM_LIST_SET
    out.extend(nested(3, |list| {
        list.extend(nested(1, |item| {
            item.extend(nested(1, |key| attribute(key, 1, &element.key))); // NFTA_SET_ELEM_KEY
            if with_data {
                item.extend(nested(2, |out| out.extend(data))); // NFTA_SET_ELEM_DATA
            }
        }));
    }));
    out
}
