//! The address plan. Packet tables are written in IPv4; every address has an IPv6 twin that reads the same, so
//! one table tests both families: `10.96.0.10` is `fd00:10:96::10` (the digits are kept, not the numbers).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The name of the node under test, as EndpointSlices and `--hostname-override` spell it.
pub const NODE: &str = "node-1";
/// The name of the node behind it.
pub const NODE_2: &str = "node-2";
/// The zone of the node under test.
pub const ZONE: &str = "zone-a";

/// The node's primary address, on the link to the outside.
pub const NODE_IP: &str = "172.18.0.2";
/// A second address of the node on the same link.
pub const NODE_IP_2: &str = "172.18.0.22";
/// The node's address on the link to a remote pod.
pub const NODE_LINK: &str = "10.0.99.1";
/// The node's address on the link to the other node.
pub const NODE_LINK_2: &str = "10.0.98.1";
/// The node's address on its default route, towards the rest of the world.
pub const NODE_UPLINK: &str = "192.168.77.1";
/// The node's address on the links to its pods.
pub const POD_GATEWAY: &str = "10.244.1.1";
/// The first local pod.
pub const POD_A: &str = "10.244.1.10";
/// The second local pod.
pub const POD_B: &str = "10.244.1.11";
/// A remote pod.
pub const POD_C: &str = "10.244.2.10";
/// Another remote pod, in the place of the other node.
pub const POD_D: &str = "10.244.2.11";
/// The other node's own address.
pub const NODE_2_IP: &str = "10.0.98.2";
/// A client outside the cluster.
pub const CLIENT: &str = "203.0.113.10";
/// Another client, in the same place but another prefix.
pub const CLIENT_2: &str = "203.0.114.20";
/// A prefix full of clients outside the cluster.
pub const CROWD: &str = "198.18.0.0/16";
/// The prefix of all pods.
pub const CLUSTER_CIDR: &str = "10.244.0.0/16";
/// The prefix of this node's pods.
pub const POD_CIDR: &str = "10.244.1.0/24";
/// The prefix of ClusterIPs.
pub const SERVICE_CIDR: &str = "10.96.0.0/16";

/// One of the two IP families.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// IPv4
    V4,
    /// IPv6
    V6,
}

impl Family {
    /// Both, IPv4 first.
    pub const BOTH: [Family; 2] = [Family::V4, Family::V6];

    /// The family of an address.
    pub fn of(ip: IpAddr) -> Self {
        if ip.is_ipv4() { Family::V4 } else { Family::V6 }
    }

    /// The keyword of nft and `ip`: `ip` or `ip6`.
    pub fn table(self) -> &'static str {
        match self {
            Family::V4 => "ip",
            Family::V6 => "ip6",
        }
    }

    /// As the API spells it.
    pub fn name(self) -> &'static str {
        match self {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        }
    }
}

/// The number whose hexadecimal digits look like `octet`'s decimal ones.
fn twin_digits(octet: u8) -> u16 {
    u16::from(octet / 100) << 8 | u16::from(octet / 10 % 10) << 4 | u16::from(octet % 10)
}

/// The IPv6 twin of an address.
pub fn twin(ip: Ipv4Addr) -> Ipv6Addr {
    let [a, b, c, d] = ip.octets().map(twin_digits);
    Ipv6Addr::new(0xfd00, a, b, c, 0, 0, 0, d)
}

/// The names that tables may use instead of an address.
const NAMES: [(&str, &str); 7] = [
    ("pod-a", POD_A),
    ("pod-b", POD_B),
    ("pod-c", POD_C),
    ("pod-d", POD_D),
    ("node", NODE_IP),
    ("node-2", NODE_2_IP),
    ("localhost", "127.0.0.1"),
];

/// An address of the plan in a family, from its name or IPv4 text.
///
/// # Panics
/// When the text is neither: the tables are written by hand.
pub fn ip(family: Family, text: &str) -> IpAddr {
    let text = NAMES.iter().find(|(name, _)| *name == text).map_or(text, |(_, address)| address);
    let v4: Ipv4Addr = text.parse().unwrap_or_else(|_| panic!("{text:?} is not an IPv4 address"));
    match family {
        Family::V6 if v4.is_loopback() => Ipv6Addr::LOCALHOST.into(),
        Family::V4 => IpAddr::V4(v4),
        Family::V6 => IpAddr::V6(twin(v4)),
    }
}

/// The `n`th client of the crowd.
pub fn crowd(family: Family, n: u8) -> IpAddr {
    ip(family, &format!("198.18.0.{n}"))
}

/// Whether an address belongs to the crowd.
pub fn in_crowd(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.octets()[..2] == [198, 18],
        IpAddr::V6(ip) => ip.segments()[..3] == [0xfd00, 0x198, 0x18],
    }
}

/// `10.96.0.10:80` in a family.
///
/// # Panics
/// When the text is no such thing.
pub fn socket(family: Family, text: &str) -> SocketAddr {
    let (address, port) = text.rsplit_once(':').unwrap_or_else(|| panic!("{text:?} is not address:port"));
    let port = port.parse().unwrap_or_else(|_| panic!("{text:?} is not address:port"));
    SocketAddr::new(ip(family, address), port)
}

/// A prefix of the plan in a family. The IPv4 length must be a multiple of 8.
///
/// # Panics
/// When the text is no such thing.
pub fn cidr(family: Family, text: &str) -> String {
    let (address, length) = text.split_once('/').unwrap_or_else(|| panic!("{text:?} is not a prefix"));
    match family {
        Family::V4 => text.to_owned(),
        Family::V6 => match length {
            "0" => "::/0".to_owned(),
            "8" => format!("{}/32", ip(family, address)),
            "16" => format!("{}/48", ip(family, address)),
            "24" => format!("{}/64", ip(family, address)),
            "32" => format!("{}/128", ip(family, address)),
            _ => panic!("{text:?} has no IPv6 twin"),
        },
    }
}

/// An address in both families, as text.
pub fn both(text: &str) -> [String; 2] {
    Family::BOTH.map(|family| ip(family, text).to_string())
}

/// A prefix in both families.
pub fn both_cidrs(text: &str) -> [String; 2] {
    Family::BOTH.map(|family| cidr(family, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twins_read_the_same() {
        assert_eq!(ip(Family::V6, "10.244.1.10").to_string(), "fd00:10:244:1::10");
        assert_eq!(ip(Family::V6, "172.18.0.2").to_string(), "fd00:172:18::2");
        assert_eq!(cidr(Family::V6, "10.244.1.0/24"), "fd00:10:244:1::/64");
        assert_eq!(cidr(Family::V6, "0.0.0.0/0"), "::/0");
        assert_eq!(socket(Family::V6, "10.0.0.1:80").to_string(), "[fd00:10::1]:80");
    }
}
