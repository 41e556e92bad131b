//! How long to wait before asking again: at first half a second, then twice as long each time, up to a limit;
//! each time by chance somewhat longer, so that the nodes of a cluster do not all come back at once.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(15);

/// The pauses.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff { next: FIRST }
    }
}

impl Backoff {
    /// The next pause.
    pub(super) fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(LONGEST);
        // Every RandomState has other keys: a number by chance, for which nothing is asked of it.
        let chance = RandomState::new().hash_one(0) as f64 / u64::MAX as f64;
        pause.mul_f64(1.0 + chance / 2.0)
    }

    /// Something worked.
    pub(super) fn reset(&mut self) {
        *self = Backoff::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_begin_anew() {
        let mut backoff = Backoff::default();
        for floor in [500, 1000, 2000, 4000, 8000, 15_000, 15_000] {
            let floor = Duration::from_millis(floor);
            let pause = backoff.pause();
            assert!((floor..=floor * 3 / 2).contains(&pause), "{pause:?} at {floor:?}");
        }
        backoff.reset();
        assert!(backoff.pause() <= FIRST * 3 / 2);
    }
}
