//! What happened in a directory and was not looked at yet. Bounded: past a limit, names are replaced by "look
//! at everything".

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::oneshot;

/// More names than this at once are cheaper found by looking at the whole directory.
const NAMES: usize = 4096;

/// What to look at.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// names whose files were closed after writing, replaced, moved or removed
    pub(super) written: BTreeSet<OsString>,
    /// names that appeared, or whose files may have become readable
    pub(super) touched: BTreeSet<OsString>,
    /// something happened that no single name tells
    pub(super) look: bool,
    /// somebody wants to hear of all slices once more
    pub(super) recall: bool,
    /// who wants all of it read again, and waits for that
    pub(super) again: Vec<oneshot::Sender<()>>,
    /// nobody listens any more
    pub(super) stop: bool,
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.written.is_empty()
            && self.touched.is_empty()
            && !self.look
            && !self.recall
            && self.again.is_empty()
            && !self.stop
    }
}

/// Filled by the watching thread, emptied by the reading one.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    pending: Mutex<Pending>,
    news: Condvar,
}

impl Inbox {
    /// Adds to what is to be looked at.
    pub(super) fn add(&self, add: impl FnOnce(&mut Pending)) {
        let mut pending = self.lock();
        add(&mut pending);
        if pending.written.len() + pending.touched.len() > NAMES {
            let Pending { stop, recall, .. } = *pending;
            let again = std::mem::take(&mut pending.again);
            *pending = Pending { look: true, recall, again, stop, ..Pending::default() };
        }
        self.news.notify_one();
    }

    /// Waits for something to look at; nothing, when the time has come first.
    pub(super) fn wait_until(&self, deadline: Instant) -> Pending {
        let mut pending = self.lock();
        while pending.is_empty() {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { break };
            let waited = self.news.wait_timeout(pending, left).unwrap_or_else(PoisonError::into_inner);
            pending = waited.0;
        }
        std::mem::take(&mut pending)
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
