//! Whether files are still the ones that were read. Kubernetes replaces them by links that are swapped, tools by
//! renaming or in place: identity, size and times of what a path leads to tell all of these.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What a path leads to; None: nothing that can be read.
type Mark = Option<[i64; 7]>;

/// The state of some files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamp(Vec<(PathBuf, Mark)>);

impl Stamp {
    /// Their state now.
    pub(super) fn of<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Self {
        Stamp(paths.into_iter().map(|path| (path.as_ref().to_owned(), mark(path.as_ref()))).collect())
    }

    /// Both together.
    pub(super) fn and(mut self, other: Stamp) -> Self {
        self.0.extend(other.0);
        self
    }

    /// The same files, as they are by now.
    pub(super) fn renewed(&self) -> Self {
        Stamp::of(self.0.iter().map(|(path, _)| path))
    }
}

fn mark(path: &Path) -> Mark {
    let found = std::fs::metadata(path).ok()?;
    Some([
        found.dev() as i64,
        found.ino() as i64,
        found.size() as i64,
        found.mtime(),
        found.mtime_nsec(),
        found.ctime(),
        found.ctime_nsec(),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_replacing_a_file_is_seen() {
        let directory = tempfile::tempdir().unwrap();
        let (file, other) = (directory.path().join("token"), directory.path().join("other"));
        let mut stamp = Stamp::of([&file]);
        let mut changed = || {
            let before = std::mem::replace(&mut stamp, Stamp::of([&file]));
            before != stamp && stamp.renewed() == stamp
        };
        std::fs::write(&file, "one").unwrap();
        assert!(changed());
        assert!(!changed());
        std::fs::write(&file, "another").unwrap();
        assert!(changed());
        std::fs::write(&other, "another").unwrap();
        std::fs::rename(&other, &file).unwrap();
        assert!(changed());
        std::fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink("/proc/version", &file).unwrap();
        assert!(changed());
        std::fs::remove_file(&file).unwrap();
        assert!(changed());
    }
}
