//! What the director can say of a family at any time, for metrics.

use kube_verdict_table::Family;

use super::Director;

/// A family's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// virtual servers in the kernel that are wanted
    pub virtual_servers: usize,
    /// real servers in the kernel that get connections
    pub real_servers: usize,
    /// virtual servers in the kernel that are not wanted, and go when their last connection has ended
    pub draining_virtual_servers: usize,
    /// real servers in the kernel that get no new connections, and go when their last has ended
    pub draining_real_servers: usize,
    /// virtual servers with another scheduler than was asked for
    pub schedulers_replaced: usize,
    /// what the kernel refuses at present
    pub quarantined: usize,
}

impl<K> Director<K> {
    /// A family's numbers; None while what the kernel has is not known.
    pub fn figures(&self, family: Family) -> Option<Figures> {
        let book = &self.books[family];
        if !book.is_known {
            return None;
        }
        let mut figures = Figures { quarantined: book.quarantine.len(), ..Figures::default() };
        for place in book.places.values().filter(|place| place.held.is_some()) {
            let (serving, draining) = place.count();
            figures.real_servers += serving;
            figures.draining_real_servers += draining;
            match place.is_wanted {
                true => figures.virtual_servers += 1,
                false => figures.draining_virtual_servers += 1,
            }
            let is_replaced = |server| self.schedulers.choose(server).why.is_some();
            figures.schedulers_replaced += usize::from(place.wanted().is_some_and(is_replaced));
        }
        Some(figures)
    }
}
