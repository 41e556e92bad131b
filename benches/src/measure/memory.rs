//! What a process holds when it has come to rest and at the most, and the CPU time that it takes while nothing happens.
//! Of contenders without a process nothing is recorded.

use std::thread;
use std::time::{Duration, Instant};

use super::Turn;
use super::rest::settle;
use crate::Error;
use crate::results::Quantity;

/// From rest until memory is looked at: what follows a first sync, such as a second one or memory that is given back,
/// belongs to it.
const AFTERWARDS: Duration = Duration::from_secs(2);
/// How long to look at one that does nothing, at least and at most.
const IDLE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// After the first sync: waits for rest, then looks.
///
/// # Errors
/// The process is no longer there.
pub fn at_rest(turn: &mut Turn<'_>) -> Result<(), Error> {
    if turn.contestant.memory()?.is_none() {
        return Ok(());
    }
    settle(turn)?;
    thread::sleep(AFTERWARDS);
    let idle = share(turn, turn.effort.budget.clamp(IDLE.0, IDLE.1))?;
    if let Some(memory) = turn.contestant.memory()? {
        turn.record(Quantity::Resident, "", memory.resident as f64);
        turn.record(Quantity::IdleCpu, "", idle);
    }
    Ok(())
}

/// At the end of a turn: ends the process, since what its children held is told when it has ended.
///
/// # Errors
/// The process is no longer there, or cannot be ended.
pub fn peak(turn: &mut Turn<'_>) -> Result<(), Error> {
    turn.contestant.stop()?;
    if let Some(memory) = turn.contestant.memory()? {
        turn.record(Quantity::Peak, "", memory.peak as f64);
    }
    Ok(())
}

/// The share of a core that the process takes for a while.
fn share(turn: &Turn<'_>, time: Duration) -> Result<f64, Error> {
    let (before, start) = (turn.contestant.cpu()?, Instant::now());
    thread::sleep(time);
    let used = turn.contestant.cpu()?.saturating_sub(before);
    Ok(used.as_secs_f64() / start.elapsed().as_secs_f64())
}
