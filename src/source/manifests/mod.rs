//! A directory of manifests as a source of objects: for machines without a cluster, for `render` and
//! `explain`, and for tests.
//!
//! Files are read ([`read`]), decoded into objects ([`decode`]), and what all of them together define is kept
//! and compared ([`directory`]); [`watch`] says which files to look at again. The rules, as a user meets them,
//! are in `docs/manifests.md`. The one that shapes the code: whatever happens to a file, objects that were
//! served go on being served until somebody plainly removed them.

mod claims;
mod decode;
mod definitions;
mod directory;
mod fields;
mod fingerprint;
mod inbox;
mod known;
mod listing;
mod places;
mod read;
mod watch;

pub use directory::{Directory, OpenError};
pub use places::{Places, locate};
pub use watch::{Follower, follow, follow_when_there};

#[cfg(test)]
mod tests;
