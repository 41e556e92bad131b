//! How long to wait before asking again: at first half a second, then twice as long each time, up to a limit;
//! each time by chance somewhat longer, so that the nodes of a cluster do not all come back at once.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(15);
/// A failure so long after the pause for the one before has nothing to do with it: a quiet watch that works says
/// nothing.
const UNRELATED: Duration = Duration::from_secs(60);

/// The pauses. Time is handed in.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
    /// the end of the last pause
    until: Option<Instant>,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff { next: FIRST, until: None }
    }
}

/// A number from 0 to 1, by chance: every RandomState has other keys.
pub fn chance() -> f64 {
    RandomState::new().hash_one(0) as f64 / u64::MAX as f64
}

impl Backoff {
    /// The next pause, after a failure.
    pub fn pause(&mut self, now: Instant) -> Duration {
        if self.until.is_some_and(|until| now > until + UNRELATED) {
            self.reset();
        }
        let pause = self.next.mul_f64(1.0 + chance() / 2.0);
        self.next = (self.next * 2).min(LONGEST);
        self.until = Some(now + pause);
        pause
    }

    /// Something worked.
    pub fn reset(&mut self) {
        *self = Backoff::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_begin_anew() {
        let (mut now, mut backoff) = (Instant::now(), Backoff::default());
        for floor in [500, 1000, 2000, 4000, 8000, 15_000, 15_000] {
            let floor = Duration::from_millis(floor);
            let pause = backoff.pause(now);
            assert!((floor..=floor * 3 / 2).contains(&pause), "{pause:?} at {floor:?}");
            now += pause;
        }
        assert!(backoff.pause(now + UNRELATED / 2) >= LONGEST);
        assert!(backoff.pause(now + UNRELATED * 3) <= FIRST * 3 / 2, "long after");
        backoff.pause(now + UNRELATED * 3);
        backoff.reset();
        assert!(backoff.pause(now + UNRELATED * 3) <= FIRST * 3 / 2, "after success");
    }

    #[test]
    fn chance_is_chance() {
        let numbers: Vec<f64> = (0..64).map(|_| chance()).collect();
        assert!(numbers.iter().all(|n| (0.0..=1.0).contains(n)));
        assert!(numbers.iter().any(|n| *n < 0.5) && numbers.iter().any(|n| *n > 0.5));
    }
}
