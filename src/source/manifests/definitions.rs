//! What the files of a directory define together, and how that changes.
//!
//! Files are taken in one by one ([`Definitions::take_in`]); only then is it settled what changed
//! ([`Definitions::settle`]). So a change that touches several files is one batch, and an object that moves
//! from one file to another is no event at all.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube_verdict_table::objects::{Kind, Object, ObjectEvent, ObjectKey};

use super::claims::{Claim, Claims, FileName};
use super::decode::{self, Contents};
use super::fingerprint::Fingerprint;
use super::known::KnownFiles;
use super::places::Places;
use super::read::{self, Attempt};
use crate::document::Position;
use crate::source::{Batch, Problem, Severity};

/// How long a file that disappeared may take to return before its objects go. Editors that write a file anew
/// move the old one out of the way first, and some wait for the disk in between.
const ABSENCE: Duration = Duration::from_millis(250);

/// Definitions in vain that are told one by one in one batch.
const IN_VAIN: usize = 50;

/// All files and who defines what.
#[derive(Debug)]
pub(super) struct Definitions {
    path: PathBuf,
    pub(super) files: KnownFiles,
    claims: Claims,
}

/// A change in the making.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// the files that were read for it, and their objects
    read: HashMap<FileName, HashMap<Arc<ObjectKey>, (Fingerprint, Object)>>,
    /// the objects that it may concern
    affected: BTreeSet<Arc<ObjectKey>>,
    /// the objects that a file defines and did not before
    claimed: BTreeMap<Arc<ObjectKey>, HashMap<FileName, Position>>,
    problems: Vec<Problem>,
    /// how many definitions turned out to be in vain
    in_vain: usize,
    /// objects of other kinds
    pub(super) other_kinds: BTreeMap<String, usize>,
}

impl Definitions {
    /// Nothing yet, of a directory.
    pub(super) fn new(path: PathBuf) -> Self {
        Definitions { path, files: KnownFiles::default(), claims: Claims::default() }
    }

    /// Reads files, and those that have to be read again because of them.
    pub(super) fn take_in(&mut self, names: BTreeSet<FileName>, now: Instant, change: &mut Change) {
        let mut names = names;
        while !names.is_empty() {
            for name in names {
                self.take_in_one(&name, now, change);
            }
            names = self.unread_winners(change);
        }
    }

    /// Makes all objects of a kind news again, and says which files have them.
    pub(super) fn recall(&mut self, kind: Kind) -> BTreeSet<FileName> {
        self.claims.of_kind(kind).filter_map(Claim::unsay).collect()
    }

    /// Lets go of the files that have been gone for long enough.
    pub(super) fn expire(&mut self, now: Instant, change: &mut Change) {
        for name in self.files.due(now) {
            let Some(file) = self.files.remove(&name) else { continue };
            for key in file.keys {
                self.claims.remove(&key, &name);
                change.affected.insert(key);
            }
        }
        self.take_in(self.unread_winners(change), now, change);
    }

    /// The files whose version of an object counts from now on, and which nobody has in hand.
    fn unread_winners(&self, change: &Change) -> BTreeSet<FileName> {
        let affected = change.affected.iter().filter_map(|key| self.claims.get(key));
        affected
            .filter_map(|claim| {
                let winner = claim.first(|file| self.files.is_departing(file))?;
                let is_news = claim.winner.as_ref() != Some(&winner) && !change.read.contains_key(&winner);
                is_news.then_some(winner)
            })
            .collect()
    }

    fn take_in_one(&mut self, name: &FileName, now: Instant, change: &mut Change) {
        change.read.insert(Arc::clone(name), HashMap::new());
        let path = self.path.join(&**name);
        let attempt = read::read(&path);
        if matches!(attempt, Attempt::Gone) {
            return self.depart(name, now, change);
        }
        self.welcome(name, change);
        let said = change.problems.len();
        self.take_in_attempt(name, path, attempt, change);
        let is_understood = change.problems[said..].iter().all(|problem| problem.severity != Severity::Error);
        self.files.get_or_insert(name).was_understood |= is_understood;
    }

    fn take_in_attempt(&mut self, name: &FileName, path: PathBuf, attempt: Attempt, change: &mut Change) {
        let file = self.files.get_or_insert(name);
        match attempt {
            Attempt::Gone => {}
            Attempt::Unreadable(stamp, message) => {
                file.stamp = stamp;
                let message = message + &what_stays(file.keys.len());
                change.problems.push(Problem::of_file(Severity::Error, path, message));
            }
            Attempt::Bytes(stamp, bytes) => {
                file.stamp = Some(stamp);
                self.take_in_bytes(name, &path, &bytes, change);
            }
        }
    }

    fn take_in_bytes(&mut self, name: &FileName, path: &Path, bytes: &[u8], change: &mut Change) {
        let defined = self.files.get(name).map_or(0, |file| file.keys.len());
        let mut problem = Problem::of_file(Severity::Error, path, String::new());
        match decode::decode(path, bytes) {
            Ok(contents) if contents.is_blank && defined > 0 => {
                problem.message = format!(
                    "is empty, as an interrupted write leaves it; the {defined} objects that it defined stay in \
                     effect: write it again, or delete it to remove them"
                );
            }
            Ok(contents) => return self.adopt(name, contents, change),
            Err(error) => {
                problem.at = Some(error.at);
                problem.message = error.message + &what_stays(defined);
            }
        }
        change.problems.push(problem);
    }

    /// A file is not there. It may return.
    fn depart(&mut self, name: &FileName, now: Instant, change: &mut Change) {
        let Some(file) = self.files.get_mut(name) else { return };
        if file.keys.is_empty() {
            self.files.remove(name);
            return;
        }
        file.leaves_at.get_or_insert(now + ABSENCE);
        change.affected.extend(file.keys.iter().cloned());
    }

    /// A file is there, perhaps again.
    fn welcome(&mut self, name: &FileName, change: &mut Change) {
        let Some(file) = self.files.get_mut(name) else { return };
        if file.leaves_at.take().is_some() {
            change.affected.extend(file.keys.iter().cloned());
        }
    }

    /// Takes over what a file says now.
    fn adopt(&mut self, name: &FileName, contents: Contents, change: &mut Change) {
        for (kind, count) in contents.other_kinds {
            *change.other_kinds.entry(kind).or_default() += count;
        }
        let file = self.files.get_or_insert(name);
        let before: HashSet<Arc<ObjectKey>> = std::mem::take(&mut file.keys).into_iter().collect();
        let mut now: HashSet<Arc<ObjectKey>> = HashSet::with_capacity(contents.found.len());
        let mut kept: HashSet<Arc<ObjectKey>> = HashSet::new();
        let mut objects = HashMap::with_capacity(contents.found.len());
        for found in contents.found {
            if now.contains(&found.key) {
                let message = "stands twice in this file; the first one counts: remove the other";
                change.report(self.path.join(&**name), found.at, found.key, message.into());
                continue;
            }
            if found.object.is_none() && !before.contains(&found.key) {
                continue;
            }
            let (key, is_new) = self.claims.add(found.key, name);
            if is_new {
                change.claimed.entry(Arc::clone(&key)).or_default().insert(Arc::clone(name), found.at);
            }
            match found.object {
                Some(object) => drop(objects.insert(Arc::clone(&key), (Fingerprint::of(&object), object))),
                None => drop(kept.insert(Arc::clone(&key))),
            }
            now.insert(key);
        }
        for key in before.difference(&now) {
            self.claims.remove(key, name);
            change.affected.insert(Arc::clone(key));
        }
        change.affected.extend(now.iter().cloned());
        change.problems.extend(contents.problems.into_iter().map(|problem| with_consequence(problem, &kept)));
        change.read.insert(Arc::clone(name), objects);
        self.files.get_or_insert(name).keys = now.into_iter().collect();
    }

    /// Where the objects stand that files define newly.
    pub(super) fn places(&self, change: &Change) -> Places {
        let mut places = Places::new();
        for (key, files) in &change.claimed {
            let first = files.iter().min_by_key(|(file, _)| *file);
            places.extend(first.map(|(file, at)| (ObjectKey::clone(key), (self.path.join(&**file), *at))));
        }
        places
    }

    /// What changed, by everything that was taken in.
    pub(super) fn settle(&mut self, mut change: Change) -> Batch {
        let mut events = Vec::new();
        for key in std::mem::take(&mut change.affected) {
            self.report_rivals(&key, &mut change);
            events.extend(self.settle_one(&key, &mut change));
        }
        if change.in_vain > IN_VAIN {
            let message = format!("and {} more definitions in vain", change.in_vain - IN_VAIN);
            change.problems.push(Problem::of_file(Severity::Warning, &self.path, message));
        }
        Batch { events, problems: change.problems, has_gaps: self.files.have_gaps(), ..Batch::default() }
    }

    fn settle_one(&mut self, key: &Arc<ObjectKey>, change: &mut Change) -> Option<ObjectEvent> {
        let files = &self.files;
        let claim = self.claims.get_mut(key)?;
        let Some(winner) = claim.first(|file| files.is_departing(file)) else {
            let was_there = claim.emitted.is_some();
            self.claims.forget(key);
            return was_there.then(|| ObjectEvent::Deleted(ObjectKey::clone(key)));
        };
        let version = change.read.get_mut(&winner).and_then(|objects| objects.remove(key));
        claim.winner = Some(winner);
        let (fingerprint, object) = version?;
        if !object.is_watched() {
            let was_there = claim.emitted.take().is_some();
            return was_there.then(|| ObjectEvent::Deleted(ObjectKey::clone(key)));
        }
        let before = claim.emitted.replace(fingerprint);
        (before != Some(fingerprint)).then_some(ObjectEvent::Applied(object))
    }

    /// Says which files define an object in vain, when that is news.
    fn report_rivals(&self, key: &Arc<ObjectKey>, change: &mut Change) {
        let Some(claimed) = change.claimed.remove(key) else { return };
        let Some(claim) = self.claims.get(key) else { return };
        let mut present = claim.holders.iter().filter(|file| !self.files.is_departing(file));
        let Some(winner) = present.next() else { return };
        for loser in present {
            change.in_vain += 1;
            if change.in_vain > IN_VAIN {
                continue;
            }
            let message = format!(
                "is also defined in {}, which comes first by name and counts; this one takes over when that goes",
                winner.display()
            );
            let mut problem = Problem::of_file(Severity::Warning, self.path.join(&**loser), message);
            problem.at = claimed.get(loser).copied();
            problem.object = Some(ObjectKey::clone(key));
            change.problems.push(problem);
        }
    }
}

impl Change {
    fn report(&mut self, path: PathBuf, at: Position, object: ObjectKey, message: String) {
        let severity = Severity::Warning;
        let (at, object, field) = (Some(at), Some(object), String::new());
        self.problems.push(Problem { severity, path, at, object, field, message });
    }
}

/// What a file that cannot be read means for its objects.
fn what_stays(defined: usize) -> String {
    match defined {
        0 => "; nothing that it defines is in effect".into(),
        1 => "; the object that it defined before stays in effect".into(),
        _ => format!("; the {defined} objects that it defined before stay in effect"),
    }
}

/// What an impossible object means: what it was before stays, if it was anything.
fn with_consequence(mut problem: Problem, kept: &HashSet<Arc<ObjectKey>>) -> Problem {
    if let Some(key) = problem.object.as_ref().filter(|_| problem.severity == Severity::Error) {
        problem.message += match kept.contains(key) {
            true => "; what it was before stays in effect",
            false => "; the object is not in effect",
        };
    }
    problem
}
