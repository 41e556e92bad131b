//! A [`Store`] that several threads look at: one lets events happen, the others wait for them.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kube_verdict_table::objects::Kind;

use super::objects::Object;
use super::store::{Event, Gone, Store, Verb};

/// The store, and a bell.
#[derive(Debug)]
pub struct Feed {
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Debug)]
struct State {
    store: Store,
    is_closed: bool,
    refused: Option<String>,
}

/// What waiting brought.
#[derive(Debug)]
pub enum News {
    /// events, and the revision that is known with them
    Events(Vec<Event>, u64),
    /// nothing until then; the revision that is known
    Nothing(u64),
    /// the revision is no longer known
    Gone,
    /// the server ends
    Closed,
}

impl Feed {
    /// Of a store.
    pub fn new(store: Store) -> Self {
        Feed { state: Mutex::new(State { store, is_closed: false, refused: None }), news: Condvar::new() }
    }

    /// Looks into the store.
    pub fn look<T>(&self, look: impl FnOnce(&Store) -> T) -> T {
        look(&self.lock().store)
    }

    /// Lets events happen, together.
    pub fn record(&self, events: Vec<(Verb, Object)>) {
        let mut state = self.lock();
        events.into_iter().for_each(|(verb, object)| state.store.record(verb, object));
        drop(state);
        self.news.notify_all();
    }

    /// Waits for events of a kind after a revision, until a moment at the latest.
    pub fn wait(&self, kind: Kind, revision: u64, until: Instant) -> News {
        let mut state = self.lock();
        let mut revision = revision;
        loop {
            if state.is_closed {
                return News::Closed;
            }
            match state.store.since(kind, revision) {
                Err(Gone) => return News::Gone,
                Ok(events) if !events.is_empty() => return News::Events(events, state.store.revision()),
                Ok(_) => revision = state.store.revision(),
            }
            let left = until.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                return News::Nothing(revision);
            }
            state = self.news.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Remembers a question that was not understood, the first one.
    pub fn refuse(&self, question: impl FnOnce() -> String) {
        self.lock().refused.get_or_insert_with(question);
    }

    /// The first question that was not understood.
    pub fn refused(&self) -> Option<String> {
        self.lock().refused.clone()
    }

    /// Ends all waiting, for good.
    pub fn close(&self) {
        self.lock().is_closed = true;
        self.news.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
