//! When what drains is looked at: soon after it began, for most of it is idle; then every few seconds, and more and
//! more rarely while nothing ends. Connections may live for days.

use std::time::{Duration, Instant};

/// From the beginning to the first look.
const FIRST: Duration = Duration::from_secs(1);
/// Between looks at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(30));

/// Between the parts of a look that has many.
const BREATH: Duration = Duration::from_millis(50);

/// The times of looks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    next: Option<Instant>,
    pause: Duration,
}

impl Pace {
    pub(super) fn next(&self) -> Option<Instant> {
        self.next
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.next.is_some_and(|next| next <= now)
    }

    /// Something begins to drain.
    pub(super) fn begin(&mut self, now: Instant) {
        let soon = now + FIRST;
        self.next = Some(self.next.map_or(soon, |next| next.min(soon)));
        self.pause = PAUSES.0;
    }

    /// A look was had: something ended or did not.
    pub(super) fn look(&mut self, now: Instant, has_ended: bool) {
        if has_ended {
            self.pause = PAUSES.0;
        }
        self.next = Some(now + self.pause.max(PAUSES.0));
        self.pause = (self.pause.max(PAUSES.0) * 2).min(PAUSES.1);
    }

    /// A look was not had of everything.
    pub(super) fn go_on(&mut self, now: Instant) {
        self.next = Some(now + BREATH);
    }

    /// Nothing drains.
    pub(super) fn rest(&mut self) {
        *self = Pace::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_become_rarer_until_something_happens() {
        let start = Instant::now();
        let mut pace = Pace::default();
        assert!(pace.next().is_none() && !pace.is_due(start));
        pace.begin(start);
        let mut waits = Vec::new();
        let mut now = start;
        let mut wait = |pace: &mut Pace, has_ended: bool| {
            let next = pace.next().unwrap();
            assert!(pace.is_due(next));
            waits.push((next - now).as_secs());
            now = next;
            pace.look(now, has_ended);
        };
        for has_ended in [false, false, false, false, false, false, true, false] {
            wait(&mut pace, has_ended);
        }
        assert_eq!(waits, [1, 3, 6, 12, 24, 30, 30, 3]);
        pace.begin(start);
        assert_eq!(pace.next(), Some(start + FIRST));
        pace.rest();
        assert!(pace.next().is_none());
    }
}
