//! What the backend can say of a family at any time, for metrics: numbers that are kept beside what they
//! count, so that asking costs nothing.

use std::time::Duration;

use kube_verdict_table::Family;

use super::Nftables;
use crate::state::Held;

/// A family's numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures<'a> {
    /// elements in the kernel; None while what it has is not known
    pub held: Option<&'a Held>,
    /// how long the last sync or change took; None if there was nothing to do in this family
    pub took: Option<Duration>,
    /// how often left-over chains or sets could not be removed (they are tried again), since the start
    pub cleanup_failures: u64,
}

impl<K, C> Nftables<K, C> {
    /// A family's numbers.
    pub fn figures(&self, family: Family) -> Figures<'_> {
        Figures {
            held: self.states[family].as_ref().map(|state| state.held()),
            took: self.took[family],
            cleanup_failures: self.cleanup_failures[family],
        }
    }

    /// How many frontends and elements the kernel refuses at present, both families together.
    pub fn quarantined(&self) -> usize {
        self.quarantine.v4.len() + self.quarantine.v6.len()
    }
}
