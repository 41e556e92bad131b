//! What waits to be cleaned up, between the loop that knows and the thread that does it. The loop never waits:
//! what it brings while the thread is busy is put together.

use std::net::SocketAddr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Targets;

/// The waiting work. It is bounded by the number of frontends.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    targets: Targets,
    is_closed: bool,
}

impl Inbox {
    /// Brings work.
    pub(super) fn put(&self, targets: Targets) {
        self.lock().targets.merge(targets, true);
        self.changed.notify_one();
    }

    /// Brings back work that could not be done, unless there is newer about the same.
    pub(super) fn put_back(&self, targets: Targets) {
        self.lock().targets.merge(targets, false);
    }

    /// Whether something newer waits about this.
    pub(super) fn knows(&self, to: &SocketAddr) -> bool {
        self.lock().targets.contains(to)
    }

    /// Ends the thread's waiting.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_one();
    }

    /// Waits for work, then for `rest`, and takes all that there is. None: there will be no more.
    pub(super) fn take(&self, rest: Duration) -> Option<Targets> {
        let is_idle = |state: &mut State| state.targets.is_empty() && !state.is_closed;
        drop(self.changed.wait_while(self.lock(), is_idle).unwrap_or_else(PoisonError::into_inner));
        self.rest(rest);
        let mut state = self.lock();
        if state.is_closed { None } else { Some(std::mem::take(&mut state.targets)) }
    }

    /// Waits, unless it is closed.
    pub(super) fn rest(&self, time: Duration) {
        drop(
            self.changed
                .wait_timeout_while(self.lock(), time, |state| !state.is_closed)
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing is ever left half done under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
