//! What can be wrong with a configuration. All of these are the operator's to mend, in the file that they
//! name, so each says where and what would be right. None is retried.

use std::fmt;
use std::path::PathBuf;

use crate::document::Position;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read at all.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Unreadable {
        /// which
        path: PathBuf,
        /// why
        source: std::io::Error,
    },
    /// The file is no YAML or JSON, not of this kind or version, or has a value of the wrong type.
    #[error("{}:{at}: {message}", path.display())]
    Malformed {
        /// which
        path: PathBuf,
        /// where
        at: Position,
        /// what is wrong
        message: String,
    },
    /// The file, or the command line, can be read, and what it says is impossible (reference §15.4).
    #[error("{}: the configuration is impossible:{}", path.display(), list(errors))]
    Invalid {
        /// which
        path: PathBuf,
        /// everything that is wrong
        errors: Vec<FieldError>,
    },
    /// The file can be read, and is not for a host of these IP families (reference §15.3).
    #[error("the configuration is not for this host: {message}")]
    Families {
        /// which field, and what the host is like
        message: String,
    },
    /// The configuration that the flags make cannot be written (`--write-config-to`).
    #[error("cannot write the configuration to {}: {source}", path.display())]
    Unwritable {
        /// where to
        path: PathBuf,
        /// why
        source: std::io::Error,
    },
}

fn list(errors: &[FieldError]) -> String {
    errors.iter().map(|error| format!("\n  {error}")).collect()
}

/// One impossible field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// `nftables.masqueradeBit`
    pub field: String,
    /// where it stands
    pub at: Option<Position>,
    /// its value and what would be possible
    pub message: String,
}

impl fmt::Display for FieldError {
    /// `KubeProxyConfiguration.nftables.masqueradeBit (line 5): 40 is not within 0 to 31`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", super::file::KIND, self.field)?;
        if let Some(at) = self.at {
            write!(f, " (line {})", at.line)?;
        }
        write!(f, ": {}", self.message)
    }
}
