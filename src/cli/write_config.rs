//! `--write-config-to FILE`: the configuration that the flags, or `--config`, make, with every field.

use std::path::Path;

use super::arguments::Sources;
use super::{Failure, table};
use crate::config::{self, ConfigError};

/// Writes the file.
pub(super) fn run(sources: &Sources, path: &Path) -> Result<(), Failure> {
    let loaded = config::load(&sources.flags())?;
    table::log_messages(&loaded);
    std::fs::write(path, loaded.configuration.yaml())
        .map_err(|source| ConfigError::Unwritable { path: path.to_owned(), source })?;
    Ok(())
}
