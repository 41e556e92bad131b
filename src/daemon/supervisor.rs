//! What the service manager is told that started the daemon (sd_notify(3)): that it serves, whether all is well, that it
//! reads its directory again, that it ends; and, time and again, that the loop goes round (`WatchdogSec=`).
//!
//! Without a service manager, as in a pod or in a shell, `NOTIFY_SOCKET` is not set and nothing is said. Telling is a
//! datagram and never waits for anybody. That it could not be told is no reason to fail: the manager finds out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sd_notify::NotifyState as Word;
use tokio::time::{Instant, sleep_until};

use super::Failure;
use crate::reconcile::{Alarm, Input, Synced, Witness};

/// Tells the service manager of this process. Copies are one.
#[derive(Clone, Debug)]
pub(super) struct Supervisor {
    /// it was told that the daemon serves
    is_ready: Arc<AtomicBool>,
    tell: fn(&[Word<'_>]),
}

fn send(words: &[Word<'_>]) {
    if let Err(error) = sd_notify::notify(words) {
        tracing::debug!("the service manager cannot be told: {error}");
    }
}

impl Supervisor {
    pub(super) fn new() -> Self {
        Supervisor { is_ready: Arc::default(), tell: send }
    }

    /// Whoever looks at its status sees what the daemon is waiting for.
    pub(super) fn waiting(&self, status: &str) {
        (self.tell)(&[Word::Status(status)]);
    }

    fn serving(&self, status: &str) {
        self.is_ready.store(true, Ordering::Relaxed);
        (self.tell)(&[Word::Ready, Word::Status(status)]);
    }

    /// A reload begins. Before the first sync the manager waits for something else, and is told nothing.
    pub(super) fn reloading(&self) {
        if self.is_ready.load(Ordering::Relaxed)
            && let Ok(now) = Word::monotonic_usec_now()
        {
            (self.tell)(&[Word::Reloading, now]);
        }
    }

    /// It is over.
    pub(super) fn reloaded(&self) {
        if self.is_ready.load(Ordering::Relaxed) {
            (self.tell)(&[Word::Ready]);
        }
    }

    /// The process is about to end.
    pub(super) fn stopping(&self, result: &Result<(), Failure>) {
        let why =
            result.as_ref().err().map_or_else(|| "stopped; the rules stay".to_owned(), Failure::to_string);
        (self.tell)(&[Word::Stopping, Word::Status(&why)]);
    }
}

/// Follows the syncs: the first that ends well is when the daemon serves; afterwards only a turn, to the bad or to the
/// good, is worth a word.
pub(super) struct Herald {
    supervisor: Supervisor,
    /// what to say when all is well
    in_sync: &'static str,
    /// whether the last sync ended well, and whether it was of a table that was kept
    was: Option<(bool, bool)>,
    is_kept: bool,
}

/// What is said while a table that was kept is served.
const KEPT: &str = "serving the table that was kept on disk, and waiting for the source of services";

impl Herald {
    pub(super) fn new(supervisor: Supervisor, in_sync: &'static str) -> Self {
        Herald { supervisor, in_sync, was: None, is_kept: false }
    }
}

impl Witness for Herald {
    fn requested(&mut self, news: &Input) {
        self.is_kept = news.kept.is_some();
    }

    fn synced(&mut self, sync: &Synced<'_>) {
        let before = self.was.replace((sync.outcome.is_ok(), self.is_kept));
        if before == self.was {
            return;
        }
        match sync.outcome {
            Ok(_) if self.is_kept => self.supervisor.serving(KEPT),
            Ok(_) => self.supervisor.serving(self.in_sync),
            Err(errors) => {
                let error = errors.first().map(ToString::to_string).unwrap_or_default();
                self.supervisor.waiting(&format!("trying again: {error}"));
            }
        }
    }
}

/// Rings when another alarm does, and often enough for the service manager to hear that the loop goes round. It is the
/// loop itself that says so, by waiting here: one that hangs is silent, and is started anew.
pub(super) struct Watchdog<A> {
    alarm: A,
    supervisor: Supervisor,
    /// how often it is told, if it wants to be
    period: Option<Duration>,
    due: Instant,
}

impl<A> Watchdog<A> {
    pub(super) fn new(alarm: A, supervisor: Supervisor) -> Self {
        Watchdog::with(alarm, supervisor, sd_notify::watchdog_enabled())
    }

    /// Told twice within the limit, as sd_watchdog_enabled(3) recommends.
    fn with(alarm: A, supervisor: Supervisor, limit: Option<Duration>) -> Self {
        Watchdog { alarm, supervisor, period: limit.map(|limit| limit / 2), due: Instant::now() }
    }
}

impl<A: Alarm> Alarm for Watchdog<A> {
    async fn rings(&mut self) {
        let Some(period) = self.period else { return self.alarm.rings().await };
        let now = Instant::now();
        if self.due <= now {
            (self.supervisor.tell)(&[Word::Watchdog]);
            self.due = now + period;
        }
        tokio::select! {
            () = self.alarm.rings() => {}
            () = sleep_until(self.due) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    thread_local!(static TOLD: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) });

    fn supervisor() -> Supervisor {
        let tell = |words: &[Word<'_>]| {
            let words = words.iter().map(|word| word.to_string().split('=').next().unwrap_or("").to_owned());
            TOLD.with_borrow_mut(|told| told.extend(words));
        };
        Supervisor { is_ready: Arc::default(), tell }
    }

    fn told() -> Vec<String> {
        TOLD.take()
    }

    /// An alarm that never rings.
    struct Never;

    impl Alarm for Never {
        async fn rings(&mut self) {
            std::future::pending().await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_watchdog_hears_of_every_turn_of_the_loop_that_is_due_and_of_no_other() {
        let mut watchdog = Watchdog::with(Never, supervisor(), Some(Duration::from_secs(60)));
        let start = Instant::now();
        watchdog.rings().await;
        watchdog.rings().await;
        assert_eq!(start.elapsed(), Duration::from_secs(60));
        assert_eq!(told(), ["WATCHDOG"; 2]);
        // The loop hangs: nobody waits here, and nothing is said.
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert!(told().is_empty());
        // Others wake the loop all the time: it is told no more often for that.
        for _ in 0..100 {
            let _ = tokio::time::timeout(Duration::from_secs(1), watchdog.rings()).await;
        }
        assert_eq!(told().len(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_watchdog_only_the_alarm_rings() {
        let mut watchdog = Watchdog::with(Never, supervisor(), None);
        assert!(tokio::time::timeout(Duration::from_secs(9999), watchdog.rings()).await.is_err());
        assert!(told().is_empty());
    }

    #[test]
    fn a_reload_before_the_first_sync_is_no_readiness() {
        let supervisor = supervisor();
        supervisor.reloading();
        supervisor.reloaded();
        assert!(told().is_empty());
        supervisor.serving("all is well");
        supervisor.reloading();
        supervisor.reloaded();
        supervisor.stopping(&Ok(()));
        assert_eq!(told(), ["READY", "STATUS", "RELOADING", "MONOTONIC_USEC", "READY", "STOPPING", "STATUS"]);
    }
}
