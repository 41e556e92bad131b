//! What a source and the node say, as inputs of the loop.
//!
//! A Node object among the events, or a new address on an interface, changes what the table wants to know of
//! the node; so both streams meet here.

use kube_verdict_table::Settings;
use tokio::sync::{mpsc, watch};

use crate::node::{Interfaces, ThisNode, Unknown};
use crate::reconcile::{Input, News};
use crate::source::{Batch, Problem};

/// The streams, and the node as they have it so far.
pub struct Feed {
    batches: mpsc::Receiver<Batch>,
    interfaces: watch::Receiver<Interfaces>,
    this: ThisNode,
    /// set when the interfaces' stream ended; addresses are then as they were
    interfaces_ended: bool,
    has_gaps: bool,
    /// why there is no more news
    ended: Option<String>,
}

impl Feed {
    /// Nothing is read before it is asked for.
    pub fn new(
        batches: mpsc::Receiver<Batch>,
        interfaces: watch::Receiver<Interfaces>,
        this: ThisNode,
    ) -> Self {
        Feed { batches, interfaces, this, interfaces_ended: false, has_gaps: false, ended: None }
    }

    /// The node.
    pub fn node(&self) -> &ThisNode {
        &self.this
    }

    /// Why there is no more news, after they ended.
    pub fn ended(&self) -> &str {
        self.ended.as_deref().unwrap_or("the reader of the manifests ended")
    }

    /// What is fixed for the life of a table has to be as it was; else the process ends, to be started again
    /// by whoever supervises it, as kube-proxy does (reference §1.4).
    fn check_settings(&mut self, before: Result<Settings, Unknown>) -> Option<()> {
        let Ok(before) = before else { return Some(()) };
        let message = match self.this.settings() {
            Ok(settings) if settings == before => return Some(()),
            Ok(_) => {
                "spec.podCIDRs changed, which detectLocalMode NodeCIDR depends on: start again".to_owned()
            }
            Err(unknown) => unknown.to_string(),
        };
        self.ended = Some(format!("Node {}: {message}", self.this.name()));
        None
    }

    /// Takes a batch in: what is to be said is said, the rest is the input. Whether the node changed.
    fn absorb(&mut self, batch: Batch, input: &mut Input) -> bool {
        batch.problems.iter().for_each(Problem::log);
        let changed = self.this.observe(&batch.events);
        input.events.extend(batch.events);
        self.has_gaps = batch.has_gaps;
        changed
    }
}

impl News for Feed {
    async fn next(&mut self) -> Option<Input> {
        let mut input = Input::default();
        let settings = self.this.settings();
        let mut node_changed = tokio::select! {
            batch = self.batches.recv() => self.absorb(batch?, &mut input),
            changed = self.interfaces.changed(), if !self.interfaces_ended => {
                self.interfaces_ended = changed.is_err();
                true
            }
        };
        while let Ok(batch) = self.batches.try_recv() {
            node_changed |= self.absorb(batch, &mut input);
        }
        self.check_settings(settings)?;
        if self.interfaces.has_changed().unwrap_or(false) || node_changed {
            self.this.set_interfaces(self.interfaces.borrow_and_update().clone());
            input.node = Some(self.this.state());
        }
        input.has_gaps = self.has_gaps;
        Some(input)
    }
}
