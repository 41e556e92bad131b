//! What the backend says of its work: what was written, what was refused, what could not be done at all.

use std::fmt;
use std::io;
use std::time::Duration;

use kube_verdict_table::{Family, Frontend, ServicePortName};

use crate::batch::{Batch, Op};
use crate::bytecode::{compile, requirement};
use crate::kernel::{CommitError, ReadError};
use crate::layout::{Element, Set};

/// What a refusal is blamed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Culprit {
    /// all elements of a frontend
    Frontend(Frontend),
    /// an element that is no frontend's
    Element(Element),
}

impl Culprit {
    pub(super) fn of(element: &Element) -> Self {
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
    pub(super) fn count(&mut self, batch: &Batch) {
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
    #[error("{family}: {error}{hint}")]
    Read {
        /// whose table
        family: Family,
        /// what happened
        error: ReadError,
        /// the next step
        hint: &'static str,
    },
}

impl Error {
    /// Whose table it is about.
    pub fn family(&self) -> Family {
        match self {
            Error::Unsupported { family, .. } | Error::Commit { family, .. } | Error::Read { family, .. } => {
                *family
            }
        }
    }

    pub(super) fn commit(family: Family, error: CommitError) -> Self {
        let hint = match &error {
            CommitError::Io(error) => hint(error),
            CommitError::Stale => "; trying again later",
            _ => "",
        };
        Error::Commit { family, error, hint }
    }

    pub(super) fn read(family: Family, error: ReadError) -> Self {
        let hint = match &error {
            ReadError::Io(error) => hint(error),
            ReadError::Unstable => "; trying again later",
        };
        Error::Read { family, error, hint }
    }
}

/// The next step after the kernel would not talk to us.
fn hint(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            ". Either CAP_NET_ADMIN is missing (run as root, or grant it), or another process owns our table \
             (`nft list tables` shows `flags owner`)"
        }
        Some(libc::EMSGSIZE) => {
            ", and not in smaller parts either. Raise net.core.wmem_max, or grant CAP_NET_ADMIN in the initial namespace"
        }
        Some(libc::EOPNOTSUPP | libc::EPROTONOSUPPORT | libc::EINVAL) => {
            ". Is nf_tables there (CONFIG_NF_TABLES, Linux 5.10)? Try: modprobe nf_tables"
        }
        _ => "",
    }
}

/// The kernel refuses one of the constant rules, or what they need.
pub(super) fn unsupported(op: &Op, family: Family, errno: i32) -> Error {
    let needs = match op {
        _ if matches!(errno, libc::ENOMEM | libc::ENOBUFS) => {
            "It has no memory for it just now; it is tried again".into()
        }
        Op::AddTable { own: true } => {
            "A table that has an owner and outlives it needs Linux 6.9: do without --own-tables".into()
        }
        Op::AddTable { own: false } => {
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
