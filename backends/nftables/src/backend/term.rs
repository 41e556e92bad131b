//! How long something that failed rests before it is tried again: longer each time.

use std::time::{Duration, Instant};

/// The first and the longest pause.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// A time to wait for.
#[derive(Clone, Copy, Debug)]
pub struct Term {
    /// when it is worth trying again
    pub until: Instant,
    attempts: u32,
}

impl Term {
    /// The one after that, from now on.
    pub fn after(last: Option<Term>, now: Instant) -> Term {
        let attempts = last.map_or(0, |term| term.attempts);
        let pause = (PAUSES.0 * 2u32.saturating_pow(attempts.min(20))).min(PAUSES.1);
        Term { until: now + pause, attempts: attempts + 1 }
    }
}
