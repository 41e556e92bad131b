//! Appends netlink messages and attributes to a buffer. Pure.

use netlink_packet_core::{NLA_ALIGNTO, NLA_F_NESTED, NLA_HEADER_SIZE};

/// NFNL_SUBSYS_CTNETLINK of linux/netfilter/nfnetlink.h, in the upper half of a message's type
pub(super) const SUBSYSTEM: u16 = 1 << 8;

/// Messages one after the other.
#[derive(Debug, Default)]
pub(super) struct Writer {
    pub(super) bytes: Vec<u8>,
}

impl Writer {
    /// Appends a ctnetlink message with the attributes that `fill` puts into it.
    pub(super) fn message(
        &mut self,
        kind: u8,
        flags: u16,
        sequence: u32,
        family: u8,
        fill: impl FnOnce(&mut Self),
    ) {
        let start = self.bytes.len();
        self.bytes.extend([0; 4]);
        self.bytes.extend((SUBSYSTEM | u16::from(kind)).to_ne_bytes());
        self.bytes.extend(flags.to_ne_bytes());
        self.bytes.extend(sequence.to_ne_bytes());
        self.bytes.extend([0; 4]);
        // struct nfgenmsg: family, version 0, resource 0
        self.bytes.extend([family, 0, 0, 0]);
        fill(self);
        let length = (self.bytes.len() - start) as u32;
        self.bytes[start..start + 4].copy_from_slice(&length.to_ne_bytes());
    }

    /// Appends an attribute whose data are the attributes that `fill` puts into it.
    pub(super) fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.bytes.extend([0; 2]);
        self.bytes.extend((kind | NLA_F_NESTED).to_ne_bytes());
        fill(self);
        // A handful of addresses and numbers: far below the 16 bits.
        let length = (self.bytes.len() - start) as u16;
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    }

    /// Appends an attribute.
    pub(super) fn put(&mut self, kind: u16, data: &[u8]) {
        self.bytes.extend(((NLA_HEADER_SIZE + data.len()) as u16).to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(data);
        self.bytes.resize(self.bytes.len().next_multiple_of(NLA_ALIGNTO), 0);
    }
}
