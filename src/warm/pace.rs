//! When to write. Time is handed in.
//!
//! A write follows a change after a moment in which more of them may come, and the next one long after: a table that
//! changes all the time is written all the time otherwise, and what it is for, a start without its source, does not
//! care for seconds. A table that does not change is written now and then, so that its time says until when it was
//! known to be right.

use std::time::{Duration, Instant};

/// From the first change to the write.
const CALM: Duration = Duration::from_secs(2);
/// From one write to the next.
const BETWEEN: Duration = Duration::from_secs(30);
/// After so much time it is written without a change.
const REFRESH: Duration = Duration::from_secs(3600);

/// The pace.
#[derive(Debug)]
pub(super) struct Pace {
    /// the last try, and if there was none the beginning
    last: Instant,
    has_tried: bool,
    changed: Option<Instant>,
}

impl Pace {
    /// Nothing was written yet, and something is to be.
    pub(super) fn new(now: Instant) -> Self {
        Pace { last: now, has_tried: false, changed: Some(now) }
    }

    /// Something changed.
    pub(super) fn changed(&mut self, now: Instant) {
        self.changed.get_or_insert(now);
    }

    /// It was written, or could not be: then it is tried again.
    pub(super) fn tried(&mut self, is_written: bool, now: Instant) {
        (self.last, self.has_tried) = (now, true);
        self.changed = (!is_written).then_some(now);
    }

    /// When to write next.
    pub(super) fn due_at(&self) -> Instant {
        match self.changed {
            Some(changed) if self.has_tried => (changed + CALM).max(self.last + BETWEEN),
            Some(changed) => changed + CALM,
            None => self.last + REFRESH,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_wait_for_each_other() {
        let start = Instant::now();
        let after = |seconds: f64| start + Duration::from_secs_f64(seconds);
        let mut pace = Pace::new(start);
        pace.changed(after(1.0));
        assert_eq!(pace.due_at(), after(2.0));
        pace.tried(true, after(2.0));
        assert_eq!(pace.due_at(), after(2.0) + REFRESH);
        for tenth in 30..310 {
            pace.changed(after(f64::from(tenth) / 10.0));
            assert_eq!(pace.due_at(), after(32.0));
        }
        pace.tried(true, after(32.0));
        pace.changed(after(100.0));
        assert_eq!(pace.due_at(), after(102.0), "the first after a calm");
        pace.tried(false, after(102.0));
        assert_eq!(pace.due_at(), after(132.0), "what failed is tried again");
    }
}
