//! A stream of changes: endpoints of all Services are replaced, one after the other, at rates that rise until the
//! contender no longer keeps up.
//!
//! Among the changes, ten times a second, a *marker*: a probe's endpoint is replaced, and a client asks the probe until it
//! notices. The time since the marker was due (not since it could be made) is the lag. A contender keeps up with a rate if
//! every marker was noticed within [`LAG`]; the last are made when the stream ends, and so tell of the backlog. Meanwhile
//! another client opens new connections to two Services that nobody changes.
//!
//! Everybody begins with 100 changes a second, a rate that all can be compared at, and goes on to where the limit lies.
//! Changes that are due within a millisecond of each other are told together. Rules without a process are loaded by the
//! harness, and while they are, changes wait, to be loaded together, as in kube-proxy. Worlds of few Services have nothing
//! to say here: below [`FEWEST`] nothing is measured.

mod bystander;
mod ladder;
mod markers;
mod step;
mod stream;

use std::time::Duration;

use super::percentile::{percentile, sorted};
use super::rest::settle;
use super::{Turn, together};
use crate::Error;
use crate::results::Quantity;
use crate::workload::Protocol;

use ladder::Ladder;
use step::Step;

/// A marker that takes longer says that the contender lags: a second more than the second for which kube-proxy lets
/// changes wait on purpose (minSyncPeriod).
pub const LAG: Duration = Duration::from_secs(2);
/// In worlds of fewer Services there is no stream.
pub const FEWEST: u32 = 10;
/// A rate is tried for as long at least.
const SHORTEST: Duration = Duration::from_secs(3);

/// All of it.
///
/// # Errors
/// The contender is no longer there, does not come to rest, or leaves changes out; or the harness cannot make changes as
/// fast as the contender takes them.
pub fn measure(turn: &mut Turn<'_>) -> Result<(), Error> {
    if turn.world.size().services < FEWEST {
        return Ok(());
    }
    let time = turn.effort.budget.max(SHORTEST);
    let (mut ladder, mut troubles) = (Ladder::default(), Vec::new());
    while let Some(rate) = ladder.next() {
        settle(turn)?;
        let step = step::play(turn, rate, time)?;
        if let Some(late) = step.gave_up {
            troubles.push(format!("this programme could not make {rate} changes/s: it was {late:?} late"));
            ladder.tried(rate, false);
            continue;
        }
        record(turn, rate, &step);
        if step.noticed.lost > 0 {
            turn.contestant.check()?;
            let (lost, patience) = (step.noticed.lost, turn.effort.patience);
            troubles
                .push(format!("at {rate} changes/s {lost} were not noticed by a client within {patience:?}"));
        }
        ladder.tried(rate, step.keeps_up());
    }
    turn.record(Quantity::ChurnRate, "", f64::from(ladder.highest()));
    together(troubles)
}

impl Step {
    fn keeps_up(&self) -> bool {
        self.noticed.lost == 0 && self.noticed.lags.iter().all(|lag| *lag <= LAG.as_secs_f64())
    }
}

fn record(turn: &mut Turn<'_>, rate: u32, step: &Step) {
    let variant = format!("{rate} changes/s");
    let lags = sorted(step.noticed.lags.clone());
    for (quantity, hundredths) in [(Quantity::ChurnLagP50, 50), (Quantity::ChurnLagP99, 99)] {
        if let Some(lag) = percentile(&lags, hundredths) {
            turn.record(quantity, &variant, lag);
        }
    }
    turn.record(Quantity::ChurnCpu, &variant, step.cpu);
    for (protocol, failed) in &step.failed {
        let protocol = match protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        turn.record(Quantity::ChurnFailed, &format!("{variant}, {protocol}"), f64::from(*failed));
    }
}
