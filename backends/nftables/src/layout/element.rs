//! The elements: everything about services that the kernel is told.

use std::net::IpAddr;

use kube_verdict_table::{Backend, Cidr, Frontend, Protocol};

use super::names::{Chain, Scope, Set, Space};

/// What a verdict map answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// go on in a chain
    Goto(Chain),
    /// silence
    Drop,
}

/// One element of one of our sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Element {
    /// [`Set::Frontends`]
    Frontend(Frontend, Verdict),
    /// [`Set::Inside`]
    Inside(Frontend, Verdict),
    /// [`Set::BySource`]
    BySource(Frontend, Verdict),
    /// [`Set::SourceRanges`]
    SourceRange(Frontend, Cidr),
    /// [`Set::Endpoints`]
    Slot(Frontend, Scope, u32, Backend),
    /// [`Set::Marks`]
    Mark(Frontend, Scope, u32),
    /// [`Set::AffinityIds`]
    AffinityId(Frontend, u32),
    /// [`Set::AffinityTimeouts`]: number, seconds
    AffinityTimeout(u32, u32),
    /// [`Set::Sticky`]: the hash of the backend
    Sticky(Frontend, Scope, u32, Backend),
    /// [`Set::Hairpins`]
    Hairpin(Protocol, Backend),
    /// [`Set::ClusterIps`]
    ClusterIp(IpAddr),
    /// [`Set::NodePortAddresses`]
    NodePortAddress(IpAddr),
}

impl Element {
    /// The set that it belongs to.
    pub fn set(&self) -> Set {
        match self {
            Element::Frontend(frontend, _) => Set::Frontends(Space::of(frontend)),
            Element::Inside(frontend, _) => Set::Inside(Space::of(frontend)),
            Element::BySource(..) => Set::BySource,
            Element::SourceRange(..) => Set::SourceRanges,
            Element::Slot(frontend, scope, ..) => Set::Endpoints(Space::of(frontend), *scope),
            Element::Mark(frontend, scope, _) => Set::Marks(Space::of(frontend), *scope),
            Element::AffinityId(frontend, _) => Set::AffinityIds(Space::of(frontend)),
            Element::AffinityTimeout(..) => Set::AffinityTimeouts,
            Element::Sticky(frontend, scope, ..) => Set::Sticky(Space::of(frontend), *scope),
            Element::Hairpin(..) => Set::Hairpins,
            Element::ClusterIp(_) => Set::ClusterIps,
            Element::NodePortAddress(_) => Set::NodePortAddresses,
        }
    }

    /// The frontend that it serves, if it is one's.
    pub fn frontend(&self) -> Option<Frontend> {
        match self {
            Element::Frontend(frontend, _)
            | Element::Inside(frontend, _)
            | Element::BySource(frontend, _)
            | Element::SourceRange(frontend, _)
            | Element::Slot(frontend, ..)
            | Element::Mark(frontend, ..)
            | Element::AffinityId(frontend, _)
            | Element::Sticky(frontend, ..) => Some(*frontend),
            _ => None,
        }
    }

    /// The chain that must be there for it.
    pub fn chain(&self) -> Option<Chain> {
        match self {
            Element::Frontend(_, Verdict::Goto(chain))
            | Element::Inside(_, Verdict::Goto(chain))
            | Element::BySource(_, Verdict::Goto(chain)) => Some(*chain),
            Element::AffinityTimeout(_, seconds) => Some(Chain::RememberFor(*seconds)),
            _ => None,
        }
    }
}
