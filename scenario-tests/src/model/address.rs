//! Addresses and prefixes as kube-proxy reads them (reference §1.2, §1.3).

use std::net::IpAddr;

/// Leading zeros are tolerated.
pub(super) fn parse_ip(text: &str) -> Option<IpAddr> {
    if let Ok(ip) = text.parse() {
        return Some(ip);
    }
    let octets: Option<Vec<u8>> = text.split('.').map(|part| part.parse().ok()).collect();
    let octets: [u8; 4] = octets?.try_into().ok()?;
    Some(IpAddr::from(octets))
}

/// An address prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prefix {
    pub(super) ip: IpAddr,
    pub(super) length: u32,
}

impl Prefix {
    /// White space around it is trimmed (reference §1.2).
    pub(super) fn parse(text: &str) -> Option<Prefix> {
        let (ip, length) = text.trim().split_once('/')?;
        Some(Prefix { ip: parse_ip(ip)?, length: length.parse().ok()? })
    }

    pub(super) fn contains(&self, ip: IpAddr) -> bool {
        let (a, b, width) = match (self.ip, ip) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(u32::from(a)), u128::from(u32::from(b)), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => (u128::from(a), u128::from(b), 128),
            _ => return false,
        };
        self.length == 0 || (a ^ b) >> (width - self.length) == 0
    }
}
