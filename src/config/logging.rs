//! `logging`: what is logged, and how.

use super::file::File;

/// What the log is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logging {
    /// an object a line, for machines
    pub is_json: bool,
    /// kube-proxy's level, 0 and more
    pub verbosity: u32,
    /// other levels for source files whose names match a pattern; the first that matches counts
    pub modules: Vec<(String, u32)>,
}

impl Logging {
    /// What a validated and complete file says.
    pub(super) fn of(file: &File) -> Self {
        let section = file.logging.clone().unwrap_or_default();
        let modules = section.vmodule.unwrap_or_default().into_iter();
        Logging {
            is_json: section.format.as_deref() == Some("json"),
            verbosity: section.verbosity.unwrap_or(0),
            modules: modules
                .map(|module| (module.file_pattern.unwrap_or_default(), module.verbosity.unwrap_or(0)))
                .collect(),
        }
    }
}
