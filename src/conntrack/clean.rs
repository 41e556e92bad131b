//! One clean-up: look at the flows to some targets, delete the stale ones.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use kube_verdict_table::Family;

use super::{Entry, Filter, Targets};

/// Stale flows that are gathered before they are deleted: what a flood of flows takes in memory is bounded.
const GATHERED: usize = 1 << 16;
/// How often a dump that others disturbed is repeated at once.
const PASSES: usize = 3;

/// Conntrack: the kernel, or something like it.
pub trait Kernel {
    /// Calls `each` for UDP flows, those that `filter` speaks of among them. False: some may be missing.
    fn dump(&mut self, filter: &Filter, each: &mut dyn FnMut(&Entry)) -> io::Result<bool>;

    /// Deletes flows and returns how many of them were still there.
    fn delete(&mut self, entries: &[Entry]) -> io::Result<usize>;
}

/// A clean-up that went well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    /// the family that it was about
    pub family: Family,
    /// how long it took
    pub took: Duration,
    /// how many flows it deleted
    pub deleted: usize,
}

/// Deletes the flows of a family that `targets` says are stale, unless `is_outdated` says of what they were
/// sent to that something newer is known by now. Returns how many were deleted.
pub fn clean(
    kernel: &mut impl Kernel,
    family: Family,
    targets: &Targets,
    is_outdated: impl Fn(&SocketAddr) -> bool,
) -> io::Result<usize> {
    let mut deleted = 0;
    for filter in targets.filters(family) {
        let mut pass = 0;
        loop {
            let mut stale: Vec<Entry> = Vec::new();
            let is_complete = kernel.dump(&filter, &mut |entry| {
                if stale.len() < GATHERED && targets.is_stale(entry) {
                    stale.push(*entry);
                }
            })?;
            let is_full = stale.len() == GATHERED;
            stale.retain(|entry| !is_outdated(&entry.original.destination));
            let gone = if stale.is_empty() { 0 } else { kernel.delete(&stale)? };
            deleted += gone;
            pass += 1;
            if !(is_full && gone > 0 || !is_complete && pass < PASSES) {
                break;
            }
        }
    }
    Ok(deleted)
}

#[cfg(test)]
#[path = "clean_tests.rs"]
mod tests;
