//! A virtual server: what it is known by, and how it balances.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::value::{Flags, NetworkOrder};
use crate::{Name, ServiceAttribute, Statistics};

/// Flags of virtual servers: IP_VS_SVC_F_*.
pub mod flags {
    /// a client keeps its real server
    pub const PERSISTENT: u32 = 0x0001;
    /// the kernel's own mark of those that are in its table
    pub const HASHED: u32 = 0x0002;
    /// each datagram by itself
    pub const ONE_PACKET: u32 = 0x0004;
    /// of the scheduler; `sh` and `mh`: another server in place of one that is not available
    pub const SCHEDULER_1: u32 = 0x0008;
    /// of the scheduler; `sh` and `mh`: the client's port counts
    pub const SCHEDULER_2: u32 = 0x0010;
    /// of the scheduler
    pub const SCHEDULER_3: u32 = 0x0020;
}

/// The kind of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4
    V4,
    /// IPv6
    V6,
}

impl Family {
    /// That of an address.
    pub fn of(address: IpAddr) -> Family {
        if address.is_ipv4() { Family::V4 } else { Family::V6 }
    }

    pub(crate) fn number(self) -> u16 {
        match self {
            Family::V4 => libc::AF_INET as u16,
            Family::V6 => libc::AF_INET6 as u16,
        }
    }

    pub(crate) fn numbered(number: u16) -> Option<Family> {
        [Family::V4, Family::V6].into_iter().find(|family| family.number() == number)
    }

    pub(crate) fn address(self, bytes: &[u8; 16]) -> IpAddr {
        match self {
            Family::V4 => Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]).into(),
            Family::V6 => Ipv6Addr::from(*bytes).into(),
        }
    }
}

/// `union nf_inet_addr`.
pub(crate) fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&address.octets());
            bytes
        }
        IpAddr::V6(address) => address.octets(),
    }
}

/// What a virtual server is known by: there is one of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// packets to an address and port
    Address {
        /// the address
        address: IpAddr,
        /// IP's protocol: 6 is TCP, 17 UDP, 132 SCTP
        protocol: u8,
        /// the port; 0: all that have no virtual server of their own, of a persistent one
        port: u16,
    },
    /// packets that carry a mark
    Mark {
        /// their addresses
        family: Family,
        /// the mark
        mark: u32,
    },
}

impl Key {
    /// The addresses of its clients.
    pub fn family(&self) -> Family {
        match self {
            Key::Address { address, .. } => Family::of(*address),
            Key::Mark { family, .. } => *family,
        }
    }

    /// The attributes that name it.
    pub fn attributes(&self) -> Vec<ServiceAttribute> {
        let mut attributes = vec![ServiceAttribute::Family(self.family().number())];
        match *self {
            Key::Address { address, protocol, port } => attributes.extend([
                ServiceAttribute::Protocol(protocol.into()),
                ServiceAttribute::Address(octets(address)),
                ServiceAttribute::Port(NetworkOrder(port)),
            ]),
            Key::Mark { mark, .. } => attributes.push(ServiceAttribute::Mark(mark)),
        }
        attributes
    }

    /// What attributes name; None: not enough of them are there.
    pub fn of(attributes: &[ServiceAttribute]) -> Option<Key> {
        let (mut family, mut protocol, mut address, mut port, mut mark) = (None, None, None, None, None);
        for attribute in attributes {
            match attribute {
                ServiceAttribute::Family(number) => family = Family::numbered(*number),
                ServiceAttribute::Protocol(number) => protocol = u8::try_from(*number).ok(),
                ServiceAttribute::Address(bytes) => address = Some(bytes),
                ServiceAttribute::Port(NetworkOrder(number)) => port = Some(*number),
                ServiceAttribute::Mark(number) => mark = Some(*number),
                _ => {}
            }
        }
        let family = family?;
        match mark {
            Some(mark) => Some(Key::Mark { family, mark }),
            None => {
                Some(Key::Address { address: family.address(address?), protocol: protocol?, port: port? })
            }
        }
    }
}

/// A virtual server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VirtualServer {
    /// what it is known by
    pub key: Key,
    /// the scheduler: `rr`, `sh` and so on; the kernel loads it
    pub scheduler: Name,
    /// [`flags`], without [`flags::HASHED`]
    pub flags: u32,
    /// how long a client keeps its real server, if persistent; seconds
    pub timeout: u32,
    /// clients that have so many leading bits in common count as one
    pub client_prefix: u8,
    /// what makes clients known instead of their addresses
    pub persistence_engine: Option<Name>,
}

impl VirtualServer {
    /// One that is not persistent.
    pub fn new(key: Key, scheduler: Name) -> VirtualServer {
        let client_prefix = match key.family() {
            Family::V4 => 32,
            Family::V6 => 128,
        };
        VirtualServer { key, scheduler, flags: 0, timeout: 0, client_prefix, persistence_engine: None }
    }

    /// The attributes to make it with, or to change it.
    pub fn attributes(&self) -> Vec<ServiceAttribute> {
        let mut attributes = self.key.attributes();
        attributes.extend([
            ServiceAttribute::Scheduler(self.scheduler),
            ServiceAttribute::Flags(Flags { flags: self.flags, mask: u32::MAX }),
            ServiceAttribute::Timeout(self.timeout),
            ServiceAttribute::Netmask(netmask(self.key.family(), self.client_prefix)),
        ]);
        attributes.extend(self.persistence_engine.map(ServiceAttribute::PersistenceEngine));
        attributes
    }

    /// The virtual server of attributes; None: not enough of them are there.
    pub fn of(attributes: &[ServiceAttribute]) -> Option<VirtualServer> {
        let mut server = VirtualServer::new(Key::of(attributes)?, Name::new("").ok()?);
        for attribute in attributes {
            match attribute {
                ServiceAttribute::Scheduler(name) => server.scheduler = *name,
                ServiceAttribute::Flags(all) => server.flags = all.flags & !flags::HASHED,
                ServiceAttribute::Timeout(seconds) => server.timeout = *seconds,
                ServiceAttribute::Netmask(mask) => server.client_prefix = prefix(server.key.family(), *mask),
                ServiceAttribute::PersistenceEngine(name) => server.persistence_engine = Some(*name),
                _ => {}
            }
        }
        Some(server)
    }
}

pub(crate) fn netmask(family: Family, prefix: u8) -> [u8; 4] {
    match family {
        Family::V4 => u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0).to_be_bytes(),
        Family::V6 => u32::from(prefix.min(128)).to_ne_bytes(),
    }
}

fn prefix(family: Family, mask: [u8; 4]) -> u8 {
    let prefix = match family {
        Family::V4 => u32::from_be_bytes(mask).leading_ones(),
        Family::V6 => u32::from_ne_bytes(mask),
    };
    u8::try_from(prefix).unwrap_or(u8::MAX)
}

/// A virtual server of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedVirtualServer {
    /// the server
    pub server: VirtualServer,
    /// what it counted
    pub statistics: Statistics,
}

impl ListedVirtualServer {
    pub(crate) fn of(attributes: &[ServiceAttribute]) -> Option<Self> {
        let counted = attributes.iter().find_map(|attribute| match attribute {
            ServiceAttribute::Statistics64(counted) => Some(Statistics::of(counted)),
            _ => None,
        });
        let statistics = counted.unwrap_or_default();
        Some(ListedVirtualServer { server: VirtualServer::of(attributes)?, statistics })
    }
}
