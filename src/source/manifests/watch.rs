//! Following a directory: inotify says which files to read again; a slow look at everything finds what inotify
//! does not say (a file behind a link, a network file system, a directory that was replaced).
//!
//! One thread waits, reads and sends; it owns the [`Directory`]. A file is read as soon as it is closed after
//! writing or moved into place, not while it is being written.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube_verdict_table::objects::Kind;
use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{Config, Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::{mpsc, oneshot};

use super::directory::{Directory, Trust};
use super::inbox::{Inbox, Pending};
use super::listing::Identity;
use super::read::is_hidden;
use crate::source::{Batch, Problem, Severity};

/// How often everything is looked at when inotify works and nothing is in suspense.
const LOOK: Duration = Duration::from_secs(10);
/// Of how many moments one may be spent on looking: a change that comes meanwhile waits.
const LOOK_SHARE: u32 = 500;
/// How often otherwise.
const LOOK_SOON: Duration = Duration::from_secs(1);
/// Batches that nobody has taken yet. More changes wait in the directory itself.
const BATCHES: usize = 4;

/// Follows a directory until it is dropped, or until the receiver is.
#[derive(Debug)]
pub struct Follower {
    inbox: Arc<Inbox>,
}

impl Follower {
    /// Has every file read again, whatever it looks like from outside, and waits until what came of it was handed on.
    pub async fn read_again(&self) {
        let (done, is_done) = oneshot::channel();
        self.inbox.add(|pending| pending.again.push(done));
        // Dropped without a word: nobody follows the directory any more.
        let _ = is_done.await;
    }

    /// All EndpointSlices are told once more, for whoever did not keep them.
    pub fn recall(&self) {
        self.inbox.add(|pending| pending.recall = true);
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.inbox.add(|pending| pending.stop = true);
    }
}

/// Follows a directory on a thread of its own. The first batch comes in any case: all that the directory
/// defines, or, if it was loaded before, what changed since. Later ones come when there is something to say.
pub fn follow(directory: Directory) -> io::Result<(Follower, mpsc::Receiver<Batch>)> {
    start_thread(move |inbox, sender| Reader::new(directory, inbox, sender).run())
}

/// Follows a directory that cannot be read yet: the first batch comes when it can.
pub fn follow_when_there(path: PathBuf) -> io::Result<(Follower, mpsc::Receiver<Batch>)> {
    start_thread(move |inbox, sender| {
        while !sender.is_closed() {
            if let Ok(directory) = Directory::open(&path) {
                tracing::info!("the manifest directory {} can be read", path.display());
                return Reader::new(directory, inbox, sender).run();
            }
            // Whoever wants it read again is answered: there is nothing to read.
            let pending = inbox.wait_until(Instant::now() + LOOK_SOON);
            for done in pending.again {
                let _ = done.send(());
            }
            if pending.stop {
                return;
            }
        }
    })
}

fn start_thread(
    run: impl FnOnce(Arc<Inbox>, mpsc::Sender<Batch>) + Send + 'static,
) -> io::Result<(Follower, mpsc::Receiver<Batch>)> {
    let (sender, receiver) = mpsc::channel(BATCHES);
    let inbox = Arc::new(Inbox::default());
    let theirs = Arc::clone(&inbox);
    std::thread::Builder::new().name("manifests".into()).spawn(move || run(theirs, sender))?;
    Ok((Follower { inbox }, receiver))
}

struct Reader {
    directory: Directory,
    inbox: Arc<Inbox>,
    watch: Watch,
    sender: mpsc::Sender<Batch>,
    /// how long the last look at everything took
    look_took: Duration,
}

impl Reader {
    fn new(directory: Directory, inbox: Arc<Inbox>, sender: mpsc::Sender<Batch>) -> Self {
        Reader { directory, inbox, watch: Watch::default(), sender, look_took: Duration::ZERO }
    }

    fn run(mut self) {
        let mut problems = self.watch.renew(self.directory.path(), &self.inbox);
        let mut batch = self.directory.catch_up();
        batch.problems.extend(problems.take());
        let mut had_gaps = batch.has_gaps;
        if self.sender.blocking_send(batch).is_err() {
            return;
        }
        let mut look_at = self.next_look();
        loop {
            let deadline =
                self.directory.next_departure().map_or(look_at, |departure| look_at.min(departure));
            let mut pending = self.inbox.wait_until(deadline);
            let waiting = std::mem::take(&mut pending.again);
            if pending.stop || self.sender.is_closed() {
                return;
            }
            let is_look = pending.look || !waiting.is_empty() || Instant::now() >= look_at;
            let mut batches = self.react(pending, is_look);
            if !waiting.is_empty() {
                batches.push(self.directory.read_again(Instant::now()));
            }
            for batch in batches {
                let is_news = !batch.is_empty() || batch.has_gaps != had_gaps;
                had_gaps = batch.has_gaps;
                if is_news && self.sender.blocking_send(batch).is_err() {
                    return;
                }
            }
            for done in waiting {
                // That nobody waits any more is no failure.
                let _ = done.send(());
            }
            look_at = if is_look { self.next_look() } else { look_at.min(self.next_look()) };
        }
    }

    fn next_look(&self) -> Instant {
        let is_calm = self.watch.is_working() && !self.directory.is_unsettled();
        Instant::now() + if is_calm { LOOK.max(self.look_took * LOOK_SHARE) } else { LOOK_SOON }
    }

    fn react(&mut self, pending: Pending, is_look: bool) -> Vec<Batch> {
        let Pending { mut written, touched, look, recall, .. } = pending;
        written.extend(self.directory.complete(touched));
        let now = Instant::now();
        let mut batches = Vec::new();
        if recall {
            batches.push(self.directory.recall(Kind::EndpointSlice, now));
        }
        if !written.is_empty() {
            batches.push(self.directory.reread(written, now));
        }
        if is_look {
            let problem = self.watch.renew(self.directory.path(), &self.inbox);
            let mut looked = self.directory.look(if look { Trust::Links } else { Trust::Nothing }, now);
            self.look_took = now.elapsed();
            looked.problems.extend(problem);
            batches.push(looked);
        }
        batches.push(self.directory.expire(Instant::now()));
        batches
    }
}

/// The inotify watch, and which directory it is on.
#[derive(Default)]
struct Watch {
    watcher: Option<RecommendedWatcher>,
    on: Option<Identity>,
    has_complained: bool,
}

impl Watch {
    fn is_working(&self) -> bool {
        self.on.is_some()
    }

    /// Watches the directory that the path leads to now, unless it is watched already. A failure is worth one
    /// line in the log: changes are then found by looking.
    fn renew(&mut self, path: &Path, inbox: &Arc<Inbox>) -> Option<Problem> {
        let Ok(identity) = Identity::of(path) else {
            (self.watcher, self.on) = (None, None);
            return None;
        };
        if self.on == Some(identity) {
            return None;
        }
        // The old watch goes first: it may be on another directory of the same name.
        (self.watcher, self.on) = (None, None);
        match start(path, inbox) {
            Ok(watcher) => {
                (self.watcher, self.on, self.has_complained) = (Some(watcher), Some(identity), false);
                None
            }
            Err(_) if std::mem::replace(&mut self.has_complained, true) => None,
            Err(error) => {
                let message = format!(
                    "cannot be watched, so changes are looked for every second: {error}; raising \
                     fs.inotify.max_user_instances or max_user_watches may help"
                );
                Some(Problem::of_file(Severity::Warning, path, message))
            }
        }
    }
}

fn start(path: &Path, inbox: &Arc<Inbox>) -> notify::Result<RecommendedWatcher> {
    // Events bear absolute paths, whatever was asked for.
    let path = std::path::absolute(path).map_err(notify::Error::io)?;
    let (inbox, directory) = (Arc::clone(inbox), path.clone());
    let handler = move |event: notify::Result<Event>| match event {
        Ok(event) => note(&event, &directory, &inbox),
        Err(_) => inbox.add(|pending| pending.look = true),
    };
    let mut watcher = RecommendedWatcher::new(handler, Config::default())?;
    watcher.watch(&path, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

/// Which kind of attention an event asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Attention {
    /// the file is complete, or gone
    Written,
    /// it may not be
    Touched,
    /// none
    None,
}

fn attention(kind: EventKind) -> Attention {
    match kind {
        EventKind::Remove(_)
        | EventKind::Access(AccessKind::Close(AccessMode::Write))
        | EventKind::Modify(ModifyKind::Name(_)) => Attention::Written,
        // Metadata: a file may have become readable.
        EventKind::Create(_) | EventKind::Modify(ModifyKind::Metadata(_)) => Attention::Touched,
        _ => Attention::None,
    }
}

/// Puts an event into the inbox.
fn note(event: &Event, directory: &Path, inbox: &Inbox) {
    let attention = attention(event.kind);
    if event.need_rescan() {
        return inbox.add(|pending| pending.look = true);
    }
    if attention == Attention::None {
        return;
    }
    for path in &event.paths {
        let name = path.file_name().filter(|_| path.parent() == Some(directory));
        match name {
            // The directory itself.
            None => inbox.add(|pending| pending.look = true),
            // A link such as `..data` may have been swapped, on which any file may hang; a file of such a
            // name, such as one that is about to be moved into place, is nothing to us.
            Some(name) if is_hidden(name) => {
                if matches!(event.kind, EventKind::Modify(ModifyKind::Name(_))) && !is_file_or_gone(path) {
                    inbox.add(|pending| pending.look = true);
                }
            }
            Some(name) => inbox.add(|pending| match attention {
                Attention::Written => drop(pending.written.insert(name.into())),
                _ => drop(pending.touched.insert(name.into())),
            }),
        }
    }
}

fn is_file_or_gone(path: &Path) -> bool {
    path.symlink_metadata().map_or(true, |metadata| metadata.is_file())
}
