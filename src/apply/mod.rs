//! Programming a table once, without a daemon: what would change in the kernel, in words ([`Difference`]), and whether
//! somebody else looks after it ([`running`]). The change itself is a sync as the daemon's first.

mod difference;
mod running;

pub use difference::{Difference, FrontendDifference, served};
pub use running::{Daemon, running};
