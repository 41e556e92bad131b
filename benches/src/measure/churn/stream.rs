//! Which changes are due when.

use std::time::Duration;

use crate::workload::{Change, Size};

/// Services that are never changed: the first of each protocol.
pub const UNCHANGED: u32 = 2;
/// Between two markers.
const MARKER: Duration = Duration::from_millis(100);

/// Endpoints of regular Services that are replaced at an even rate, all Services in turn, in no order of theirs.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    size: Size,
    rate: u32,
    /// changes that were made
    made: u64,
    /// markers that were made
    markers: u32,
}

impl Stream {
    /// A stream that begins.
    pub fn new(size: Size, rate: u32) -> Self {
        Stream { size, rate, made: 0, markers: 0 }
    }

    /// What has become due since the last call, at so long after the start.
    pub fn due(&mut self, passed: Duration) -> Vec<Change> {
        let until = (passed.as_secs_f64() * f64::from(self.rate)) as u64;
        let changes = (self.made..until).map(|number| self.change(number)).collect();
        self.made = self.made.max(until);
        changes
    }

    /// When the markers were due that have become so since the last call.
    pub fn markers(&mut self, passed: Duration) -> Vec<Duration> {
        let mut due = Vec::new();
        while MARKER * (self.markers + 1) <= passed {
            self.markers += 1;
            due.push(MARKER * self.markers);
        }
        due
    }

    /// When there will be something again.
    pub fn next(&self) -> Duration {
        let change = Duration::from_secs_f64((self.made + 1) as f64 / f64::from(self.rate));
        change.min(MARKER * (self.markers + 1))
    }

    fn change(&self, number: u64) -> Change {
        let services = u64::from(self.size.regular() - UNCHANGED);
        let endpoints = u64::from(self.size.endpoints);
        // A prime, larger than there are Services, and so no divisor of their number.
        let service = number.wrapping_mul(7_999_993) % services;
        let endpoint = number / services % endpoints;
        Change::Replace { service: UNCHANGED + service as u32, endpoint: endpoint as u32 }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const SIZE: Size = Size { services: 12, endpoints: 3 };

    #[test]
    fn changes_come_at_their_rate_however_often_one_asks() {
        let mut stream = Stream::new(SIZE, 100);
        let asked = [0, 5, 10, 11, 500, 1000].map(|millis| stream.due(Duration::from_millis(millis)).len());
        assert_eq!(asked, [0, 0, 1, 0, 49, 50]);
    }

    #[test]
    fn all_services_have_their_turn_but_the_first_two() {
        let mut stream = Stream::new(SIZE, 10);
        let services: Vec<u32> =
            stream.due(Duration::from_secs(1)).into_iter().map(Change::service).collect();
        assert_eq!(services.iter().copied().collect::<BTreeSet<_>>(), (2..12).collect());
        assert_eq!(services.len(), 10);
        let all: BTreeSet<_> =
            stream.due(Duration::from_secs(4)).into_iter().map(|change| format!("{change:?}")).collect();
        assert_eq!(all.len(), 30, "every endpoint");
    }

    #[test]
    fn markers_are_due_ten_times_a_second() {
        let mut stream = Stream::new(SIZE, 1);
        assert_eq!(stream.next(), MARKER);
        assert_eq!(stream.markers(Duration::from_millis(250)), [MARKER, 2 * MARKER]);
        assert_eq!(stream.next(), 3 * MARKER);
    }
}
