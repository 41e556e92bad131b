//! Where NodePorts are served: `nodePortAddresses`, and what it comes to on a node (reference §3.3).

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::net::{Cidr, Family};

/// The node addresses on which NodePorts are served (reference §3.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodePortAddresses {
    /// every local address except loopback
    AnyLocal,
    /// these only (none: NodePorts are not served in this family)
    Only(BTreeSet<IpAddr>),
}

impl Default for NodePortAddresses {
    fn default() -> Self {
        NodePortAddresses::Only(BTreeSet::new())
    }
}

/// One entry of `nodePortAddresses`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodePortEntry {
    /// `primary`: the node's IP of each family
    Primary,
    /// `localhost`: loopback of each family, which nftables cannot serve
    Localhost,
    /// `all`: every address of each family
    All,
    /// addresses inside a prefix
    Prefix(Cidr),
}

impl FromStr for NodePortEntry {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "primary" => Ok(NodePortEntry::Primary),
            "localhost" => Ok(NodePortEntry::Localhost),
            "all" => Ok(NodePortEntry::All),
            text => text.parse().map(NodePortEntry::Prefix).map_err(|_| {
                format!("{text:?} is no node port address: use an IP prefix, primary, localhost or all")
            }),
        }
    }
}

impl fmt::Display for NodePortEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NodePortEntry::Primary => f.write_str("primary"),
            NodePortEntry::Localhost => f.write_str("localhost"),
            NodePortEntry::All => f.write_str("all"),
            NodePortEntry::Prefix(prefix) => prefix.fmt(f),
        }
    }
}

impl NodePortEntry {
    /// The prefix that the entry stands for in a family, if it says anything about that family.
    fn prefix(self, family: Family, node_ip: Option<IpAddr>) -> Option<Cidr> {
        let (any, loopback): (IpAddr, Cidr) = match family {
            Family::V4 => (Ipv4Addr::UNSPECIFIED.into(), Cidr::new(Ipv4Addr::LOCALHOST.into(), 8)?),
            Family::V6 => (Ipv6Addr::UNSPECIFIED.into(), Cidr::host(Ipv6Addr::LOCALHOST.into())),
        };
        match self {
            // A loopback node IP is a placeholder for "not known".
            NodePortEntry::Primary => node_ip.filter(|ip| !ip.is_loopback()).map(Cidr::host),
            NodePortEntry::Localhost => Some(loopback),
            NodePortEntry::All => Cidr::new(any, 0),
            NodePortEntry::Prefix(prefix) => Some(prefix),
        }
        .filter(|prefix| prefix.family() == family)
    }

    /// What a list of entries comes to in one family, on a node with these addresses.
    ///
    /// A family that no entry speaks of is unrestricted, even if the other one is not; so is one whose
    /// `primary` is unknown. Loopback is never served. In nftables mode the unset list means `[primary]`:
    /// the caller passes that.
    pub fn resolve(
        entries: &[NodePortEntry],
        family: Family,
        node_ip: Option<IpAddr>,
        local_addresses: &BTreeSet<IpAddr>,
    ) -> NodePortAddresses {
        let prefixes: Vec<Cidr> = entries.iter().filter_map(|entry| entry.prefix(family, node_ip)).collect();
        if prefixes.is_empty() || prefixes.iter().any(|prefix| prefix.length() == 0) {
            return NodePortAddresses::AnyLocal;
        }
        let served = |ip: &&IpAddr| !ip.is_loopback() && prefixes.iter().any(|prefix| prefix.contains(**ip));
        NodePortAddresses::Only(local_addresses.iter().filter(served).copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: [&str; 6] = ["127.0.0.1", "192.168.0.5", "192.168.0.6", "10.9.0.1", "::1", "fd00::5"];

    fn resolve(entries: &[&str], family: Family, node_ip: Option<&str>) -> NodePortAddresses {
        let entries: Vec<NodePortEntry> = entries.iter().map(|e| e.parse().unwrap()).collect();
        let local = LOCAL.iter().map(|ip| ip.parse().unwrap()).collect();
        NodePortEntry::resolve(&entries, family, node_ip.map(|ip| ip.parse().unwrap()), &local)
    }

    fn only(ips: &[&str]) -> NodePortAddresses {
        NodePortAddresses::Only(ips.iter().map(|ip| ip.parse().unwrap()).collect())
    }

    #[test]
    fn every_row_of_the_reference() {
        let (v4, v6, any) = (Family::V4, Family::V6, NodePortAddresses::AnyLocal);
        let rows = [
            ("nothing said: all", &[][..], v4, Some("192.168.0.5"), any.clone()),
            ("primary", &["primary"], v4, Some("192.168.0.5"), only(&["192.168.0.5"])),
            ("primary, IPv6", &["primary"], v6, Some("fd00::5"), only(&["fd00::5"])),
            ("primary unknown: all", &["primary"], v6, None, any.clone()),
            ("primary is a placeholder: all", &["primary"], v4, Some("127.0.0.1"), any.clone()),
            ("primary unknown, but a prefix", &["primary", "10.0.0.0/8"], v4, None, only(&["10.9.0.1"])),
            ("localhost gives nothing", &["localhost"], v4, Some("192.168.0.5"), only(&[])),
            ("localhost is both families", &["localhost"], v6, None, only(&[])),
            (
                "localhost beside primary",
                &["localhost", "primary"],
                v4,
                Some("10.9.0.1"),
                only(&["10.9.0.1"]),
            ),
            ("all", &["all"], v6, Some("fd00::5"), any.clone()),
            ("a zero prefix makes the rest irrelevant", &["10.0.0.0/8", "0.0.0.0/0"], v4, None, any.clone()),
            ("a prefix", &["192.168.0.0/16"], v4, None, only(&["192.168.0.5", "192.168.0.6"])),
            ("a prefix of the other family: all", &["192.168.0.0/16"], v6, Some("fd00::5"), any.clone()),
            (
                "a zero prefix of the other family",
                &["192.168.0.6/32", "::/0"],
                v4,
                None,
                only(&["192.168.0.6"]),
            ),
            ("a prefix without local addresses", &["172.16.0.0/12"], v4, None, only(&[])),
            ("a loopback prefix is skipped", &["127.0.0.0/8"], v4, None, only(&[])),
        ];
        for (name, entries, family, node_ip, expected) in rows {
            assert_eq!(resolve(entries, family, node_ip), expected, "{name}");
        }
    }

    #[test]
    fn entries_are_read_and_written_alike() {
        for text in ["primary", "localhost", "all", "10.0.0.0/8", "fd00::/64"] {
            assert_eq!(text.parse::<NodePortEntry>().unwrap().to_string(), text);
        }
        assert!("10.0.0.1".parse::<NodePortEntry>().is_err());
        assert!("Primary".parse::<NodePortEntry>().is_err());
    }
}
