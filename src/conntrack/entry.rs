//! One UDP flow as conntrack has it: reading it from a dump, and asking for its deletion. Pure; nothing panics
//! on odd bytes, and what is not understood is no UDP flow. The layout is that of
//! linux/netfilter/nfnetlink_conntrack.h.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use kube_verdict_table::{Family, Protocol};
use netlink_packet_core::{NLM_F_ACK, NLM_F_REQUEST, NlaBuffer, NlasIterator};

use super::writer::Writer;

// enum cntl_msg_types
pub(super) const NEW: u8 = 0;
const DELETE: u8 = 2;
// enum ctattr_type
pub(super) const TUPLE_ORIGINAL: u16 = 1;
pub(super) const TUPLE_REPLY: u16 = 2;
const ID: u16 = 12;
pub(super) const ZONE: u16 = 18;
// enum ctattr_tuple
pub(super) const TUPLE_IP: u16 = 1;
pub(super) const TUPLE_PROTOCOL: u16 = 2;
const TUPLE_ZONE: u16 = 3;
// enum ctattr_ip
const V4_SOURCE: u16 = 1;
const V4_DESTINATION: u16 = 2;
const V6_SOURCE: u16 = 3;
const V6_DESTINATION: u16 = 4;
// enum ctattr_l4proto
pub(super) const PROTOCOL_NUMBER: u16 = 1;
const SOURCE_PORT: u16 = 2;
pub(super) const DESTINATION_PORT: u16 = 3;
/// struct nfgenmsg
const NFGENMSG: usize = 4;

/// One direction of a UDP flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tuple {
    /// who sends
    pub source: SocketAddr,
    /// who is addressed
    pub destination: SocketAddr,
    /// the conntrack zone, where it is of this direction only
    pub zone: Option<u16>,
}

/// A UDP flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// as the client sends
    pub original: Tuple,
    /// as answers come: their source is the endpoint that was chosen
    pub reply: Tuple,
    /// the conntrack zone of both directions; None: the one where everything is unless rules say otherwise
    pub zone: Option<u16>,
    /// tells this flow from a later one of the same addresses
    pub id: u32,
}

impl Entry {
    /// Reads what follows the netlink header of a message about a connection. None: not a UDP flow.
    pub fn decode(payload: &[u8]) -> Option<Entry> {
        let attributes = payload.get(NFGENMSG..)?;
        let [mut original, mut reply, mut id] = [None; 3];
        let mut zone = None;
        for attribute in NlasIterator::new(attributes) {
            let attribute = attribute.ok()?;
            match attribute.kind() {
                // The original comes first, so other protocols are passed over quickly.
                TUPLE_ORIGINAL => original = Some(value(attribute)),
                TUPLE_REPLY => reply = Some(value(attribute)),
                ZONE => zone = Some(number(value(attribute))?),
                ID => id = Some(value(attribute)),
                _ => {}
            }
        }
        Some(Entry {
            original: Tuple::decode(original?)?,
            reply: Tuple::decode(reply?)?,
            zone,
            id: u32::from_be_bytes(id?.try_into().ok()?),
        })
    }

    /// Its family.
    pub fn family(&self) -> Family {
        Family::of(self.original.destination.ip())
    }

    /// Appends the request to delete this flow and no other. The kernel takes a request without a tuple for
    /// one to delete everything: there is always one here.
    pub(super) fn ask_to_delete(&self, writer: &mut Writer, sequence: u32) {
        let flags = NLM_F_REQUEST | NLM_F_ACK;
        writer.message(DELETE, flags, sequence, address_family(self.family()), |message| {
            message.nest(TUPLE_ORIGINAL, |tuple| self.original.encode(tuple));
            message.put(ID, &self.id.to_be_bytes());
            if let Some(zone) = self.zone {
                message.put(ZONE, &zone.to_be_bytes());
            }
        });
    }
}

impl Tuple {
    fn decode(bytes: &[u8]) -> Option<Tuple> {
        let [mut addresses, mut protocol] = [None; 2];
        let mut zone = None;
        for attribute in NlasIterator::new(bytes) {
            let attribute = attribute.ok()?;
            match attribute.kind() {
                TUPLE_IP => addresses = Some(value(attribute)),
                TUPLE_PROTOCOL => protocol = Some(value(attribute)),
                TUPLE_ZONE => zone = Some(number(value(attribute))?),
                _ => {}
            }
        }
        let (source_port, destination_port) = ports(protocol?)?;
        let (source, destination) = addresses_of(addresses?)?;
        Some(Tuple {
            source: SocketAddr::new(source, source_port),
            destination: SocketAddr::new(destination, destination_port),
            zone,
        })
    }

    pub(super) fn encode(&self, writer: &mut Writer) {
        writer.nest(TUPLE_IP, |ip| {
            put_address(ip, (V4_SOURCE, V6_SOURCE), self.source.ip());
            put_destination(ip, self.destination.ip());
        });
        writer.nest(TUPLE_PROTOCOL, |protocol| {
            protocol.put(PROTOCOL_NUMBER, &[Protocol::Udp.number()]);
            protocol.put(SOURCE_PORT, &self.source.port().to_be_bytes());
            protocol.put(DESTINATION_PORT, &self.destination.port().to_be_bytes());
        });
        if let Some(zone) = self.zone {
            writer.put(TUPLE_ZONE, &zone.to_be_bytes());
        }
    }
}

/// AF_INET or AF_INET6
pub(super) fn address_family(family: Family) -> u8 {
    match family {
        Family::V4 => libc::AF_INET as u8,
        Family::V6 => libc::AF_INET6 as u8,
    }
}

/// Appends a tuple's destination address.
pub(super) fn put_destination(writer: &mut Writer, ip: IpAddr) {
    put_address(writer, (V4_DESTINATION, V6_DESTINATION), ip);
}

fn put_address(writer: &mut Writer, (v4, v6): (u16, u16), ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => writer.put(v4, &ip.octets()),
        IpAddr::V6(ip) => writer.put(v6, &ip.octets()),
    }
}

fn ports(protocol: &[u8]) -> Option<(u16, u16)> {
    let [mut which, mut source, mut destination] = [None; 3];
    for attribute in NlasIterator::new(protocol) {
        let attribute = attribute.ok()?;
        match attribute.kind() {
            PROTOCOL_NUMBER => which = Some(value(attribute)),
            SOURCE_PORT => source = Some(value(attribute)),
            DESTINATION_PORT => destination = Some(value(attribute)),
            _ => {}
        }
    }
    if which? != [Protocol::Udp.number()] {
        return None;
    }
    Some((number(source?)?, number(destination?)?))
}

fn addresses_of(bytes: &[u8]) -> Option<(IpAddr, IpAddr)> {
    let [mut source, mut destination] = [None; 2];
    for attribute in NlasIterator::new(bytes) {
        let attribute = attribute.ok()?;
        let data = value(attribute);
        let ip = match data.len() {
            4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?)),
            16 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(data).ok()?)),
            _ => continue,
        };
        match (attribute.kind(), ip) {
            (V4_SOURCE, IpAddr::V4(_)) | (V6_SOURCE, IpAddr::V6(_)) => source = Some(ip),
            (V4_DESTINATION, IpAddr::V4(_)) | (V6_DESTINATION, IpAddr::V6(_)) => destination = Some(ip),
            _ => {}
        }
    }
    let (source, destination) = (source?, destination?);
    (Family::of(source) == Family::of(destination)).then_some((source, destination))
}

/// A number in network order.
fn number(bytes: &[u8]) -> Option<u16> {
    bytes.try_into().ok().map(u16::from_be_bytes)
}

/// The data of an attribute that was checked, for as long as the bytes live.
fn value(attribute: NlaBuffer<&[u8]>) -> &[u8] {
    let length = usize::from(attribute.length());
    attribute.into_inner().get(4..length).unwrap_or_default()
}

#[cfg(test)]
#[path = "entry_tests.rs"]
mod tests;
