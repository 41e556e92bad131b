//! The kernel, as the backend sees it: batches go in, snapshots come out.
//!
//! [`crate::Netlink`] is the real one; [`memory::MemoryKernel`] keeps a ruleset in memory and refuses what the
//! real one refuses, so that the backend can be tested without privileges and with faults.

use std::collections::BTreeMap;
use std::io;

use kube_verdict_table::Family;

use crate::batch::{Batch, ForeignElement};
use crate::bytecode::Expr;
use crate::layout::{BaseHook, Element, Set};

pub mod memory;
mod note;

pub use note::{Author, Note};

/// Where rulesets live.
pub trait Kernel {
    /// Applies a batch, all or nothing.
    fn commit(&mut self, batch: &Batch) -> Result<(), CommitError>;

    /// Reads one family's table, as of one generation where others leave time for it.
    fn read(&mut self, family: Family) -> Result<Snapshot, ReadError>;

    /// The generation of the whole ruleset: every batch of anybody's that changes something counts one up.
    fn generation(&mut self) -> Result<u32, ReadError>;

    /// Waits until packets that are on their way through the rules of before the last batch are through.
    fn let_pass(&mut self) {}

    /// Whether [`Kernel::hear`] tells what others do.
    fn listens(&self) -> bool {
        false
    }

    /// Listens again. From a commit on until this nothing is heard, so that our own batches are not.
    fn resume(&mut self) {}

    /// What somebody else did that was not told yet; None: nothing.
    fn hear(&mut self) -> Option<Note> {
        None
    }
}

/// One operation that the kernel refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// index into the batch's operations
    pub op: usize,
    /// the errno
    pub errno: i32,
}

/// Why a batch did not become real. Nothing of it did, save after [`CommitError::Lost`].
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The kernel refused some operations; there may be more of them.
    #[error("the kernel refused {} operation(s), the first with {}", .0.len(), io::Error::from_raw_os_error(.0.first().map_or(0, |r| r.errno)))]
    Refused(Vec<Refusal>),
    /// Someone changed the ruleset since the generation that the batch is based on.
    #[error("the ruleset changed under way")]
    Stale,
    /// The kernel's answer was lost (ENOBUFS): the batch may be real or not.
    #[error("the kernel's answer was lost")]
    Lost,
    /// The batch could not be handed over (EPERM, ENOMEM, EMSGSIZE, …), or the kernel gave up on all of it.
    #[error("the kernel takes no batch: {0}")]
    Io(#[from] io::Error),
}

/// Why the ruleset could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The ruleset kept changing while we read (NLM_F_DUMP_INTR, other generation).
    #[error("the ruleset kept changing while it was read")]
    Unstable,
    /// The kernel or the socket failed.
    #[error("cannot read the ruleset: {0}")]
    Io(#[from] io::Error),
}

/// A chain as the kernel has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChainState {
    /// its hook, if it has one: kind, number, priority
    pub base: Option<(String, u32, i32)>,
    /// its rules' bytecode
    pub rules: Vec<Vec<Expr>>,
}

impl ChainState {
    /// Whether it hooks in as `base` says.
    pub fn hooks_like(&self, base: Option<BaseHook>) -> bool {
        match (&self.base, base) {
            (None, None) => true,
            (Some((kind, number, priority)), Some(base)) => {
                kind == base.kind && *number == base.number && *priority == base.priority
            }
            _ => false,
        }
    }
}

/// A set as the kernel has it: what must agree with the declaration for its elements to be ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetState {
    /// bytes of the key
    pub key_length: u32,
    /// NFT_SET_* flags
    pub flags: u32,
    /// bytes of the data, 0 for verdicts and sets
    pub data_length: u32,
    /// nftables' number of the data's type, 0 for sets
    pub data_type: u32,
}

/// One family's table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// the generation of the whole ruleset; None when others change theirs so fast that none can be named
    pub generation: Option<u32>,
    /// our table, if it is there
    pub table: Option<TableState>,
    /// what stood in for it is there, because somebody was interrupted while it was replaced
    pub has_bridge: bool,
}

/// What is in our table. The elements of [`Set::Affinity`] belong to the packet path and are not read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableState {
    /// its comment
    pub comment: Option<String>,
    /// whose it is
    pub tenure: Tenure,
    /// its sets by name
    pub sets: BTreeMap<String, SetState>,
    /// its chains by name
    pub chains: BTreeMap<String, ChainState>,
    /// elements that we could have written
    pub elements: Vec<Element>,
    /// elements that we could not
    pub foreign: Vec<ForeignElement>,
}

/// Whose a table is: who but its owner wants to change it is refused (EPERM).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tenure {
    /// anybody may change it
    #[default]
    Nobodys,
    /// it outlived its owner: anybody may change it, or own it
    Orphan,
    /// this socket's
    Ours,
    /// another socket's
    Others,
}

impl SetState {
    /// What the kernel says of a set that was made by its declaration.
    pub fn of(set: Set, family: Family) -> Self {
        crate::wire::set_state(&set.declaration(family), family)
    }
}
