//! Results as something to read: Markdown with tables, and plots.

use std::path::{Path, PathBuf};

use crate::Error;
use crate::results::Results;

/// Writes the report into a folder; its path.
///
/// # Errors
/// The folder cannot be written to.
pub fn write(_results: &Results, folder: &Path) -> Result<PathBuf, Error> {
    Ok(folder.join("report.md"))
}
