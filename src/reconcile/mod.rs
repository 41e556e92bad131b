//! The loop between sources and kernel: watch first, then programme.
//!
//! Nothing is written until the first complete set of objects is there. Then one comparison of the whole table
//! with the kernel writes the difference, whatever an earlier run or anybody else left. From there on each
//! change goes out as a batch of its own: the first of a quiet period at once, and those that arrive while a
//! batch is in flight together with the next (no fixed delay, unless `minSyncPeriod` asks for one). What fails
//! is tried again, later and later; nothing that is programmed is ever taken back because of it. Stopping
//! leaves the rules in place.
//!
//! What somebody else changes in our tables is mended as soon as the kernel tells of it, and at the latest when the
//! ruleset's generation is looked at next.
//!
//! [`Reconciler`] is that without clocks and channels; [`run`] drives it.

mod backend;
mod clock;
mod drift;
mod reconciler;
mod run;
mod witness;

pub use backend::{Backend, Error, Leaving, Outcome, Refused, Report, Routing, Servers};
pub use reconciler::Reconciler;
pub use run::{Alarm, Ended, Input, News, Pace, run};
pub use witness::{Mended, Repair, Scope, Synced, Witness};

#[cfg(test)]
mod tests;
