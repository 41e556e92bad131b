//! Waiting until a contender has nothing left to do.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::Turn;
use crate::Error;

/// How often the kernel is asked for its CPU time.
const LOOK: Duration = Duration::from_millis(50);
/// A contender that takes less of a core than this is at rest: one in five.
const BUSY: u32 = 5;

/// Waits until it has been at rest for as long as [`Contestant::quiet`](crate::contender::Contestant::quiet) says.
///
/// # Errors
/// It is busy for longer than there is patience, or no longer there.
pub fn settle(turn: &Turn<'_>) -> Result<(), Error> {
    let quiet = turn.contestant.quiet();
    let (start, mut at_rest_since) = (Instant::now(), Instant::now());
    let mut before = turn.contestant.cpu()?;
    while at_rest_since.elapsed() < quiet {
        if start.elapsed() > turn.effort.patience + quiet {
            return Err(format!("it is still busy after {:?}", turn.effort.patience).into());
        }
        let slept = Instant::now();
        sleep(LOOK.min(quiet));
        let now = turn.contestant.cpu()?;
        if now.saturating_sub(before) > slept.elapsed() / BUSY {
            at_rest_since = Instant::now();
        }
        before = now;
    }
    Ok(())
}
