//! A directory of manifests: which of its files to read when. What they define is kept by
//! [`super::definitions`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::fmt::Display;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use kube_verdict_table::objects::Kind;

use super::claims::FileName;
use super::definitions::{Change, Definitions};
use super::listing::{Entry, Identity, Listing};
use super::places::Places;
use super::read::{Stamp, is_manifest_name};
use crate::source::{Batch, Problem, Severity};

/// Why a directory cannot be used at all. The operator has to name another, or create it.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the manifest directory {}: {source}; {}", path.display(), advice(source))]
pub struct OpenError {
    path: PathBuf,
    source: io::Error,
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotADirectory => "name the directory that the file is in",
        io::ErrorKind::PermissionDenied => "let this user read it, or name another",
        _ => "create it, or name another",
    }
}

/// A directory of manifests.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    identity: Identity,
    definitions: Definitions,
    /// files that changed and may not have been written to their end yet
    unsettled: HashMap<FileName, Option<Stamp>>,
    /// the files that are no manifests, as the log was told
    ignored: BTreeSet<OsString>,
    /// the kinds that are passed over, as the log was told
    other_kinds: BTreeSet<String>,
    is_loaded: bool,
    /// where objects stand, while somebody wants to know
    surveyed: Option<Places>,
    /// the directory cannot be read, as the log was told
    is_lost: bool,
}

/// Which changed files a look at the whole directory may read at once. The others may be half-written: they
/// are read when they are the same at the next look, or when somebody closes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// all: nobody has watched so far
    Everything,
    /// links: somebody swapped what is behind them
    Links,
    /// none
    Nothing,
}

impl Directory {
    /// Opens a directory, which has to exist and to be readable. Reads no file yet.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, OpenError> {
        let path = path.into();
        match path.read_dir().and_then(|_| Identity::of(&path)) {
            Ok(identity) => Ok(Directory {
                definitions: Definitions::new(path.clone()),
                path,
                identity,
                unsettled: HashMap::new(),
                ignored: BTreeSet::new(),
                other_kinds: BTreeSet::new(),
                is_loaded: false,
                surveyed: None,
                is_lost: false,
            }),
            Err(source) => Err(OpenError { path, source }),
        }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads everything. The first batch is complete: nothing is to be programmed before it was applied.
    pub fn load(&mut self) -> Batch {
        self.is_loaded = true;
        self.look(Trust::Everything, Instant::now())
    }

    /// Reads everything, for whoever wants to know where it stands, too.
    pub fn survey(&mut self) -> (Batch, Places) {
        self.surveyed = Some(Places::new());
        let batch = self.load();
        (batch, self.surveyed.take().unwrap_or_default())
    }

    /// What a follower begins with: everything, or what changed since it was loaded.
    pub(super) fn catch_up(&mut self) -> Batch {
        if self.is_loaded { self.look(Trust::Nothing, Instant::now()) } else { self.load() }
    }

    /// Reads files again that were written, replaced or removed.
    pub(super) fn reread(&mut self, names: BTreeSet<OsString>, now: Instant) -> Batch {
        let manifests = names.into_iter().filter(|name| is_manifest_name(name));
        self.read(manifests.map(Arc::from).collect(), now)
    }

    /// Tells all objects of a kind once more, as their files have them by now.
    pub(super) fn recall(&mut self, kind: Kind, now: Instant) -> Batch {
        let names = self.definitions.recall(kind);
        self.read(names, now)
    }

    /// Of names that appeared, those whose files are complete: a link, or another name of an existing file.
    /// Others are only trusted when they are closed, or when a second look finds them the same.
    pub(super) fn complete(&mut self, names: BTreeSet<OsString>) -> BTreeSet<OsString> {
        let is_complete = |name: &OsString| match self.path.join(name).symlink_metadata() {
            Ok(metadata) => metadata.is_symlink() || metadata.nlink() > 1,
            Err(_) => true,
        };
        let (complete, open): (BTreeSet<_>, BTreeSet<_>) = names.into_iter().partition(is_complete);
        let open = open.into_iter().filter(|name| is_manifest_name(name));
        self.unsettled.extend(open.map(|name| (Arc::from(name), None)));
        complete
    }

    /// Looks at everything and reads what changed, as far as it is trusted.
    pub(super) fn look(&mut self, trust: Trust, now: Instant) -> Batch {
        let seen = Identity::of(&self.path).and_then(|identity| Ok((identity, Listing::of(&self.path)?)));
        let (identity, listing) = match seen {
            Ok(seen) => seen,
            Err(error) => return self.lose(format_args!("cannot be read: {error}")),
        };
        let is_another = identity != self.identity;
        if is_another && listing.manifests.is_empty() && self.definitions.files.define_something() {
            return self.lose(format_args!("was replaced by one without manifests"));
        }
        self.identity = identity;
        let was_lost = std::mem::take(&mut self.is_lost);
        let trust = if is_another || was_lost { Trust::Everything } else { trust };
        let names = self.changed(&listing.manifests, trust);
        let mut batch = self.read(names, now);
        if was_lost {
            batch.problems.push(Problem::of_file(Severity::Info, &self.path, "is readable again"));
        }
        batch.problems.extend(self.mention_files(listing.ignored));
        batch
    }

    /// Reads every file, whatever it looks like from outside: somebody says that it is complete.
    pub(super) fn read_again(&mut self, now: Instant) -> Batch {
        match Listing::of(&self.path) {
            Ok(listing) => self.read(listing.manifests.into_keys().collect(), now),
            Err(error) => self.lose(format_args!("cannot be read: {error}")),
        }
    }

    /// Drops the objects of files that have been gone for long enough.
    pub(super) fn expire(&mut self, now: Instant) -> Batch {
        let mut change = Change::default();
        self.definitions.expire(now, &mut change);
        self.finish(change)
    }

    /// When [`Directory::expire`] will have something to do.
    pub(super) fn next_departure(&self) -> Option<Instant> {
        self.definitions.files.next_departure()
    }

    /// Whether another look should be taken soon.
    pub(super) fn is_unsettled(&self) -> bool {
        self.is_lost || !self.unsettled.is_empty()
    }

    fn read(&mut self, names: BTreeSet<FileName>, now: Instant) -> Batch {
        for name in &names {
            self.unsettled.remove(name);
        }
        let mut change = Change::default();
        self.definitions.take_in(names, now, &mut change);
        self.finish(change)
    }

    fn finish(&mut self, mut change: Change) -> Batch {
        let mention = self.mention_kinds(std::mem::take(&mut change.other_kinds));
        if let Some(places) = &mut self.surveyed {
            places.extend(self.definitions.places(&change));
        }
        let mut batch = self.definitions.settle(change);
        batch.problems.extend(mention);
        batch
    }

    /// The files to read, given what the directory lists.
    fn changed(&mut self, listed: &BTreeMap<FileName, Entry>, trust: Trust) -> BTreeSet<FileName> {
        let files = &self.definitions.files;
        let gone = files.names().filter(|name| !listed.contains_key(*name) && !files.is_departing(name));
        let mut names: BTreeSet<FileName> = gone.cloned().collect();
        let mut unsettled = HashMap::new();
        for (name, entry) in listed {
            let is_same = files.get(name).is_some_and(|f| f.stamp == entry.stamp && f.leaves_at.is_none());
            if is_same && !self.unsettled.contains_key(name) {
                continue;
            }
            let is_settled = self.unsettled.get(name) == Some(&entry.stamp);
            let is_trusted = trust == Trust::Everything || trust == Trust::Links && entry.is_link;
            if is_trusted || is_settled {
                names.insert(Arc::clone(name));
            } else {
                unsettled.insert(Arc::clone(name), entry.stamp);
            }
        }
        self.unsettled = unsettled;
        names
    }

    /// The directory cannot be used. Everything stays as it was, and the log is told once.
    fn lose(&mut self, why: impl Display) -> Batch {
        let has_gaps = self.definitions.files.have_gaps() || !self.definitions.files.define_something();
        if std::mem::replace(&mut self.is_lost, true) {
            return Batch { has_gaps, ..Batch::default() };
        }
        let message = format!("{why}; everything that it defined stays in effect until it is back");
        let problems = vec![Problem::of_file(Severity::Error, &self.path, message)];
        Batch { problems, has_gaps, ..Batch::default() }
    }

    fn mention_files(&mut self, ignored: BTreeSet<OsString>) -> Option<Problem> {
        let news: Vec<String> =
            ignored.difference(&self.ignored).map(|name| name.display().to_string()).collect();
        self.ignored = ignored;
        let message =
            format!("ignored, for not being files named *.yaml, *.yml or *.json: {}", some_of(&news));
        (!news.is_empty()).then(|| Problem::of_file(Severity::Info, &self.path, message))
    }

    fn mention_kinds(&mut self, kinds: BTreeMap<String, usize>) -> Option<Problem> {
        let news: Vec<String> = kinds
            .into_iter()
            .filter(|(kind, _)| self.other_kinds.insert(kind.clone()))
            .map(|(kind, count)| format!("{kind} ({count})"))
            .collect();
        let hint = if news.iter().any(|kind| kind.starts_with("Endpoints (")) {
            "; write endpoints as an EndpointSlice of discovery.k8s.io/v1"
        } else {
            ""
        };
        let message =
            format!("ignored, for being of kinds that no service proxy reads: {}{hint}", some_of(&news));
        (!news.is_empty()).then(|| Problem::of_file(Severity::Info, &self.path, message))
    }
}

/// A list for one line of the log.
fn some_of(names: &[String]) -> String {
    const ENOUGH: usize = 8;
    let shown = names[..names.len().min(ENOUGH)].join(", ");
    if names.len() > ENOUGH { format!("{shown} and {} more", names.len() - ENOUGH) } else { shown }
}
