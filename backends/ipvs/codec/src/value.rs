//! What attributes have as values: numbers in the machine's or in the network's order, names, addresses, flags
//! with a mask, lists of attributes.

use std::fmt;

use netlink_packet_core::NLA_F_NESTED;

use crate::attributes::{self, Attribute};

/// A value as bytes.
pub(crate) trait Value: Sized {
    /// What its attribute's type says of it: NLA_F_NESTED for lists, as ipvsadm writes it, or nothing.
    const FLAG: u16 = 0;
    /// How many bytes it takes.
    fn length(&self) -> usize;
    /// Writes them; the buffer has that length.
    fn write(&self, buffer: &mut [u8]);
    /// Reads them; None: this is something else.
    fn read(bytes: &[u8]) -> Option<Self>;
}

macro_rules! numbers {
    ($($number:ty),*) => { $(
        impl Value for $number {
            fn length(&self) -> usize {
                size_of::<$number>()
            }
            fn write(&self, buffer: &mut [u8]) {
                buffer.copy_from_slice(&self.to_ne_bytes());
            }
            fn read(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(<$number>::from_ne_bytes)
            }
        }
        impl Value for NetworkOrder<$number> {
            fn length(&self) -> usize {
                size_of::<$number>()
            }
            fn write(&self, buffer: &mut [u8]) {
                buffer.copy_from_slice(&self.0.to_be_bytes());
            }
            fn read(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(<$number>::from_be_bytes).map(NetworkOrder)
            }
        }
    )* };
}
numbers!(u8, u16, u32, u64);

/// A number that is written in the network's order, such as a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkOrder<N>(pub N);

/// Sixteen are `union nf_inet_addr`: an IPv4 address is in its first four bytes, and zeros follow.
impl<const N: usize> Value for [u8; N] {
    fn length(&self) -> usize {
        N
    }
    fn write(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(self);
    }
    fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok()
    }
}

/// `struct ip_vs_flags`: which flags are set, of those that the mask has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// the flags
    pub flags: u32,
    /// those that are meant; the others stay as they are
    pub mask: u32,
}

impl Value for Flags {
    fn length(&self) -> usize {
        8
    }
    fn write(&self, buffer: &mut [u8]) {
        buffer[..4].copy_from_slice(&self.flags.to_ne_bytes());
        buffer[4..].copy_from_slice(&self.mask.to_ne_bytes());
    }
    fn read(bytes: &[u8]) -> Option<Self> {
        let (flags, mask) = bytes.split_at_checked(4)?;
        Some(Flags { flags: u32::read(flags)?, mask: u32::read(mask)? })
    }
}

/// The name of a scheduler or of a persistence engine: at most 15 bytes, none of them zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// followed by zeros
    bytes: [u8; Name::LONGEST],
    length: u8,
}

/// A name that the kernel has no room for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name for IPVS: it takes up to 15 bytes, and no zeros")]
pub struct NameTooLong(pub String);

impl Name {
    /// IP_VS_SCHEDNAME_MAXLEN and IP_VS_PENAME_MAXLEN without the zero at the end.
    const LONGEST: usize = 15;

    /// A name, if it can be one.
    pub fn new(name: &str) -> Result<Name, NameTooLong> {
        if name.len() > Name::LONGEST || name.contains('\0') {
            return Err(NameTooLong(name.to_owned()));
        }
        let mut bytes = [0; Name::LONGEST];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        Ok(Name { bytes, length: name.len() as u8 })
    }

    /// Itself.
    pub fn as_str(&self) -> &str {
        // It was made from a str.
        std::str::from_utf8(&self.bytes[..self.length.into()]).unwrap_or_default()
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Value for Name {
    fn length(&self) -> usize {
        self.as_str().len() + 1
    }
    fn write(&self, buffer: &mut [u8]) {
        let (name, rest) = buffer.split_at_mut(self.length.into());
        name.copy_from_slice(self.as_str().as_bytes());
        rest.fill(0);
    }
    fn read(bytes: &[u8]) -> Option<Self> {
        let name = std::str::from_utf8(bytes.strip_suffix(&[0]).unwrap_or(bytes)).ok()?;
        Name::new(name).ok()
    }
}

impl<A: Attribute> Value for Vec<A> {
    const FLAG: u16 = NLA_F_NESTED;

    fn length(&self) -> usize {
        attributes::write(self).len()
    }
    fn write(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(&attributes::write(self));
    }
    fn read(bytes: &[u8]) -> Option<Self> {
        Some(attributes::read(bytes))
    }
}
