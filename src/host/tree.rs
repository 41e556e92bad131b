//! Small files of the kernel's, below a root.

use std::io;
use std::path::PathBuf;

/// A root directory.
#[derive(Clone, Debug)]
pub(super) struct Tree(PathBuf);

impl Tree {
    pub(super) fn new(root: impl Into<PathBuf>) -> Self {
        Tree(root.into())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name.trim_start_matches('/'))
    }

    /// What a file says, without white space around it.
    pub(super) fn read(&self, name: &str) -> io::Result<String> {
        Ok(std::fs::read_to_string(self.path(name))?.trim().to_owned())
    }

    /// The number in a file.
    pub(super) fn number(&self, name: &str) -> io::Result<u64> {
        let text = self.read(name)?;
        text.parse().map_err(|_| io::Error::new(io::ErrorKind::InvalidData, format!("{text:?} is no number")))
    }

    /// Writes a file that is there; the kernel's files cannot be made.
    pub(super) fn write(&self, name: &str, text: &str) -> io::Result<()> {
        use std::io::Write;
        let mut file = std::fs::OpenOptions::new().write(true).truncate(true).open(self.path(name))?;
        file.write_all(text.as_bytes())
    }
}
