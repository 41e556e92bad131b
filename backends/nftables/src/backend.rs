//! Keeps the kernel equal to a service table.
//!
//! * **Sync**: read our table back, say what it should be with everything left in its place where it can be,
//!   write the difference in one batch that is valid only for the generation that was read.
//! * **Apply**: write a change's own elements, without reading.
//! * Whatever goes wrong, the next step is a sync: what the kernel has is then known again.
//!
//! An element that the kernel refuses is quarantined with its frontend, reported, and tried again later; the
//! rest goes on. What a quarantined frontend has in the kernel stays.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use kube_verdict_table::{
    Change, Family, Frontend, NodePortAddresses, PerFamily, ServicePortName, ServiceTable,
};

use crate::batch::{Batch, Op};
use crate::bytecode::{compile, requirement};
use crate::kernel::{CommitError, Kernel, ReadError, Refusal, SetState, TableState};
use crate::layout::{Chain, Context, Element, Programme, Scope, Set, comment};
use crate::state::{Edits, State, hairpin};

/// How often a sync is begun anew because others change the ruleset under it, before it goes without the
/// check of the generation.
const STALE_ATTEMPTS: usize = 5;
/// How often a sync is begun anew for any reason.
const ATTEMPTS: usize = 200;
/// First and longest time in quarantine.
const QUARANTINE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// What the backend must know beside the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// the packet mark's bit for masquerading, as a mask (reference §4.1: bit 14)
    pub masquerade_mark: u32,
}

/// What a refusal is blamed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Culprit {
    /// all elements of a frontend
    Frontend(Frontend),
    /// an element that is no frontend's
    Element(Element),
}

impl Culprit {
    fn of(element: &Element) -> Self {
        element.frontend().map_or(Culprit::Element(*element), Culprit::Frontend)
    }
}

impl fmt::Display for Culprit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Culprit::Frontend(frontend) => frontend.fmt(f),
            Culprit::Element(element) => write!(f, "{element:?}"),
        }
    }
}

/// Something that the kernel refused, and that will be tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// what
    pub culprit: Culprit,
    /// whose it is
    pub service: Option<ServicePortName>,
    /// the element and the operation at which it showed
    pub operation: String,
    /// the errno
    pub errno: i32,
    /// when it will be tried again
    pub retry_in: Duration,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(service) = &self.service {
            write!(f, "Service port {service}: ")?;
        }
        let error = io::Error::from_raw_os_error(self.errno);
        write!(
            f,
            "the kernel refuses {} ({}): {error}; everything else is programmed, the next try is in {:?}",
            self.culprit, self.operation, self.retry_in
        )
    }
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// operations committed, all batches and families together
    pub operations: usize,
    /// elements among them
    pub elements: usize,
    /// batches committed
    pub batches: usize,
    /// families that were read back and compared as a whole
    pub synced: Vec<Family>,
    /// newly refused
    pub refused: Vec<Refused>,
}

impl Report {
    fn count(&mut self, batch: &Batch) {
        self.batches += 1;
        self.operations += batch.ops.len();
        self.elements += batch
            .ops
            .iter()
            .filter(|op| matches!(op, Op::Add(_) | Op::Remove(_) | Op::RemoveForeign(_)))
            .count();
    }
}

/// Why a family could not be programmed. What was programmed before stays.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refuses a part of the constant rules.
    #[error("{family}: the kernel refuses {operation}: {error}. {hint}")]
    Unsupported {
        /// whose table
        family: Family,
        /// the operation
        operation: String,
        /// the kernel's answer
        error: io::Error,
        /// what the kernel must have for it
        hint: String,
    },
    /// The batch could not be handed over.
    #[error("{family}: {error}{hint}")]
    Commit {
        /// whose table
        family: Family,
        /// what happened
        error: CommitError,
        /// the next step
        hint: &'static str,
    },
    /// The ruleset could not be read back.
    #[error("{family}: {error}")]
    Read {
        /// whose table
        family: Family,
        /// what happened
        error: ReadError,
    },
}

#[derive(Clone, Copy, Debug)]
struct Quarantined {
    until: Instant,
    attempts: u32,
}

/// The backend.
pub struct Nftables<K> {
    kernel: K,
    options: Options,
    /// None: what the kernel has is not known
    states: PerFamily<Option<State>>,
    quarantine: HashMap<Culprit, Quarantined>,
    /// frontends that the kernel has and the table does not know stay
    keep_unknown: bool,
    /// the generation that the ruleset has if nobody else changed it since we looked
    expected: Option<u32>,
}

impl<K: Kernel> Nftables<K> {
    /// A backend that knows nothing yet of its kernel.
    pub fn new(kernel: K, options: Options) -> Self {
        Nftables {
            kernel,
            options,
            states: PerFamily::default(),
            quarantine: HashMap::new(),
            keep_unknown: false,
            expected: None,
        }
    }

    /// The kernel it writes to.
    pub fn kernel_mut(&mut self) -> &mut K {
        &mut self.kernel
    }

    /// Forgets what the kernel holds: the next step reads it back.
    pub fn distrust(&mut self, family: Family) {
        self.states[family] = None;
    }

    /// Whether frontends that the kernel has and the table does not know are left alone, from the next sync
    /// on: for a table that is known to lack some. Says whether that is news; when they are no longer to be
    /// kept, the next [`Nftables::verify`] removes them.
    pub fn keep_unknown(&mut self, keep: bool) -> bool {
        let is_news = std::mem::replace(&mut self.keep_unknown, keep) != keep;
        if is_news {
            self.expected = None;
        }
        is_news
    }

    /// When something in quarantine is due for another try, by [`Nftables::sync`].
    pub fn next_retry(&self) -> Option<Instant> {
        self.quarantine.values().map(|quarantined| quarantined.until).min()
    }

    /// Compares the kernel with the table if anybody else has changed the ruleset, and mends what differs.
    /// Returns None when nobody has.
    pub fn verify(&mut self, table: &ServiceTable, now: Instant) -> Option<Result<Report, Vec<Error>>> {
        let generation = self.kernel.generation().ok();
        if generation.is_some() && generation == self.expected {
            return None;
        }
        self.expected = generation;
        Some(self.sync(table, now))
    }

    /// Commits a batch and counts it as ours.
    fn commit(&mut self, batch: &Batch) -> Result<(), CommitError> {
        self.kernel.commit(batch)?;
        // The kernel's counter skips 0.
        self.expected = self.expected.map(|expected| expected.checked_add(1).unwrap_or(1));
        Ok(())
    }

    /// Makes the kernel equal to the table, whatever it holds now.
    pub fn sync(&mut self, table: &ServiceTable, now: Instant) -> Result<Report, Vec<Error>> {
        self.each_family(|backend, family, report| backend.sync_family(table, family, now, report))
    }

    /// Makes the kernel equal to the table, which has just undergone this change.
    pub fn apply(
        &mut self,
        table: &ServiceTable,
        change: &Change,
        now: Instant,
    ) -> Result<Report, Vec<Error>> {
        for changed in &change.frontends {
            if self.quarantine.remove(&Culprit::Frontend(changed.frontend)).is_some() {
                self.states[changed.frontend.family()] = None;
            }
        }
        self.each_family(|backend, family, report| match backend.states[family].is_some() {
            true => backend.apply_to_family(table, change, family, now, report),
            false => backend.sync_family(table, family, now, report),
        })
    }

    /// Removes chains that nothing uses any more. Kernels before 6.2 release a chain some time after the last
    /// element that named it is gone, so this comes a while after the change; what the kernel refuses stays
    /// until a later call.
    pub fn collect_garbage(&mut self) -> Report {
        let mut report = Report::default();
        for family in Family::BOTH {
            let Some(state) = &mut self.states[family] else { continue };
            let batch = state.collect_garbage();
            if batch.is_empty() {
                continue;
            }
            match self.commit(&batch) {
                Ok(()) => report.count(&batch),
                Err(_) => self.states[family] = None,
            }
        }
        report
    }

    fn each_family(
        &mut self,
        mut step: impl FnMut(&mut Self, Family, &mut Report) -> Result<(), Error>,
    ) -> Result<Report, Vec<Error>> {
        let mut report = Report::default();
        let mut errors = Vec::new();
        for family in Family::BOTH {
            if let Err(error) = step(self, family, &mut report) {
                self.states[family] = None;
                errors.push(error);
            }
        }
        if errors.is_empty() { Ok(report) } else { Err(errors) }
    }

    fn apply_to_family(
        &mut self,
        table: &ServiceTable,
        change: &Change,
        family: Family,
        now: Instant,
        report: &mut Report,
    ) -> Result<(), Error> {
        let Some(state) = &mut self.states[family] else { return Ok(()) };
        let context = context(table, family, self.options);
        let mut ops = if *state.context() == context { Vec::new() } else { state.set_context(context) };
        let fates = change
            .frontends
            .iter()
            .filter(|changed| changed.frontend.family() == family)
            .map(|changed| (changed.frontend, changed.fate.as_ref()));
        let mut edits = state.set_fates(fates, &HashMap::new());
        shared_edits(change, family, state, &mut edits);
        let batch = state.batch(edits);
        ops.extend(batch.ops);
        let batch = Batch { ops, ..Batch::new(family) };
        if batch.is_empty() {
            return Ok(());
        }
        match self.commit(&batch) {
            Ok(()) => {
                report.count(&batch);
                Ok(())
            }
            Err(error) => {
                tracing::debug!(%family, %error, "a change did not go through; comparing the whole table");
                self.sync_family(table, family, now, report)
            }
        }
    }

    fn sync_family(
        &mut self,
        table: &ServiceTable,
        family: Family,
        now: Instant,
        report: &mut Report,
    ) -> Result<(), Error> {
        self.states[family] = None;
        self.quarantine.retain(|culprit, _| still_wanted(culprit, table));
        for attempt in 0..ATTEMPTS {
            let snapshot = self.kernel.read(family).map_err(|error| Error::Read { family, error })?;
            let out: BTreeSet<Culprit> = self
                .quarantine
                .iter()
                .filter(|(_, quarantined)| now < quarantined.until)
                .map(|(culprit, _)| *culprit)
                .collect();
            let found = snapshot.table.as_ref().map_or(&[][..], |found| &found.elements);
            let out = if self.keep_unknown { with_unknown(out, found, table) } else { out };
            let plan = Plan::new(table, context(table, family, self.options), snapshot.table, &out);
            let mut batch = plan.batch;
            batch.generation = snapshot.generation.filter(|_| attempt < STALE_ATTEMPTS);
            let outcome = if batch.is_empty() { Ok(()) } else { self.commit(&batch) };
            match outcome {
                Ok(()) => {
                    if !batch.is_empty() {
                        report.count(&batch);
                    }
                    self.quarantine.retain(|_, quarantined| now < quarantined.until);
                    self.remove_strays(&plan.strays, report);
                    self.states[family] = Some(plan.state);
                    report.synced.push(family);
                    return Ok(());
                }
                Err(CommitError::Stale | CommitError::Lost) => {}
                Err(CommitError::Refused(refusals)) => self.blame(table, &batch, &refusals, now, report)?,
                Err(error) => return Err(Error::Commit { family, hint: hint(&error), error }),
            }
        }
        Err(Error::Commit { family, error: CommitError::Stale, hint: "; trying again later" })
    }

    /// Quarantines what was refused; a refusal of the constant rules is the caller's.
    fn blame(
        &mut self,
        table: &ServiceTable,
        batch: &Batch,
        refusals: &[Refusal],
        now: Instant,
        report: &mut Report,
    ) -> Result<(), Error> {
        for Refusal { op, errno } in refusals {
            match &batch.ops[*op] {
                Op::Add(element) | Op::Remove(element) => {
                    let culprit = Culprit::of(element);
                    let attempts =
                        self.quarantine.get(&culprit).map_or(0, |quarantined| quarantined.attempts);
                    let retry_in = (QUARANTINE.0 * 2u32.saturating_pow(attempts.min(20))).min(QUARANTINE.1);
                    let quarantined = Quarantined { until: now + retry_in, attempts: attempts + 1 };
                    self.quarantine.insert(culprit, quarantined);
                    report.refused.push(Refused {
                        culprit,
                        service: owner(&culprit, table),
                        operation: format!("{:?}", batch.ops[*op]),
                        errno: *errno,
                        retry_in,
                    });
                }
                // Gone meanwhile; the next reading tells.
                Op::RemoveForeign(_) => {}
                op => return Err(unsupported(op, batch.family, *errno)),
            }
        }
        Ok(())
    }

    /// Chains and sets in our table that are not ours, or no longer: best effort.
    fn remove_strays(&mut self, strays: &Batch, report: &mut Report) {
        if strays.is_empty() {
            return;
        }
        match self.commit(strays) {
            Ok(()) => report.count(strays),
            Err(error) => tracing::debug!(%error, "left-over chains or sets stay for now"),
        }
    }
}

/// What a sync is about to do.
struct Plan {
    state: State,
    batch: Batch,
    strays: Batch,
}

impl Plan {
    fn new(
        table: &ServiceTable,
        context: Context,
        found: Option<TableState>,
        out: &BTreeSet<Culprit>,
    ) -> Self {
        let family = context.family;
        let mut state = State::new(context);
        let found = found.map(|mut found| {
            found.elements.sort_unstable();
            found
        });
        let elements = found.as_ref().map_or(&[][..], |found| &found.elements);
        let hints = hints(elements);
        for element in elements {
            if let Element::AffinityId(frontend, number) = element
                && let Some(fate) = table.fate(frontend)
                && fate.affinity.is_some()
            {
                state.adopt_number(&fate.service, *number);
            }
        }
        let of_family = table.frontends().filter(|(frontend, _)| frontend.family() == family);
        let wanted = of_family.filter(|(frontend, _)| !out.contains(&Culprit::Frontend(**frontend)));
        let mut edits = state.set_fates(wanted.map(|(frontend, fate)| (*frontend, Some(fate))), &hints);
        shared_edits(&table.everything(), family, &mut state, &mut edits);
        edits.retain(|element| !out.contains(&Culprit::of(element)));
        let kept = elements.iter().filter(|element| out.contains(&Culprit::of(element)));
        kept.for_each(|element| state.keep(element));
        match found {
            Some(found) if compatible(&found, family) => Plan::difference(state, edits, &found, out),
            found => Plan::anew(state, edits, found.is_some()),
        }
    }

    /// There is no table, or one of another layout: replace it as a whole.
    fn anew(mut state: State, edits: Edits, replace: bool) -> Self {
        let family = state.context().family;
        let contents = state.batch(edits);
        let mut batch = Batch::new(family);
        if replace {
            batch.ops.push(Op::DeleteTable);
        }
        batch.ops.push(Op::AddTable);
        batch.ops.extend(state.sets().into_iter().map(Op::AddSet));
        state.add_chains(&state.chains().iter().copied().collect::<Vec<_>>(), &mut batch);
        batch.ops.extend(contents.ops.into_iter().filter(|op| matches!(op, Op::Add(_))));
        Plan { state, batch, strays: Batch::new(family) }
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
        Plan { state, batch, strays }
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
    found.comment.as_deref() == Some(&comment()) && sets && chains
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

type PerScope = (Vec<kube_verdict_table::Backend>, Vec<kube_verdict_table::Backend>);

/// What the rules depend on beside the services.
pub(crate) fn context(table: &ServiceTable, family: Family, options: Options) -> Context {
    let node_ports = &table.node().node_port_addresses[family];
    Context {
        family,
        masquerade_mark: options.masquerade_mark,
        detector: table.settings().detector[family].clone(),
        node_ports_anywhere: *node_ports == NodePortAddresses::AnyLocal,
        service_cidrs: table.service_cidrs().iter().copied().filter(|cidr| cidr.family() == family).collect(),
    }
}

/// The edits of elements that are no frontend's.
pub(crate) fn shared_edits(change: &Change, family: Family, state: &mut State, edits: &mut Edits) {
    let of_family = |ip: &&IpAddr| Family::of(**ip) == family;
    change.cluster_ips.removed.iter().filter(of_family).for_each(|ip| edits.remove(Element::ClusterIp(*ip)));
    change.cluster_ips.added.iter().filter(of_family).for_each(|ip| edits.add(Element::ClusterIp(*ip)));
    let hairpins = |endpoints: &[(kube_verdict_table::Protocol, kube_verdict_table::Backend)]| {
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
fn with_unknown(mut out: BTreeSet<Culprit>, found: &[Element], table: &ServiceTable) -> BTreeSet<Culprit> {
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

fn still_wanted(culprit: &Culprit, table: &ServiceTable) -> bool {
    match culprit {
        Culprit::Frontend(frontend) => table.fate(frontend).is_some(),
        Culprit::Element(_) => true,
    }
}

fn owner(culprit: &Culprit, table: &ServiceTable) -> Option<ServicePortName> {
    match culprit {
        Culprit::Frontend(frontend) => table.fate(frontend).map(|fate| ServicePortName::clone(&fate.service)),
        Culprit::Element(_) => None,
    }
}

fn hint(error: &CommitError) -> &'static str {
    match error {
        CommitError::Io(error) => match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => {
                ". Programming nftables needs CAP_NET_ADMIN: run as root or grant it"
            }
            Some(libc::EMSGSIZE) => {
                ". Raise net.core.wmem_max, or grant CAP_NET_ADMIN in the initial namespace"
            }
            Some(libc::EOPNOTSUPP | libc::EPROTONOSUPPORT | libc::EINVAL) => {
                ". Is nf_tables there (CONFIG_NF_TABLES, Linux 5.13)? Try: modprobe nf_tables"
            }
            _ => "",
        },
        _ => "",
    }
}

fn unsupported(op: &Op, family: Family, errno: i32) -> Error {
    let needs = match op {
        Op::AddTable => {
            "It needs nf_tables for the family and table comments (CONFIG_NF_TABLES, Linux 5.10)".into()
        }
        Op::AddSet(Set::SourceRanges) => {
            "It needs ranges in concatenations (nft_set_pipapo, Linux 5.6)".into()
        }
        Op::AddSet(_) => "It needs concatenated maps with counters (Linux 5.7)".into(),
        Op::AddChain(chain) if chain.base().is_some() => {
            "It needs chains of type nat (CONFIG_NFT_NAT, CONFIG_NFT_CHAIN_NAT)".into()
        }
        Op::AddRule(_, rule) => {
            let mut needs: Vec<&str> = compile(rule, family).iter().map(requirement).collect();
            needs.sort_unstable();
            needs.dedup();
            format!("The rule needs {}", needs.join(", "))
        }
        _ => "Another program may be at work in our table".into(),
    };
    Error::Unsupported {
        family,
        operation: format!("{op:?}"),
        error: io::Error::from_raw_os_error(errno),
        hint: needs,
    }
}
