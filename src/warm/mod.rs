//! Warm start: the last table's objects are kept on disk, so that a node that comes back while its source of objects
//! is away, an API server or a directory, serves what it knew.
//!
//! ```text
//! source ──> Warm ──> loop
//!             │ ▲ at the start, if the source is not complete in time and the kernel has nothing of ours
//!      keeper ▼ │
//!            file
//! ```
//!
//! What is kept are the objects as the table knows them ([`keep`]), not what the kernel has: configuration, addresses
//! of interfaces and the layout of the tables are taken as they are then. The kernel goes before the file: after a
//! restart without a reboot it has the rules, which are newer than anything on disk, and they stay as they are. As soon
//! as the source is complete the difference to what was kept is one change ([`source`]), and what is in both is not
//! touched. What a file must be like to be believed is in [`file`], when it is written in [`keeper`] and [`pace`].
//!
//! kube-proxy has nothing like it: without its API server it waits (reference §10.1).

mod bytes;
mod file;
mod keep;
mod keeper;
mod metrics;
mod pace;
mod source;

use std::path::PathBuf;

use crate::config::State;
pub use file::{Kept, Origin, Refused};
pub use metrics::WarmMetrics;
pub use source::{Scene, Warm};

/// The file's name in its directory.
const FILE: &str = "table";

/// The file in a directory of state.
fn file(state: &State) -> PathBuf {
    state.directory.join(FILE)
}

/// The table that is kept, for a node of this origin. None: there is none.
///
/// # Errors
/// Why it cannot be used.
pub fn read(state: &State, origin: &Origin) -> Result<Option<Kept>, Refused> {
    file::read(&file(state), origin, state.max_age)
}

/// Removes the table that is kept; says whether there was one.
///
/// # Errors
/// When it cannot be removed.
pub fn forget(state: &State) -> std::io::Result<bool> {
    match std::fs::remove_file(file(state)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
