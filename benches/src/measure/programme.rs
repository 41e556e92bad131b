//! First sync: from the start of a contender on an empty node until clients are served by the first and by the last of
//! the Services.
//!
//! The API server has encoded the objects before. A client that waits takes a few hundredths of a core.

use std::time::Instant;

use super::Turn;
use super::served::until_served;
use crate::Error;
use crate::results::Quantity;
use crate::stage::ClientThread;

/// Starts the contender and waits; it goes on.
///
/// # Errors
/// It does not start, ends, or does not serve in time.
pub fn measure(turn: &mut Turn<'_>) -> Result<(), Error> {
    let regular = turn.world.size().regular();
    let numbers = [Some(0), Some(regular - 1), turn.world.probes().last()];
    let awaited: Vec<_> =
        numbers.into_iter().flatten().filter_map(|number| turn.world.service(number)).collect();
    let client = ClientThread::start(turn.stage);
    let start = Instant::now();
    turn.contestant.start()?;
    let mut time = start.elapsed();
    for service in &awaited {
        // Who is served stays so: the last to be asked for is served when all are.
        time = until_served(turn, &client, service, start)?;
    }
    let cpu = turn.contestant.cpu()?;
    turn.record(Quantity::FirstSync, "", time.as_secs_f64());
    turn.record(Quantity::FirstSyncCpu, "", cpu.as_secs_f64());
    Ok(())
}
