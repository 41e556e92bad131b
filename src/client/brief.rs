//! Watches that are over as soon as they began. The server reports no failure, and would be asked again at once, as often
//! as `qps` allows; so such an end counts as a failure here. Pure; time is handed in.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::backoff::Backoff;

/// A watch that ends earlier was none, as for client-go's reflectors.
const BRIEF: Duration = Duration::from_secs(1);
/// So many in a row are no chance any more.
const MANY: u32 = 3;

/// The watches by their paths, which are few.
#[derive(Debug, Default)]
pub(super) struct Briefs {
    paths: HashMap<String, Brief>,
}

#[derive(Debug, Default)]
struct Brief {
    in_a_row: u32,
    backoff: Backoff,
    /// when the next may be begun
    rests_until: Option<Instant>,
}

/// What an end is news of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// the server keeps ending these watches at once
    Bad,
    /// it did, and does not any more
    Good,
}

impl Briefs {
    /// How long to wait before a watch may be begun.
    pub(super) fn wait(&self, path: &str, now: Instant) -> Duration {
        let until = self.paths.get(path).and_then(|brief| brief.rests_until);
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// A watch that began then is over.
    pub(super) fn ended(&mut self, path: &str, began: Instant, now: Instant) -> Option<News> {
        if now.saturating_duration_since(began) >= BRIEF {
            let before = self.paths.remove(path)?;
            return (before.in_a_row >= MANY).then_some(News::Good);
        }
        let brief = self.paths.entry(path.to_owned()).or_default();
        brief.in_a_row = brief.in_a_row.saturating_add(1);
        brief.rests_until = Some(now + brief.backoff.pause(now));
        (brief.in_a_row == MANY).then_some(News::Bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_ends_every_watch_at_once_is_asked_later_and_later_and_it_is_said_once() {
        let (mut now, mut briefs) = (Instant::now(), Briefs::default());
        let mut said = Vec::new();
        let mut waits = Vec::new();
        for _ in 0..9 {
            let began = now;
            now += BRIEF / 2;
            said.extend(briefs.ended("/a", began, now));
            waits.push(briefs.wait("/a", now).as_secs());
            now += briefs.wait("/a", now);
        }
        assert_eq!(said, [News::Bad]);
        assert!(waits.is_sorted() || waits[8] >= 15, "{waits:?}");
        assert!(waits[8] >= 15 && waits[8] < 30, "{waits:?}");
        assert_eq!(briefs.wait("/b", now), Duration::ZERO, "other watches do not wait");
        assert_eq!(briefs.ended("/a", now, now + BRIEF), Some(News::Good));
        assert_eq!(briefs.wait("/a", now), Duration::ZERO);
        assert_eq!(briefs.ended("/a", now, now + BRIEF), None);
    }
}
