//! Something that a person should know about what a source read. A problem is never fatal: whoever meets one
//! goes on with what is good, and keeps what was good before.

use std::fmt;
use std::path::PathBuf;

use kube_verdict_table::objects::ObjectKey;

use crate::document::Position;

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// nothing to do about it
    Info,
    /// it works, and is probably not what was meant
    Warning,
    /// something that is written there is not in effect
    Error,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// how much it matters
    pub severity: Severity,
    /// the file, or the directory
    pub path: PathBuf,
    /// where in the file
    pub at: Option<Position>,
    /// the object, if it is about one
    pub object: Option<ObjectKey>,
    /// `spec.ports[1].port`; empty if it is not about a field
    pub field: String,
    /// what is wrong, what is done about it, and what to do
    pub message: String,
}

impl Problem {
    /// A problem with a whole file or directory.
    pub fn of_file(severity: Severity, path: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        let (path, message) = (path.into(), message.into());
        Problem { severity, path, at: None, object: None, field: String::new(), message }
    }

    /// Writes it to the log.
    pub fn log(&self) {
        match self.severity {
            Severity::Error => tracing::error!("{self}"),
            Severity::Warning => tracing::warn!("{self}"),
            Severity::Info => tracing::info!("{self}"),
        }
    }
}

impl fmt::Display for Problem {
    /// `/etc/manifests/web.yaml:12:5: Service default/web: spec.ports[1].port: …`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(at) = self.at {
            write!(f, ":{at}")?;
        }
        if let Some(object) = &self.object {
            write!(f, ": {object}")?;
        }
        if !self.field.is_empty() {
            write!(f, ": {}", self.field)?;
        }
        write!(f, ": {}", self.message)
    }
}
