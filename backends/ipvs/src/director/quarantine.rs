//! What the kernel refuses, and when it is tried again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kube_verdict_ipvs_codec::{Key, Order};
use kube_verdict_nftables::Term;
use kube_verdict_table::Backend;

/// What a refusal is blamed on: the virtual server of a mark, or one of its real servers. What cannot be given may
/// have to be taken, and the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Culprit {
    pub(super) mark: u32,
    pub(super) backend: Option<Backend>,
    takes: bool,
}

impl Culprit {
    /// What is to blame if an order is refused.
    pub(super) fn of(order: &Order) -> Culprit {
        let backend = order.real_server().map(|real| Backend { ip: real.address, port: real.port });
        let takes = match order {
            Order::Delete(_) | Order::DeleteFrom(..) => true,
            Order::ChangeIn(_, real) => real.weight == 0,
            Order::Add(_) | Order::Change(_) | Order::AddTo(..) => false,
        };
        Culprit { mark: mark(order.key()), backend, takes }
    }
}

/// Everything that is refused at present.
#[derive(Debug, Default)]
pub(super) struct Quarantine {
    terms: BTreeMap<Culprit, Term>,
}

impl Quarantine {
    /// Puts something in for longer than the last time; for how long.
    pub(super) fn put(&mut self, culprit: Culprit, now: Instant) -> Duration {
        let term = Term::after(self.terms.get(&culprit).copied(), now);
        self.terms.insert(culprit, term);
        term.until - now
    }

    /// Whether an order has to wait.
    pub(super) fn holds(&self, order: &Order, now: Instant) -> bool {
        !self.terms.is_empty() && self.terms.get(&Culprit::of(order)).is_some_and(|term| now < term.until)
    }

    /// Forgets what is known of a mark: it stands for something else now.
    pub(super) fn forget(&mut self, mark: u32) {
        self.terms.retain(|culprit, _| culprit.mark != mark);
    }

    /// Forgets what was due and has not come back.
    pub(super) fn settle(&mut self, now: Instant) {
        self.terms.retain(|_, term| now < term.until);
    }

    /// The marks of which something is due for another try.
    pub(super) fn due(&self, now: Instant) -> impl Iterator<Item = u32> {
        self.terms.iter().filter(move |(_, term)| term.until <= now).map(|(culprit, _)| culprit.mark)
    }

    /// When something is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.terms.values().map(|term| term.until).min()
    }

    pub(super) fn len(&self) -> usize {
        self.terms.len()
    }
}

/// The mark of a virtual server of ours.
pub(super) fn mark(key: &Key) -> u32 {
    match key {
        Key::Mark { mark, .. } => *mark,
        Key::Address { .. } => 0,
    }
}
