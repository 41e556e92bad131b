//! Just enough of the packet formats: who sends what to whom, what an ICMP error complains of, and an SCTP
//! INIT chunk to send (the kernel at hand may have no SCTP sockets).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What a case can send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// a connection
    Tcp,
    /// a datagram
    Udp,
    /// an INIT chunk
    Sctp,
    /// an echo request; has no ports
    Icmp,
}

impl Protocol {
    /// Those that Services know.
    pub const SERVICE: [Protocol; 3] = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];

    /// As the API spells it.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Tcp => "TCP",
            Protocol::Udp => "UDP",
            Protocol::Sctp => "SCTP",
            Protocol::Icmp => "ICMP",
        }
    }

    /// From the API's or nft's spelling.
    pub fn parse(text: &str) -> Option<Self> {
        [Protocol::Tcp, Protocol::Udp, Protocol::Sctp, Protocol::Icmp]
            .into_iter()
            .find(|p| p.name().eq_ignore_ascii_case(text))
    }

    fn from_number(number: u8) -> Option<Self> {
        match number {
            1 | 58 => Some(Protocol::Icmp),
            6 => Some(Protocol::Tcp),
            17 => Some(Protocol::Udp),
            132 => Some(Protocol::Sctp),
            _ => None,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What identifies a connection on the wire. ICMP echo has its identifier in the place of the source port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// protocol
    pub protocol: Protocol,
    /// from
    pub source: SocketAddr,
    /// to
    pub destination: SocketAddr,
}

/// A received packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// its addresses
    pub flow: Flow,
    /// the initiate tag, when it is an SCTP INIT
    pub init_tag: Option<u32>,
    /// the error, when it is an ICMP error
    pub error: Option<IcmpError>,
}

/// An ICMP or ICMPv6 error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError {
    /// type
    pub kind: u8,
    /// code
    pub code: u8,
    /// the packet that it complains of
    pub about: Flow,
}

impl IcmpError {
    /// Whether it is what nft's bare `reject` sends (reference §3.2): IPv4 type 3 code 3, IPv6 type 1 code 4.
    pub fn is_port_unreachable(&self) -> bool {
        match self.about.source {
            SocketAddr::V4(_) => (self.kind, self.code) == (3, 3),
            SocketAddr::V6(_) => (self.kind, self.code) == (1, 4),
        }
    }
}

/// Parses an IP packet. None: something else than the above.
pub fn parse(bytes: &[u8]) -> Option<Packet> {
    let (protocol, source, destination, payload) = parse_ip(bytes)?;
    parse_transport(Protocol::from_number(protocol)?, source, destination, payload)
}

/// Parses what follows the IP header.
pub fn parse_transport(
    protocol: Protocol,
    source: IpAddr,
    destination: IpAddr,
    payload: &[u8],
) -> Option<Packet> {
    let mut packet = Packet {
        flow: Flow {
            protocol,
            source: SocketAddr::new(source, 0),
            destination: SocketAddr::new(destination, 0),
        },
        init_tag: None,
        error: None,
    };
    if packet.flow.protocol != Protocol::Icmp {
        packet.flow.source.set_port(be16(payload, 0)?);
        packet.flow.destination.set_port(be16(payload, 2)?);
        let init = packet.flow.protocol == Protocol::Sctp && payload.get(12) == Some(&1);
        packet.init_tag = if init { be32(payload, 16) } else { None };
        return Some(packet);
    }
    let (kind, code) = (*payload.first()?, *payload.get(1)?);
    match (source, kind) {
        (IpAddr::V4(_), 3 | 4 | 11 | 12) | (IpAddr::V6(_), 1..=4) => {
            let about = parse(payload.get(8..)?)?.flow;
            packet.error = Some(IcmpError { kind, code, about });
        }
        (IpAddr::V4(_), 8 | 0) | (IpAddr::V6(_), 128 | 129) => {
            packet.flow.source.set_port(be16(payload, 4)?);
        }
        _ => return None,
    }
    Some(packet)
}

/// Protocol number, source, destination, payload. No extension headers: none of our senders makes any.
fn parse_ip(bytes: &[u8]) -> Option<(u8, IpAddr, IpAddr, &[u8])> {
    match bytes.first()? >> 4 {
        4 => {
            let header = usize::from(bytes[0] & 15) * 4;
            let source: [u8; 4] = bytes.get(12..16)?.try_into().ok()?;
            let destination: [u8; 4] = bytes.get(16..20)?.try_into().ok()?;
            let (source, destination) = (Ipv4Addr::from(source), Ipv4Addr::from(destination));
            Some((bytes[9], source.into(), destination.into(), bytes.get(header..)?))
        }
        6 => {
            let source: [u8; 16] = bytes.get(8..24)?.try_into().ok()?;
            let destination: [u8; 16] = bytes.get(24..40)?.try_into().ok()?;
            let (source, destination) = (Ipv6Addr::from(source), Ipv6Addr::from(destination));
            Some((bytes[6], source.into(), destination.into(), bytes.get(40..)?))
        }
        _ => None,
    }
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// An SCTP packet with one INIT chunk (RFC 9260 §3.3.2); `tag` identifies it wherever it arrives.
pub fn sctp_init(source_port: u16, destination_port: u16, tag: u32) -> Vec<u8> {
    let mut packet = Vec::with_capacity(32);
    packet.extend(source_port.to_be_bytes());
    packet.extend(destination_port.to_be_bytes());
    packet.extend(0u32.to_be_bytes()); // verification tag: zero with INIT
    packet.extend(0u32.to_be_bytes()); // checksum, below
    packet.extend([1, 0, 0, 20]); // INIT, no flags, length 20
    packet.extend(tag.to_be_bytes());
    packet.extend(65_536u32.to_be_bytes()); // advertised window
    packet.extend([0, 1, 0, 1]); // one stream each way
    packet.extend(1u32.to_be_bytes()); // initial TSN
    let checksum = crc32c(&packet);
    packet[8..12].copy_from_slice(&checksum.to_le_bytes());
    packet
}

/// An echo request; the kernel fills in ICMPv6's checksum, so only IPv4 gets one here.
pub fn echo_request(destination: IpAddr, identifier: u16) -> Vec<u8> {
    let kind = if destination.is_ipv4() { 8 } else { 128 };
    let [high, low] = identifier.to_be_bytes();
    let mut packet = vec![kind, 0, 0, 0, high, low, 0, 1];
    if destination.is_ipv4() {
        let sum = !internet_sum(&packet);
        packet[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    packet
}

/// The ones' complement sum of RFC 1071.
pub fn internet_sum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)])))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// Castagnoli's CRC, a bit at a time: the packets are few.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32c_of_the_rfc() {
        // RFC 3720 B.4: 32 bytes of zeroes.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    }

    #[test]
    fn an_icmp_error_names_the_packet() {
        let mut inner = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        inner.extend([0x10, 0, 0, 80, 0, 8, 0, 0]);
        let mut outer = vec![0x45, 0, 0, 56, 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 0, 9, 10, 0, 0, 1];
        outer.extend([3, 3, 0, 0, 0, 0, 0, 0]);
        outer.extend(inner);
        let error = parse(&outer).and_then(|p| p.error).expect("an ICMP error");
        assert!(error.is_port_unreachable());
        assert_eq!(error.about.source, "10.0.0.1:4096".parse().unwrap());
        assert_eq!(error.about.destination, "10.0.0.2:80".parse().unwrap());
    }

    #[test]
    fn sctp_init_is_recognised() {
        let mut packet = vec![0x45, 0, 0, 52, 0, 0, 0, 0, 64, 132, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        packet.extend(sctp_init(1000, 2000, 0xdead_beef));
        let parsed = parse(&packet).expect("parsed");
        assert_eq!(parsed.init_tag, Some(0xdead_beef));
        assert_eq!(parsed.flow.destination.port(), 2000);
    }
}
