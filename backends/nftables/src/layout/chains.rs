//! The rules of each chain.

use kube_verdict_table::{Cidr, Family, LocalDetector, Protocol};

use super::marks::{Balancer, Marks};
use super::names::{Chain, Entry, From, Over, Scope, Set, Space};
use super::sets::{client, frontend, with};
use super::statement::{Bits, Detect, Field, Rule, Statement};

/// What the rules of one family depend on beside the services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// the table's family
    pub family: Family,
    /// the mark bit that asks for masquerading, as a mask
    pub masquerade_mark: u32,
    /// who chooses backends
    pub balancer: Balancer,
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
    /// `nat`, `filter` or `route`
    pub kind: &'static str,
    /// `prerouting`, `input`, `output` or `postrouting`
    pub hook: &'static str,
    /// NF_INET_* of linux/netfilter.h
    pub number: u32,
    /// lower comes first
    pub priority: i32,
}

const PREROUTING: u32 = 0;
const INPUT: u32 = 1;
const OUTPUT: u32 = 3;
const POSTROUTING: u32 = 4;
const DSTNAT: i32 = -100;
const SRCNAT: i32 = 100;
/// IPVS sees packets for this node just before 100, and those of this node at −99 and −98 (`ip_vs_ops4` of
/// net/netfilter/ipvs/ip_vs_core.c). What it sends on comes to output once more, from the beginning.
const AFTER_IPVS: i32 = 5;
/// Before whatever others do in mangle: they are to see the packet's own mark.
const BEFORE_MANGLE: i32 = -151;

impl Chain {
    /// The hook of a base chain.
    pub fn base(self) -> Option<BaseHook> {
        let (kind, hook, number, priority) = match self {
            Chain::Prerouting => ("nat", "prerouting", PREROUTING, DSTNAT),
            Chain::Output => ("nat", "output", OUTPUT, DSTNAT),
            Chain::Postrouting => ("nat", "postrouting", POSTROUTING, SRCNAT),
            Chain::AffinityPrerouting => ("filter", "prerouting", PREROUTING, DSTNAT + 1),
            Chain::AffinityOutput => ("filter", "output", OUTPUT, DSTNAT + 1),
            Chain::AffinitySent => ("filter", "output", OUTPUT, BEFORE_MANGLE - 1),
            Chain::AffinityTaken(From::Elsewhere) => ("filter", "input", INPUT, SRCNAT + AFTER_IPVS - 1),
            Chain::AffinityTaken(From::Here) => ("filter", "output", OUTPUT, DSTNAT + AFTER_IPVS - 1),
            Chain::Steer => ("filter", "prerouting", PREROUTING, DSTNAT + 1),
            Chain::Sent => ("filter", "output", OUTPUT, BEFORE_MANGLE),
            Chain::Taken(From::Elsewhere) => ("filter", "input", INPUT, SRCNAT + AFTER_IPVS),
            // Routed anew when the mark changes: IPVS leaves a packet for this node its route to the service.
            Chain::Taken(From::Here) => ("route", "output", OUTPUT, DSTNAT + AFTER_IPVS),
            _ => return None,
        };
        Some(BaseHook { kind, hook, number, priority })
    }

    /// The chains its rules go to, and those that must be there for it to work.
    pub fn needs(self, balancer: Balancer) -> Vec<Chain> {
        match self {
            Chain::Prerouting | Chain::Output => vec![Chain::Dispatch],
            Chain::Sent | Chain::Taken(_) => vec![Chain::Restore],
            Chain::AffinityPrerouting
            | Chain::AffinityOutput
            | Chain::AffinitySent
            | Chain::AffinityTaken(_) => vec![Chain::Remember],
            Chain::RememberFor(_) => match balancer {
                Balancer::Ipvs(_) => vec![
                    Chain::AffinityPrerouting,
                    Chain::AffinityOutput,
                    Chain::AffinitySent,
                    Chain::AffinityTaken(From::Elsewhere),
                    Chain::AffinityTaken(From::Here),
                ],
                _ => vec![Chain::AffinityPrerouting, Chain::AffinityOutput],
            },
            Chain::Spread { space, entry, sticky, over } => match entry {
                Entry::Pick if sticky => vec![
                    Chain::Recall(space, Scope::Cluster),
                    Chain::Spread { space, entry, sticky: false, over },
                ],
                Entry::Internal | Entry::External => {
                    vec![Chain::Spread { space, entry: Entry::Pick, sticky, over }]
                }
                Entry::Local if sticky => vec![Chain::Recall(space, Scope::Local)],
                _ => vec![],
            },
            _ => vec![],
        }
    }

    /// Its rules.
    pub fn rules(self, context: &Context) -> Vec<Rule> {
        match self {
            Chain::Prerouting | Chain::Output => vec![vec![Statement::Jump(Chain::Dispatch)]],
            Chain::Postrouting => postrouting(context),
            Chain::AffinityPrerouting | Chain::AffinityOutput => {
                vec![remember_new(context, false)]
            }
            Chain::AffinitySent => vec![remember_new(context, true)],
            Chain::AffinityTaken(_) => {
                vec![[vec![Statement::DestinationIsLocal(true)], remember_new(context, true)].concat()]
            }
            Chain::Steer => steer(context),
            Chain::Sent => sent(context),
            Chain::Taken(_) => taken(context),
            Chain::Restore => restore(context),
            Chain::Dispatch => dispatch(context),
            Chain::NoEndpoints => vec![vec![Statement::Reject]],
            Chain::CheckSource => check_source(),
            Chain::Recall(space, scope) => recall(context, space, scope),
            Chain::Remember => remember(),
            Chain::RememberFor(seconds) => vec![
                vec![Statement::Remember { client: client(context.family), seconds }],
                vec![Statement::ClearNumber],
            ],
            Chain::Spread { space, entry, sticky, over } => match entry {
                Entry::Pick => pick(context, space, sticky, over),
                Entry::Internal => masqueraded(context, unless_local_pod(context), space, sticky, over),
                Entry::External => masqueraded(context, vec![], space, sticky, over),
                Entry::Local => local(context, space, sticky, over),
            },
        }
    }
}

/// First services, then NodePorts, then the addresses that only services may use (reference §3.2). The
/// latter spare addresses of this node, which kube-proxy spares by filtering in forward.
///
/// Both look-ups are there twice for kernels before 6.17: while a batch replaces an element, a look-up that began
/// with the old generation may find neither the old element nor the new one. The second finds it.
fn dispatch(context: &Context) -> Vec<Rule> {
    let mut accepted = if context.node_ports_anywhere {
        vec![Statement::DestinationIsLocal(true), Statement::NotLoopback]
    } else {
        vec![Statement::In(vec![Field::Daddr], Set::NodePortAddresses)]
    };
    accepted.push(Statement::VerdictMap(frontend(Space::NodePort), Set::Frontends(Space::NodePort)));
    let address = vec![Statement::VerdictMap(frontend(Space::Address), Set::Frontends(Space::Address))];
    let mut rules = vec![
        address.clone(),
        accepted.clone(),
        address,
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

/// Who is chosen, by whom.
fn chosen(context: &Context, space: Space, scope: Scope, over: Over) -> Vec<Rule> {
    match (over, context.balancer.marks()) {
        (Over::Slots(0), _) => vec![],
        (Over::Slots(slots), _) => slots_of(space, scope, slots),
        (Over::Ipvs, Some(marks)) => hand_over(context, marks, space, scope),
        // Nobody asks for it without marks; what gets here is dropped behind it.
        (Over::Ipvs, None) => vec![],
    }
}

/// The slots, and slot 0 for those who chose a slot that is no more.
fn slots_of(space: Space, scope: Scope, slots: u32) -> Vec<Rule> {
    let set = Set::Endpoints(space, scope);
    vec![
        vec![Statement::Dnat(with(space, Field::Random(slots)), set)],
        vec![Statement::Dnat(with(space, Field::First), set)],
    ]
}

/// To the frontend's virtual server: the packet takes its whole mark, and the connection carries on what the mark
/// said before: whether to masquerade, and that it is IPVS's. It ends as a translation does, or NAT chains of others
/// would be asked too (`nf_nat_inet_fn`), and might translate it or change its mark: kube-proxy's do, while it is
/// taken over from.
fn hand_over(context: &Context, marks: Marks, space: Space, scope: Scope) -> Vec<Rule> {
    let masquerade = context.masquerade_mark;
    vec![
        vec![
            Statement::Marked(masquerade),
            Statement::ChangeConnectionMark(Bits::set(masquerade)),
            Statement::ChangeMark(Bits::unset(masquerade)),
        ],
        vec![Statement::AnyMark, Statement::SetAside { seconds: ASIDE_SECONDS }],
        vec![
            Statement::MarkBy(frontend(space), Set::Marks(space, scope)),
            Statement::ChangeConnectionMark(Bits::to(marks.value(), marks.mask())),
            Statement::KeepDestination,
        ],
    ]
}

/// A first packet that is held up for longer on its way to IPVS loses what others had marked it with.
const ASIDE_SECONDS: u32 = 10;

fn is_for_ipvs(marks: Marks, holds: bool) -> Statement {
    Statement::MarkIs { mask: marks.mask(), value: marks.value(), holds }
}

fn is_with_ipvs(marks: Marks) -> Statement {
    Statement::ConnectionMarkIs { mask: marks.mask(), value: marks.value() }
}

/// IPVS sees what is delivered to this node, so later packets of its connections are marked for the policy rule
/// that has them delivered. It knows them by their addresses: the other bits of the mark stay.
fn steer(context: &Context) -> Vec<Rule> {
    let Some(marks) = context.balancer.marks() else { return vec![] };
    let mut rule = later_packets(marks);
    rule.insert(0, is_for_ipvs(marks, false));
    vec![rule]
}

fn later_packets(marks: Marks) -> Rule {
    vec![
        is_with_ipvs(marks),
        Statement::OriginalDirection,
        Statement::ChangeMark(Bits::to(marks.value(), marks.mask())),
    ]
}

/// What is marked here IPVS has sent on. Later packets of this node itself are not yet; it is to be seen of them too
/// whether IPVS took them.
fn sent(context: &Context) -> Vec<Rule> {
    let Some(marks) = context.balancer.marks() else { return vec![] };
    vec![vec![is_for_ipvs(marks, true), Statement::Goto(Chain::Restore)], later_packets(marks)]
}

/// What IPVS gave to a server on this node goes on with its own mark. What it did not take is addressed to nobody
/// here, or to a NodePort: the connection is over (it was idle for longer than IPVS remembers), or begins just when
/// its virtual server goes. Conntrack does not tell the two apart: IPVS takes its entry along when it forgets a
/// connection, and the next packet is the first of a new one, but for what TCP says of itself.
fn taken(context: &Context) -> Vec<Rule> {
    let Some(marks) = context.balancer.marks() else { return vec![] };
    vec![
        vec![is_for_ipvs(marks, true), Statement::DestinationIsLocal(true), Statement::Goto(Chain::Restore)],
        vec![
            is_for_ipvs(marks, true),
            Statement::ProtocolIs(Protocol::Tcp),
            Statement::Underway,
            Statement::Reset,
        ],
        vec![is_for_ipvs(marks, true), Statement::Drop],
    ]
}

fn restore(context: &Context) -> Vec<Rule> {
    let Some(marks) = context.balancer.marks() else { return vec![] };
    vec![
        vec![
            Statement::New,
            Statement::MarkBy(vec![Field::ConnectionId], Set::OtherMarks),
            Statement::Accept,
        ],
        vec![Statement::New, Statement::ClearMark, Statement::Accept],
        vec![Statement::ChangeMark(Bits::clear(marks.mask()))],
    ]
}

/// Remembers the clients of new connections that came by a recall chain: of those that IPVS has once it has chosen,
/// of others at once.
fn remember_new(context: &Context, sent_by_ipvs: bool) -> Rule {
    let mut rule = vec![Statement::New, Statement::Numbered];
    rule.extend(context.balancer.marks().map(|marks| is_for_ipvs(marks, sent_by_ipvs)));
    rule.push(Statement::Jump(Chain::Remember));
    rule
}

fn pick(context: &Context, space: Space, sticky: bool, over: Over) -> Vec<Rule> {
    if sticky {
        let plain = Chain::Spread { space, entry: Entry::Pick, sticky: false, over };
        return vec![
            vec![Statement::Jump(Chain::Recall(space, Scope::Cluster))],
            vec![Statement::Goto(plain)],
        ];
    }
    let mut rules = chosen(context, space, Scope::Cluster, over);
    rules.push(vec![Statement::Drop]);
    rules
}

fn masqueraded(context: &Context, mut condition: Rule, space: Space, sticky: bool, over: Over) -> Vec<Rule> {
    condition.push(mark_to_masquerade(context));
    vec![condition, vec![Statement::Goto(Chain::Spread { space, entry: Entry::Pick, sticky, over })]]
}

fn mark_to_masquerade(context: &Context) -> Statement {
    Statement::ChangeMark(Bits::set(context.masquerade_mark))
}

/// Reference §3.4, in its order. A packet that finds no local slot because the policy changed under way is
/// dropped: the cluster's endpoints would answer to a client that we did not masquerade.
fn local(context: &Context, space: Space, sticky: bool, over: Over) -> Vec<Rule> {
    let inside = || Statement::VerdictMap(frontend(space), Set::Inside(space));
    let mut rules: Vec<Rule> = detects(context)
        .into_iter()
        .map(|detect| vec![Statement::LocalPod(detect, true), inside()])
        .collect();
    rules.push(vec![Statement::SourceIsLocal, mark_to_masquerade(context), inside()]);
    if sticky {
        rules.push(vec![Statement::Jump(Chain::Recall(space, Scope::Local))]);
    }
    rules.extend(chosen(context, space, Scope::Local, over));
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
    let hairpin =
        || Statement::In(vec![Field::Saddr, Field::Daddr, Field::Protocol, Field::Dport], Set::Hairpins);
    let mut rules = vec![
        vec![Statement::Marked(mark), Statement::ChangeMark(Bits::unset(mark)), Statement::Masquerade],
        vec![Statement::Dnated, hairpin(), Statement::Masquerade],
    ];
    if let Some(marks) = context.balancer.marks() {
        let wants = Statement::ConnectionMarkIs { mask: marks.mask() | mark, value: marks.value() | mark };
        rules.push(vec![wants, Statement::ChangeConnectionMark(Bits::unset(mark)), Statement::Masquerade]);
        rules.push(vec![is_with_ipvs(marks), hairpin(), Statement::Masquerade]);
    }
    rules
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
