//! What is remembered of each file between two readings.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use kube_verdict_table::objects::ObjectKey;

use super::claims::FileName;
use super::read::Stamp;

/// One file.
#[derive(Debug, Default)]
pub(super) struct KnownFile {
    /// its state when it was read last, whatever came of it
    pub(super) stamp: Option<Stamp>,
    /// the objects that it defines: by its last good version
    pub(super) keys: Vec<Arc<ObjectKey>>,
    /// it disappeared; its objects go then, if it has not returned
    pub(super) leaves_at: Option<Instant>,
    /// all that it defines was understood once; what it became since is a matter of what stays in effect
    pub(super) was_understood: bool,
}

/// All files that were ever read and are still of interest.
#[derive(Debug, Default)]
pub(super) struct KnownFiles(BTreeMap<FileName, KnownFile>);

impl KnownFiles {
    pub(super) fn get(&self, name: &FileName) -> Option<&KnownFile> {
        self.0.get(name)
    }

    pub(super) fn get_mut(&mut self, name: &FileName) -> Option<&mut KnownFile> {
        self.0.get_mut(name)
    }

    pub(super) fn get_or_insert(&mut self, name: &FileName) -> &mut KnownFile {
        self.0.entry(Arc::clone(name)).or_default()
    }

    pub(super) fn remove(&mut self, name: &FileName) -> Option<KnownFile> {
        self.0.remove(name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &FileName> {
        self.0.keys()
    }

    pub(super) fn is_departing(&self, name: &FileName) -> bool {
        self.0.get(name).is_some_and(|file| file.leaves_at.is_some())
    }

    /// Whether any file defines anything.
    pub(super) fn define_something(&self) -> bool {
        self.0.values().any(|file| !file.keys.is_empty())
    }

    /// Whether some file may define what nobody could ever read.
    pub(super) fn have_gaps(&self) -> bool {
        self.0.values().any(|file| !file.was_understood)
    }

    /// The files whose time has come.
    pub(super) fn due(&self, now: Instant) -> Vec<FileName> {
        let is_due = |file: &KnownFile| file.leaves_at.is_some_and(|at| at <= now);
        self.0.iter().filter(|(_, file)| is_due(file)).map(|(name, _)| Arc::clone(name)).collect()
    }

    /// When the next file's time comes.
    pub(super) fn next_departure(&self) -> Option<Instant> {
        self.0.values().filter_map(|file| file.leaves_at).min()
    }
}
