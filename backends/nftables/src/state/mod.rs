//! What the kernel holds of one family, as far as we wrote it, and the operations that bring it elsewhere.
//!
//! A [`State`] is changed first and the operations are sent after; if they are refused it is thrown away and
//! read back from the kernel. So there is no undoing here.

mod numbers;
mod servers;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use kube_verdict_table::{Backend, Fate, Frontend, Protocol, ServicePortName};

use crate::batch::{Batch, Op};
use crate::layout::{Balancer, Chain, Context, Element, Programme, Set, port_number};
pub use numbers::Numbers;
use servers::Servers;
pub use servers::{Server, Want, Wanted};

/// Elements to remove and to add, by set.
#[derive(Debug, Default)]
pub struct Edits {
    removed: BTreeMap<Set, Vec<Element>>,
    added: BTreeMap<Set, Vec<Element>>,
    /// the virtual servers that differ
    servers: BTreeMap<u32, Want>,
}

impl Edits {
    /// Takes an element out.
    pub fn remove(&mut self, element: Element) {
        self.removed.entry(element.set()).or_default().push(element);
    }

    /// Puts an element in.
    pub fn add(&mut self, element: Element) {
        self.added.entry(element.set()).or_default().push(element);
    }

    /// What is put in.
    pub fn added(&self) -> Vec<Element> {
        self.added.values().flatten().copied().collect()
    }

    /// What is wanted of the virtual servers that differ.
    pub fn wanted(&mut self) -> Wanted {
        Wanted { servers: std::mem::take(&mut self.servers), is_all: false }
    }

    /// Keeps only the edits of some elements.
    pub fn retain(&mut self, keep: impl Fn(&Element) -> bool) {
        let lists = self.removed.values_mut().chain(self.added.values_mut());
        lists.for_each(|elements| elements.retain(&keep));
    }

    fn into_ops(self) -> impl Iterator<Item = Op> {
        let removed = self.removed.into_values().flatten().map(Op::Remove);
        removed.chain(self.added.into_values().flatten().map(Op::Add))
    }
}

/// How many elements each set has, those that packets write aside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held(BTreeMap<Set, usize>);

impl Held {
    /// The sets that have or had any, and how many.
    pub fn iter(&self) -> impl Iterator<Item = (Set, usize)> {
        self.0.iter().map(|(set, count)| (*set, *count))
    }

    fn edit(&mut self, edits: &Edits) {
        for (set, added) in &edits.added {
            *self.0.entry(*set).or_default() += added.len();
        }
        for (set, removed) in &edits.removed {
            let count = self.0.entry(*set).or_default();
            *count = count.saturating_sub(removed.len());
        }
    }
}

/// One family's part of the kernel.
#[derive(Clone, Debug)]
pub struct State {
    context: Context,
    chains: BTreeSet<Chain>,
    uses: HashMap<Chain, u32>,
    programmes: HashMap<Frontend, Programme>,
    numbers: Numbers,
    servers: Servers,
    node_port_addresses: BTreeSet<IpAddr>,
    held: Held,
}

impl State {
    /// Nothing but the rules that are always there.
    pub fn new(context: Context) -> Self {
        State {
            chains: Chain::always(context.balancer).collect(),
            numbers: Numbers::new(context.balancer),
            servers: Servers::default(),
            context,
            uses: HashMap::new(),
            programmes: HashMap::new(),
            node_port_addresses: BTreeSet::new(),
            held: Held::default(),
        }
    }

    /// How many elements there are.
    pub fn held(&self) -> &Held {
        &self.held
    }

    /// What the rules depend on.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The chains that are there.
    pub fn chains(&self) -> &BTreeSet<Chain> {
        &self.chains
    }

    /// The sets that are there.
    pub fn sets(&self) -> Vec<Set> {
        let affinity = needs_affinity(&self.chains);
        let balancer = self.context.balancer;
        Set::all().filter(|set| (affinity || !is_for_affinity(*set)) && set.serves(balancer)).collect()
    }

    /// The number of the service port that has a mark.
    pub fn number_of(&self, mark: u32) -> Option<u32> {
        self.context.balancer.marks()?.number(mark).map(port_number)
    }

    /// Only who had them `before`, as far as that is known, gets numbers whose marks are taken.
    pub fn spare_numbers(&mut self, taken: &[u32], before: Option<&Numbers>) {
        if let Some(before) = before {
            self.numbers.remember(before);
        }
        let numbers: Vec<u32> = taken.iter().filter_map(|mark| self.number_of(*mark)).collect();
        self.numbers.spare(numbers.into_iter());
    }

    /// All frontends are here; nobody gets numbers whose marks are taken from now on.
    pub fn is_filled(&mut self, taken: &[u32]) {
        let numbers: Vec<u32> = taken.iter().filter_map(|mark| self.number_of(*mark)).collect();
        self.numbers.is_filled(numbers.into_iter());
    }

    /// The numbers, all that is left of a state that is not trusted any more.
    pub fn into_numbers(self) -> Numbers {
        self.numbers
    }

    /// Lets a service port keep the number that the kernel has for it.
    pub fn adopt_number(&mut self, service: &Arc<ServicePortName>, number: u32) {
        self.numbers.adopt(service, number);
    }

    /// Gives frontends their fates (None: they are no more); `hints` says where the kernel has what it has
    /// when the state does not know. Returns the edits of elements, and the chains that these need and were
    /// not there.
    pub fn set_fates<'a>(
        &mut self,
        fates: impl IntoIterator<Item = (Frontend, Option<&'a Arc<Fate>>)>,
        hints: &HashMap<Frontend, Programme>,
    ) -> Edits {
        let mut edits = Edits::default();
        let mut numbers: BTreeMap<u32, Option<u32>> = BTreeMap::new();
        let mut servers = BTreeMap::new();
        let balancer = self.context.balancer;
        for (frontend, fate) in fates {
            let old = self.programmes.remove(&frontend);
            let before = old.as_ref().or_else(|| hints.get(&frontend));
            let new = fate.map(|fate| {
                let number = self.number(fate);
                Programme::new(&frontend, fate, before, number, balancer)
            });
            for number in [&old, &new].into_iter().flatten().filter_map(|programme| programme.number) {
                numbers.entry(number.get()).or_insert_with(|| self.numbers.seconds(number.get()));
            }
            if let Some(number) = old.as_ref().and_then(|old| old.number) {
                self.numbers.leave(number.get());
            }
            if let Some((number, new)) = new.as_ref().and_then(|new| new.number.zip(Some(new))) {
                self.numbers.enter(number.get(), new.affinity);
            }
            if balancer.marks().is_some() {
                let new = new.as_ref().zip(fate.map(|fate| &**fate));
                self.servers.change(&frontend, old.as_ref(), new, &mut servers);
            }
            difference(frontend, old.as_ref(), new.as_ref(), &mut edits);
            if let Some(new) = new {
                self.programmes.insert(frontend, new);
            }
        }
        for (number, before) in numbers {
            let after = self.numbers.seconds(number);
            if before != after {
                let timeout = |seconds| Element::AffinityTimeout(number, seconds);
                before.map(timeout).into_iter().for_each(|element| edits.remove(element));
                after.map(timeout).into_iter().for_each(|element| edits.add(element));
            }
            self.numbers.settle(number);
        }
        edits.servers = self.servers.differing(servers);
        edits
    }

    /// The number of the service port that a fate is of, if it needs one.
    fn number(&mut self, fate: &Fate) -> Option<NonZeroU32> {
        let is_marked =
            matches!(self.context.balancer, Balancer::Ipvs(_)) && fate.selections().next().is_some();
        if fate.affinity.is_none() && !is_marked {
            return None;
        }
        let number = self.numbers.get(&fate.service);
        if number.is_none() {
            tracing::error!(
                "Service port {}: there are no marks left for virtual servers, so its connections are dropped; \
                 leave more bits outside the mask of --ipvs-mark",
                fate.service
            );
        }
        number
    }

    /// All virtual servers.
    pub fn wanted(&self) -> Wanted {
        self.servers.all()
    }

    /// The operations for these edits: what they need first, then removals, then additions.
    pub fn batch(&mut self, edits: Edits) -> Batch {
        let mut batch = Batch::new(self.context.family);
        self.held.edit(&edits);
        let had_affinity = needs_affinity(&self.chains);
        let mut new = BTreeSet::new();
        for element in edits.removed.values().flatten() {
            self.use_chain(element, false);
        }
        for element in edits.added.values().flatten() {
            new.extend(self.use_chain(element, true));
        }
        let new: Vec<Chain> = new.into_iter().collect();
        if needs_affinity(&self.chains) && !had_affinity {
            batch.ops.extend(Set::all().filter(|set| is_for_affinity(*set)).map(Op::AddSet));
        }
        self.add_chains(&new, &mut batch);
        batch.ops.extend(edits.into_ops());
        batch
    }

    /// The operations that make chains and their rules.
    pub fn add_chains(&self, chains: &[Chain], batch: &mut Batch) {
        batch.ops.extend(chains.iter().map(|chain| Op::AddChain(*chain)));
        for chain in chains {
            batch.ops.extend(chain.rules(&self.context).into_iter().map(|rule| Op::AddRule(*chain, rule)));
        }
    }

    /// New values for what the rules depend on: the chains that differ are rewritten.
    pub fn set_context(&mut self, context: Context) -> Vec<Op> {
        let differing: Vec<Chain> = self
            .chains
            .iter()
            .copied()
            .filter(|chain| chain.rules(&self.context) != chain.rules(&context))
            .collect();
        self.context = context;
        differing.into_iter().flat_map(|chain| self.rewrite(chain)).collect()
    }

    /// The operations that give a chain its rules anew.
    pub fn rewrite(&self, chain: Chain) -> Vec<Op> {
        let rules = chain.rules(&self.context).into_iter().map(|rule| Op::AddRule(chain, rule));
        std::iter::once(Op::FlushChain(chain.to_string())).chain(rules).collect()
    }

    /// The node addresses on which NodePorts are served, when it is not all of them.
    pub fn set_node_port_addresses(&mut self, wanted: BTreeSet<IpAddr>, edits: &mut Edits) {
        let gone = self.node_port_addresses.difference(&wanted);
        gone.for_each(|ip| edits.remove(Element::NodePortAddress(*ip)));
        let new = wanted.difference(&self.node_port_addresses);
        new.for_each(|ip| edits.add(Element::NodePortAddress(*ip)));
        self.node_port_addresses = wanted;
    }

    /// The operations that remove chains which nothing uses any more, and then the affinity's sets.
    pub fn collect_garbage(&mut self) -> Batch {
        let mut live: BTreeSet<Chain> = BTreeSet::new();
        let balancer = self.context.balancer;
        let mut roots: Vec<Chain> = Chain::always(balancer).collect();
        roots.extend(self.uses.keys());
        while let Some(chain) = roots.pop() {
            if live.insert(chain) {
                roots.extend(chain.needs(balancer));
            }
        }
        let dead: Vec<Chain> = self.chains.difference(&live).copied().collect();
        let mut batch = Batch::new(self.context.family);
        batch.ops.extend(dead.iter().map(|chain| Op::FlushChain(chain.to_string())));
        batch.ops.extend(dead.iter().map(|chain| Op::DeleteChain(chain.to_string())));
        if needs_affinity(&self.chains) && !needs_affinity(&live) {
            let sets = Set::all().filter(|set| is_for_affinity(*set));
            batch.ops.extend(sets.map(|set| Op::DeleteSet(set.name().into())));
        }
        self.chains = live;
        batch
    }

    /// An element that is there and is left alone: its chain and its number are in use.
    pub fn keep(&mut self, element: &Element) {
        self.use_chain(element, true);
        *self.held.0.entry(element.set()).or_default() += 1;
        match element {
            Element::AffinityId(_, number) => self.numbers.reserve(*number),
            Element::Mark(_, _, mark) => {
                self.servers.keep(*mark);
                self.number_of(*mark).into_iter().for_each(|number| self.numbers.reserve(number));
            }
            _ => {}
        }
    }

    /// Counts an element's use of its chain; a chain's first use brings it and all it needs, which are returned.
    pub fn use_chain(&mut self, element: &Element, there: bool) -> Vec<Chain> {
        let mut new = Vec::new();
        let Some(chain) = element.chain() else { return new };
        if there {
            *self.uses.entry(chain).or_default() += 1;
            self.require(chain, &mut new);
        } else if let Some(uses) = self.uses.get_mut(&chain) {
            *uses -= 1;
            if *uses == 0 {
                self.uses.remove(&chain);
            }
        }
        new
    }

    fn require(&mut self, chain: Chain, new: &mut Vec<Chain>) {
        if self.chains.insert(chain) {
            new.push(chain);
            for needed in chain.needs(self.context.balancer) {
                self.require(needed, new);
            }
        }
    }
}

/// Affinity's chains and sets are there only while some service wants it: the base chains see every packet.
fn needs_affinity(chains: &BTreeSet<Chain>) -> bool {
    chains.iter().any(|chain| matches!(chain, Chain::Recall(..) | Chain::RememberFor(_)))
}

fn is_for_affinity(set: Set) -> bool {
    matches!(set, Set::Affinity | Set::AffinityIds(_) | Set::AffinityTimeouts | Set::Sticky(..))
}

/// The edits from one programme of a frontend to another.
fn difference(frontend: Frontend, old: Option<&Programme>, new: Option<&Programme>, edits: &mut Edits) {
    if old == new {
        return;
    }
    let elements = |programme: Option<&Programme>| {
        let mut elements: Vec<Element> =
            programme.map(|programme| programme.elements(frontend).collect()).unwrap_or_default();
        elements.sort_unstable();
        elements
    };
    let (old, new) = (elements(old), elements(new));
    old.iter()
        .filter(|element| new.binary_search(element).is_err())
        .for_each(|element| edits.remove(*element));
    new.iter().filter(|element| old.binary_search(element).is_err()).for_each(|element| edits.add(*element));
}

/// The hairpin element of an endpoint.
pub fn hairpin((protocol, backend): &(Protocol, Backend)) -> Element {
    Element::Hairpin(*protocol, *backend)
}
