//! Netlink messages and attributes as bytes: writing elements, reading answers.
//!
//! Elements are written and read here rather than through libnftnl: they are all but a few of the messages,
//! and to blame one of a message's elements for a refusal its place must be known. Everything is bounds-checked.

use std::ops::Range;

/// NLA_F_NESTED
pub const NESTED: u16 = 0x8000;
const TYPE_MASK: u16 = 0x3fff;
/// struct nlmsghdr
pub const HEADER: usize = 16;
/// struct nfgenmsg
pub const NFGEN: usize = 4;

/// Appends messages to a buffer.
#[derive(Debug, Default)]
pub struct Writer {
    /// what was written
    pub bytes: Vec<u8>,
}

/// A message or nested attribute whose length is not known yet.
#[must_use]
pub struct Open(usize);

impl Writer {
    /// Begins an nfnetlink message.
    pub fn message(&mut self, kind: u16, flags: u16, sequence: u32, family: u8, resource: u16) -> Open {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&0u32.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&flags.to_ne_bytes());
        self.bytes.extend_from_slice(&sequence.to_ne_bytes());
        self.bytes.extend_from_slice(&0u32.to_ne_bytes());
        self.bytes.extend_from_slice(&[family, 0]);
        self.bytes.extend_from_slice(&resource.to_be_bytes());
        Open(start)
    }

    /// Ends a message.
    pub fn end_message(&mut self, open: Open) {
        let length = (self.bytes.len() - open.0) as u32;
        self.bytes[open.0..open.0 + 4].copy_from_slice(&length.to_ne_bytes());
    }

    /// Begins a nested attribute.
    pub fn nest(&mut self, kind: u16) -> Open {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0, 0]);
        self.bytes.extend_from_slice(&(kind | NESTED).to_ne_bytes());
        Open(start)
    }

    /// Ends a nested attribute. Its length has 16 bits; callers keep below.
    pub fn end_nest(&mut self, open: Open) {
        let length = self.bytes.len() - open.0;
        debug_assert!(length <= usize::from(u16::MAX));
        self.bytes[open.0..open.0 + 2].copy_from_slice(&(length as u16).to_ne_bytes());
    }

    /// A plain attribute.
    pub fn put(&mut self, kind: u16, data: &[u8]) {
        self.bytes.extend_from_slice(&((data.len() + 4) as u16).to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(data);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    /// A string with its terminating zero.
    pub fn put_str(&mut self, kind: u16, text: &str) {
        self.bytes.extend_from_slice(&((text.len() + 5) as u16).to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(0);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    /// A number in network order.
    pub fn put_u32(&mut self, kind: u16, number: u32) {
        self.put(kind, &number.to_be_bytes());
    }
}

/// One attribute: its type, its place in the bytes that were read, its data.
#[derive(Clone, Debug)]
pub struct Attribute<'a> {
    /// without flags
    pub kind: u16,
    /// where it stands, header included
    pub place: Range<usize>,
    /// what it says
    pub data: &'a [u8],
}

impl<'a> Attribute<'a> {
    /// Its data as a number in network order.
    pub fn u32(&self) -> Option<u32> {
        self.data.try_into().ok().map(u32::from_be_bytes)
    }

    /// Its data as a string without the terminating zero.
    pub fn str(&self) -> Option<&'a str> {
        std::str::from_utf8(self.data.strip_suffix(&[0]).unwrap_or(self.data)).ok()
    }
}

/// The attributes in these bytes; stops at the first that does not fit.
pub fn attributes(bytes: &[u8]) -> impl Iterator<Item = Attribute<'_>> {
    let mut at = 0usize;
    std::iter::from_fn(move || {
        let header: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let kind = u16::from_ne_bytes([header[2], header[3]]) & TYPE_MASK;
        let place = at..at + length;
        let data = bytes.get(at + 4..at + length)?;
        at += length.next_multiple_of(4);
        Some(Attribute { kind, place, data })
    })
}

/// The first attribute of a type.
pub fn attribute(bytes: &[u8], kind: u16) -> Option<Attribute<'_>> {
    attributes(bytes).find(|attribute| attribute.kind == kind)
}

/// One netlink message.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// nlmsg_type
    pub kind: u16,
    /// nlmsg_flags
    pub flags: u16,
    /// nlmsg_seq
    pub sequence: u32,
    /// header and all
    pub whole: &'a [u8],
}

impl<'a> Message<'a> {
    /// What follows the header.
    pub fn payload(&self) -> &'a [u8] {
        &self.whole[HEADER..]
    }

    /// The attributes' bytes of an nfnetlink message.
    pub fn body(&self) -> &'a [u8] {
        self.payload().get(NFGEN..).unwrap_or_default()
    }
}

/// The messages in a datagram.
pub fn messages(bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let word = |at: usize| rest.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes);
        let length = word(0)? as usize;
        let (kinds, sequence) = (word(4)?.to_ne_bytes(), word(8)?);
        let whole = rest.get(..length).filter(|whole| whole.len() >= HEADER)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        let kind = u16::from_ne_bytes([kinds[0], kinds[1]]);
        let flags = u16::from_ne_bytes([kinds[2], kinds[3]]);
        Some(Message { kind, flags, sequence, whole })
    })
}
