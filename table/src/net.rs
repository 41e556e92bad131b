//! Addresses, prefixes, protocols and families: the vocabulary shared by objects, table and backends.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An IP family. Each has its own frontends, endpoints and kernel table (reference §1.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// IPv4
    V4,
    /// IPv6
    V6,
}

impl Family {
    /// Both families, IPv4 first.
    pub const BOTH: [Family; 2] = [Family::V4, Family::V6];

    /// The family of an address.
    pub fn of(ip: IpAddr) -> Self {
        if ip.is_ipv4() { Family::V4 } else { Family::V6 }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        })
    }
}

/// One value for each IP family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PerFamily<T> {
    /// IPv4's
    pub v4: T,
    /// IPv6's
    pub v6: T,
}

impl<T> PerFamily<T> {
    /// Builds both values from a function of the family.
    pub fn from_fn(mut f: impl FnMut(Family) -> T) -> Self {
        PerFamily { v4: f(Family::V4), v6: f(Family::V6) }
    }
}

impl<T> std::ops::Index<Family> for PerFamily<T> {
    type Output = T;
    fn index(&self, family: Family) -> &T {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }
}

impl<T> std::ops::IndexMut<Family> for PerFamily<T> {
    fn index_mut(&mut self, family: Family) -> &mut T {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }
}

/// A transport protocol that Services can use (reference §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP, the default
    Tcp,
    /// UDP
    Udp,
    /// SCTP
    Sctp,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Protocol; 3] = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];

    /// The IP protocol number (IANA).
    pub fn number(self) -> u8 {
        match self {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
            Protocol::Sctp => 132,
        }
    }

    /// The protocol with an IP protocol number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.number() == number)
    }

    /// nftables' and `explain`'s spelling: `tcp`, `udp`, `sctp`.
    pub fn lower(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "sctp",
        }
    }
}

impl fmt::Display for Protocol {
    /// Kubernetes' spelling: `TCP`, `UDP`, `SCTP`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "TCP",
            Protocol::Udp => "UDP",
            Protocol::Sctp => "SCTP",
        })
    }
}

impl FromStr for Protocol {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|p| p.lower().eq_ignore_ascii_case(text))
            .ok_or_else(|| format!("unknown protocol {text:?}: use TCP, UDP or SCTP"))
    }
}

/// An IP prefix, its host bits zeroed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cidr {
    ip: IpAddr,
    length: u8,
}

impl Cidr {
    /// The prefix of `length` bits that holds `ip`. None when the family has no such length.
    pub fn new(ip: IpAddr, length: u8) -> Option<Self> {
        let ip = match ip {
            IpAddr::V4(ip) if length <= 32 => {
                let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from(u32::from(ip) & mask))
            }
            IpAddr::V6(ip) if length <= 128 => {
                let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from(u128::from(ip) & mask))
            }
            _ => return None,
        };
        Some(Cidr { ip, length })
    }

    /// The prefix that holds one address only.
    pub fn host(ip: IpAddr) -> Self {
        Cidr { ip, length: if ip.is_ipv4() { 32 } else { 128 } }
    }

    /// First address.
    pub fn first(&self) -> IpAddr {
        self.ip
    }

    /// Last address.
    pub fn last(&self) -> IpAddr {
        match self.ip {
            IpAddr::V4(ip) => {
                let host = u32::MAX.checked_shr(u32::from(self.length)).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from(u32::from(ip) | host))
            }
            IpAddr::V6(ip) => {
                let host = u128::MAX.checked_shr(u32::from(self.length)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from(u128::from(ip) | host))
            }
        }
    }

    /// Number of leading bits that count.
    pub fn length(&self) -> u8 {
        self.length
    }

    /// The family of its addresses.
    pub fn family(&self) -> Family {
        Family::of(self.ip)
    }

    /// Whether `ip` lies inside.
    pub fn contains(&self, ip: IpAddr) -> bool {
        Family::of(ip) == self.family() && Cidr::new(ip, self.length) == Some(*self)
    }

    /// The smallest list of prefixes that covers the same addresses as `prefixes`, as far as dropping nested
    /// ones goes, sorted. The kernel's interval sets refuse overlaps.
    pub fn union(prefixes: impl IntoIterator<Item = Cidr>) -> Vec<Cidr> {
        let mut sorted: Vec<Cidr> = prefixes.into_iter().collect();
        sorted.sort_unstable();
        let mut kept: Vec<Cidr> = Vec::with_capacity(sorted.len());
        for prefix in sorted {
            if !kept.last().is_some_and(|last| last.length <= prefix.length && last.contains(prefix.ip)) {
                kept.push(prefix);
            }
        }
        kept
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.length)
    }
}

impl FromStr for Cidr {
    type Err = String;
    /// White space around the text is tolerated (reference §1.2).
    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is not an IP prefix such as 10.0.0.0/8 or fd00::/64");
        let (ip, length) = text.trim().split_once('/').ok_or_else(bad)?;
        let ip = parse_ip(ip).ok_or_else(bad)?;
        Cidr::new(ip, length.parse().map_err(|_| bad())?).ok_or_else(bad)
    }
}

/// Parses an address as kube-proxy does: leading zeros in IPv4 octets are tolerated and read as decimal
/// (reference §1.3); an IPv4-mapped IPv6 address is the IPv4 address.
pub fn parse_ip(text: &str) -> Option<IpAddr> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(ip.to_canonical());
    }
    let mut octets = [0u8; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        let part = parts.next()?;
        if part.is_empty() || part.len() > 16 || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        *octet = part
            .trim_start_matches('0')
            .parse()
            .or_else(|e| if part.bytes().all(|b| b == b'0') { Ok(0) } else { Err(e) })
            .ok()?;
    }
    parts.next().is_none().then(|| IpAddr::V4(octets.into()))
}
