//! A batch: operations on one family's table that the kernel applies all or none.

use kube_verdict_table::Family;

use crate::layout::{Chain, Element, Rule, Set, TABLE};

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// make our table, with its comment; or, if `own`, make one that belongs to who sends this, or take over one whose
    /// owner is gone
    AddTable {
        /// nobody else may change it
        own: bool,
    },
    /// remove our table and all in it
    DeleteTable,
    /// make a set or map
    AddSet(Set),
    /// remove a set by name
    DeleteSet(String),
    /// make an empty chain; a base chain with its hook
    AddChain(Chain),
    /// remove all rules of a chain
    FlushChain(String),
    /// remove an empty chain
    DeleteChain(String),
    /// append a rule
    AddRule(Chain, Rule),
    /// add an element; its key must be free, or hold the very same
    Add(Element),
    /// remove the element with this one's key
    Remove(Element),
    /// remove an element that we would not have written
    RemoveForeign(ForeignElement),
}

/// An element of one of our sets that says nothing we would say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ForeignElement {
    /// where
    pub set: Set,
    /// the key as the kernel keeps it
    pub key: Box<[u8]>,
    /// the end of the range, in sets of ranges
    pub key_end: Option<Box<[u8]>>,
}

/// Operations that become real together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// whose table
    pub family: Family,
    /// which of the two: ours, or what stands in for it
    pub table: &'static str,
    /// in this order
    pub ops: Vec<Op>,
    /// the ruleset's generation that the operations are based on; the kernel refuses others (NFNL_BATCH_GENID)
    pub generation: Option<u32>,
}

impl Batch {
    /// Nothing to do yet.
    pub fn new(family: Family) -> Self {
        Batch { family, table: TABLE, ops: Vec::new(), generation: None }
    }

    /// The same about other operations, of which there are none yet.
    pub fn clone_head(&self) -> Self {
        Batch { ops: Vec::new(), ..*self }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }
}
