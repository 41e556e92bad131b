//! The addresses of the node's interfaces, read over rtnetlink (RTM_GETADDR).

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;

use kube_verdict_table::{Family, PerFamily};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope};

use super::primary;
use crate::rtnetlink::Rtnetlink;

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
    let mut addresses = Vec::new();
    let question = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    Rtnetlink::open()?.list(question, |answer| {
        if let RouteNetlinkMessage::NewAddress(message) = answer {
            addresses.extend(InterfaceAddress::of(&message));
        }
    })?;
    Ok(addresses)
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
}
