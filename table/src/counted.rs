//! A set whose elements several Services may put in: an element stays as long as one of them has it.

use std::hash::Hash;

use rustc_hash::FxHashMap;

use crate::change::SetChange;

/// The set, with a journal of the current update.
#[derive(Debug)]
pub(crate) struct Counted<T> {
    counts: FxHashMap<T, u32>,
    /// whether the elements touched in this update were there before it
    journal: FxHashMap<T, bool>,
}

impl<T> Default for Counted<T> {
    fn default() -> Self {
        Counted { counts: FxHashMap::default(), journal: FxHashMap::default() }
    }
}

impl<T: Copy + Eq + Hash + Ord> Counted<T> {
    /// Whether anybody has `item`.
    pub(crate) fn contains(&self, item: &T) -> bool {
        self.counts.contains_key(item)
    }

    /// Every element, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.counts.keys()
    }

    /// One owner's elements were `old` and are `new`, both sorted.
    pub(crate) fn replace(&mut self, old: &[T], new: &[T]) {
        for item in new.iter().filter(|item| old.binary_search(item).is_err()) {
            let count = self.counts.entry(*item).or_default();
            self.journal.entry(*item).or_insert(*count > 0);
            *count += 1;
        }
        for item in old.iter().filter(|item| new.binary_search(item).is_err()) {
            self.journal.entry(*item).or_insert(true);
            if let Some(count) = self.counts.get_mut(item) {
                *count -= 1;
                if *count == 0 {
                    self.counts.remove(item);
                }
            }
        }
    }

    /// What came and went since the last call, sorted.
    pub(crate) fn changes(&mut self) -> SetChange<T> {
        let mut change = SetChange::default();
        for (item, before) in std::mem::take(&mut self.journal) {
            match (before, self.contains(&item)) {
                (false, true) => change.added.push(item),
                (true, false) => change.removed.push(item),
                _ => {}
            }
        }
        change.added.sort_unstable();
        change.removed.sort_unstable();
        change
    }
}
