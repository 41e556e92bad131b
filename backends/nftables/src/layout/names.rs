//! The vocabulary of `nft list ruleset`: the names of our sets and chains.
//!
//! A service's behaviour *is* the chain that its element's verdict names, so the set of chains is the set of
//! behaviours: entry (who is masqueraded), affinity and slot count. All of it is shared by every service that
//! behaves alike.

use std::fmt;
use std::str::FromStr;

use kube_verdict_table::Frontend;

use super::marks::Balancer;

/// What a frontend's elements are keyed by: an address, protocol and port, or for NodePorts protocol and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Space {
    /// destination address, protocol, port
    Address,
    /// protocol, port
    NodePort,
}

impl Space {
    /// Both.
    pub const ALL: [Space; 2] = [Space::Address, Space::NodePort];

    /// The space of a frontend.
    pub fn of(frontend: &Frontend) -> Self {
        match frontend {
            Frontend::Address { .. } => Space::Address,
            Frontend::NodePort { .. } => Space::NodePort,
        }
    }
}

/// Which of a frontend's two lists of backends is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// what most sources get
    Cluster,
    /// what sources from outside get under externalTrafficPolicy Local
    Local,
}

impl Scope {
    /// Both.
    pub const ALL: [Scope; 2] = [Scope::Cluster, Scope::Local];
}

/// A set or map of our table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Set {
    /// frontend -> behaviour; counts new connections
    Frontends(Space),
    /// frontend with an externalTrafficPolicy of Local -> behaviour for sources inside
    Inside(Space),
    /// frontend with source ranges -> behaviour for the sources allowed
    BySource,
    /// frontend . source prefix: the sources allowed
    SourceRanges,
    /// frontend . slot -> backend
    Endpoints(Space, Scope),
    /// frontend -> mark of its virtual server, where IPVS balances
    Marks(Space, Scope),
    /// connection -> the mark that its first packet had before it got that of a virtual server; written by the
    /// kernel
    OtherMarks,
    /// frontend -> number of its service port, for affinity
    AffinityIds(Space),
    /// number of a service port -> the chain that remembers for its timeout
    AffinityTimeouts,
    /// client . number of a service port -> hash of the backend; written by the kernel
    Affinity,
    /// frontend . hash of a backend -> that backend, while it may still be used
    Sticky(Space, Scope),
    /// source . destination . protocol . port of endpoints that may call themselves
    Hairpins,
    /// addresses that are some service's ClusterIP
    ClusterIps,
    /// node addresses on which NodePorts are served, when it is not all of them
    NodePortAddresses,
}

impl Set {
    /// Every set there can be, in the order in which they are made and listed: what a reader looks for first
    /// comes first.
    pub fn all() -> impl Iterator<Item = Set> {
        use {Scope::*, Space::*};
        [
            Set::Frontends(Address),
            Set::Frontends(NodePort),
            Set::Endpoints(Address, Cluster),
            Set::Endpoints(NodePort, Cluster),
            Set::Endpoints(Address, Local),
            Set::Endpoints(NodePort, Local),
            Set::Marks(Address, Cluster),
            Set::Marks(NodePort, Cluster),
            Set::Marks(Address, Local),
            Set::Marks(NodePort, Local),
            Set::Inside(Address),
            Set::Inside(NodePort),
            Set::BySource,
            Set::SourceRanges,
            Set::ClusterIps,
            Set::NodePortAddresses,
            Set::Hairpins,
            Set::AffinityIds(Address),
            Set::AffinityIds(NodePort),
            Set::AffinityTimeouts,
            Set::Affinity,
            Set::Sticky(Address, Cluster),
            Set::Sticky(NodePort, Cluster),
            Set::Sticky(Address, Local),
            Set::Sticky(NodePort, Local),
            Set::OtherMarks,
        ]
        .into_iter()
    }

    /// Whether it is there when connections are balanced so.
    pub fn serves(self, balancer: Balancer) -> bool {
        match self {
            Set::Endpoints(..) => !matches!(balancer, Balancer::Ipvs(_)),
            Set::Marks(..) => matches!(balancer, Balancer::Ipvs(_)),
            Set::OtherMarks => balancer.marks().is_some(),
            _ => true,
        }
    }

    /// Its name in the kernel.
    pub fn name(self) -> &'static str {
        use {Scope::*, Space::*};
        match self {
            Set::Frontends(Address) => "services",
            Set::Frontends(NodePort) => "nodeports",
            Set::Inside(Address) => "services-inside",
            Set::Inside(NodePort) => "nodeports-inside",
            Set::BySource => "services-by-source",
            Set::SourceRanges => "source-ranges",
            Set::Endpoints(Address, Cluster) => "endpoints",
            Set::Endpoints(Address, Local) => "local-endpoints",
            Set::Endpoints(NodePort, Cluster) => "nodeport-endpoints",
            Set::Endpoints(NodePort, Local) => "nodeport-local-endpoints",
            Set::Marks(Address, Cluster) => "marks",
            Set::Marks(Address, Local) => "local-marks",
            Set::Marks(NodePort, Cluster) => "nodeport-marks",
            Set::Marks(NodePort, Local) => "nodeport-local-marks",
            Set::OtherMarks => "other-marks",
            Set::AffinityIds(Address) => "affinity-services",
            Set::AffinityIds(NodePort) => "affinity-nodeports",
            Set::AffinityTimeouts => "affinity-timeouts",
            Set::Affinity => "affinity",
            Set::Sticky(Address, Cluster) => "sticky-endpoints",
            Set::Sticky(Address, Local) => "sticky-local-endpoints",
            Set::Sticky(NodePort, Cluster) => "sticky-nodeport-endpoints",
            Set::Sticky(NodePort, Local) => "sticky-nodeport-local-endpoints",
            Set::Hairpins => "hairpins",
            Set::ClusterIps => "cluster-ips",
            Set::NodePortAddresses => "nodeport-addresses",
        }
    }

    /// The set with a name.
    pub fn named(name: &str) -> Option<Set> {
        Set::all().find(|set| set.name() == name)
    }
}

/// Who is masqueraded on the way to the slots (reference §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Entry {
    /// nobody
    Pick,
    /// everybody but local pods
    Internal,
    /// everybody
    External,
    /// externalTrafficPolicy Local: it depends on the origin, and so do the backends (reference §3.4)
    Local,
}

/// Where a packet comes from that IPVS sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum From {
    /// it came in
    Elsewhere,
    /// this node sends it
    Here,
}

/// What connections are spread over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Over {
    /// so many slots; 0 only for [`Entry::Local`]
    Slots(u32),
    /// the real servers of a virtual one: IPVS chooses
    Ipvs,
}

impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Over::Slots(slots) => slots.fmt(f),
            Over::Ipvs => f.write_str("ipvs"),
        }
    }
}

/// A chain of our table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Chain {
    /// base chain, nat
    Prerouting,
    /// base chain, nat
    Output,
    /// base chain, nat
    Postrouting,
    /// base chain, filter: only while some service has affinity
    AffinityPrerouting,
    /// base chain, filter: only while some service has affinity
    AffinityOutput,
    /// base chain, filter, where IPVS balances: as [`Chain::AffinityOutput`], for what IPVS sent on
    AffinitySent,
    /// base chain, filter, where IPVS balances: the same for what it gave to this node
    AffinityTaken(From),
    /// base chain, filter, where IPVS balances: later packets of its connections are to be delivered here
    Steer,
    /// base chain, filter, where IPVS balances: what it sent on
    Sent,
    /// base chain, filter, where IPVS balances: what goes on after IPVS saw it and did not send it itself
    Taken(From),
    /// gives packets back the mark that they had before
    Restore,
    /// finds the frontend
    Dispatch,
    /// rejects: no usable endpoint anywhere
    NoEndpoints,
    /// lets allowed sources pass on to their behaviour
    CheckSource,
    /// sends a client back to the backend it had, if that may still be used
    Recall(Space, Scope),
    /// finds the timeout with which to remember a client's backend
    Remember,
    /// remembers a client's backend for so many seconds
    RememberFor(u32),
    /// spreads connections
    Spread {
        /// whose slots
        space: Space,
        /// who is masqueraded
        entry: Entry,
        /// with session affinity
        sticky: bool,
        /// over what
        over: Over,
    },
}

impl Chain {
    /// Chains that are there whatever the table holds.
    const ALWAYS: [Chain; 6] = [
        Chain::NoEndpoints,
        Chain::CheckSource,
        Chain::Dispatch,
        Chain::Prerouting,
        Chain::Output,
        Chain::Postrouting,
    ];
    /// Chains that are there as long as IPVS has connections.
    const FOR_IPVS: [Chain; 5] =
        [Chain::Restore, Chain::Steer, Chain::Sent, Chain::Taken(From::Elsewhere), Chain::Taken(From::Here)];

    /// Chains that are there whatever the table holds.
    pub fn always(balancer: Balancer) -> impl Iterator<Item = Chain> {
        let for_ipvs = Chain::FOR_IPVS.into_iter().filter(move |_| balancer.marks().is_some());
        Chain::ALWAYS.into_iter().chain(for_ipvs)
    }

    /// Chains with a fixed name.
    fn fixed() -> impl Iterator<Item = Chain> {
        let recalls =
            Space::ALL.into_iter().flat_map(|a| Scope::ALL.into_iter().map(move |b| Chain::Recall(a, b)));
        Chain::ALWAYS
            .into_iter()
            .chain(Chain::FOR_IPVS)
            .chain([Chain::AffinityPrerouting, Chain::AffinityOutput])
            .chain([Chain::AffinitySent, Chain::Remember])
            .chain([From::Elsewhere, From::Here].map(Chain::AffinityTaken))
            .chain(recalls)
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Chain::Prerouting => "prerouting",
            Chain::Output => "output",
            Chain::Postrouting => "postrouting",
            Chain::AffinityPrerouting => "affinity-prerouting",
            Chain::AffinityOutput => "affinity-output",
            Chain::AffinitySent => "affinity-sent",
            Chain::AffinityTaken(From::Elsewhere) => "affinity-taken",
            Chain::AffinityTaken(From::Here) => "affinity-taken-output",
            Chain::Steer => "ipvs-steer",
            Chain::Sent => "ipvs-sent",
            Chain::Taken(From::Elsewhere) => "ipvs-taken",
            Chain::Taken(From::Here) => "ipvs-taken-output",
            Chain::Restore => "restore-mark",
            Chain::Dispatch => "dispatch",
            Chain::NoEndpoints => "no-endpoints",
            Chain::CheckSource => "check-source",
            Chain::Recall(Space::Address, Scope::Cluster) => "recall",
            Chain::Recall(Space::Address, Scope::Local) => "recall-local",
            Chain::Recall(Space::NodePort, Scope::Cluster) => "recall-nodeport",
            Chain::Recall(Space::NodePort, Scope::Local) => "recall-nodeport-local",
            Chain::Remember => "remember",
            Chain::RememberFor(seconds) => return write!(f, "remember-{seconds}s"),
            Chain::Spread { space, entry, sticky, over } => {
                let space = if *space == Space::NodePort { "nodeport-" } else { "" };
                let sticky = if *sticky { "sticky-" } else { "" };
                let entry = match entry {
                    Entry::Pick => "pick",
                    Entry::Internal => "internal",
                    Entry::External => "external",
                    Entry::Local => "local",
                };
                return write!(f, "{space}{sticky}{entry}-{over}");
            }
        })
    }
}

impl FromStr for Chain {
    type Err = ();

    /// Reads a name back. Names we would not write are not ours.
    fn from_str(name: &str) -> Result<Self, ()> {
        if let Some(chain) = Chain::fixed().find(|chain| chain.to_string() == name) {
            return Ok(chain);
        }
        let chain = match name.strip_prefix("remember-") {
            Some(rest) => Chain::RememberFor(rest.strip_suffix('s').ok_or(())?.parse().map_err(drop)?),
            None => {
                let (space, rest) = match name.strip_prefix("nodeport-") {
                    Some(rest) => (Space::NodePort, rest),
                    None => (Space::Address, name),
                };
                let (sticky, rest) = match rest.strip_prefix("sticky-") {
                    Some(rest) => (true, rest),
                    None => (false, rest),
                };
                let (entry, over) = rest.rsplit_once('-').ok_or(())?;
                let entry = match entry {
                    "pick" => Entry::Pick,
                    "internal" => Entry::Internal,
                    "external" => Entry::External,
                    "local" => Entry::Local,
                    _ => return Err(()),
                };
                let over = match over {
                    "ipvs" => Over::Ipvs,
                    slots => Over::Slots(slots.parse().map_err(drop)?),
                };
                Chain::Spread { space, entry, sticky, over }
            }
        };
        if chain.to_string() == name { Ok(chain) } else { Err(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_as_itself() {
        let spreads =
            [Entry::Pick, Entry::Internal, Entry::External, Entry::Local].into_iter().flat_map(|entry| {
                Space::ALL.into_iter().flat_map(move |space| {
                    [true, false].map(|sticky| {
                        [Over::Slots(17), Over::Ipvs].map(|over| Chain::Spread { space, entry, sticky, over })
                    })
                })
            });
        for chain in Chain::fixed().chain(spreads.flatten()).chain([Chain::RememberFor(10800)]) {
            assert_eq!(chain.to_string().parse(), Ok(chain));
        }
        for set in Set::all() {
            assert_eq!(Set::named(set.name()), Some(set));
        }
    }

    #[test]
    fn foreign_names_are_not_ours() {
        for name in [
            "",
            "pick",
            "pick-",
            "pick-01",
            "pick-x",
            "remember-1",
            "remember-01s",
            "sticky-nodeport-pick-2",
            "input",
        ] {
            assert_eq!(name.parse::<Chain>(), Err(()), "{name}");
        }
    }
}
