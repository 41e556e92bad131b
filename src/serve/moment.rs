//! A moment on both clocks: one to measure with, one to tell.

use std::time::{Instant, SystemTime};

use jiff::Timestamp;

/// A moment.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// for differences: never set, never goes back
    pub instant: Instant,
    /// what others call it
    pub wall: SystemTime,
}

impl Moment {
    /// This one.
    pub fn now() -> Self {
        Moment { instant: Instant::now(), wall: SystemTime::now() }
    }
}

/// Seconds since 1970, as metrics tell moments.
pub(super) fn unix_seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// RFC 3339 with as many digits of a second as there are; of no moment, the one that Go takes for none.
pub(super) fn rfc3339(time: Option<SystemTime>) -> String {
    let timestamp = time.and_then(|time| Timestamp::try_from(time).ok());
    timestamp.map_or_else(|| "0001-01-01T00:00:00Z".into(), |timestamp| timestamp.to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_told_as_go_tells_them() {
        let at = |seconds, nanos| Some(SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos));
        assert_eq!(rfc3339(at(1_700_000_000, 0)), "2023-11-14T22:13:20Z");
        assert_eq!(rfc3339(at(1_700_000_000, 120_000_000)), "2023-11-14T22:13:20.12Z");
        assert_eq!(rfc3339(at(1_700_000_000, 123_456_789)), "2023-11-14T22:13:20.123456789Z");
        assert_eq!(rfc3339(None), "0001-01-01T00:00:00Z");
    }
}
