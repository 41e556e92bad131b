//! Where objects come from. Every source says the same things: what changed ([`Batch::events`]), and what a
//! person should know about what it read ([`Batch::problems`]). There are two: the API of a cluster
//! ([`kubernetes`]) and a directory of [`manifests`].

pub mod kubernetes;
pub mod manifests;
mod problem;

use std::future::Future;
use std::time::SystemTime;

use kube_verdict_table::objects::ObjectEvent;
use tokio::sync::mpsc;

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
    /// some of what was told so far is from a table that was kept at this time ([`crate::warm`]), because not
    /// everything can be read yet
    pub kept: Option<SystemTime>,
}

/// Where batches come from. The first is everything that there is.
pub trait Source {
    /// Waits for the next. None: there will never be one. Dropping the future loses nothing.
    fn next(&mut self) -> impl Future<Output = Option<Batch>>;

    /// The next, if it is there.
    fn try_next(&mut self) -> Option<Batch>;
}

impl Source for mpsc::Receiver<Batch> {
    async fn next(&mut self) -> Option<Batch> {
        self.recv().await
    }

    fn try_next(&mut self) -> Option<Batch> {
        self.try_recv().ok()
    }
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
