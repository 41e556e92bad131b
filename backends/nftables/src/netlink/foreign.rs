//! Tables that somebody else made: enough to remove from them what a predecessor left.
//!
//! What is read of them is which chains there are and which rules jump where; the rest of a rule is neither
//! read nor written again, so what stays is as it was, counters and all. Facts: `enum nft_rule_attributes`,
//! `nft_immediate_attributes`, `nft_verdict_attributes` of linux/netfilter/nf_tables.h.

use std::collections::BTreeSet;
use std::io;

use kube_verdict_table::Family;

use super::attributes::{Writer, attribute, attributes};
use super::encode::kind;
use super::objects::nfproto;
use super::{Netlink, Prepared};
use crate::kernel::{CommitError, ReadError};

/// How often a reading that others disturbed is begun anew.
const READ_ATTEMPTS: usize = 10;

/// NFTA_TABLE_NAME, NFTA_CHAIN_*, NFTA_RULE_*
const TABLE_NAME: u16 = 1;
const CHAIN_TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const RULE_TABLE: u16 = 1;
const RULE_CHAIN: u16 = 2;
const RULE_HANDLE: u16 = 3;
const RULE_EXPRESSIONS: u16 = 4;

/// NFTA_LIST_ELEM, NFTA_EXPR_*, NFTA_IMMEDIATE_DATA, NFTA_DATA_VERDICT, NFTA_VERDICT_CHAIN
const LIST_ELEM: u16 = 1;
const EXPRESSION_NAME: u16 = 1;
const EXPRESSION_DATA: u16 = 2;
const IMMEDIATE_DATA: u16 = 2;
const DATA_VERDICT: u16 = 2;
const VERDICT_CHAIN: u16 = 2;

/// A rule that jumps, in a table of somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignRule {
    /// the chain it is in
    pub chain: String,
    /// the kernel's number for it; a table never uses one twice
    pub handle: u64,
    /// the chain that it jumps or goes to
    pub target: String,
}

/// A table of somebody else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForeignTable {
    /// the names of its chains
    pub chains: BTreeSet<String>,
    /// the rules that jump somewhere, in the chains that were asked for
    pub jumps: Vec<ForeignRule>,
}

/// Something to be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// a table and all in it
    Table(String),
    /// all rules of a chain
    Rules {
        /// the table
        table: String,
        /// the chain
        chain: String,
    },
    /// one rule
    Rule {
        /// the table
        table: String,
        /// the chain
        chain: String,
        /// [`ForeignRule::handle`]
        handle: u64,
    },
    /// a chain without rules, to which nothing jumps
    Chain {
        /// the table
        table: String,
        /// the chain
        chain: String,
    },
}

impl Removal {
    fn write(&self, out: &mut Writer, family: Family, sequence: u32) {
        let kind = kind::of(match self {
            Removal::Table(_) => kind::DELTABLE,
            Removal::Rules { .. } | Removal::Rule { .. } => kind::DELRULE,
            Removal::Chain { .. } => kind::DELCHAIN,
        });
        let open = out.message(kind, libc::NLM_F_REQUEST as u16, sequence, nfproto(family), 0);
        match self {
            Removal::Table(table) => out.put_str(TABLE_NAME, table),
            Removal::Rules { table, chain } => {
                out.put_str(RULE_TABLE, table);
                out.put_str(RULE_CHAIN, chain);
            }
            Removal::Rule { table, chain, handle } => {
                out.put_str(RULE_TABLE, table);
                out.put_str(RULE_CHAIN, chain);
                out.put(RULE_HANDLE, &handle.to_be_bytes());
            }
            Removal::Chain { table, chain } => {
                out.put_str(CHAIN_TABLE, table);
                out.put_str(CHAIN_NAME, chain);
            }
        }
        out.end_message(open);
    }
}

impl Netlink {
    /// Removes a table and all in it, in whatever state; says whether it was there.
    pub fn delete_table(&mut self, family: Family, name: &str) -> io::Result<bool> {
        match self.remove(family, &[Removal::Table(name.to_owned())]) {
            Ok(()) => Ok(true),
            Err(CommitError::Refused(refusals)) => {
                match refusals.first().map_or(0, |refusal| refusal.errno) {
                    libc::ENOENT | libc::EAFNOSUPPORT => Ok(false),
                    errno => Err(io::Error::from_raw_os_error(errno)),
                }
            }
            Err(CommitError::Io(error)) => Err(error),
            Err(error) => Err(io::Error::other(error.to_string())),
        }
    }

    /// Whether there is a table of this name.
    pub fn has_table(&mut self, family: Family, name: &str) -> Result<bool, ReadError> {
        let mut is_there = false;
        self.dump(kind::GETTABLE, family, &[], |message| {
            is_there |= attribute(message.body(), TABLE_NAME).and_then(|text| text.str()) == Some(name);
        })?;
        Ok(is_there)
    }

    /// Removes all of these, in this order and in one transaction, or nothing. A refusal's `op` is an index
    /// into them.
    pub fn remove(&mut self, family: Family, removals: &[Removal]) -> Result<(), CommitError> {
        if removals.is_empty() {
            return Ok(());
        }
        let mut encoder = std::mem::take(&mut self.spare);
        let first = self.sequence.wrapping_add(1);
        let last = encoder.encode_each(removals.len(), first, |out, index, sequence| {
            removals[index].write(out, family, sequence);
        });
        self.sequence = last.wrapping_add(1);
        let prepared = Prepared { encoder, first, last };
        let result = self.send(&prepared);
        self.spare = prepared.encoder;
        self.spare.reset();
        result
    }

    /// Reads somebody's table; the rules only of chains in which `look` wants to look, since the time that the
    /// kernel takes to list all rules of a large table grows with its square. A table that does not exist has no
    /// chains.
    pub fn read_foreign(
        &mut self,
        family: Family,
        name: &str,
        look: impl Fn(&str) -> bool,
    ) -> Result<ForeignTable, ReadError> {
        for _ in 0..READ_ATTEMPTS {
            self.is_disturbed = false;
            match self.try_read_foreign(family, name, &look) {
                Ok(table) if !self.is_disturbed => return Ok(table),
                Ok(_) | Err(ReadError::Unstable) => {}
                Err(error) => return Err(error),
            }
        }
        Err(ReadError::Unstable)
    }

    fn try_read_foreign(
        &mut self,
        family: Family,
        name: &str,
        look: &dyn Fn(&str) -> bool,
    ) -> Result<ForeignTable, ReadError> {
        let mut table = ForeignTable::default();
        self.dump(kind::GETCHAIN, family, &[], |message| {
            let text = |kind| attribute(message.body(), kind).and_then(|text| text.str());
            if text(CHAIN_TABLE) == Some(name)
                && let Some(chain) = text(CHAIN_NAME)
            {
                table.chains.insert(chain.to_owned());
            }
        })?;
        for chain in table.chains.iter().filter(|chain| look(chain)) {
            self.dump(kind::GETRULE, family, &[(RULE_TABLE, name), (RULE_CHAIN, chain)], |message| {
                table.jumps.extend(jump(message.body(), name, chain));
            })?;
        }
        Ok(table)
    }
}

/// The rule in a message, if it is one of the chain's and jumps.
fn jump(body: &[u8], table: &str, chain: &str) -> Option<ForeignRule> {
    attribute(body, RULE_TABLE).filter(|name| name.str() == Some(table))?;
    attribute(body, RULE_CHAIN).filter(|name| name.str() == Some(chain))?;
    let handle = u64::from_be_bytes(attribute(body, RULE_HANDLE)?.data.try_into().ok()?);
    let list = attribute(body, RULE_EXPRESSIONS)?;
    let target = attributes(list.data)
        .filter(|expression| expression.kind == LIST_ELEM)
        .find_map(|e| target(e.data))?;
    Some(ForeignRule { chain: chain.to_owned(), handle, target })
}

/// Where an expression jumps, if it does: only `immediate` verdicts name a chain.
fn target(expression: &[u8]) -> Option<String> {
    attribute(expression, EXPRESSION_NAME).filter(|name| name.str() == Some("immediate"))?;
    let data = attribute(expression, EXPRESSION_DATA)?;
    let value = attribute(data.data, IMMEDIATE_DATA)?;
    let verdict = attribute(value.data, DATA_VERDICT)?;
    attribute(verdict.data, VERDICT_CHAIN)?.str().map(str::to_owned)
}
