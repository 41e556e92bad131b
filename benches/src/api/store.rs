//! The objects as they are, and what happened to them last: pure, no clock, no sockets.
//!
//! Every event has a revision, one more than the one before. Only the last events are kept: who watches and is further
//! behind is told that his revision is gone, as by a real server after a compaction.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use kube_verdict_table::objects::Kind;

use super::objects::Object;

/// Events that are kept.
const KEPT: usize = 20_000;

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// it is new
    Added,
    /// it is different
    Modified,
    /// it is gone
    Deleted,
}

impl Verb {
    /// As a watch says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Verb::Added => "ADDED",
            Verb::Modified => "MODIFIED",
            Verb::Deleted => "DELETED",
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// what
    pub verb: Verb,
    /// to what: as it is then, or was at last
    pub object: Arc<Object>,
}

/// The revision that was asked for is no longer known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// Objects and events.
#[derive(Debug)]
pub struct Store {
    objects: BTreeMap<(Kind, String), Arc<Object>>,
    /// the last ones; the revision of the first is known from the last one's
    events: VecDeque<Event>,
    revision: u64,
}

impl Store {
    /// With what is there from the start.
    pub fn new(objects: impl IntoIterator<Item = Object>, revision: u64) -> Self {
        let objects =
            objects.into_iter().map(|object| ((object.kind, object.name.clone()), Arc::new(object)));
        Store { objects: objects.collect(), events: VecDeque::new(), revision }
    }

    /// The revision of the last event.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Lets an event happen. It has the next revision.
    pub fn record(&mut self, verb: Verb, object: Object) {
        let key = (object.kind, object.name.clone());
        let object = Arc::new(object);
        match verb {
            Verb::Added | Verb::Modified => drop(self.objects.insert(key, Arc::clone(&object))),
            Verb::Deleted => drop(self.objects.remove(&key)),
        }
        if self.events.len() == KEPT {
            self.events.pop_front();
        }
        self.events.push_back(Event { verb, object });
        self.revision += 1;
    }

    /// The objects of a kind.
    pub fn list(&self, kind: Kind) -> Vec<Arc<Object>> {
        let all = self.objects.range((kind, String::new())..).take_while(|((of, _), _)| *of == kind);
        all.map(|(_, object)| Arc::clone(object)).collect()
    }

    /// An object.
    pub fn get(&self, kind: Kind, name: &str) -> Option<Arc<Object>> {
        self.objects.get(&(kind, name.to_owned())).cloned()
    }

    /// What happened to objects of a kind after a revision.
    pub fn since(&self, kind: Kind, revision: u64) -> Result<Vec<Event>, Gone> {
        let first = self.revision - self.events.len() as u64;
        if revision < first {
            return Err(Gone);
        }
        let skipped = usize::try_from(revision - first).unwrap_or(usize::MAX);
        Ok(self.events.iter().skip(skipped).filter(|event| event.object.kind == kind).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(name: &str) -> Object {
        Object { kind: Kind::EndpointSlice, name: name.into(), json: Vec::new(), protobuf: Vec::new() }
    }

    fn names(events: &[Event]) -> Vec<(Verb, &str)> {
        events.iter().map(|event| (event.verb, &*event.object.name)).collect()
    }

    #[test]
    fn a_watch_sees_what_happened_after_its_revision() {
        let mut store = Store::new([slice("a"), slice("b")], 2);
        store.record(Verb::Modified, slice("a"));
        store.record(Verb::Deleted, slice("b"));
        let all = store.since(Kind::EndpointSlice, 2).expect("known");
        assert_eq!(names(&all), [(Verb::Modified, "a"), (Verb::Deleted, "b")]);
        assert_eq!(names(&store.since(Kind::EndpointSlice, 3).expect("known")), [(Verb::Deleted, "b")]);
        assert!(store.since(Kind::EndpointSlice, 4).expect("known").is_empty());
        assert!(store.since(Kind::Service, 2).expect("known").is_empty());
        assert_eq!(store.since(Kind::EndpointSlice, 1).map(drop), Err(Gone));
        assert_eq!(store.list(Kind::EndpointSlice).len(), 1);
        assert!(store.list(Kind::Node).is_empty() && store.get(Kind::EndpointSlice, "b").is_none());
    }

    #[test]
    fn old_events_are_forgotten() {
        let mut store = Store::new([], 0);
        for _ in 0..KEPT + 1 {
            store.record(Verb::Modified, slice("a"));
        }
        assert_eq!(store.since(Kind::EndpointSlice, 0).map(drop), Err(Gone));
        assert_eq!(store.since(Kind::EndpointSlice, 1).map(|events| events.len()), Ok(KEPT));
    }
}
