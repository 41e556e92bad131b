//! An API server without a network: objects, their versions, and for each kind a watch that tells of changes when it is
//! made to, breaks off, and lists anew. What the daemon's end of it is like is the daemon's own code.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use kube_verdict_table::objects::{Kind, Object, ObjectKey};

use super::rng::Rng;
use crate::source::kubernetes::inbox::Inbox;
use crate::source::kubernetes::known::Known;
use crate::source::{Batch, Source};

/// The server, and the daemon's watches.
#[derive(Default)]
pub struct Api {
    objects: BTreeMap<ObjectKey, (Object, u64)>,
    version: u64,
    inbox: Arc<Inbox>,
    watches: Vec<Watch>,
}

struct Watch {
    kind: Kind,
    known: Known,
    state: State,
}

enum State {
    /// a list is to be told, all or as much as the connection lasts for
    Lists,
    /// these changes were not told yet
    Follows(VecDeque<Told>),
}

#[derive(Clone)]
enum Told {
    Applied(Object, u64),
    Deleted(Object),
}

impl Api {
    /// Objects that there are.
    pub fn keys(&self, kind: Kind) -> Vec<ObjectKey> {
        self.objects.keys().filter(|key| key.kind == kind).cloned().collect()
    }

    /// All that there is.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.objects.values().map(|(object, _)| object)
    }

    /// An object is made, or changed.
    pub fn apply(&mut self, object: Object) {
        self.version += 1;
        self.objects.insert(object.key(), (object.clone(), self.version));
        self.tell(object.kind(), &Told::Applied(object, self.version));
    }

    /// An object is deleted.
    pub fn delete(&mut self, key: &ObjectKey) {
        self.version += 1;
        if let Some((object, _)) = self.objects.remove(key) {
            self.tell(key.kind, &Told::Deleted(object));
        }
    }

    fn tell(&mut self, kind: Kind, told: &Told) {
        for watch in self.watches.iter_mut().filter(|watch| watch.kind == kind) {
            if let State::Follows(untold) = &mut watch.state {
                untold.push_back(told.clone());
            }
        }
    }

    /// Another process comes, and knows nothing.
    pub fn connect(&mut self) -> Watched {
        self.inbox = Arc::default();
        let watch = |kind| Watch { kind, known: Known::new(kind), state: State::Lists };
        self.watches = Kind::ALL.map(watch).into();
        Watched(Arc::clone(&self.inbox))
    }

    /// A watch breaks off, and the server has forgotten where it was.
    pub fn forget(&mut self, rng: &mut Rng) {
        if !self.watches.is_empty() {
            let index = rng.below(self.watches.len());
            self.watches[index].state = State::Lists;
        }
    }

    /// A watch tells of so many changes, or its list. Lists break off now and then, if they may.
    pub fn deliver(&mut self, rng: &mut Rng, most: usize, breaks_off: bool) {
        if self.watches.is_empty() {
            return;
        }
        let index = rng.below(self.watches.len());
        self.deliver_of(index, most, breaks_off.then_some(rng));
    }

    /// Everything is told.
    pub fn deliver_all(&mut self) {
        for index in 0..self.watches.len() {
            // After a list come the changes of its time.
            self.deliver_of(index, usize::MAX, None);
            self.deliver_of(index, usize::MAX, None);
        }
    }

    fn deliver_of(&mut self, index: usize, most: usize, breaks_off: Option<&mut Rng>) {
        let Watch { kind, known, state } = &mut self.watches[index];
        match state {
            State::Lists => {
                let all: Vec<_> =
                    self.objects.values().filter(|(object, _)| object.kind() == *kind).collect();
                let breaks_off = breaks_off.and_then(|rng| rng.one_in(4).then(|| rng.below(all.len() + 1)));
                let lasts_for = breaks_off.unwrap_or(usize::MAX);
                known.list_begins();
                all.iter().take(lasts_for).for_each(|(object, version)| {
                    known.listed(object.clone(), &version.to_string());
                });
                if lasts_for == usize::MAX {
                    let (events, has_gaps) = known.list_ends();
                    self.inbox.put_list(*kind, events, has_gaps);
                    *state = State::Follows(VecDeque::new());
                }
            }
            State::Follows(untold) => {
                for told in untold.drain(..most.min(untold.len())) {
                    let event = match told {
                        Told::Applied(object, version) => known.applied(object, &version.to_string()),
                        Told::Deleted(object) => known.deleted(&object),
                    };
                    event.into_iter().for_each(|event| self.inbox.put(event));
                }
            }
        }
    }
}

/// The daemon's end.
pub struct Watched(Arc<Inbox>);

impl Source for Watched {
    async fn next(&mut self) -> Option<Batch> {
        self.0.take().await
    }

    fn try_next(&mut self) -> Option<Batch> {
        self.0.try_take()
    }
}
