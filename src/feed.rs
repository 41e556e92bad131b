//! What a source and the node say, as inputs of the loop.
//!
//! A Node object among the events, or a new address on an interface, changes what the table wants to know of
//! the node; so both streams meet here.

use std::time::SystemTime;

use tokio::sync::watch;

use crate::node::{Fixed, Interfaces, ThisNode};
use crate::reconcile::{Input, News};
use crate::source::{Batch, Problem, Source};

/// The streams, and the node as they have it so far.
pub struct Feed<S> {
    source: S,
    interfaces: watch::Receiver<Interfaces>,
    this: ThisNode,
    /// the source's first batch is there: before it nothing is news, or an address that comes while an API server
    /// is waited for would be taken for all that there is
    has_begun: bool,
    /// set when the interfaces' stream ended; addresses are then as they were
    interfaces_ended: bool,
    has_gaps: bool,
    kept: Option<SystemTime>,
    /// what must not change any more
    fixed: Option<Fixed>,
    /// why there is no more news
    ended: Option<String>,
}

impl<S: Source> Feed<S> {
    /// Nothing is read before it is asked for.
    pub fn new(source: S, interfaces: watch::Receiver<Interfaces>, this: ThisNode) -> Self {
        Feed {
            source,
            interfaces,
            this,
            has_begun: false,
            interfaces_ended: false,
            has_gaps: false,
            kept: None,
            fixed: None,
            ended: None,
        }
    }

    /// The node.
    pub fn node(&self) -> &ThisNode {
        &self.this
    }

    /// From here on a node that differs from this in what is fixed for the life of a table is the end: the
    /// process is to be started again by whoever supervises it, as kube-proxy is (reference §1.4).
    pub fn fix(&mut self, fixed: Fixed) {
        self.fixed = Some(fixed);
    }

    /// Why there is no more news, after they ended.
    pub fn ended(&self) -> &str {
        self.ended.as_deref().unwrap_or("the source of objects ended")
    }

    fn check_fixed(&mut self) -> Option<()> {
        let departure = self.fixed.as_ref().and_then(|fixed| self.this.departure(fixed));
        self.ended = departure.map(|why| format!("Node {}: {why}", self.this.name()));
        self.ended.is_none().then_some(())
    }

    /// Takes a batch in: what is to be said is said, the rest is the input. Whether the node changed.
    fn absorb(&mut self, batch: Batch, input: &mut Input) -> bool {
        self.has_begun = true;
        batch.problems.iter().for_each(Problem::log);
        let changed = self.this.observe(&batch.events);
        input.events.extend(batch.events);
        (self.has_gaps, self.kept) = (batch.has_gaps, batch.kept);
        changed
    }
}

impl<S: Source> News for Feed<S> {
    async fn next(&mut self) -> Option<Input> {
        let mut input = Input::default();
        let mut node_changed = tokio::select! {
            // Whichever is first, what the other has is taken in as well.
            biased;
            batch = self.source.next() => self.absorb(batch?, &mut input),
            changed = self.interfaces.changed(), if self.has_begun && !self.interfaces_ended => {
                self.interfaces_ended = changed.is_err();
                true
            }
        };
        while let Some(batch) = self.source.try_next() {
            node_changed |= self.absorb(batch, &mut input);
        }
        self.check_fixed()?;
        if self.interfaces.has_changed().unwrap_or(false) || node_changed {
            self.this.set_interfaces(self.interfaces.borrow_and_update().clone());
            input.node = Some(self.this.state());
        }
        (input.has_gaps, input.kept) = (self.has_gaps, self.kept);
        Some(input)
    }
}
