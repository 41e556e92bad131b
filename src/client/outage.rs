//! What to say about a server that does not answer: once when it begins, rarely while it lasts, once when it is
//! over. Pure; time is handed in.

use std::time::{Duration, Instant};

/// How often a lasting outage is worth another line.
const RARELY: Duration = Duration::from_secs(300);

/// An outage, if there is one.
#[derive(Debug, Default)]
pub(super) struct Outage {
    lasting: Option<Lasting>,
}

#[derive(Debug)]
struct Lasting {
    since: Instant,
    said_at: Instant,
    reason: String,
}

impl Outage {
    /// A request failed. Some: this is worth a line, and so long it has lasted.
    pub(super) fn failed(&mut self, reason: &str, now: Instant) -> Option<Duration> {
        match &mut self.lasting {
            None => {
                self.lasting = Some(Lasting { since: now, said_at: now, reason: reason.to_owned() });
                Some(Duration::ZERO)
            }
            Some(lasting) if lasting.reason != reason || now >= lasting.said_at + RARELY => {
                // Reasons that take turns do not make more lines.
                let is_time = now >= lasting.said_at + RARELY / 10;
                lasting.reason = reason.to_owned();
                if is_time {
                    lasting.said_at = now;
                }
                is_time.then(|| now - lasting.since)
            }
            Some(_) => None,
        }
    }

    /// A request succeeded. Some: that is news, after so long.
    pub(super) fn succeeded(&mut self, now: Instant) -> Option<Duration> {
        self.lasting.take().map(|lasting| now - lasting.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_at_first_few_while_it_lasts_one_at_the_end() {
        let (start, mut outage) = (Instant::now(), Outage::default());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(outage.succeeded(at(0)), None);
        assert_eq!(outage.failed("refused", at(0)), Some(Duration::ZERO));
        let lines = (1..=3600).filter(|s| outage.failed("refused", at(*s)).is_some()).count();
        assert_eq!(lines, 12);
        assert_eq!(outage.succeeded(at(3601)), Some(Duration::from_secs(3601)));
        assert_eq!(outage.succeeded(at(3602)), None);
        assert_eq!(outage.failed("refused", at(3603)), Some(Duration::ZERO));
    }

    #[test]
    fn another_reason_is_said_but_not_each_time() {
        let (start, mut outage) = (Instant::now(), Outage::default());
        outage.failed("refused", start);
        let reason = |s: u64| if s.is_multiple_of(2) { "refused" } else { "timed out" };
        let lines =
            (1..=60).filter(|s| outage.failed(reason(*s), start + Duration::from_secs(*s)).is_some()).count();
        assert_eq!(lines, 2);
    }
}
