//! The loop's clock: monotonic, so that whoever sets the time of day, forwards or backwards, changes nothing here. It is
//! the runtime's, not the operating system's: a test that holds time, or has it pass at once, holds the loop's too.

use std::time::Instant;

/// This moment.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
