//! Keeps a task for every target, which asks it again and again. Bounded: so many questions are on their way at a time,
//! the others wait. Questions that began together do not stay together, and no pause is longer than the interval.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use kube_verdict_table::objects::Probe;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use super::attempt::attempt;
use super::book::Target;

/// Questions on their way at a time.
const AT_ONCE: usize = 64;
/// Answers that nobody has taken yet; then it is not asked.
const ANSWERS: usize = 256;
/// By how much of the interval a pause may be shorter.
const JITTER: u32 = 10;

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) target: Target,
    /// what was wrong with it
    pub(super) result: Result<(), String>,
}

/// All tasks. They end with it.
pub(super) struct Runner {
    runtime: Handle,
    sender: mpsc::Sender<Answer>,
    permits: Arc<Semaphore>,
    tasks: HashMap<Target, (Probe, AbortHandle)>,
}

impl Runner {
    /// Without tasks yet, on a runtime; and where answers come out.
    pub(super) fn new(runtime: Handle) -> (Self, mpsc::Receiver<Answer>) {
        let (sender, receiver) = mpsc::channel(ANSWERS);
        let permits = Arc::new(Semaphore::new(AT_ONCE));
        (Runner { runtime, sender, permits, tasks: HashMap::new() }, receiver)
    }

    /// Asks these from now on, and nobody else.
    pub(super) fn follow<'p>(&mut self, targets: impl Iterator<Item = (Target, &'p Probe)>) {
        let mut before = std::mem::take(&mut self.tasks);
        for (target, probe) in targets {
            let task = match before.remove_entry(&target) {
                Some((_, (known, task))) if known == *probe => task,
                other => {
                    if let Some((_, (_, task))) = other {
                        task.abort();
                    }
                    let asking =
                        ask_on(target.clone(), probe.clone(), self.sender.clone(), Arc::clone(&self.permits));
                    self.runtime.spawn(asking).abort_handle()
                }
            };
            self.tasks.insert(target, (probe.clone(), task));
        }
        before.into_values().for_each(|(_, task)| task.abort());
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.tasks.values().for_each(|(_, task)| task.abort());
    }
}

async fn ask_on(target: Target, probe: Probe, sender: mpsc::Sender<Answer>, permits: Arc<Semaphore>) {
    let chance = RandomState::new();
    for turn in 0_u64.. {
        let began = Instant::now();
        let result = {
            // The semaphore is never closed.
            let _permit = permits.acquire().await;
            attempt(&probe, target.address).await
        };
        if sender.send(Answer { target: target.clone(), result }).await.is_err() {
            return;
        }
        sleep_until(began + pause(probe.interval, chance.hash_one(turn))).await;
    }
}

/// A little less than the interval, by chance.
fn pause(interval: Duration, chance: u64) -> Duration {
    let part = u32::try_from(chance % 1000).unwrap_or(0);
    interval - interval / JITTER * part / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_pause_is_longer_than_the_interval_or_much_shorter() {
        let interval = Duration::from_secs(2);
        for chance in [0, 1, 999, 1000, u64::MAX] {
            let pause = pause(interval, chance);
            assert!(pause <= interval && pause >= interval * 9 / 10, "{pause:?}");
        }
        assert!(pause(interval, 500) < interval);
    }
}
