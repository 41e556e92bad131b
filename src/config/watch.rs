//! Notices that the configuration file is not what it was when it was read (reference §10.2). What to do about
//! it is for the daemon: like kube-proxy it ends, so that its supervisor starts it with the new file.
//!
//! kube-proxy watches the file, and ends when it is written or renamed; a ConfigMap's update, which swaps the
//! link `..data` in the mounted directory, escapes it. Here the directories of the file and of what it links to
//! are watched, and when anything in them was written or moved the file is read again: what counts is that it says
//! something else.
//! While it cannot be read it has not changed; nobody configures by deleting.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use super::load::Source;

/// The file says something else than it did.
#[derive(Debug, thiserror::Error)]
#[error("the configuration file {} has changed: start again to apply it", path.display())]
pub struct Changed {
    /// which
    pub path: PathBuf,
}

/// Waits until the file says something else than what was read; forever if there is none. Where the kernel
/// cannot watch (it is out of inotify instances), says so in the log and waits forever, too.
pub async fn changed(source: Option<&Source>) -> Changed {
    let Some(source) = source else { return std::future::pending().await };
    let (sender, mut events) = mpsc::channel(1);
    let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        if event.is_ok_and(|event| !is_news(event.kind)) {
            return;
        }
        // Full is as good: the file will be looked at after this event, too.
        let _ = sender.try_send(());
    });
    let mut watcher = match watcher {
        Ok(watcher) => watcher,
        Err(error) => return unwatched(&source.path, &error).await,
    };
    let mut watched = BTreeSet::new();
    loop {
        // Links may lead elsewhere than before, and looking comes after watching, so that nothing is missed.
        if let Err(error) = watch(&mut watcher, &mut watched, &source.path) {
            return unwatched(&source.path, &error).await;
        }
        if std::fs::read(&source.path).is_ok_and(|contents| contents != source.contents) {
            return Changed { path: source.path.clone() };
        }
        if events.recv().await.is_none() {
            return std::future::pending().await;
        }
    }
}

/// A file is looked at when its writer is done with it, or when something was moved into place. Looking is an
/// event, too, and must not be news.
fn is_news(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::Access(AccessKind::Close(AccessMode::Write)) | EventKind::Modify(ModifyKind::Name(_))
    )
}

async fn unwatched(path: &Path, error: &notify::Error) -> Changed {
    tracing::warn!("changes of the configuration file {} go unnoticed: {error}", path.display());
    std::future::pending().await
}

/// Watches the directories that have the file, and what it links to, in them.
fn watch(
    watcher: &mut RecommendedWatcher,
    watched: &mut BTreeSet<PathBuf>,
    path: &Path,
) -> Result<(), notify::Error> {
    let files = std::iter::once(path.to_owned()).chain(path.canonicalize());
    for directory in files.filter_map(|file| file.parent().map(Path::to_owned)) {
        let directory = if directory.as_os_str().is_empty() { PathBuf::from(".") } else { directory };
        if !watched.contains(&directory) && directory.is_dir() {
            watcher.watch(&directory, RecursiveMode::NonRecursive)?;
            watched.insert(directory);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    use super::*;

    fn source(path: PathBuf) -> Source {
        Source { contents: fs::read(&path).unwrap(), path }
    }

    /// Lets the watcher begin, does something, and says whether it was noticed.
    async fn is_noticed(source: &Source, wait: Duration, deed: impl FnOnce()) -> bool {
        let changed = changed(Some(source));
        tokio::pin!(changed);
        assert!(tokio::time::timeout(Duration::from_millis(20), &mut changed).await.is_err());
        deed();
        tokio::time::timeout(wait, &mut changed).await.is_ok()
    }

    const LONG: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(100);

    #[tokio::test]
    async fn writing_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.yaml");
        fs::write(&file, "a").unwrap();
        let source = source(file.clone());
        assert!(!is_noticed(&source, SHORT, || fs::write(&file, "a").unwrap()).await, "nothing is new");
        assert!(!is_noticed(&source, SHORT, || fs::write(file.with_extension("x"), "b").unwrap()).await);
        assert!(is_noticed(&source, LONG, || fs::write(&file, "b").unwrap()).await);
    }

    #[tokio::test]
    async fn renaming_over_it_is_noticed_and_deleting_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.yaml");
        fs::write(&file, "a").unwrap();
        let source = source(file.clone());
        assert!(!is_noticed(&source, SHORT, || fs::remove_file(&file).unwrap()).await);
        let replaced = is_noticed(&source, LONG, || {
            fs::write(file.with_extension("new"), "b").unwrap();
            fs::rename(file.with_extension("new"), &file).unwrap();
        });
        assert!(replaced.await);
    }

    #[tokio::test]
    async fn a_config_map_is_followed() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for (version, text) in [("..1", "a"), ("..2", "b")] {
            fs::create_dir(path(version)).unwrap();
            fs::write(path(version).join("config.conf"), text).unwrap();
        }
        symlink("..1", path("..data")).unwrap();
        symlink("..data/config.conf", path("config.conf")).unwrap();
        let swapped = is_noticed(&source(path("config.conf")), LONG, || {
            symlink("..2", path("..data_tmp")).unwrap();
            fs::rename(path("..data_tmp"), path("..data")).unwrap();
        })
        .await;
        assert!(swapped);
    }

    #[tokio::test]
    async fn what_a_link_leads_to_is_followed() {
        let [links, files] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let file = files.path().join("real.yaml");
        fs::write(&file, "a").unwrap();
        let link = links.path().join("config.yaml");
        symlink(&file, &link).unwrap();
        assert!(is_noticed(&source(link), LONG, || fs::write(&file, "b").unwrap()).await);
    }

    #[tokio::test]
    async fn without_a_file_nothing_ever_changes() {
        assert!(tokio::time::timeout(SHORT, changed(None)).await.is_err());
    }
}
