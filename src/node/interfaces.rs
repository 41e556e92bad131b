//! The addresses of the node's interfaces, read over rtnetlink (RTM_GETADDR).

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;

use kube_verdict_table::{Family, PerFamily};
use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use super::primary;

/// One address of one interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// the address
    pub ip: IpAddr,
    /// the interface's index
    pub index: u32,
    /// valid everywhere, not only on this link or host
    pub is_global: bool,
    /// an alias, a temporary, deprecated or not yet confirmed address: not what a node is known by
    pub is_secondary: bool,
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interfaces {
    /// in the kernel's order
    addresses: Vec<InterfaceAddress>,
    /// the addresses from which the node would speak to the outside
    outward: PerFamily<Option<IpAddr>>,
}

impl Interfaces {
    /// Reads them now.
    pub fn read() -> io::Result<Self> {
        Ok(Interfaces { addresses: dump()?, outward: PerFamily::from_fn(primary::outward) })
    }

    /// Addresses that someone else read, and those from which the node would speak to the outside.
    pub fn new(addresses: Vec<InterfaceAddress>, outward: PerFamily<Option<IpAddr>>) -> Self {
        Interfaces { addresses, outward }
    }

    /// Every address, loopback included.
    pub fn addresses(&self) -> BTreeSet<IpAddr> {
        self.addresses.iter().map(|address| address.ip).collect()
    }

    /// The addresses of one interface, and those of all others.
    pub fn split(&self, index: u32) -> (BTreeSet<IpAddr>, BTreeSet<IpAddr>) {
        let (its, others): (Vec<&InterfaceAddress>, _) =
            self.addresses.iter().partition(|address| address.index == index);
        let ips =
            |addresses: Vec<&InterfaceAddress>| addresses.into_iter().map(|address| address.ip).collect();
        (ips(its), ips(others))
    }

    /// The address of a family by which the node is known, as far as its interfaces tell.
    pub fn primary(&self, family: Family) -> Option<IpAddr> {
        primary::choose(&self.addresses, family, self.outward[family])
    }
}

fn dump() -> io::Result<Vec<InterfaceAddress>> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(&request(), 0)?;
    let mut addresses = Vec::new();
    loop {
        let (datagram, _) = socket.recv_from_full()?;
        if take_in(&datagram, &mut addresses)? {
            return Ok(addresses);
        }
    }
}

fn request() -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let message = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(message));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

/// Takes in one datagram of the answer; whether it was the last.
fn take_in(datagram: &[u8], addresses: &mut Vec<InterfaceAddress>) -> io::Result<bool> {
    let mut rest = datagram;
    while !rest.is_empty() {
        let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest).map_err(io::Error::other)?;
        match message.payload {
            NetlinkPayload::Done(_) => return Ok(true),
            NetlinkPayload::Error(error) => return Err(error.to_io()),
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewAddress(message)) => {
                addresses.extend(InterfaceAddress::of(&message));
            }
            _ => {}
        }
        // Messages are aligned to four bytes; a length of nothing would never end.
        let length = (message.header.length as usize).next_multiple_of(4).max(16);
        rest = rest.get(length..).unwrap_or_default();
    }
    Ok(false)
}

impl InterfaceAddress {
    fn of(message: &AddressMessage) -> Option<Self> {
        let (mut address, mut local, mut flags) = (None, None, AddressFlags::empty());
        for attribute in &message.attributes {
            match attribute {
                AddressAttribute::Address(ip) => address = Some(*ip),
                AddressAttribute::Local(ip) => local = Some(*ip),
                AddressAttribute::Flags(all) => flags = *all,
                _ => {}
            }
        }
        let doubtful = AddressFlags::Secondary
            | AddressFlags::Deprecated
            | AddressFlags::Tentative
            | AddressFlags::Dadfailed;
        Some(InterfaceAddress {
            // On a point-to-point link IFA_ADDRESS is the other end.
            ip: local.or(address)?,
            index: message.header.index,
            is_global: message.header.scope == AddressScope::Universe,
            is_secondary: flags.intersects(doubtful),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_at_least_a_loopback_address() {
        let interfaces = Interfaces::read().unwrap();
        assert!(interfaces.addresses().iter().any(IpAddr::is_loopback), "{interfaces:?}");
        for family in Family::BOTH {
            assert!(interfaces.primary(family).is_none_or(|ip| !ip.is_loopback()));
        }
    }

    #[test]
    fn damaged_answers_do_not_hang_or_panic() {
        let whole = request();
        for end in 0..whole.len() {
            let _ = take_in(&whole[..end], &mut Vec::new());
        }
        let _ = take_in(&[0; 64], &mut Vec::new());
        let _ = take_in(&[0xff; 64], &mut Vec::new());
    }
}
