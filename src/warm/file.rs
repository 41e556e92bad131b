//! The file that a table is kept in: what it says of itself before the objects, and the checksum behind them. Pure but
//! for [`read`] and [`write`].
//!
//! | bytes | what |
//! |---|---|
//! | 8 | [`MAGIC`] |
//! | 4 | [`VERSION`], little-endian as the next two |
//! | 8 | the length of the file |
//! | 8 | when it was written, in seconds since 1970 |
//! | text | the node's name |
//! | text | where the objects came from |
//! | number | how many objects there are |
//! | chunk … | the objects ([`super::keep`]) |
//! | 32 | SHA-256 of all before it |
//!
//! Texts and chunks have their length before them, as a number of seven bits a byte.
//!
//! Whoever may write the file decides where this node's connections go, so a file is taken only from an owner that we
//! trust, and by nobody else to be written. The checksum is against accidents, not against such people.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use kube_verdict_table::objects::Object;
use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};

use super::bytes::{Read, Reader, Wrong, put_chunk, put_number};
use super::keep;

const MAGIC: [u8; 8] = *b"kvtable\n";
/// Magic, version and length.
const HEADER: usize = 20;
/// Counts up whenever the same bytes would mean something else.
const VERSION: u32 = 1;
/// The largest file that is written, or read. 10,000 Services of ten endpoints take under 3 MiB.
const LIMIT: u64 = 64 << 20;
/// How much a clock may be set back between two runs before a file counts as being from the future.
const SKEW: Duration = Duration::from_secs(600);

/// Whose objects they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// the node's name
    pub node: String,
    /// where they come from, such as `manifests /etc/kube-verdict/manifests`
    pub source: String,
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// when it was written
    pub written: SystemTime,
    /// what there was then
    pub objects: Vec<Object>,
}

/// Why a file is not used.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// It may have been written by somebody else.
    #[error("{0}: whoever may write it decides where connections go. Remove it, and look who did that")]
    Untrusted(&'static str),
    /// It is larger than any that is written.
    #[error("it has more than {} MiB", LIMIT >> 20)]
    TooLarge,
    /// It is something else.
    #[error("it is no table that was kept")]
    Foreign,
    /// Another release wrote it.
    #[error("it is of version {0}, and this release knows version {VERSION}")]
    Version(u32),
    /// It was not written to its end.
    #[error("it is cut short")]
    Truncated,
    /// Something happened to it.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    /// It is another node's, or of another source.
    #[error("it is of {0:?}, and this is {1:?}")]
    OfAnother(String, String),
    /// It is too old.
    #[error("it is {} old, and {} is the most (--state-max-age)", hours(.0), hours(.1))]
    TooOld(Duration, Duration),
    /// It is newer than now.
    #[error("it is from the future, by {}: is the clock right?", hours(.0))]
    FromTheFuture(Duration),
}

/// `3 h 25 min`
pub(super) fn hours(time: &Duration) -> String {
    let minutes = time.as_secs() / 60;
    match minutes {
        0 => format!("{} s", time.as_secs()),
        1..60 => format!("{minutes} min"),
        _ => format!("{} h {} min", minutes / 60, minutes % 60),
    }
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// There would be more than is ever read.
    #[error("the table has more than the {} MiB that are kept", LIMIT >> 20)]
    TooLarge,
    /// The disk, or the directory.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A whole file.
pub(super) fn encode<'a>(
    origin: &Origin,
    written: SystemTime,
    objects: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
) -> Result<Vec<u8>, WriteError> {
    let size = objects.clone().map(|object| object.len() + 5).sum::<usize>();
    if size as u64 > LIMIT {
        return Err(WriteError::TooLarge);
    }
    let mut out = Vec::with_capacity(size + 512);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    let length_at = out.len();
    out.extend_from_slice(&[0; 8]);
    let since = written.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    out.extend_from_slice(&since.as_secs().to_le_bytes());
    put_chunk(&mut out, origin.node.as_bytes());
    put_chunk(&mut out, origin.source.as_bytes());
    put_number(&mut out, objects.len() as u64);
    objects.for_each(|object| put_chunk(&mut out, object));
    let length = (out.len() + SHA256_OUTPUT_LEN) as u64;
    out[length_at..length_at + 8].copy_from_slice(&length.to_le_bytes());
    let sum = digest(&SHA256, &out);
    out.extend_from_slice(sum.as_ref());
    if length > LIMIT { Err(WriteError::TooLarge) } else { Ok(out) }
}

/// What a whole file says to a node that starts now.
pub(super) fn decode(
    bytes: &[u8],
    origin: &Origin,
    now: SystemTime,
    max_age: Duration,
) -> Result<Kept, Refused> {
    let mut header = Reader::new(bytes);
    if header.array() != Ok(MAGIC) {
        return Err(Refused::Foreign);
    }
    let truncated = |_| Refused::Truncated;
    let version = u32::from_le_bytes(header.array().map_err(truncated)?);
    if version != VERSION {
        return Err(Refused::Version(version));
    }
    let length = u64::from_le_bytes(header.array().map_err(truncated)?);
    let body = usize::try_from(length)
        .ok()
        .filter(|length| *length <= bytes.len())
        .and_then(|length| length.checked_sub(SHA256_OUTPUT_LEN))
        .ok_or(Refused::Truncated)?;
    if length != bytes.len() as u64 {
        return Err(Refused::Damaged("something follows its end"));
    }
    if digest(&SHA256, &bytes[..body]).as_ref() != &bytes[body..] {
        return Err(Refused::Damaged("the checksum is another"));
    }
    let malformed = |_: Wrong| Refused::Damaged("an object is none");
    let mut from = Reader::new(bytes.get(HEADER..body).ok_or(Refused::Truncated)?);
    let written = u64::from_le_bytes(from.array().map_err(malformed)?);
    let written = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(written));
    let written = written.ok_or(Refused::Damaged("its time is none"))?;
    for wanted in [&origin.node, &origin.source] {
        let found = from.text().map_err(malformed)?;
        if found != wanted {
            return Err(Refused::OfAnother(found.to_owned(), wanted.clone()));
        }
    }
    match now.duration_since(written) {
        Ok(age) if age > max_age => return Err(Refused::TooOld(age, max_age)),
        Err(early) if early.duration() > SKEW => return Err(Refused::FromTheFuture(early.duration())),
        _ => {}
    }
    let objects = objects(&mut from, &origin.node).map_err(malformed)?;
    Ok(Kept { written, objects })
}

fn objects(from: &mut Reader<'_>, node: &str) -> Read<Vec<Object>> {
    let mut objects = Vec::new();
    for _ in 0..from.count()? {
        objects.push(keep::read(from.chunk()?, node)?);
    }
    if from.left() == 0 { Ok(objects) } else { Err(Wrong) }
}

/// Reads a file that a node of this origin may start with. None: there is none.
pub(super) fn read(path: &Path, origin: &Origin, max_age: Duration) -> Result<Option<Kept>, Refused> {
    // Neither a link nor a pipe that nobody writes to is what is written here.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(Refused::Untrusted("it is no regular file"));
    }
    if metadata.uid() != owner() {
        return Err(Refused::Untrusted("it belongs to another user"));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(Refused::Untrusted("others may write it"));
    }
    let mut bytes = Vec::new();
    file.take(LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LIMIT {
        return Err(Refused::TooLarge);
    }
    decode(&bytes, origin, SystemTime::now(), max_age).map(Some)
}

#[allow(unsafe_code)]
fn owner() -> u32 {
    // SAFETY: geteuid takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}

/// Puts a file into the place of the one that is there, if there is one: whatever happens on the way, one of the two is
/// there afterwards, whole. The directory is made if it is not there; that above it has to be.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    match fs::DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error.into()),
        _ => {}
    }
    let temporary = path.with_extension("new");
    let written = write_new(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // What is half there helps nobody, and takes room.
        let _ = fs::remove_file(&temporary);
    }
    written?;
    // The name is as durable as the file. Some file systems know nothing of this; theirs is as durable as they are.
    let _ = File::open(directory).and_then(|directory| directory.sync_all());
    Ok(())
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // One that a crash left is in the way, and may be anything.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
