//! Keeps the objects on disk, on a thread of its own: nothing waits for a disk but this thread, and at the end of the
//! process whoever ends it, for a moment.
//!
//! The loop hands over what changed, each object at most once until it is fetched; the thread has all of them as bytes
//! (for 10,000 Services of ten endpoints 5 MiB) and writes them at the [`Pace`]. While it is not known that they are
//! all, nothing is written: what is on disk knows more.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use kube_verdict_table::objects::{Object, ObjectEvent};

use super::file::{self, Origin, WriteError};
use super::keep;
use super::metrics::WarmMetrics;
use super::pace::Pace;

/// How long the end of the process waits for the last write.
const LAST_WRITE: Duration = Duration::from_secs(5);

type Bytes = Box<[u8]>;

/// The thread's end on this side. When it is dropped the table is written once more.
#[derive(Debug)]
pub(super) struct Keeper {
    shared: Arc<Shared>,
    node: String,
    /// ends when the thread does
    done: mpsc::Receiver<()>,
}

#[derive(Debug, Default)]
struct Shared {
    pending: Mutex<Pending>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct Pending {
    /// by key; None: it is gone
    changes: HashMap<Bytes, Option<Bytes>>,
    /// they are all that there are
    is_complete: bool,
    stop: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keeper {
    /// Starts the thread.
    pub(super) fn start(path: PathBuf, origin: Origin, metrics: WarmMetrics) -> io::Result<Keeper> {
        let shared = Arc::new(Shared::default());
        let (sender, done) = mpsc::channel();
        let node = origin.node.clone();
        let writer = Writer { path, origin, metrics, objects: BTreeMap::new(), said: None };
        let theirs = Arc::clone(&shared);
        thread::Builder::new().name("keeper".into()).spawn(move || {
            run(&theirs, writer);
            drop(sender);
        })?;
        Ok(Keeper { shared, node, done })
    }

    /// What changed, and whether nothing is missing now.
    pub(super) fn note(&self, events: &[ObjectEvent], is_complete: bool) {
        // Other Nodes are none of ours.
        let is_ours = |object: &Object| match object {
            Object::Node(node) => *node.metadata.name == *self.node,
            _ => true,
        };
        let changes: Vec<(Bytes, Option<Bytes>)> = events
            .iter()
            .filter_map(|event| match event {
                ObjectEvent::Applied(object) => is_ours(object)
                    .then(|| (keep::key(&object.key()), Some(keep::object(object, &self.node)))),
                ObjectEvent::Deleted(key) => Some((keep::key(key), None)),
            })
            .collect();
        let mut pending = self.shared.lock();
        // The thread is woken for the first of many.
        let is_news = pending.is_complete != is_complete || pending.changes.is_empty() && !changes.is_empty();
        pending.changes.extend(changes);
        pending.is_complete = is_complete;
        drop(pending);
        if is_news {
            self.shared.news.notify_one();
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.news.notify_one();
        if self.done.recv_timeout(LAST_WRITE) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the disk takes longer than {LAST_WRITE:?} to keep the table: not waiting for it");
        }
    }
}

fn run(shared: &Shared, mut writer: Writer) {
    let mut pace = Pace::new(Instant::now());
    loop {
        let (changes, stop) = match wait(shared, &mut pace) {
            Some(fetched) => fetched,
            // Ended before everything was known: what is on disk stays.
            None => return,
        };
        writer.take_in(changes);
        let is_written = writer.write();
        if stop {
            return;
        }
        pace.tried(is_written, Instant::now());
    }
}

/// Waits until it is time to write, and fetches what changed; and whether this is the last time.
fn wait(shared: &Shared, pace: &mut Pace) -> Option<(HashMap<Bytes, Option<Bytes>>, bool)> {
    let mut pending = shared.lock();
    loop {
        let now = Instant::now();
        if !pending.changes.is_empty() {
            pace.changed(now);
        }
        if pending.stop && !pending.is_complete {
            return None;
        }
        let due_at = pace.due_at();
        if pending.is_complete && (pending.stop || due_at <= now) {
            return Some((std::mem::take(&mut pending.changes), pending.stop));
        }
        pending = if pending.is_complete {
            let waited = shared.news.wait_timeout(pending, due_at - now);
            waited.unwrap_or_else(PoisonError::into_inner).0
        } else {
            shared.news.wait(pending).unwrap_or_else(PoisonError::into_inner)
        };
    }
}

struct Writer {
    path: PathBuf,
    origin: Origin,
    metrics: WarmMetrics,
    /// by key
    objects: BTreeMap<Bytes, Bytes>,
    /// why the last write failed
    said: Option<String>,
}

impl Writer {
    fn take_in(&mut self, changes: HashMap<Bytes, Option<Bytes>>) {
        for (key, change) in changes {
            match change {
                Some(object) => drop(self.objects.insert(key, object)),
                None => drop(self.objects.remove(&key)),
            }
        }
    }

    /// Writes, and says once what is wrong.
    fn write(&mut self) -> bool {
        let now = SystemTime::now();
        match self.try_write(now) {
            Ok(bytes) => {
                self.metrics.wrote(now, bytes);
                if self.said.take().is_some() {
                    tracing::info!("the table is kept in {} again", self.path.display());
                }
                true
            }
            Err(error) => {
                self.metrics.failed_to_write();
                let words = error.to_string();
                if self.said.as_ref() != Some(&words) {
                    tracing::warn!(
                        "the table cannot be kept in {}: {words}; what was kept before stays, and it is tried again. \
                         Only a start without the source of objects needs it; `--state-dir=` turns it off",
                        self.path.display()
                    );
                }
                self.said = Some(words);
                false
            }
        }
    }

    fn try_write(&self, now: SystemTime) -> Result<usize, WriteError> {
        let bytes = file::encode(&self.origin, now, self.objects.values().map(|bytes| &**bytes))?;
        file::write(&self.path, &bytes)?;
        Ok(bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use kube_verdict_table::objects::Kind;
    use serde_json::json;

    use super::*;

    fn origin() -> Origin {
        Origin { node: "n1".into(), source: "s".into() }
    }

    fn applied(kind: Kind, name: &str) -> ObjectEvent {
        let value = json!({"metadata": {"name": name}});
        ObjectEvent::Applied(Object::deserialize_as(kind, value).unwrap())
    }

    fn names(path: &std::path::Path) -> Vec<String> {
        let kept = file::read(path, &origin(), Duration::from_secs(60)).unwrap().unwrap();
        kept.objects.iter().map(|object| object.key().to_string()).collect()
    }

    #[test]
    fn what_was_known_at_the_end_is_on_disk() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("table");
        let metrics = WarmMetrics::new().unwrap();
        let keeper = Keeper::start(path.clone(), origin(), metrics.clone()).unwrap();
        let first =
            [applied(Kind::Service, "a"), applied(Kind::Node, "n1"), applied(Kind::Node, "n2")].to_vec();
        keeper.note(&first, true);
        let ObjectEvent::Applied(object) = &first[0] else { panic!() };
        keeper.note(&[ObjectEvent::Deleted(object.key()), applied(Kind::Service, "b")], true);
        drop(keeper);
        assert_eq!(names(&path), ["Service b", "Node n1"]);

        // The next one hears only of a part, and leaves what there is.
        let keeper = Keeper::start(path.clone(), origin(), metrics).unwrap();
        keeper.note(&[applied(Kind::Service, "c")], false);
        drop(keeper);
        assert_eq!(names(&path), ["Service b", "Node n1"]);
    }

    #[test]
    fn a_directory_that_cannot_be_is_no_harm() {
        let metrics = WarmMetrics::new().unwrap();
        let keeper = Keeper::start("/proc/none/of/this".into(), origin(), metrics.clone()).unwrap();
        keeper.note(&[applied(Kind::Service, "a")], true);
        drop(keeper);
        let failures: f64 = metrics
            .collectors()
            .iter()
            .flat_map(|collector| collector.collect())
            .filter(|family| family.name().ends_with("write_failures_total"))
            .map(|family| family.get_metric()[0].get_counter().get_value())
            .sum();
        assert!(failures >= 1.0);
    }
}
