//! Between the watches and the loop: what changed and was not taken yet, each object at most once. However slow
//! the loop is, this holds no more than there are objects; however fast, nothing waits here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube_verdict_table::objects::{Kind, ObjectEvent, ObjectKey};
use tokio::sync::Notify;

use crate::source::Batch;

/// Kinds without which nothing may be programmed (reference §9, initial gate; §10.1 step 7).
const AWAITED: [Kind; 3] = [Kind::Service, Kind::EndpointSlice, Kind::Node];

/// Filled by the watches, emptied by the loop.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    pending: Mutex<Pending>,
    news: Notify,
}

#[derive(Debug)]
struct Pending {
    /// kinds whose first list is not complete
    awaited: Vec<Kind>,
    /// the first batch went out
    has_begun: bool,
    /// a watch ended, which none does
    has_ended: bool,
    /// kinds whose lists have gaps
    gaps: Vec<Kind>,
    /// whether there are any is news
    gaps_changed: bool,
    events: Vec<ObjectEvent>,
    /// where in `events` an object is
    places: HashMap<ObjectKey, usize>,
}

impl Default for Pending {
    fn default() -> Self {
        Pending {
            awaited: AWAITED.to_vec(),
            has_begun: false,
            has_ended: false,
            gaps: Vec::new(),
            gaps_changed: false,
            events: Vec::new(),
            places: HashMap::new(),
        }
    }
}

impl Pending {
    fn put(&mut self, event: ObjectEvent) {
        let key = event.key();
        match self.places.get(&key) {
            Some(place) => self.events[*place] = event,
            None => {
                self.places.insert(key, self.events.len());
                self.events.push(event);
            }
        }
    }

    fn take(&mut self) -> Option<Batch> {
        let is_quiet = self.events.is_empty() && !self.gaps_changed;
        if !self.awaited.is_empty() || (self.has_begun && is_quiet) {
            return None;
        }
        self.has_begun = true;
        self.gaps_changed = false;
        self.places = HashMap::new();
        let events = std::mem::take(&mut self.events);
        Some(Batch { events, has_gaps: !self.gaps.is_empty(), ..Batch::default() })
    }
}

impl Inbox {
    /// Something changed.
    pub(crate) fn put(&self, event: ObjectEvent) {
        self.lock().put(event);
        self.news.notify_one();
    }

    /// A list is complete, but for what could not be read: what it changed, all at once.
    pub(crate) fn put_list(&self, kind: Kind, events: Vec<ObjectEvent>, has_gaps: bool) {
        let mut pending = self.lock();
        pending.awaited.retain(|awaited| *awaited != kind);
        let had_gaps = !pending.gaps.is_empty();
        pending.gaps.retain(|of| *of != kind);
        pending.gaps.extend(has_gaps.then_some(kind));
        pending.gaps_changed |= had_gaps == pending.gaps.is_empty();
        events.into_iter().for_each(|event| pending.put(event));
        drop(pending);
        self.news.notify_one();
    }

    /// Nobody puts anything in any more.
    pub(crate) fn end(&self) {
        self.lock().has_ended = true;
        self.news.notify_one();
    }

    /// What is there, if the lists are.
    pub(crate) fn try_take(&self) -> Option<Batch> {
        self.lock().take()
    }

    /// Waits for something. None: nothing will ever come. Dropping the future loses nothing.
    pub(crate) async fn take(&self) -> Option<Batch> {
        loop {
            {
                let mut pending = self.lock();
                if let Some(batch) = pending.take() {
                    return Some(batch);
                }
                if pending.has_ended {
                    return None;
                }
            }
            // A notification between here and there is remembered.
            self.news.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the inbox when a watch does, however it does.
pub(crate) struct Feeding(pub(super) Arc<Inbox>);

impl Drop for Feeding {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(test)]
mod tests {
    use kube_verdict_table::objects::Object;
    use serde_json::json;

    use super::*;

    fn service(name: &str, ip: &str) -> ObjectEvent {
        let value = json!({ "metadata": { "namespace": "n", "name": name }, "spec": { "clusterIP": ip } });
        ObjectEvent::Applied(Object::Service(serde_json::from_value(value).unwrap()))
    }

    fn gone(name: &str) -> ObjectEvent {
        ObjectEvent::Deleted(ObjectKey { kind: Kind::Service, namespace: "n".into(), name: name.into() })
    }

    fn open() -> Inbox {
        let inbox = Inbox::default();
        AWAITED.into_iter().for_each(|kind| inbox.put_list(kind, vec![], false));
        assert_eq!(inbox.try_take(), Some(Batch::default()));
        inbox
    }

    #[test]
    fn nothing_goes_out_before_all_lists_are_complete() {
        let inbox = Inbox::default();
        inbox.put_list(Kind::Node, vec![], false);
        inbox.put_list(Kind::Service, vec![service("a", "10.0.0.1")], false);
        inbox.put(service("b", "10.0.0.2"));
        inbox.put_list(Kind::ServiceCidr, vec![], false);
        assert_eq!(inbox.try_take(), None);
        inbox.put_list(Kind::EndpointSlice, vec![], false);
        let events = inbox.try_take().unwrap().events;
        assert_eq!(events, [service("a", "10.0.0.1"), service("b", "10.0.0.2")]);
        assert_eq!(inbox.try_take(), None);
    }

    #[test]
    fn the_first_batch_comes_even_if_there_is_nothing() {
        open();
    }

    #[test]
    fn gaps_are_told_until_every_list_is_without() {
        let inbox = open();
        let gaps = |inbox: &Inbox| inbox.try_take().map(|batch| batch.has_gaps);
        inbox.put_list(Kind::Service, vec![], true);
        assert_eq!((gaps(&inbox), gaps(&inbox)), (Some(true), None));
        inbox.put_list(Kind::EndpointSlice, vec![], true);
        inbox.put_list(Kind::Service, vec![], false);
        assert_eq!(gaps(&inbox), None);
        inbox.put(gone("a"));
        assert_eq!(gaps(&inbox), Some(true));
        inbox.put_list(Kind::EndpointSlice, vec![], false);
        assert_eq!((gaps(&inbox), gaps(&inbox)), (Some(false), None));
    }

    #[test]
    fn of_each_object_only_the_latest_waits() {
        let inbox = open();
        for n in 0..10_000 {
            inbox.put(service("a", &format!("10.0.{}.{}", n / 250, n % 250)));
            inbox.put(service("b", "10.1.0.1"));
            inbox.put(gone("b"));
        }
        assert_eq!(inbox.try_take().unwrap().events, [service("a", "10.0.39.249"), gone("b")]);
        inbox.put(gone("a"));
        inbox.put(service("a", "10.0.0.1"));
        assert_eq!(inbox.try_take().unwrap().events, [service("a", "10.0.0.1")]);
    }

    #[tokio::test]
    async fn who_waits_is_woken() {
        let inbox = Arc::new(open());
        let waiting = tokio::spawn({
            let inbox = Arc::clone(&inbox);
            async move { (inbox.take().await, inbox.take().await) }
        });
        tokio::task::yield_now().await;
        inbox.put(gone("a"));
        while !inbox.lock().events.is_empty() {
            tokio::task::yield_now().await;
        }
        drop(Feeding(Arc::clone(&inbox)));
        let (first, second) = waiting.await.unwrap();
        assert_eq!(first.unwrap().events, [gone("a")]);
        assert_eq!(second, None);
    }
}
