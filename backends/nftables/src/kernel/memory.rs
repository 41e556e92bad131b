//! A kernel in memory: one ruleset for each family that refuses what nf_tables refuses, and on demand more.
//!
//! It checks what `nf_tables_api.c` checks of batches like ours: names must exist before they are used, chains
//! in use cannot go, an element's data cannot be overwritten, ranges may not overlap, and nothing of a batch
//! that fails in any place becomes real. Like the kernel it goes on after an error, to report them all.

mod others;
mod packet;

use std::collections::{BTreeMap, VecDeque};

use kube_verdict_table::{Family, PerFamily};

use super::{
    ChainState, CommitError, Kernel, Note, ReadError, Refusal, SetState, Snapshot, TableState, Tenure,
};
use crate::batch::{Batch, ForeignElement, Op};
use crate::bytecode::{Expr, Jump, compile};
use crate::layout::{BRIDGE, Element, Set, comment};
use crate::wire;
pub use packet::{Ending, Packet};

/// A key, with the end of its range.
type Key = (Vec<u8>, Option<Vec<u8>>);

#[derive(Clone, Debug, Default)]
struct Table {
    comment: String,
    tenure: Tenure,
    sets: BTreeMap<String, SetState>,
    chains: BTreeMap<String, ChainState>,
    elements: BTreeMap<(Set, Key), Option<Element>>,
}

/// What goes wrong when.
pub type Fault = Box<dyn FnMut(&Batch) -> Option<CommitError> + Send>;

/// Which elements are refused, and with what errno.
pub type Refuse = Box<dyn Fn(&Element) -> Option<i32> + Send>;

/// The kernel.
#[derive(Default)]
pub struct MemoryKernel {
    tables: PerFamily<Option<Table>>,
    bridges: PerFamily<Option<Table>>,
    generation: u32,
    /// batches that became real, each with its number of operations
    pub committed: Vec<usize>,
    /// asked before each batch
    pub fault: Option<Fault>,
    /// asked for each element that is added
    pub refuse: Option<Refuse>,
    /// larger batches are refused as a whole
    pub largest: Option<usize>,
    /// so many of the next readings are disturbed
    pub unstable_reads: usize,
    /// whether others are heard: None, it is not listened at all; Some(false), just now not
    pub hears: Option<bool>,
    notes: VecDeque<Note>,
    /// a batch was committed, and listening not resumed
    is_deaf: bool,
}

impl MemoryKernel {
    /// An empty ruleset.
    pub fn new() -> Self {
        MemoryKernel::default()
    }

    /// Whether something stands in for the table.
    pub fn has_bridge(&self, family: Family) -> bool {
        self.bridges[family].is_some()
    }

    /// What there is, in order, to compare two kernels.
    pub fn contents(&self, family: Family) -> Option<TableState> {
        self.tables[family].as_ref().map(Table::state)
    }
}

impl Kernel for MemoryKernel {
    fn commit(&mut self, batch: &Batch) -> Result<(), CommitError> {
        self.is_deaf = true;
        if let Some(error) = self.fault.as_mut().and_then(|fault| fault(batch)) {
            return Err(error);
        }
        if self.largest.is_some_and(|largest| batch.ops.len() > largest) {
            return Err(CommitError::Io(std::io::Error::from_raw_os_error(libc::EMSGSIZE)));
        }
        if batch.generation.is_some_and(|generation| generation != self.generation) {
            return Err(CommitError::Stale);
        }
        let tables = if batch.table == BRIDGE { &mut self.bridges } else { &mut self.tables };
        let mut table = tables[batch.family].clone();
        let mut refusals = Vec::new();
        for (op, what) in batch.ops.iter().enumerate() {
            let refused = match (what, &self.refuse) {
                (Op::Add(element), Some(refuse)) => refuse(element),
                _ => None,
            };
            let result = refused.map_or_else(|| perform(&mut table, what, batch.family), Err);
            if let Err(errno) = result {
                refusals.push(Refusal { op, errno });
            }
        }
        if !refusals.is_empty() {
            return Err(CommitError::Refused(refusals));
        }
        tables[batch.family] = table;
        self.generation += 1;
        self.committed.push(batch.ops.len());
        Ok(())
    }

    fn read(&mut self, family: Family) -> Result<Snapshot, ReadError> {
        if self.unstable_reads > 0 {
            self.unstable_reads -= 1;
            return Err(ReadError::Unstable);
        }
        let has_bridge = self.bridges[family].is_some();
        Ok(Snapshot { generation: Some(self.generation), table: self.contents(family), has_bridge })
    }

    fn generation(&mut self) -> Result<u32, ReadError> {
        Ok(self.generation)
    }

    fn listens(&self) -> bool {
        self.hears.is_some()
    }

    fn resume(&mut self) {
        self.is_deaf = false;
    }

    fn hear(&mut self) -> Option<Note> {
        self.notes.pop_front()
    }
}

impl Table {
    fn state(&self) -> TableState {
        let mut state = TableState {
            comment: Some(self.comment.clone()),
            tenure: self.tenure,
            sets: self.sets.clone(),
            chains: self.chains.clone(),
            ..TableState::default()
        };
        for ((set, (key, key_end)), element) in &self.elements {
            match element {
                Some(element) => state.elements.push(*element),
                None => state.foreign.push(ForeignElement {
                    set: *set,
                    key: key.clone().into(),
                    key_end: key_end.clone().map(Into::into),
                }),
            }
        }
        state
    }

    fn uses(&self, chain: &str) -> bool {
        let by_rule =
            self.chains.values().flat_map(|state| state.rules.iter().flatten()).any(
                |expr| matches!(expr, Expr::Verdict(Jump::Jump(name) | Jump::Goto(name)) if name == chain),
            );
        let by_element =
            self.elements.values().flatten().filter_map(Element::chain).any(|used| used.to_string() == chain);
        by_rule || by_element
    }

    fn looks_up(&self, set: &str) -> bool {
        self.chains
            .values()
            .flat_map(|state| state.rules.iter().flatten())
            .any(|expr| set_of(expr) == Some(set))
    }

    fn check_rule(&self, exprs: &[Expr]) -> Result<(), i32> {
        let sets = exprs.iter().filter_map(set_of).all(|set| self.sets.contains_key(set));
        let chains = exprs.iter().all(|expr| match expr {
            Expr::Verdict(Jump::Jump(name) | Jump::Goto(name)) => self.chains.contains_key(name),
            _ => true,
        });
        if sets && chains { Ok(()) } else { Err(libc::ENOENT) }
    }

    fn add(&mut self, element: &Element, family: Family) -> Result<(), i32> {
        if !matches!(element, Element::AffinityTimeout(..)) && element_family(element) != family {
            return Err(libc::EINVAL);
        }
        if !self.sets.contains_key(element.set().name()) {
            return Err(libc::ENOENT);
        }
        if element.chain().is_some_and(|chain| !self.chains.contains_key(&chain.to_string())) {
            return Err(libc::ENOENT);
        }
        let place = (element.set(), key(element));
        if let Element::SourceRange(frontend, cidr) = element {
            let overlaps = self.elements.values().flatten().any(|other| match other {
                Element::SourceRange(of, there) if of == frontend => {
                    there != cidr && (there.contains(cidr.first()) || cidr.contains(there.first()))
                }
                _ => false,
            });
            if overlaps {
                return Err(libc::EEXIST);
            }
        }
        match self.elements.get(&place) {
            Some(there) if *there != Some(*element) => Err(libc::EEXIST),
            _ => {
                self.elements.insert(place, Some(*element));
                Ok(())
            }
        }
    }
}

fn perform(table: &mut Option<Table>, op: &Op, family: Family) -> Result<(), i32> {
    if table.as_ref().is_some_and(|table| table.tenure == Tenure::Others) {
        return Err(libc::EPERM);
    }
    match op {
        Op::AddTable { own } => {
            let tenure = if *own { Tenure::Ours } else { Tenure::Nobodys };
            let made = || Table { comment: comment(), tenure, ..Table::default() };
            let table = table.get_or_insert_with(made);
            // A table that was made without an owner cannot be given one.
            if *own && table.tenure == Tenure::Nobodys {
                return Err(libc::EOPNOTSUPP);
            }
            if *own {
                table.tenure = Tenure::Ours;
            }
            return Ok(());
        }
        Op::DeleteTable => return table.take().map(drop).ok_or(libc::ENOENT),
        _ => {}
    }
    let table = table.as_mut().ok_or(libc::ENOENT)?;
    match op {
        Op::AddTable { .. } | Op::DeleteTable => {}
        Op::AddSet(set) => {
            table.sets.insert(set.name().into(), SetState::of(*set, family));
        }
        Op::DeleteSet(name) => {
            if table.looks_up(name) {
                return Err(libc::EBUSY);
            }
            table.sets.remove(name).ok_or(libc::ENOENT)?;
            table.elements.retain(|(set, _), _| set.name() != name);
        }
        Op::AddChain(chain) => {
            let base = chain.base().map(|base| (base.kind.to_owned(), base.number, base.priority));
            table.chains.entry(chain.to_string()).or_insert(ChainState { base, rules: Vec::new() });
        }
        Op::FlushChain(name) => table.chains.get_mut(name).ok_or(libc::ENOENT)?.rules.clear(),
        Op::DeleteChain(name) => {
            if table.uses(name) || table.chains.get(name).is_some_and(|chain| !chain.rules.is_empty()) {
                return Err(libc::EBUSY);
            }
            table.chains.remove(name).ok_or(libc::ENOENT)?;
        }
        Op::AddRule(chain, rule) => {
            let exprs = compile(rule, family);
            table.check_rule(&exprs)?;
            table.chains.get_mut(&chain.to_string()).ok_or(libc::ENOENT)?.rules.push(exprs);
        }
        Op::Add(element) => return table.add(element, family),
        Op::Remove(element) => {
            table.elements.remove(&(element.set(), key(element))).ok_or(libc::ENOENT)?;
        }
        Op::RemoveForeign(foreign) => {
            let key = (foreign.key.to_vec(), foreign.key_end.as_ref().map(|end| end.to_vec()));
            table.elements.remove(&(foreign.set, key)).ok_or(libc::ENOENT)?;
        }
    }
    Ok(())
}

fn set_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Lookup { set, .. }
        | Expr::Map { set, .. }
        | Expr::VerdictMap { set, .. }
        | Expr::Dynset { set, .. } => Some(set),
        _ => None,
    }
}

fn key(element: &Element) -> Key {
    let encoded = wire::encode(element);
    (encoded.key().to_vec(), encoded.key_end().map(<[u8]>::to_vec))
}

/// The family whose table can hold an element; numbers fit both.
fn element_family(element: &Element) -> Family {
    match element {
        Element::Hairpin(_, backend) => Family::of(backend.ip),
        Element::ClusterIp(ip) | Element::NodePortAddress(ip) => Family::of(*ip),
        other => other.frontend().map_or(Family::V4, |frontend| frontend.family()),
    }
}
