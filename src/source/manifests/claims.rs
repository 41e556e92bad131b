//! Who defines what: which files claim an object, whose version counts, and what was last said about it.
//!
//! Of several files that define the same object the first by name counts. A file that has just disappeared
//! yields to every other until it is really gone: so a rename, or an editor that moves the old version out of
//! the way, changes nothing.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::sync::Arc;

use kube_verdict_table::objects::{Kind, ObjectKey};

use super::fingerprint::Fingerprint;

/// A file's name, shared by all that refer to it.
pub(super) type FileName = Arc<OsStr>;

/// What is known of one object.
#[derive(Debug, Default)]
pub(super) struct Claim {
    /// the files that define it, sorted; nearly always one
    pub(super) holders: Vec<FileName>,
    /// the one whose version was taken last
    pub(super) winner: Option<FileName>,
    /// the version that was last applied; None: it is not there, as far as anyone was told
    pub(super) emitted: Option<Fingerprint>,
}

impl Claim {
    /// It is there, but nobody knows its version any more. Gives the file that has it.
    pub(super) fn unsay(&mut self) -> Option<FileName> {
        self.emitted.as_mut()?.forget();
        self.winner.clone()
    }

    /// The file whose version counts.
    pub(super) fn first(&self, is_departing: impl Fn(&FileName) -> bool) -> Option<FileName> {
        self.holders.iter().min_by_key(|holder| is_departing(holder)).cloned()
    }
}

/// All claims.
#[derive(Debug, Default)]
pub(super) struct Claims {
    by_key: HashMap<Arc<ObjectKey>, Claim>,
}

impl Claims {
    /// The claim of a key, if anybody ever defined it.
    pub(super) fn get(&self, key: &ObjectKey) -> Option<&Claim> {
        self.by_key.get(key)
    }

    /// As [`Claims::get`], to change.
    pub(super) fn get_mut(&mut self, key: &ObjectKey) -> Option<&mut Claim> {
        self.by_key.get_mut(key)
    }

    /// Those of objects of a kind, to change.
    pub(super) fn of_kind(&mut self, kind: Kind) -> impl Iterator<Item = &mut Claim> {
        self.by_key.iter_mut().filter(move |(key, _)| key.kind == kind).map(|(_, claim)| claim)
    }

    /// A file defines an object. Gives the key in its shared form, and whether that is new.
    pub(super) fn add(&mut self, key: ObjectKey, file: &FileName) -> (Arc<ObjectKey>, bool) {
        let key = match self.by_key.get_key_value(&key) {
            Some((shared, _)) => Arc::clone(shared),
            None => Arc::new(key),
        };
        let claim = self.by_key.entry(Arc::clone(&key)).or_default();
        let place = claim.holders.binary_search(file);
        if let Err(place) = place {
            claim.holders.reserve_exact(1);
            claim.holders.insert(place, Arc::clone(file));
        }
        (key, place.is_err())
    }

    /// A file no longer defines an object.
    pub(super) fn remove(&mut self, key: &ObjectKey, file: &FileName) {
        if let Some(claim) = self.by_key.get_mut(key) {
            claim.holders.retain(|holder| holder != file);
        }
    }

    /// Nobody defines it, and everybody was told.
    pub(super) fn forget(&mut self, key: &ObjectKey) {
        self.by_key.remove(key);
    }
}
