//! What each set and map is keyed by and holds.

use kube_verdict_table::Family;

use super::names::{Set, Space};
use super::statement::Field;

/// What a map's elements carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// nothing: a plain set
    None,
    /// goto a chain, or drop
    Verdict,
    /// a backend's address and port
    Backend,
    /// a number, kept in the packet's priority
    Number,
    /// a packet mark
    Mark,
}

/// The declaration of a set or map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// the concatenated key
    pub key: Vec<Field>,
    /// the data
    pub data: Data,
    /// elements count packets
    pub counter: bool,
    /// the last field of the key is a range (`flags interval`; Linux 5.6 for concatenations)
    pub interval: bool,
    /// written by the packet path, elements expire; the most elements there may be
    pub dynamic: Option<u32>,
}

/// Clients remembered at a time, all services of a family together. The kernel allocates 16 bytes of hash
/// table for each on creation, and forgets nobody before his time: further clients are not remembered.
const AFFINITY_SIZE: u32 = 262_144;

/// Marks put aside at a time: those of first packets that are on their way through this node.
const ASIDE_SIZE: u32 = 65_536;

/// A number that no slot reaches; nft wants some modulus in the declaration of the key.
pub const SLOTS: u32 = 65536;

impl Set {
    /// How it is declared in a family's table.
    pub fn declaration(self, family: Family) -> Declaration {
        let plain = |key, data| Declaration { key, data, counter: false, interval: false, dynamic: None };
        match self {
            Set::Frontends(space) => Declaration { counter: true, ..plain(frontend(space), Data::Verdict) },
            Set::Inside(space) => plain(frontend(space), Data::Verdict),
            Set::BySource => plain(frontend(Space::Address), Data::Verdict),
            Set::SourceRanges => {
                Declaration { interval: true, ..plain(with(Space::Address, Field::Saddr), Data::None) }
            }
            Set::Endpoints(space, _) => plain(with(space, Field::Random(SLOTS)), Data::Backend),
            Set::Marks(space, _) => plain(frontend(space), Data::Mark),
            Set::OtherMarks => {
                Declaration { dynamic: Some(ASIDE_SIZE), ..plain(vec![Field::ConnectionId], Data::Mark) }
            }
            Set::AffinityIds(space) => plain(frontend(space), Data::Number),
            Set::AffinityTimeouts => plain(vec![Field::Priority], Data::Verdict),
            Set::Affinity => Declaration {
                dynamic: Some(AFFINITY_SIZE),
                ..plain(vec![client(family).declared(), Field::Priority], Data::Number)
            },
            Set::Sticky(space, _) => plain(with(space, Field::Priority), Data::Backend),
            Set::Hairpins => {
                plain(vec![Field::Saddr, Field::Daddr, Field::Protocol, Field::Dport], Data::None)
            }
            Set::ClusterIps | Set::NodePortAddresses => plain(vec![Field::Daddr], Data::None),
        }
    }
}

/// The key of a frontend.
pub fn frontend(space: Space) -> Vec<Field> {
    match space {
        Space::Address => vec![Field::Daddr, Field::Protocol, Field::Dport],
        Space::NodePort => vec![Field::Protocol, Field::Dport],
    }
}

/// The key of a frontend and one field more.
pub fn with(space: Space, field: Field) -> Vec<Field> {
    let mut key = frontend(space);
    key.push(field);
    key
}

/// What a client is remembered by. In IPv6 a hash: nft has registers for no more (an address, a number and
/// the hash of a backend in one statement), and two clients that share a hash merely share a backend.
pub fn client(family: Family) -> Field {
    match family {
        Family::V4 => Field::Saddr,
        Family::V6 => Field::HashSaddr,
    }
}
