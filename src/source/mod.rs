//! Where objects come from. Every source says the same things: what changed ([`Batch::events`]), and what a
//! person should know about what it read ([`Batch::problems`]). Today there is one, a directory of
//! [`manifests`].

pub mod manifests;
mod problem;

use kube_verdict_table::objects::ObjectEvent;

pub use problem::{Problem, Severity};

/// What a source has to say at once. The events of one batch are one change: apply them together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// what changed, each object at most once
    pub events: Vec<ObjectEvent>,
    /// for the log
    pub problems: Vec<Problem>,
    /// the source knows of definitions that it could never read: what they define may be served by the kernel
    /// since an earlier run, and is not to be taken for removed
    pub has_gaps: bool,
}

impl Batch {
    /// Whether there is nothing to apply and nothing to say.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.problems.is_empty()
    }

    /// Whether something that was meant to be served could not be read.
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }
}
