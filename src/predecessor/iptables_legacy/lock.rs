//! The lock by which the programmes that change ip_tables take turns: a table is read, edited and replaced, and
//! what another did meanwhile would be lost.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Where `iptables-legacy` has it (XT_LOCK_NAME of its xshared.h).
const PATH: &str = "/run/xtables.lock";
/// kube-proxy may hold it for many seconds while it restores a large table.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// Waits for the lock, and holds it as long as the file is open. None: there is no such file here, and cannot be
/// (a container without the host's). Then only the kernel protects from others: it refuses to replace a table by
/// one that was made of another number of entries.
pub fn take() -> io::Result<Option<File>> {
    take_at(Path::new(PATH), PATIENCE)
}

fn take_at(path: &Path, patience: Duration) -> io::Result<Option<File>> {
    let file = match OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path) {
        Ok(file) => file,
        Err(error) => {
            tracing::debug!("no lock on ip_tables: {}: {error}", path.display());
            return Ok(None);
        }
    };
    let deadline = Instant::now() + patience;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => sleep(PAUSE),
            Err(TryLockError::WouldBlock) => {
                let message = format!("somebody has held {} for {patience:?}", path.display());
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_it_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("xtables.lock");
        let held = take_at(&path, Duration::ZERO).unwrap();
        assert!(held.is_some());
        let error = take_at(&path, Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(held);
        assert!(take_at(&path, Duration::ZERO).unwrap().is_some());
    }

    #[test]
    fn where_there_can_be_none_it_is_not_missed() {
        assert!(take_at(Path::new("/nowhere/xtables.lock"), Duration::ZERO).unwrap().is_none());
    }
}
