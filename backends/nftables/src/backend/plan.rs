//! What a sync is about to do: the state that a table asks for, and the batch that leads there from what the
//! kernel has.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use kube_verdict_table::{
    Backend, Change, Family, Frontend, NodePortAddresses, Protocol, ServiceTable, SetChange,
};

use super::{Culprit, Options};
use crate::batch::{Batch, Op};
use crate::bytecode::compile;
use crate::kernel::{SetState, TableState, Tenure};
use crate::layout::{Chain, Context, Element, Programme, Scope, Set, VERSION, version_of};
use crate::state::{Edits, Numbers, State, hairpin};

/// What a sync is about to do.
pub(super) struct Plan {
    /// what the kernel holds afterwards
    pub(super) state: State,
    /// the way there
    pub(super) batch: Batch,
    /// chains and sets that are not ours, or no longer
    pub(super) strays: Batch,
    /// the table that is there goes, and another comes
    pub(super) is_replacement: bool,
}

impl Plan {
    /// `out` is left as the kernel has it. Service ports keep the numbers that they have there, or had `before`; no
    /// other gets a mark that is taken.
    pub(super) fn new(
        table: &ServiceTable,
        (context, own): (Context, bool),
        found: Option<TableState>,
        out: &BTreeSet<Culprit>,
        (taken, before): (&[u32], Option<&Numbers>),
    ) -> Self {
        let family = context.family;
        let mut state = State::new(context);
        let found = found.map(|mut found| {
            found.elements.sort_unstable();
            found
        });
        // What another layout means by its elements nobody knows.
        let is_readable = found.as_ref().is_some_and(|found| compatible(found, family));
        let elements = found.as_ref().filter(|_| is_readable).map_or(&[][..], |found| &found.elements);
        let hints = hints(elements);
        for element in elements {
            let (frontend, number) = match element {
                Element::AffinityId(frontend, number) => (frontend, Some(*number)),
                Element::Mark(frontend, _, mark) => (frontend, state.number_of(*mark)),
                _ => continue,
            };
            // What others write does not give a service port the number that another has.
            let is_its = |number, service| before.is_none_or(|before| before.agree(service, number));
            if let Some((number, fate)) = number.zip(table.fate(frontend))
                && is_its(number, &fate.service)
            {
                state.adopt_number(&fate.service, number);
            }
        }
        state.spare_numbers(taken, before);
        let is_wanted = |frontend: &Frontend| !out.contains(&Culprit::Frontend(*frontend));
        let mut edits = fill(&mut state, table, &hints, is_wanted);
        state.is_filled(taken);
        edits.retain(|element| !out.contains(&Culprit::of(element)));
        let kept = elements.iter().copied().filter(|element| out.contains(&Culprit::of(element)));
        let kept: Vec<Element> = kept.collect();
        kept.iter().for_each(|element| state.keep(element));
        match found {
            Some(found) if is_readable && may_belong(&found, own) => {
                let mut plan = Plan::difference(state, edits, &found, out);
                if own && found.tenure != Tenure::Ours {
                    plan.batch.ops.insert(0, Op::AddTable { own });
                }
                plan
            }
            found => Plan::anew(state, edits, kept, found.is_some(), own),
        }
    }

    /// There is no table, or one of another layout: replace it as a whole.
    fn anew(mut state: State, edits: Edits, kept: Vec<Element>, replace: bool, own: bool) -> Self {
        let family = state.context().family;
        let contents = state.batch(edits);
        let mut batch = Batch::new(family);
        if replace {
            batch.ops.push(Op::DeleteTable);
        }
        batch.ops.push(Op::AddTable { own });
        batch.ops.extend(state.sets().into_iter().map(Op::AddSet));
        state.add_chains(&state.chains().iter().copied().collect::<Vec<_>>(), &mut batch);
        batch.ops.extend(contents.ops.into_iter().filter(|op| matches!(op, Op::Add(_))));
        batch.ops.extend(kept.into_iter().map(Op::Add));
        Plan { state, batch, strays: Batch::new(family), is_replacement: replace }
    }

    /// What `found` lacks and has too much of.
    fn difference(mut state: State, edits: Edits, found: &TableState, out: &BTreeSet<Culprit>) -> Self {
        let family = state.context().family;
        let mut wanted = edits.added();
        state.batch(edits);
        let mut batch = Batch::new(family);
        let sets = state.sets();
        batch.ops.extend(
            sets.iter().filter(|set| !found.sets.contains_key(set.name())).map(|set| Op::AddSet(*set)),
        );
        let missing: Vec<Chain> = state
            .chains()
            .iter()
            .copied()
            .filter(|chain| !found.chains.contains_key(&chain.to_string()))
            .collect();
        state.add_chains(&missing, &mut batch);
        for chain in state.chains() {
            if let Some(there) = found.chains.get(&chain.to_string()) {
                let rules =
                    chain.rules(state.context()).iter().map(|rule| compile(rule, family)).collect::<Vec<_>>();
                if there.rules != rules {
                    batch.ops.extend(state.rewrite(*chain));
                }
            }
        }
        wanted.sort_unstable();
        let too_much = found
            .elements
            .iter()
            .filter(|element| wanted.binary_search(element).is_err() && !out.contains(&Culprit::of(element)));
        let missing = wanted.iter().filter(|element| found.elements.binary_search(element).is_err());
        let foreign = found.foreign.iter().cloned().map(Op::RemoveForeign);
        let edits = too_much.copied().map(Op::Remove).chain(missing.copied().map(Op::Add));
        let mut edits: Vec<Op> = foreign.chain(edits).collect();
        edits.sort_by_key(|op| match op {
            Op::Add(element) => (true, Some(element.set())),
            Op::Remove(element) => (false, Some(element.set())),
            _ => (false, None),
        });
        batch.ops.extend(edits);
        let strays = strays(&state, &sets, found);
        Plan { state, batch, strays, is_replacement: false }
    }
}

fn strays(state: &State, sets: &[Set], found: &TableState) -> Batch {
    let mut strays = Batch::new(state.context().family);
    let ours: BTreeSet<String> = state.chains().iter().map(Chain::to_string).collect();
    let chains: Vec<&String> = found.chains.keys().filter(|name| !ours.contains(*name)).collect();
    strays.ops.extend(chains.iter().map(|name| Op::FlushChain((*name).clone())));
    strays.ops.extend(chains.iter().map(|name| Op::DeleteChain((*name).clone())));
    let foreign = found.sets.keys().filter(|name| !sets.iter().any(|set| set.name() == name.as_str()));
    strays.ops.extend(foreign.map(|name| Op::DeleteSet(name.clone())));
    strays
}

/// Whether a table's sets and base chains can stay; the rest can be mended in place.
fn compatible(found: &TableState, family: Family) -> bool {
    let sets = found
        .sets
        .iter()
        .all(|(name, state)| Set::named(name).is_none_or(|set| SetState::of(set, family) == *state));
    let chains = found.chains.iter().all(|(name, state)| {
        name.parse::<Chain>().is_ok_and(|chain| state.hooks_like(chain.base())) || state.base.is_none()
    });
    found.comment.as_deref().and_then(version_of) == Some(VERSION) && sets && chains
}

/// Whether a table can be given the owner that it should have. One that should have none may have outlived one.
fn may_belong(found: &TableState, own: bool) -> bool {
    !own || found.tenure != Tenure::Nobodys
}

/// The slots that elements (sorted) show.
fn hints(elements: &[Element]) -> HashMap<Frontend, Programme> {
    let mut slots: HashMap<Frontend, PerScope> = HashMap::new();
    for element in elements {
        if let Element::Slot(frontend, scope, slot, backend) = element {
            let slots = slots.entry(*frontend).or_default();
            let slots = if *scope == Scope::Cluster { &mut slots.0 } else { &mut slots.1 };
            if usize::try_from(*slot) == Ok(slots.len()) {
                slots.push(*backend);
            }
        }
    }
    slots
        .into_iter()
        .map(|(frontend, (cluster, local))| (frontend, Programme::of_slots(cluster, local)))
        .collect()
}

type PerScope = (Vec<Backend>, Vec<Backend>);

/// What the rules depend on beside the services.
pub(crate) fn context(table: &ServiceTable, family: Family, options: Options) -> Context {
    let node_ports = &table.node().node_port_addresses[family];
    Context {
        family,
        masquerade_mark: options.masquerade_mark,
        balancer: options.balancer,
        detector: table.settings().detector[family].clone(),
        node_ports_anywhere: *node_ports == NodePortAddresses::AnyLocal,
        service_cidrs: table.service_cidrs().iter().copied().filter(|cidr| cidr.family() == family).collect(),
    }
}

/// Gives an empty state all that the table asks for in its family; of frontends, those that are wanted.
pub(crate) fn fill(
    state: &mut State,
    table: &ServiceTable,
    hints: &HashMap<Frontend, Programme>,
    is_wanted: impl Fn(&Frontend) -> bool,
) -> Edits {
    let family = state.context().family;
    let wanted = table.frontends().filter(|(frontend, _)| frontend.family() == family && is_wanted(frontend));
    let mut wanted: Vec<_> = wanted.map(|(frontend, fate)| (*frontend, Some(fate))).collect();
    if state.context().balancer.marks().is_some() {
        // Numbers are given in this order, and with them marks: whoever compares two nodes, or what is rendered with
        // what is there, is to find the same.
        wanted.sort_by(|(_, one), (_, other)| {
            one.map(|fate| &fate.service).cmp(&other.map(|fate| &fate.service))
        });
    }
    let mut edits = state.set_fates(wanted, hints);
    let shared = Change {
        cluster_ips: SetChange { added: table.cluster_ips().collect(), removed: Vec::new() },
        hairpins: SetChange { added: table.hairpins().collect(), removed: Vec::new() },
        node_port_addresses: Some(table.node().node_port_addresses.clone()),
        ..Change::default()
    };
    shared_edits(&shared, family, state, &mut edits);
    edits
}

/// The edits of elements that are no frontend's.
pub(super) fn shared_edits(change: &Change, family: Family, state: &mut State, edits: &mut Edits) {
    let of_family = |ip: &&IpAddr| Family::of(**ip) == family;
    change.cluster_ips.removed.iter().filter(of_family).for_each(|ip| edits.remove(Element::ClusterIp(*ip)));
    change.cluster_ips.added.iter().filter(of_family).for_each(|ip| edits.add(Element::ClusterIp(*ip)));
    let hairpins = |endpoints: &[(Protocol, Backend)]| {
        let of_family = endpoints.iter().filter(|(_, backend)| Family::of(backend.ip) == family);
        of_family.map(hairpin).collect::<Vec<_>>()
    };
    hairpins(&change.hairpins.removed).into_iter().for_each(|element| edits.remove(element));
    hairpins(&change.hairpins.added).into_iter().for_each(|element| edits.add(element));
    if let Some(addresses) = &change.node_port_addresses {
        let wanted = match &addresses[family] {
            NodePortAddresses::AnyLocal => BTreeSet::new(),
            NodePortAddresses::Only(addresses) => addresses.iter().filter(of_family).copied().collect(),
        };
        state.set_node_port_addresses(wanted, edits);
    }
}

/// Adds what the kernel has and the table does not know: frontends, and what they share.
pub(super) fn with_unknown(
    mut out: BTreeSet<Culprit>,
    found: &[Element],
    table: &ServiceTable,
) -> BTreeSet<Culprit> {
    let known_numbers: BTreeSet<u32> = found
        .iter()
        .filter_map(|element| match element {
            Element::AffinityId(frontend, number) => table.fate(frontend).map(|_| *number),
            _ => None,
        })
        .collect();
    let unknown = found.iter().filter(|element| match element {
        Element::ClusterIp(ip) => !table.is_cluster_ip(*ip),
        Element::Hairpin(protocol, backend) => !table.is_hairpin(*protocol, *backend),
        Element::AffinityTimeout(number, _) => !known_numbers.contains(number),
        Element::NodePortAddress(_) => false,
        element => element.frontend().is_some_and(|frontend| table.fate(&frontend).is_none()),
    });
    out.extend(unknown.map(Culprit::of));
    out
}
