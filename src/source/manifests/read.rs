//! Reading one file without being hurt by what it is: a pipe that nobody writes to, a device, a loop of
//! links, a file that is larger than memory.

use std::ffi::OsStr;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use crate::document::limits;

/// What tells one state of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// What became of an attempt to read a file.
#[derive(Debug)]
pub(super) enum Attempt {
    /// there is no such name in the directory
    Gone,
    /// there is, and it cannot be read; says why and what to do
    Unreadable(Option<Stamp>, String),
    /// its bytes
    Bytes(Stamp, Vec<u8>),
}

/// Whether a name may be that of a manifest.
pub(super) fn is_manifest_name(name: &OsStr) -> bool {
    let extension = Path::new(name).extension().and_then(OsStr::to_str);
    !is_hidden(name) && matches!(extension, Some("yaml" | "yml" | "json"))
}

/// Names that begin with a dot: other tools' business, such as a volume's `..data`.
pub(super) fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

/// Reads a file whole.
pub(super) fn read(path: &Path) -> Attempt {
    if let Err(error) = path.symlink_metadata() {
        return match error.kind() {
            io::ErrorKind::NotFound => Attempt::Gone,
            _ => Attempt::Unreadable(None, format!("cannot be looked at: {error}")),
        };
    }
    // Not even opened if it is no regular file: opening a device can do things.
    let metadata = match path.metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Attempt::Unreadable(
                None,
                "is a link to nothing: restore its target, or remove the link".into(),
            );
        }
        Err(error) => return Attempt::Unreadable(None, format!("cannot be followed: {error}")),
    };
    if let Some(reason) = refusal(&metadata) {
        return Attempt::Unreadable(Some(Stamp::of(&metadata)), reason);
    }
    match read_regular(path) {
        Ok(attempt) => attempt,
        Err(error) => Attempt::Unreadable(Some(Stamp::of(&metadata)), format!("cannot be read: {error}")),
    }
}

fn read_regular(path: &Path) -> io::Result<Attempt> {
    // Non-blocking, should a pipe have taken the file's place meanwhile.
    let file: File = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let metadata = file.metadata()?;
    let stamp = Stamp::of(&metadata);
    if let Some(reason) = refusal(&metadata) {
        return Ok(Attempt::Unreadable(Some(stamp), reason));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    file.take(limits::FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limits::FILE_BYTES {
        return Ok(Attempt::Unreadable(Some(stamp), too_large(bytes.len() as u64)));
    }
    Ok(Attempt::Bytes(stamp, bytes))
}

fn refusal(metadata: &Metadata) -> Option<String> {
    if !metadata.is_file() {
        return Some("is no regular file: remove it, or give it another name".into());
    }
    (metadata.len() > limits::FILE_BYTES).then(|| too_large(metadata.len()))
}

fn too_large(bytes: u64) -> String {
    let limit = limits::FILE_BYTES >> 20;
    format!("has {} MiB, more than the {limit} MiB that we read: split it into several files", bytes >> 20)
}
