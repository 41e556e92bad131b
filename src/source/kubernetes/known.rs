//! What is known of a kind: the names that the server told of and a mark of their versions, and nothing else. It
//! says what a new list means: which objects changed, and which are gone. Pure.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use kube_verdict_table::objects::{Kind, Object, ObjectEvent, ObjectKey};

/// The objects of one kind that exist, as far as is known.
#[derive(Debug)]
pub(crate) struct Known {
    kind: Kind,
    marks: RandomState,
    /// `namespace/name` to a mark of the version
    objects: HashMap<Box<str>, u64>,
    list: Option<List>,
}

/// A list that is being told. It counts when it is complete: one that breaks off says nothing.
#[derive(Debug, Default)]
struct List {
    objects: HashMap<Box<str>, u64>,
    events: Vec<ObjectEvent>,
    /// something in it could not be read
    has_gaps: bool,
}

impl Known {
    /// Nothing yet.
    pub(crate) fn new(kind: Kind) -> Self {
        Known { kind, marks: RandomState::new(), objects: HashMap::new(), list: None }
    }

    /// An object is there, in this version. None: as it was known.
    pub(crate) fn applied(&mut self, object: Object, version: &str) -> Option<ObjectEvent> {
        // The selectors say the same; a server that ignored one would be obeyed here.
        if !object.is_watched() {
            return self.deleted(&object);
        }
        let mark = self.marks.hash_one(version);
        let before = self.objects.insert(name_of(&object), mark);
        (before != Some(mark)).then_some(ObjectEvent::Applied(object))
    }

    /// An object is gone, or is no longer for us. None: it was not known.
    pub(crate) fn deleted(&mut self, object: &Object) -> Option<ObjectEvent> {
        self.objects.remove(&name_of(object)).map(|_| ObjectEvent::Deleted(object.key()))
    }

    /// A list begins. One that was not completed is forgotten; whether there was one.
    pub(crate) fn list_begins(&mut self) -> bool {
        self.list.replace(List::default()).is_some()
    }

    /// A list ends before it is complete, and that is known.
    pub(crate) fn list_failed(&mut self) {
        self.list = None;
    }

    /// Something that was told could not be read. Whether it was of a list.
    pub(crate) fn unreadable(&mut self) -> bool {
        self.list.as_mut().map(|list| list.has_gaps = true).is_some()
    }

    /// An object of the list.
    pub(crate) fn listed(&mut self, object: Object, version: &str) {
        if !object.is_watched() {
            return;
        }
        let (name, mark) = (name_of(&object), self.marks.hash_one(version));
        let list = self.list.get_or_insert_default();
        if self.objects.get(&name) != Some(&mark) {
            list.events.push(ObjectEvent::Applied(object));
        }
        list.objects.insert(name, mark);
    }

    /// The list is complete: what it changes, and whether it has gaps. What is not in a list with gaps may be in one of
    /// them, and stays.
    pub(crate) fn list_ends(&mut self) -> (Vec<ObjectEvent>, bool) {
        let List { objects, mut events, has_gaps } = self.list.take().unwrap_or_default();
        if has_gaps {
            self.objects.extend(objects);
            return (events, true);
        }
        let gone = self.objects.keys().filter(|name| !objects.contains_key(*name));
        events.extend(gone.map(|name| ObjectEvent::Deleted(key_of(self.kind, name))));
        self.objects = objects;
        (events, false)
    }
}

fn name_of(object: &Object) -> Box<str> {
    let key = object.key();
    format!("{}/{}", key.namespace, key.name).into()
}

fn key_of(kind: Kind, name: &str) -> ObjectKey {
    // Neither part of a name may contain a slash.
    let (namespace, name) = name.split_once('/').unwrap_or_default();
    ObjectKey { kind, namespace: namespace.into(), name: name.into() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service(name: &str, label: &str) -> Object {
        let value = json!({
            "metadata": { "namespace": "default", "name": name, "labels": { label: "" } },
            "spec": { "clusterIP": "10.96.0.1" },
        });
        Object::Service(serde_json::from_value(value).unwrap())
    }

    fn words(events: impl IntoIterator<Item = ObjectEvent>) -> Vec<String> {
        let mut words: Vec<String> = events
            .into_iter()
            .map(|event| match event {
                ObjectEvent::Applied(object) => format!("+{}", object.metadata().name),
                ObjectEvent::Deleted(key) => format!("-{}/{}", key.namespace, key.name),
            })
            .collect();
        words.sort();
        words
    }

    fn list(known: &mut Known, objects: &[(&str, &str)]) -> Vec<String> {
        known.list_begins();
        objects.iter().for_each(|(name, version)| known.listed(service(name, "x"), version));
        words(known.list_ends().0)
    }

    #[test]
    fn a_new_list_means_its_differences() {
        let mut known = Known::new(Kind::Service);
        assert_eq!(list(&mut known, &[("a", "1"), ("b", "2")]), ["+a", "+b"]);
        assert_eq!(words(known.applied(service("c", "x"), "3")), ["+c"]);
        assert_eq!(list(&mut known, &[("a", "1"), ("b", "4"), ("d", "5")]), ["+b", "+d", "-default/c"]);
        assert_eq!(list(&mut known, &[("a", "1"), ("b", "4"), ("d", "5")]), [""; 0]);
        assert_eq!(list(&mut known, &[]), ["-default/a", "-default/b", "-default/d"]);
    }

    #[test]
    fn a_list_that_breaks_off_means_nothing() {
        let mut known = Known::new(Kind::Service);
        list(&mut known, &[("a", "1"), ("b", "2")]);
        known.list_begins();
        known.listed(service("a", "x"), "9");
        assert_eq!(list(&mut known, &[("a", "9"), ("b", "2")]), ["+a"]);
    }

    #[test]
    fn what_is_missing_from_a_list_with_gaps_stays() {
        let mut known = Known::new(Kind::Service);
        list(&mut known, &[("a", "1"), ("b", "2")]);
        assert!(!known.unreadable(), "there is no list");
        assert!(!known.list_begins());
        assert!(known.unreadable());
        known.listed(service("b", "x"), "3");
        let (events, has_gaps) = known.list_ends();
        assert_eq!((words(events), has_gaps), (vec!["+b".to_owned()], true));
        assert_eq!(list(&mut known, &[("b", "3")]), ["-default/a"], "it is known yet, and plainly gone now");
        known.list_begins();
        assert!(known.list_begins(), "one broke off");
    }

    #[test]
    fn what_is_told_twice_is_news_once() {
        let mut known = Known::new(Kind::Service);
        assert_eq!(words(known.applied(service("a", "x"), "1")), ["+a"]);
        assert_eq!(known.applied(service("a", "x"), "1"), None);
        assert_eq!(words(known.deleted(&service("a", "x"))), ["-default/a"]);
        assert_eq!(known.deleted(&service("a", "x")), None);
        assert_eq!(words(known.applied(service("a", "x"), "1")), ["+a"]);
    }

    #[test]
    fn what_no_longer_is_for_us_goes() {
        let mut known = Known::new(Kind::Service);
        known.applied(service("a", "x"), "1");
        let other = || service("a", "service.kubernetes.io/service-proxy-name");
        assert_eq!(words(known.applied(other(), "2")), ["-default/a"]);
        assert_eq!(known.applied(other(), "3"), None);
        known.list_begins();
        known.listed(other(), "4");
        assert_eq!(known.list_ends(), (vec![], false));
    }
}
