//! Rules as nft's statements: what `nft list ruleset` will say and what the bytecode must do.

use std::net::IpAddr;

use kube_verdict_table::{Cidr, Protocol};

use super::names::{Chain, Set};

/// One part of a concatenation: something of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// `ip saddr`, `ip6 saddr`
    Saddr,
    /// `ip daddr`, `ip6 daddr`
    Daddr,
    /// `meta l4proto`
    Protocol,
    /// `th dport`
    Dport,
    /// `ct original ip daddr`
    OriginalDaddr,
    /// `ct original proto-dst`
    OriginalDport,
    /// `meta priority`
    Priority,
    /// `meta mark`
    Mark,
    /// `ct id`
    ConnectionId,
    /// `numgen random mod N`
    Random(u32),
    /// `numgen inc mod 1`: slot 0
    First,
    /// `jhash … saddr`: a client in 32 bits
    HashSaddr,
    /// `jhash … daddr . th dport`: a backend in 31 bits, and the bit that says that it is ours
    HashBackend,
}

impl Field {
    /// How the field is spelt in the declaration of a set: nft 1.0.6 cannot list `typeof jhash …`, and the
    /// type is the same.
    pub fn declared(self) -> Field {
        match self {
            Field::HashSaddr | Field::HashBackend => Field::Random(super::sets::SLOTS),
            field => field,
        }
    }
}

/// How local pods are told (reference §4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detect {
    /// source inside a prefix
    Source(Cidr),
    /// input interface of this name
    Interface(String),
    /// input interface whose name starts so
    InterfacePrefix(String),
}

/// One statement of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// from a local pod (true) or not
    LocalPod(Detect, bool),
    /// `fib saddr type local`
    SourceIsLocal,
    /// `fib daddr type local` or `!= local`
    DestinationIsLocal(bool),
    /// not to a loopback address
    NotLoopback,
    /// `ip daddr PREFIX`
    Destination(Cidr),
    /// `meta l4proto tcp`
    ProtocolIs(Protocol),
    /// `meta mark & BIT != 0`
    Marked(u32),
    /// `meta mark & MASK == VALUE`, or `!=`
    MarkIs {
        /// these bits
        mask: u32,
        /// are so
        value: u32,
        /// or are not
        holds: bool,
    },
    /// `meta mark != 0`
    AnyMark,
    /// `ct mark & MASK == VALUE`
    ConnectionMarkIs {
        /// these bits
        mask: u32,
        /// are so
        value: u32,
    },
    /// `ct direction original`
    OriginalDirection,
    /// `tcp flags & syn == 0`: a segment that begins no connection. Behind [`Statement::ProtocolIs`]
    Underway,
    /// `ct state new`
    New,
    /// `ct status dnat`
    Dnated,
    /// `meta priority & 8000:0 != none`: [`Statement::Number`] was there
    Numbered,
    /// `KEY @set`
    In(Vec<Field>, Set),
    /// `meta mark set meta mark & KEEP | SET`
    ChangeMark(Bits),
    /// `ct mark set ct mark & KEEP | SET`
    ChangeConnectionMark(Bits),
    /// `meta mark set KEY map @set`
    MarkBy(Vec<Field>, Set),
    /// `meta mark set 0`
    ClearMark,
    /// `add @other-marks { ct id timeout … : meta mark }`
    SetAside {
        /// for how long at the most
        seconds: u32,
    },
    /// `meta priority set KEY map @set`
    Number(Vec<Field>, Set),
    /// `meta priority set none`
    ClearNumber,
    /// `update @affinity { … timeout … : jhash … }`
    Remember {
        /// what the client is remembered by
        client: Field,
        /// for how long
        seconds: u32,
    },
    /// `delete @affinity { … }`
    Forget {
        /// what the client is remembered by
        client: Field,
    },
    /// `KEY vmap @set`
    VerdictMap(Vec<Field>, Set),
    /// `dnat to KEY map @set`
    Dnat(Vec<Field>, Set),
    /// `dnat to ip daddr`: the destination stays, and no NAT chain of anybody else is asked for another
    KeepDestination,
    /// `masquerade fully-random`
    Masquerade,
    /// `jump CHAIN`
    Jump(Chain),
    /// `goto CHAIN`
    Goto(Chain),
    /// `accept`
    Accept,
    /// `drop`
    Drop,
    /// `reject`: port unreachable, also for TCP (reference §3.2)
    Reject,
    /// `reject with tcp reset`
    Reset,
}

/// A change of a mark: what is kept of it, and what is turned over then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bits {
    /// the bits that stay
    pub keep: u32,
    /// those that are set if they did not stay, and turned over if they did
    pub set: u32,
}

impl Bits {
    /// Sets some.
    pub fn set(bits: u32) -> Self {
        Bits { keep: !bits, set: bits }
    }

    /// Clears some that are set.
    pub fn unset(bits: u32) -> Self {
        Bits { keep: u32::MAX, set: bits }
    }

    /// Clears some.
    pub fn clear(bits: u32) -> Self {
        Bits { keep: !bits, set: 0 }
    }

    /// Gives those of a mask a value.
    pub fn to(value: u32, mask: u32) -> Self {
        Bits { keep: !mask, set: value }
    }
}

/// A rule.
pub type Rule = Vec<Statement>;

/// The loopback prefix or address that NodePorts never answer on (reference §3.3).
pub fn loopback(family: kube_verdict_table::Family) -> Cidr {
    match family {
        kube_verdict_table::Family::V4 => Cidr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8)
            .unwrap_or(Cidr::host(IpAddr::from([127, 0, 0, 1]))),
        kube_verdict_table::Family::V6 => Cidr::host(IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)),
    }
}
