//! What to say about a server that does not answer: once when it begins, rarely while it lasts, once when it is
//! over. Pure; time is handed in.

use std::time::{Duration, Instant};

/// How often a lasting outage is worth another line.
const RARELY: Duration = Duration::from_secs(300);

/// How many reasons an outage may have before they stop being news.
const REASONS: usize = 8;

/// An outage, if there is one.
#[derive(Debug, Default)]
pub(super) struct Outage {
    lasting: Option<Lasting>,
}

#[derive(Debug)]
struct Lasting {
    since: Instant,
    said_at: Instant,
    /// reasons that were said; those that take turns do not make a line each time
    reasons: Vec<String>,
}

impl Outage {
    /// A request failed. Some: this is worth a line, and so long it has lasted.
    pub(super) fn failed(&mut self, reason: &str, now: Instant) -> Option<Duration> {
        let Some(lasting) = &mut self.lasting else {
            self.lasting = Some(Lasting { since: now, said_at: now, reasons: vec![reason.to_owned()] });
            return Some(Duration::ZERO);
        };
        if now >= lasting.said_at + RARELY {
            lasting.reasons.clear();
        }
        if lasting.reasons.len() >= REASONS || lasting.reasons.iter().any(|said| said == reason) {
            return None;
        }
        lasting.reasons.push(reason.to_owned());
        lasting.said_at = now;
        Some(now - lasting.since)
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
    fn another_reason_is_said_at_once_but_not_each_time() {
        let (start, mut outage) = (Instant::now(), Outage::default());
        outage.failed("refused", start);
        assert_eq!(outage.failed("timed out", start), Some(Duration::ZERO));
        let mut lines = 0;
        for second in 1..RARELY.as_secs() {
            let reason = if second.is_multiple_of(2) { "refused" } else { "timed out" };
            let now = start + Duration::from_secs(second);
            lines += u32::from(outage.failed(reason, now).is_some());
            lines += u32::from(outage.failed(&format!("port {second}"), now).is_some());
        }
        assert_eq!(lines, 6, "reasons that differ in details");
    }
}
