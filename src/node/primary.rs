//! Which of many addresses a node is known by, when no Node object says so.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use kube_verdict_table::Family;

use super::interfaces::InterfaceAddress;

/// The address from which the node would speak to the outside, by its routes. Nothing is sent: connecting a
/// UDP socket only looks a route up. The destinations are reserved for documentation (RFC 5737, RFC 3849).
pub(super) fn outward(family: Family) -> Option<IpAddr> {
    let (here, there): (IpAddr, IpAddr) = match family {
        Family::V4 => (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::new(192, 0, 2, 1).into()),
        Family::V6 => (Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into()),
    };
    let socket = UdpSocket::bind((here, 0)).ok()?;
    socket.connect((there, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_unspecified())
}

/// The primary address of a family: on the interface that leads outside if there is one, global, and not an
/// alias or temporary; among several the first, on the interface with the lowest index.
pub(super) fn choose(
    addresses: &[InterfaceAddress],
    family: Family,
    outward: Option<IpAddr>,
) -> Option<IpAddr> {
    let outside = addresses.iter().find(|address| Some(address.ip) == outward).map(|address| address.index);
    addresses
        .iter()
        .filter(|address| Family::of(address.ip) == family && may_be_known(address.ip))
        .min_by_key(|address| {
            (Some(address.index) != outside, !address.is_global, address.is_secondary, address.index)
        })
        .map(|address| address.ip)
}

/// Neither loopback nor link-local nor otherwise of no use to others.
fn may_be_known(ip: IpAddr) -> bool {
    let is_link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    !ip.is_loopback() && !ip.is_unspecified() && !ip.is_multicast() && !is_link_local
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(ip: &str, index: u32) -> InterfaceAddress {
        InterfaceAddress { ip: ip.parse().unwrap(), index, is_global: true, is_secondary: false }
    }

    fn chosen(addresses: &[InterfaceAddress], family: Family, outward: Option<&str>) -> Option<String> {
        choose(addresses, family, outward.map(|ip| ip.parse().unwrap())).map(|ip| ip.to_string())
    }

    #[test]
    fn by_interface_then_order() {
        let addresses = [
            address("127.0.0.1", 1),
            address("172.17.0.1", 3),
            address("10.0.0.5", 2),
            address("10.0.0.6", 2),
        ];
        assert_eq!(chosen(&addresses, Family::V4, None).as_deref(), Some("10.0.0.5"));
        assert_eq!(chosen(&addresses, Family::V6, None), None);
    }

    #[test]
    fn the_interface_that_leads_outside_goes_first() {
        let addresses = [address("10.0.0.5", 2), address("192.168.1.2", 7)];
        assert_eq!(chosen(&addresses, Family::V4, Some("192.168.1.2")).as_deref(), Some("192.168.1.2"));
    }

    #[test]
    fn aliases_temporary_link_local_and_host_addresses_come_last_or_never() {
        let temporary = InterfaceAddress { is_secondary: true, ..address("2001:db8::aaaa", 2) };
        let site = InterfaceAddress { is_global: false, ..address("fec0::1", 2) };
        let addresses = [address("::1", 1), address("fe80::1", 2), site, temporary, address("fd00::5", 2)];
        assert_eq!(chosen(&addresses, Family::V6, Some("2001:db8::aaaa")).as_deref(), Some("fd00::5"));
        assert_eq!(chosen(&addresses[..4], Family::V6, None).as_deref(), Some("2001:db8::aaaa"));
        assert_eq!(chosen(&addresses[..2], Family::V6, None), None);
    }
}
