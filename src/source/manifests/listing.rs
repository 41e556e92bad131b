//! What is in the directory: manifests, and what is passed over.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use super::claims::FileName;
use super::read::{Stamp, is_hidden, is_manifest_name};

/// Which directory a path led to: another one may have taken its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity(u64, u64);

impl Identity {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        path.metadata().map(|metadata| Identity(metadata.dev(), metadata.ino()))
    }
}

/// The names in a directory.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// those of manifests
    pub(super) manifests: BTreeMap<FileName, Entry>,
    /// others, but for hidden ones
    pub(super) ignored: BTreeSet<OsString>,
}

/// One name of a manifest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// the state of the file that it leads to, if it leads to one
    pub(super) stamp: Option<Stamp>,
    /// it is a link to somewhere else
    pub(super) is_link: bool,
}

impl Listing {
    /// Lists a directory.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let mut listing = Listing::default();
        for entry in path.read_dir()? {
            let entry = entry?;
            let name = entry.file_name();
            if is_manifest_name(&name) {
                let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
                let stamp = entry.path().metadata().ok().map(|metadata| Stamp::of(&metadata));
                listing.manifests.insert(Arc::from(name), Entry { stamp, is_link });
            } else if !is_hidden(&name) {
                listing.ignored.insert(name);
            }
        }
        Ok(listing)
    }
}
