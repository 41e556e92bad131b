//! When to look after what others did to our tables, and what is said of it. Time is handed in.
//!
//! The first change is looked at at once. Should somebody change our tables again and again, as another program
//! would that believes them to be its own, then each look waits longer than the one before, up to the sync
//! period: the other is told by name in the log, and neither of the two gets a processor for the fight.

use std::time::{Duration, Instant};

use kube_verdict_nftables::Heard;
use kube_verdict_nftables::kernel::Author;

use super::reconciler::VERIFY_SHARE;
use super::{Mended, Repair};
use crate::repairs::{PAUSE, Repairs};

impl Mended {
    fn what(self) -> &'static str {
        match (self.operations, self.orders) {
            (_, 0) => "nftables tables",
            (0, _) => "virtual servers of IPVS",
            _ => "nftables tables and virtual servers of IPVS",
        }
    }
}

/// From this pause on it is a fight.
const FIGHT: Duration = Duration::from_millis(300);

/// What is known of changes that nobody looked at yet, and when it was last necessary.
#[derive(Debug)]
pub(super) struct Drift {
    repairs: Repairs,
    pending: Option<Pending>,
    /// the next look has a reason of our own: what it finds nobody else did
    pub(super) is_ours: bool,
    /// no look before this moment
    rests_until: Option<Instant>,
}

#[derive(Debug)]
struct Pending {
    due_at: Instant,
    since: Instant,
    /// changes that are known, and who made the last of them
    changes: usize,
    author: Option<Author>,
    /// what was mended with a change of ours already, in operations
    mended: usize,
}

impl Drift {
    pub(super) fn new(sync_period: Duration) -> Self {
        let repairs = Repairs::new(sync_period);
        Drift { repairs, pending: None, is_ours: false, rests_until: None }
    }

    /// When a look is due.
    pub(super) fn due_at(&self) -> Option<Instant> {
        self.pending.as_ref().map(|pending| pending.due_at)
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due_at().is_some_and(|at| at <= now)
    }

    /// Takes in what was heard.
    pub(super) fn hear(&mut self, heard: Heard, now: Instant) {
        if heard.is_nothing() {
            return;
        }
        let due_at = self.rests_until.map_or(now, |at| at.max(now));
        let fresh = || Pending { due_at, since: now, changes: 0, author: None, mended: 0 };
        let pending = self.pending.get_or_insert_with(fresh);
        pending.changes += heard.changes;
        pending.author = heard.author.or(pending.author.take());
    }

    /// A change of ours brought so many operations more than its own, or instead of them.
    pub(super) fn mended(&mut self, operations: usize) {
        if let Some(pending) = self.pending.as_mut().filter(|pending| pending.changes > 0) {
            pending.mended += operations;
        }
    }

    /// A look took place, and found so much to mend.
    pub(super) fn looked(&mut self, found: Mended, took: Duration, now: Instant) -> Option<Repair> {
        let pending = self.pending.take();
        if std::mem::take(&mut self.is_ours) && pending.is_none() {
            return None;
        }
        let mended = pending.as_ref().map_or(0, |pending| pending.mended);
        let found = Mended { operations: found.operations + mended, ..found };
        if found == Mended::default() {
            // Whoever changes what we do not compare, or changes it back, may do so often.
            self.rests_until = pending.map(|_| now + PAUSE.max(took * VERIFY_SHARE));
            return None;
        }
        let pause = self.repairs.repaired(now);
        self.rests_until = Some(now + pause.max(took * 2));
        let was_delayed = pending.as_ref().is_some_and(|pending| pending.due_at > pending.since);
        let waited = pending.as_ref().map_or(Duration::ZERO, |pending| now - pending.since);
        say(pending.as_ref(), found, waited + took, pause);
        Some(Repair { mended: found, was_delayed })
    }

    /// Something else was to be done with IPVS, met so often what somebody else had changed, and mended it. IPVS tells
    /// nobody of changes, so that is the first that is known of it.
    pub(super) fn met(&mut self, orders: usize, now: Instant) -> Option<Repair> {
        let mended = Mended { orders, ..Mended::default() };
        if mended == Mended::default() {
            return None;
        }
        say(None, mended, Duration::ZERO, self.repairs.repaired(now));
        Some(Repair { mended, was_delayed: false })
    }
}

/// `took` is from the moment at which it was heard.
fn say(pending: Option<&Pending>, found: Mended, took: Duration, pause: Duration) {
    let author = pending.and_then(|pending| pending.author.as_ref());
    let author = author.map_or("somebody".to_owned(), Author::to_string);
    let changes = pending.map_or(0, |pending| pending.changes).max(1);
    tracing::warn!(
        operations = found.operations + found.orders,
        changes,
        milliseconds = took.as_millis() as u64,
        "{author} changed our {}; they are as they should be again",
        found.what()
    );
    if pause >= FIGHT {
        tracing::error!(
            "{author} changes our {} again and again: the next repair waits {pause:?}. The tables ip and ip6 \
             kube-verdict and virtual servers of our marks are this program's alone; stop the other, or \
             `kube-verdict cleanup` and stop this one",
            found.what()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repairs::Ours;

    const SYNC_PERIOD: Duration = Duration::from_secs(30);

    fn operations(operations: usize) -> Mended {
        Mended { operations, orders: 0 }
    }

    fn change() -> Heard {
        let author = Some(Author { name: "nft".into(), pid: 7 });
        Heard { changes: 1, author, has_gaps: false }
    }

    /// Somebody changes our tables right after each repair; the pauses that come of it.
    fn fight(drift: &mut Drift, mut now: Instant, rounds: usize) -> (Vec<Duration>, Instant) {
        let mut pauses = Vec::new();
        for _ in 0..rounds {
            drift.hear(change(), now);
            let due_at = drift.due_at().unwrap();
            pauses.push(due_at - now);
            now = due_at;
            let repair = drift.looked(operations(3), Duration::from_micros(100), now).unwrap();
            assert_eq!(repair.was_delayed, pauses.last() != Some(&Duration::ZERO));
        }
        (pauses, now)
    }

    #[test]
    fn the_first_repair_is_at_once_and_those_of_a_fight_wait_longer_and_longer() {
        let now = Instant::now();
        let mut drift = Drift::new(SYNC_PERIOD);
        let (pauses, now) = fight(&mut drift, now, 14);
        let milliseconds: Vec<u128> = pauses.iter().map(Duration::as_millis).collect();
        let doubled = (0..11).map(|n| 20 << n);
        let expected: Vec<u128> = [0].into_iter().chain(doubled).chain([30_000; 2]).collect();
        assert_eq!(milliseconds, expected);
        // Peace, and the next one is the first again.
        let (pauses, _) = fight(&mut drift, now + SYNC_PERIOD * 3, 2);
        assert_eq!(pauses, [Duration::ZERO, PAUSE]);
    }

    #[test]
    fn looks_that_find_nothing_are_bounded_by_what_they_cost() {
        let now = Instant::now();
        let mut drift = Drift::new(SYNC_PERIOD);
        drift.hear(change(), now);
        assert_eq!(drift.looked(operations(0), Duration::from_millis(300), now), None);
        drift.hear(Heard { has_gaps: true, ..Heard::default() }, now);
        assert_eq!(drift.due_at(), Some(now + Duration::from_secs(15)));
    }

    #[test]
    fn what_was_met_by_the_way_is_a_repair_of_ipvs() {
        let now = Instant::now();
        let mut drift = Drift::new(SYNC_PERIOD);
        assert_eq!(drift.met(0, now), None);
        let repair = drift.met(2, now).unwrap();
        assert_eq!(repair.mended.of().collect::<Vec<_>>(), [Ours::VirtualServers]);
        // It is one of those that pauses grow with.
        drift.hear(change(), now);
        drift.looked(operations(1), Duration::ZERO, now).unwrap();
        drift.hear(change(), now);
        assert_eq!(drift.due_at(), Some(now + PAUSE * 2));
    }

    #[test]
    fn what_a_change_of_ours_mended_counts() {
        let now = Instant::now();
        let mut drift = Drift::new(SYNC_PERIOD);
        drift.mended(9);
        assert_eq!(drift.looked(operations(0), Duration::ZERO, now), None);
        drift.hear(change(), now);
        drift.mended(9);
        let due_at = drift.due_at().unwrap();
        assert!(drift.looked(operations(0), Duration::ZERO, due_at).is_some());
    }
}
