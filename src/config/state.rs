//! Where the daemon keeps what it wants to find again after a reboot.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where a table is kept, and for how long it is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// the directory
    pub directory: PathBuf,
    /// a table that is older is not used
    pub max_age: Duration,
}

impl State {
    /// How old a table may be if nobody says otherwise: over a longer absence pods have other addresses.
    pub const MAX_AGE: Duration = Duration::from_secs(24 * 3600);

    /// The directory that a flag names, else the one that a service manager made for us (systemd.exec(5),
    /// `StateDirectory=`); none if that is empty or not there: who starts the program by hand has not asked for files.
    pub fn directory(flag: Option<&Path>, given: Option<OsString>) -> Option<PathBuf> {
        let directory = match flag {
            Some(path) => path.to_owned(),
            // Of several directories the first.
            None => given?.to_str()?.split(':').next()?.into(),
        };
        Some(directory).filter(|path| !path.as_os_str().is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_it_is_kept() {
        let of = |flag: Option<&str>, given: Option<&str>| {
            State::directory(flag.map(Path::new), given.map(OsString::from))
        };
        let path = |text: &str| Some(PathBuf::from(text));
        assert_eq!(of(None, None), None);
        assert_eq!(of(None, Some("/var/lib/a:/var/lib/b")), path("/var/lib/a"));
        assert_eq!(of(Some("/x"), Some("/var/lib/a")), path("/x"));
        assert_eq!(of(Some(""), Some("/var/lib/a")), None);
        assert_eq!(of(None, Some("")), None);
    }
}
