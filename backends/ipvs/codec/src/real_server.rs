//! A real server: where a virtual one sends connections, and how.

use std::net::IpAddr;

use netlink_packet_core::NlasIterator;

use crate::value::{NetworkOrder, Value};
use crate::virtual_server::octets;
use crate::{DestinationAttribute, Family, Statistics};

/// How packets reach a real server: IP_VS_CONN_F_FWD_MASK.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Forwarding {
    /// the destination is translated
    Masquerade,
    /// the machine itself
    Local,
    /// wrapped
    Tunnel,
    /// with another link address only
    Route,
    /// as if there were no virtual server
    Bypass,
    /// one that is not known here
    Other(u32),
}

const METHODS: [Forwarding; 5] =
    [Forwarding::Masquerade, Forwarding::Local, Forwarding::Tunnel, Forwarding::Route, Forwarding::Bypass];

impl Forwarding {
    pub(crate) fn number(self) -> u32 {
        match self {
            Forwarding::Other(number) => number,
            known => METHODS.iter().position(|method| *method == known).unwrap_or_default() as u32,
        }
    }

    fn numbered(number: u32) -> Forwarding {
        METHODS.get(number as usize).copied().unwrap_or(Forwarding::Other(number))
    }
}

/// What packets are wrapped in. Linux 5.3 and later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tunnel {
    /// IP_VS_CONN_F_TUNNEL_TYPE_*: 0 is IP in IP, 1 GUE, 2 GRE
    pub kind: u8,
    /// where GUE ends
    pub port: u16,
    /// IP_VS_TUNNEL_ENCAP_FLAG_*: checksums
    pub flags: u16,
}

/// A real server of a virtual one, which has at most one of an address and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RealServer {
    /// its address
    pub address: IpAddr,
    /// its port; 0: that of the packet, of virtual servers by mark
    pub port: u16,
    /// how packets get there
    pub forwarding: Forwarding,
    /// its share; 0: no new connections
    pub weight: u32,
    /// from so many connections on it gets no new ones; 0: never
    pub upper_threshold: u32,
    /// when it gets some again
    pub lower_threshold: u32,
    /// for [`Forwarding::Tunnel`]
    pub tunnel: Tunnel,
}

impl RealServer {
    /// One to which the destination is translated, with a weight of 1.
    pub fn new(address: IpAddr, port: u16) -> RealServer {
        RealServer {
            address,
            port,
            forwarding: Forwarding::Masquerade,
            weight: 1,
            upper_threshold: 0,
            lower_threshold: 0,
            tunnel: Tunnel::default(),
        }
    }

    /// The attributes that name it among those of its virtual server.
    pub fn key(&self) -> Vec<DestinationAttribute> {
        vec![
            DestinationAttribute::Family(Family::of(self.address).number()),
            DestinationAttribute::Address(octets(self.address)),
            DestinationAttribute::Port(NetworkOrder(self.port)),
        ]
    }

    /// The attributes to add it with, or to change it.
    pub fn attributes(&self) -> Vec<DestinationAttribute> {
        let mut attributes = self.key();
        attributes.extend([
            DestinationAttribute::Forwarding(self.forwarding.number()),
            DestinationAttribute::Weight(self.weight),
            DestinationAttribute::UpperThreshold(self.upper_threshold),
            DestinationAttribute::LowerThreshold(self.lower_threshold),
        ]);
        if self.tunnel != Tunnel::default() {
            attributes.extend([
                DestinationAttribute::TunnelType(self.tunnel.kind),
                DestinationAttribute::TunnelPort(NetworkOrder(self.tunnel.port)),
                DestinationAttribute::TunnelFlags(self.tunnel.flags),
            ]);
        }
        attributes
    }
}

/// What a real server has to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// connections that are established
    pub active: u32,
    /// connections that begin, end or have ended, and those of protocols without any
    pub inactive: u32,
    /// clients that are to come back here
    pub persistent: u32,
}

/// A real server and what it has to do: all of a listing but what was counted, which is most of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// the server
    pub server: RealServer,
    /// what it has to do
    pub connections: Connections,
}

impl Load {
    /// Reads one message of a listing, of a virtual server of `family`, from `struct genlmsghdr` on and without the
    /// lists of attributes that it consists of. None: there is none in it.
    pub(crate) fn read(family: Family, message: &[u8]) -> Option<Load> {
        let mut commands = NlasIterator::new(message.get(4..)?).map_while(Result::ok);
        let destination = commands.find(|nla| nla.kind() == 2)?;
        let mut family = family;
        let (mut address, mut port) = (None, None);
        let mut server = RealServer::new([0, 0, 0, 0].into(), 0);
        let mut connections = Connections::default();
        for nla in NlasIterator::new(destination.value()).map_while(Result::ok) {
            let value = nla.value();
            match nla.kind() {
                1 => address = <[u8; 16]>::read(value),
                2 => port = NetworkOrder::<u16>::read(value).map(|port| port.0),
                3 => server.forwarding = Forwarding::numbered(u32::read(value)?),
                4 => server.weight = u32::read(value)?,
                5 => server.upper_threshold = u32::read(value)?,
                6 => server.lower_threshold = u32::read(value)?,
                7 => connections.active = u32::read(value)?,
                8 => connections.inactive = u32::read(value)?,
                9 => connections.persistent = u32::read(value)?,
                11 => family = Family::numbered(u16::read(value)?)?,
                13 => server.tunnel.kind = u8::read(value)?,
                14 => server.tunnel.port = NetworkOrder::<u16>::read(value)?.0,
                15 => server.tunnel.flags = u16::read(value)?,
                _ => {}
            }
        }
        server.address = family.address(&address?);
        server.port = port?;
        Some(Load { server, connections })
    }
}

/// A real server of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedRealServer {
    /// the server
    pub server: RealServer,
    /// what it has to do
    pub connections: Connections,
    /// what it counted
    pub statistics: Statistics,
}

impl ListedRealServer {
    /// The real server of attributes, of a virtual one of `family`; None: not enough of them are there.
    pub fn of(family: Family, attributes: &[DestinationAttribute]) -> Option<Self> {
        let mut family = family;
        let (mut address, mut port) = (None, None);
        let mut server = RealServer::new([0, 0, 0, 0].into(), 0);
        let mut connections = Connections::default();
        let mut statistics = Statistics::default();
        for attribute in attributes {
            match attribute {
                DestinationAttribute::Family(number) => family = Family::numbered(*number)?,
                DestinationAttribute::Address(bytes) => address = Some(bytes),
                DestinationAttribute::Port(NetworkOrder(number)) => port = Some(*number),
                DestinationAttribute::Forwarding(number) => server.forwarding = Forwarding::numbered(*number),
                DestinationAttribute::Weight(weight) => server.weight = *weight,
                DestinationAttribute::UpperThreshold(limit) => server.upper_threshold = *limit,
                DestinationAttribute::LowerThreshold(limit) => server.lower_threshold = *limit,
                DestinationAttribute::Active(count) => connections.active = *count,
                DestinationAttribute::Inactive(count) => connections.inactive = *count,
                DestinationAttribute::Persistent(count) => connections.persistent = *count,
                DestinationAttribute::Statistics64(counted) => statistics = Statistics::of(counted),
                DestinationAttribute::TunnelType(kind) => server.tunnel.kind = *kind,
                DestinationAttribute::TunnelPort(NetworkOrder(number)) => server.tunnel.port = *number,
                DestinationAttribute::TunnelFlags(flags) => server.tunnel.flags = *flags,
                DestinationAttribute::Statistics(_) | DestinationAttribute::Other(_) => {}
            }
        }
        server.address = family.address(address?);
        server.port = port?;
        Some(ListedRealServer { server, connections, statistics })
    }
}
