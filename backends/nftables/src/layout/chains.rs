//! The rules of each chain.

use kube_verdict_table::{Cidr, Family, LocalDetector, Protocol};

use super::names::{Chain, Entry, Scope, Set, Space};
use super::sets::{client, frontend, with};
use super::statement::{Detect, Field, Rule, Statement};

/// What the rules of one family depend on beside the services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// the table's family
    pub family: Family,
    /// the mark bit that asks for masquerading, as a mask
    pub masquerade_mark: u32,
    /// how local pods are told
    pub detector: Option<LocalDetector>,
    /// NodePorts are served on every local address
    pub node_ports_anywhere: bool,
    /// unallocated addresses inside are dropped
    pub service_cidrs: Vec<Cidr>,
}

/// Where a base chain hooks in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BaseHook {
    /// `nat` or `filter`
    pub kind: &'static str,
    /// `prerouting`, `output` or `postrouting`
    pub hook: &'static str,
    /// NF_INET_* of linux/netfilter.h
    pub number: u32,
    /// lower comes first
    pub priority: i32,
}

const PREROUTING: u32 = 0;
const OUTPUT: u32 = 3;
const POSTROUTING: u32 = 4;
const DSTNAT: i32 = -100;
const SRCNAT: i32 = 100;

impl Chain {
    /// The hook of a base chain.
    pub fn base(self) -> Option<BaseHook> {
        let (kind, hook, number, priority) = match self {
            Chain::Prerouting => ("nat", "prerouting", PREROUTING, DSTNAT),
            Chain::Output => ("nat", "output", OUTPUT, DSTNAT),
            Chain::Postrouting => ("nat", "postrouting", POSTROUTING, SRCNAT),
            Chain::AffinityPrerouting => ("filter", "prerouting", PREROUTING, DSTNAT + 1),
            Chain::AffinityOutput => ("filter", "output", OUTPUT, DSTNAT + 1),
            _ => return None,
        };
        Some(BaseHook { kind, hook, number, priority })
    }

    /// The chains its rules go to, and those that must be there for it to work.
    pub fn needs(self) -> Vec<Chain> {
        match self {
            Chain::Prerouting | Chain::Output => vec![Chain::Dispatch],
            Chain::AffinityPrerouting | Chain::AffinityOutput => vec![Chain::Remember],
            Chain::RememberFor(_) => vec![Chain::AffinityPrerouting, Chain::AffinityOutput],
            Chain::Spread { space, entry, sticky, slots } => {
                let mut needs = Vec::new();
                match entry {
                    Entry::Pick if sticky => {
                        needs.push(Chain::Recall(space, Scope::Cluster));
                        needs.push(Chain::Spread { space, entry, sticky: false, slots });
                    }
                    Entry::Internal | Entry::External => {
                        needs.push(Chain::Spread { space, entry: Entry::Pick, sticky, slots })
                    }
                    Entry::Local if sticky => needs.push(Chain::Recall(space, Scope::Local)),
                    _ => {}
                }
                needs
            }
            _ => vec![],
        }
    }

    /// Its rules.
    pub fn rules(self, context: &Context) -> Vec<Rule> {
        match self {
            Chain::Prerouting | Chain::Output => vec![vec![Statement::Jump(Chain::Dispatch)]],
            Chain::Postrouting => postrouting(context),
            Chain::AffinityPrerouting | Chain::AffinityOutput => {
                vec![vec![Statement::New, Statement::Numbered, Statement::Jump(Chain::Remember)]]
            }
            Chain::Dispatch => dispatch(context),
            Chain::NoEndpoints => vec![vec![Statement::Reject]],
            Chain::CheckSource => check_source(),
            Chain::Recall(space, scope) => recall(context, space, scope),
            Chain::Remember => remember(),
            Chain::RememberFor(seconds) => vec![
                vec![Statement::Remember { client: client(context.family), seconds }],
                vec![Statement::ClearNumber],
            ],
            Chain::Spread { space, entry, sticky, slots } => match entry {
                Entry::Pick => pick(space, sticky, slots),
                Entry::Internal => masqueraded(context, unless_local_pod(context), space, sticky, slots),
                Entry::External => masqueraded(context, vec![], space, sticky, slots),
                Entry::Local => local(context, space, sticky, slots),
            },
        }
    }
}

/// First services, then NodePorts, then the addresses that only services may use (reference §3.2). The
/// latter spare addresses of this node, which kube-proxy spares by filtering in forward.
fn dispatch(context: &Context) -> Vec<Rule> {
    let mut accepted = if context.node_ports_anywhere {
        vec![Statement::DestinationIsLocal(true), Statement::NotLoopback]
    } else {
        vec![Statement::In(vec![Field::Daddr], Set::NodePortAddresses)]
    };
    accepted.push(Statement::VerdictMap(frontend(Space::NodePort), Set::Frontends(Space::NodePort)));
    let mut rules = vec![
        vec![Statement::VerdictMap(frontend(Space::Address), Set::Frontends(Space::Address))],
        accepted,
        vec![
            Statement::In(vec![Field::Daddr], Set::ClusterIps),
            Statement::DestinationIsLocal(false),
            Statement::Reject,
        ],
    ];
    rules.extend(context.service_cidrs.iter().map(|cidr| {
        vec![Statement::Destination(*cidr), Statement::DestinationIsLocal(false), Statement::Drop]
    }));
    rules
}

/// Reference §5. What is allowed goes on; the rest is dropped, and so is what lost its behaviour meanwhile.
fn check_source() -> Vec<Rule> {
    vec![
        vec![
            Statement::In(with(Space::Address, Field::Saddr), Set::SourceRanges),
            Statement::VerdictMap(frontend(Space::Address), Set::BySource),
        ],
        vec![Statement::Drop],
    ]
}

/// The slots, and slot 0 for those who chose a slot that is no more.
fn slots_of(space: Space, scope: Scope, slots: u32) -> Vec<Rule> {
    let set = Set::Endpoints(space, scope);
    vec![
        vec![Statement::Dnat(with(space, Field::Random(slots)), set)],
        vec![Statement::Dnat(with(space, Field::First), set)],
    ]
}

fn pick(space: Space, sticky: bool, slots: u32) -> Vec<Rule> {
    if sticky {
        let plain = Chain::Spread { space, entry: Entry::Pick, sticky: false, slots };
        return vec![
            vec![Statement::Jump(Chain::Recall(space, Scope::Cluster))],
            vec![Statement::Goto(plain)],
        ];
    }
    let mut rules = slots_of(space, Scope::Cluster, slots);
    rules.push(vec![Statement::Drop]);
    rules
}

fn masqueraded(context: &Context, mut condition: Rule, space: Space, sticky: bool, slots: u32) -> Vec<Rule> {
    condition.push(Statement::Mark(context.masquerade_mark));
    vec![condition, vec![Statement::Goto(Chain::Spread { space, entry: Entry::Pick, sticky, slots })]]
}

/// Reference §3.4, in its order. A packet that finds no local slot because the policy changed under way is
/// dropped: the cluster's endpoints would answer to a client that we did not masquerade.
fn local(context: &Context, space: Space, sticky: bool, slots: u32) -> Vec<Rule> {
    let inside = || Statement::VerdictMap(frontend(space), Set::Inside(space));
    let mut rules: Vec<Rule> = detects(context)
        .into_iter()
        .map(|detect| vec![Statement::LocalPod(detect, true), inside()])
        .collect();
    rules.push(vec![Statement::SourceIsLocal, Statement::Mark(context.masquerade_mark), inside()]);
    if slots > 0 {
        if sticky {
            rules.push(vec![Statement::Jump(Chain::Recall(space, Scope::Local))]);
        }
        rules.extend(slots_of(space, Scope::Local, slots));
    }
    rules.push(vec![Statement::Drop]);
    rules
}

/// The priority holds first the service port's number, then the hash of the client's backend. A client whose
/// backend may no longer be used is forgotten, so that the next one is remembered (a remembered element's
/// data cannot be overwritten).
fn recall(context: &Context, space: Space, scope: Scope) -> Vec<Rule> {
    let client = client(context.family);
    let number = || vec![Statement::Number(frontend(space), Set::AffinityIds(space))];
    vec![
        number(),
        vec![Statement::Number(vec![client, Field::Priority], Set::Affinity)],
        vec![Statement::Dnat(with(space, Field::Priority), Set::Sticky(space, scope))],
        number(),
        vec![Statement::Forget { client }],
    ]
}

/// Only packets that came through a recall chain get here, so that another service's connection is not taken
/// for one to a NodePort of the same number. The test for the protocol is there for nft, which reads `ct original proto-dst` back only behind it.
fn remember() -> Vec<Rule> {
    let original = |space| match space {
        Space::Address => vec![Field::OriginalDaddr, Field::Protocol, Field::OriginalDport],
        Space::NodePort => vec![Field::Protocol, Field::OriginalDport],
    };
    let rule = |space, protocol| {
        vec![
            Statement::ProtocolIs(protocol),
            Statement::Number(original(space), Set::AffinityIds(space)),
            Statement::VerdictMap(vec![Field::Priority], Set::AffinityTimeouts),
        ]
    };
    let rules = Space::ALL.into_iter().flat_map(|space| Protocol::ALL.map(|protocol| rule(space, protocol)));
    rules.chain([vec![Statement::ClearNumber]]).collect()
}

/// Reference §4.1's mechanics. The bit is cleared so that encapsulations of the packet pass unchanged.
fn postrouting(context: &Context) -> Vec<Rule> {
    let mark = context.masquerade_mark;
    vec![
        vec![Statement::Marked(mark), Statement::Unmark(mark), Statement::Masquerade],
        vec![
            Statement::Dnated,
            Statement::In(vec![Field::Saddr, Field::Daddr, Field::Protocol, Field::Dport], Set::Hairpins),
            Statement::Masquerade,
        ],
    ]
}

fn detects(context: &Context) -> Vec<Detect> {
    match &context.detector {
        None => vec![],
        Some(LocalDetector::Source(cidrs)) => cidrs
            .iter()
            .filter(|cidr| cidr.family() == context.family)
            .map(|cidr| Detect::Source(*cidr))
            .collect(),
        Some(LocalDetector::Interface(name)) => vec![Detect::Interface(name.clone())],
        Some(LocalDetector::InterfacePrefix(prefix)) => vec![Detect::InterfacePrefix(prefix.clone())],
    }
}

fn unless_local_pod(context: &Context) -> Rule {
    detects(context).into_iter().map(|detect| Statement::LocalPod(detect, false)).collect()
}
