//! `qps` and `burst`: how fast requests may follow each other. A watch is one request, however long it lives, so
//! what this limits is how fast watches are opened again by a server that ends them at once.

use std::time::{Duration, Instant};

/// Room for `burst` requests (or whatever else is to be few), refilled `qps` times a second. Time is handed in.
#[derive(Debug)]
pub struct Bucket {
    /// from one refill to the next; None: no limit
    interval: Option<Duration>,
    /// how far ahead of the clock requests may be
    room: Duration,
    /// when the bucket is full again
    full_at: Instant,
}

impl Bucket {
    /// A full one. A rate that is none, as a negative one, is no limit.
    pub fn new(qps: f64, burst: u32, now: Instant) -> Self {
        let interval = Duration::try_from_secs_f64(1.0 / qps).ok().filter(|interval| !interval.is_zero());
        let room = interval.unwrap_or_default().saturating_mul(burst.max(1));
        Bucket { interval, room, full_at: now }
    }

    /// Takes a place: how long to wait before it may be used.
    pub fn take(&mut self, now: Instant) -> Duration {
        let Some(interval) = self.interval else { return Duration::ZERO };
        self.full_at = self.full_at.max(now) + interval;
        (self.full_at - now).saturating_sub(self.room)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_its_pace() {
        let now = Instant::now();
        let mut bucket = Bucket::new(5.0, 3, now);
        let waits: Vec<u128> = (0..5).map(|_| bucket.take(now).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 200, 400]);
        assert_eq!(bucket.take(now + Duration::from_secs(10)), Duration::ZERO);
    }

    #[test]
    fn no_rate_is_no_limit() {
        let now = Instant::now();
        for qps in [-1.0, 0.0, f64::NAN, f64::INFINITY] {
            let mut bucket = Bucket::new(qps, 1, now);
            assert!((0..100).all(|_| bucket.take(now).is_zero()), "{qps}");
        }
    }
}
