//! Keys and data of elements as the kernel keeps them: each part of a concatenation padded to 4 bytes,
//! addresses and ports in network order, numbers in host order. And how nftables numbers the types.

use std::net::IpAddr;

use kube_verdict_table::{Backend, Cidr, Family, Frontend, Protocol};

use crate::bytecode::width;
use crate::kernel::SetState;
use crate::layout::{Chain, Data, Declaration, Element, Field, Scope, Set, Space, Verdict};

/// `NFT_SET_*` flags of linux/netfilter/nf_tables.h.
pub mod flags {
    /// NFT_SET_INTERVAL
    pub const INTERVAL: u32 = 0x4;
    /// NFT_SET_MAP
    pub const MAP: u32 = 0x8;
    /// NFT_SET_TIMEOUT
    pub const TIMEOUT: u32 = 0x10;
    /// NFT_SET_EVAL
    pub const EVAL: u32 = 0x20;
    /// NFT_SET_CONCAT
    pub const CONCAT: u32 = 0x80;
}

/// NFT_DATA_VERDICT
pub const DATA_VERDICT: u32 = 0xffff_ff00;

/// nft's numbers of data types (include/datatype.h); a concatenation has 6 bits for each part.
fn type_number(field: Field, family: Family) -> u32 {
    match field {
        Field::Saddr | Field::Daddr | Field::OriginalDaddr => match family {
            Family::V4 => 7,
            Family::V6 => 8,
        },
        Field::Protocol => 12,
        Field::Mark => 19,
        Field::Dport | Field::OriginalDport => 13,
        Field::Priority => 23,
        Field::Random(_) | Field::First | Field::HashSaddr | Field::HashBackend | Field::ConnectionId => 4,
    }
}

/// The type of a concatenation.
pub fn concat_type(fields: &[Field], family: Family) -> u32 {
    fields.iter().fold(0, |number, field| number << 6 | type_number(*field, family))
}

/// Bytes of a concatenation.
pub fn concat_length(fields: &[Field], family: Family) -> u32 {
    fields.iter().map(|field| 4 * width(*field, family)).sum()
}

/// Bytes of a field without padding (NFTA_SET_FIELD_LEN).
pub fn field_length(field: Field, family: Family) -> u32 {
    match field {
        Field::Protocol => 1,
        Field::Dport | Field::OriginalDport => 2,
        field => 4 * width(field, family),
    }
}

/// The fields of a map's data.
pub fn data_fields(data: Data) -> &'static [Field] {
    match data {
        Data::None | Data::Verdict => &[],
        Data::Backend => &[Field::Daddr, Field::Dport],
        Data::Number => &[Field::Priority],
        Data::Mark => &[Field::Mark],
    }
}

/// How the kernel describes a declaration.
pub fn set_state(declaration: &Declaration, family: Family) -> SetState {
    let mut set_flags = 0;
    if declaration.data != Data::None {
        set_flags |= flags::MAP;
    }
    if declaration.interval {
        set_flags |= flags::INTERVAL | flags::CONCAT;
    }
    if declaration.dynamic.is_some() {
        set_flags |= flags::TIMEOUT | flags::EVAL;
    }
    let fields = data_fields(declaration.data);
    SetState {
        key_length: concat_length(&declaration.key, family),
        flags: set_flags,
        data_length: concat_length(fields, family),
        data_type: match declaration.data {
            Data::Verdict => DATA_VERDICT,
            _ => concat_type(fields, family),
        },
    }
}

/// What an element carries beside its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload<'a> {
    /// nothing
    None,
    /// bytes
    Bytes(&'a [u8]),
    /// a verdict
    Verdict(Verdict),
}

/// A key, its end in sets of ranges, and data; small enough to stay on the stack.
#[derive(Clone, Debug, Default)]
pub struct Encoded {
    key: Bytes,
    key_end: Option<Bytes>,
    data: Bytes,
    verdict: Option<Verdict>,
}

impl Encoded {
    /// The element's key.
    pub fn key(&self) -> &[u8] {
        self.key.as_slice()
    }

    /// The end of the range.
    pub fn key_end(&self) -> Option<&[u8]> {
        self.key_end.as_ref().map(Bytes::as_slice)
    }

    /// The data.
    pub fn payload(&self) -> Payload<'_> {
        match self.verdict {
            Some(verdict) => Payload::Verdict(verdict),
            None if self.data.length == 0 => Payload::None,
            None => Payload::Bytes(self.data.as_slice()),
        }
    }
}

/// As many bytes as our longest key has: two IPv6 addresses, protocol and port.
#[derive(Clone, Copy, Debug, Default)]
struct Bytes {
    length: u8,
    bytes: [[u8; 8]; 5],
}

impl Bytes {
    fn as_slice(&self) -> &[u8] {
        &self.bytes.as_flattened()[..usize::from(self.length)]
    }

    fn push(&mut self, bytes: &[u8]) {
        let start = usize::from(self.length);
        self.bytes.as_flattened_mut()[start..start + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len().next_multiple_of(4) as u8;
    }

    fn address(&mut self, ip: IpAddr) {
        match ip {
            IpAddr::V4(ip) => self.push(&ip.octets()),
            IpAddr::V6(ip) => self.push(&ip.octets()),
        }
    }

    fn protocol_port(&mut self, protocol: Protocol, port: u16) {
        self.push(&[protocol.number()]);
        self.push(&port.to_be_bytes());
    }

    fn frontend(&mut self, frontend: &Frontend) {
        if let Frontend::Address { ip, .. } = frontend {
            self.address(*ip);
        }
        self.protocol_port(frontend.protocol(), frontend.port());
    }

    fn number(&mut self, number: u32) {
        self.push(&number.to_ne_bytes());
    }

    fn backend(&mut self, backend: &Backend) {
        self.address(backend.ip);
        self.push(&backend.port.to_be_bytes());
    }
}

/// An element in bytes.
pub fn encode(element: &Element) -> Encoded {
    let mut encoded = Encoded::default();
    let Encoded { key, key_end, data, verdict } = &mut encoded;
    if let Some(frontend) = element.frontend() {
        key.frontend(&frontend);
    }
    match element {
        Element::Frontend(_, to) | Element::Inside(_, to) | Element::BySource(_, to) => *verdict = Some(*to),
        Element::SourceRange(_, cidr) => {
            let mut end = *key;
            key.address(cidr.first());
            end.address(cidr.last());
            *key_end = Some(end);
        }
        Element::Slot(_, _, slot, backend) => {
            key.number(*slot);
            data.backend(backend);
        }
        Element::Mark(_, _, mark) => data.number(*mark),
        Element::AffinityId(_, number) => data.number(*number),
        Element::AffinityTimeout(number, seconds) => {
            key.number(*number);
            *verdict = Some(Verdict::Goto(Chain::RememberFor(*seconds)));
        }
        Element::Sticky(_, _, hash, backend) => {
            key.number(*hash);
            data.backend(backend);
        }
        Element::Hairpin(protocol, backend) => {
            key.address(backend.ip);
            key.address(backend.ip);
            key.protocol_port(*protocol, backend.port);
        }
        Element::ClusterIp(ip) | Element::NodePortAddress(ip) => key.address(*ip),
    }
    encoded
}

/// Reads bytes front to back; None past the end.
struct Reader<'a> {
    family: Family,
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.bytes.split_at_checked(N.next_multiple_of(4))?;
        self.bytes = tail;
        head[..N].try_into().ok()
    }

    fn address(&mut self) -> Option<IpAddr> {
        Some(match self.family {
            Family::V4 => IpAddr::from(self.take::<4>()?),
            Family::V6 => IpAddr::from(self.take::<16>()?),
        })
    }

    fn protocol(&mut self) -> Option<Protocol> {
        Protocol::from_number(self.take::<1>()?[0])
    }

    fn port(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }

    fn number(&mut self) -> Option<u32> {
        self.take().map(u32::from_ne_bytes)
    }

    fn frontend(&mut self, space: Space) -> Option<Frontend> {
        Some(match space {
            Space::Address => {
                Frontend::Address { ip: self.address()?, protocol: self.protocol()?, port: self.port()? }
            }
            Space::NodePort => {
                Frontend::NodePort { family: self.family, protocol: self.protocol()?, port: self.port()? }
            }
        })
    }

    fn backend(&mut self) -> Option<Backend> {
        Some(Backend { ip: self.address()?, port: self.port()? })
    }

    fn end<T>(self, value: T) -> Option<T> {
        self.bytes.is_empty().then_some(value)
    }
}

/// The element in these bytes, if it is one that [`encode`] could have made. Never panics.
pub fn decode(
    set: Set,
    family: Family,
    key: &[u8],
    key_end: Option<&[u8]>,
    payload: Payload<'_>,
) -> Option<Element> {
    let mut reader = Reader { family, bytes: key };
    let verdict = match payload {
        Payload::Verdict(verdict) => Some(verdict),
        _ => None,
    };
    let data = match payload {
        Payload::Bytes(bytes) => bytes,
        _ => &[],
    };
    let mut data = Reader { family, bytes: data };
    let element = match set {
        Set::Frontends(space) => Element::Frontend(reader.frontend(space)?, verdict?),
        Set::Inside(space) => Element::Inside(reader.frontend(space)?, verdict?),
        Set::BySource => Element::BySource(reader.frontend(Space::Address)?, verdict?),
        Set::SourceRanges => {
            let frontend = reader.frontend(Space::Address)?;
            let mut end = Reader { family, bytes: key_end? };
            if end.frontend(Space::Address)? != frontend {
                return None;
            }
            Element::SourceRange(frontend, prefix(reader.address()?, end.address()?)?)
        }
        Set::Endpoints(space, scope) => slot(&mut reader, &mut data, space, scope)?,
        Set::Marks(space, scope) => Element::Mark(reader.frontend(space)?, scope, data.number()?),
        Set::AffinityIds(space) => Element::AffinityId(reader.frontend(space)?, data.number()?),
        Set::AffinityTimeouts => match verdict? {
            Verdict::Goto(Chain::RememberFor(seconds)) => Element::AffinityTimeout(reader.number()?, seconds),
            _ => return None,
        },
        Set::Affinity | Set::OtherMarks => return None,
        Set::Sticky(space, scope) => {
            Element::Sticky(reader.frontend(space)?, scope, reader.number()?, data.backend()?)
        }
        Set::Hairpins => {
            let (source, ip) = (reader.address()?, reader.address()?);
            if source != ip {
                return None;
            }
            let protocol = reader.protocol()?;
            Element::Hairpin(protocol, Backend { ip, port: reader.port()? })
        }
        Set::ClusterIps => Element::ClusterIp(reader.address()?),
        Set::NodePortAddresses => Element::NodePortAddress(reader.address()?),
    };
    data.end(())?;
    reader.end(element)
}

fn slot(reader: &mut Reader<'_>, data: &mut Reader<'_>, space: Space, scope: Scope) -> Option<Element> {
    Some(Element::Slot(reader.frontend(space)?, scope, reader.number()?, data.backend()?))
}

/// The prefix from a first to a last address.
fn prefix(first: IpAddr, last: IpAddr) -> Option<Cidr> {
    let differing = match (first, last) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u32::from(a) ^ u32::from(b)).leading_zeros(),
        (IpAddr::V6(a), IpAddr::V6(b)) => (u128::from(a) ^ u128::from(b)).leading_zeros(),
        _ => return None,
    };
    let cidr = Cidr::new(first, differing as u8)?;
    (cidr.first() == first && cidr.last() == last).then_some(cidr)
}
