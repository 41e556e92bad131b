//! `--write-config-to FILE`: the configuration that the flags, or `--config`, make, with every field.

use std::path::Path;

use super::Failure;
use super::arguments::Sources;
use crate::config::{self, ConfigError};

/// Writes the file.
pub(super) fn run(sources: &Sources, path: &Path) -> Result<(), Failure> {
    let loaded = config::load(&sources.flags())?;
    config::log(&loaded.messages);
    std::fs::write(path, loaded.configuration.yaml())
        .map_err(|source| ConfigError::Unwritable { path: path.to_owned(), source })?;
    Ok(())
}
