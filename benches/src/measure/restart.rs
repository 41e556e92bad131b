//! Restart: a change is made while nobody runs. How long it takes from the start of the process until a client sees the
//! change, and whether meanwhile somebody is refused who asks for a Service that does not change.

use std::net::SocketAddrV4;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::Turn;
use super::served::until_served;
use crate::Error;
use crate::results::Quantity;
use crate::stage::{ClientThread, ask};
use crate::workload::{Change, Service};

/// How long a connection may take to be made and answered. A lost first packet is sent again after a second.
const ANSWER: Duration = Duration::from_millis(500);
/// From one new connection to the next.
const PACE: Duration = Duration::from_millis(2);

/// Ends a contender that is a process, and starts it again; it goes on. Not for rules, which do not end.
///
/// # Errors
/// It does not end or start, or the change does not come true in time.
pub fn measure(turn: &mut Turn<'_>) -> Result<(), Error> {
    let steady = turn.world.service(0).ok_or("there is no first Service")?;
    let changed = turn.world.probes().last().ok_or("there is no Service to change")?;
    let (client, bystander) = (ClientThread::start(turn.stage), ClientThread::start(turn.stage));
    let over = Over::default();
    let failed = {
        let (over, to) = (Arc::clone(&over.0), turn.contestant.frontend(&steady));
        bystander.begin(move || count_failures(&steady, to, &over))
    };
    turn.contestant.stop()?;
    turn.tell(&[Change::Replace { service: changed, endpoint: 0 }])?;
    let changed = turn.world.service(changed).ok_or("the Service that was changed is gone")?;
    let start = Instant::now();
    turn.contestant.start()?;
    let time = until_served(turn, &client, &changed, start)?;
    let cpu = turn.contestant.cpu()?;
    drop(over);
    let failed = failed.wait()?;
    turn.record(Quantity::Restart, "", time.as_secs_f64());
    turn.record(Quantity::RestartCpu, "", cpu.as_secs_f64());
    turn.record(Quantity::RestartFailed, "", f64::from(failed));
    Ok(())
}

/// When it is dropped, whatever the reason, the bystander stops asking.
#[derive(Default)]
struct Over(Arc<AtomicBool>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Opens new connections until it is over; how many of them no endpoint of the Service answered.
fn count_failures(service: &Service, to: SocketAddrV4, over: &AtomicBool) -> u32 {
    let mut failed = 0;
    while !over.load(Ordering::Relaxed) {
        let asked = Instant::now();
        let answer = ask(service.protocol, to, ANSWER);
        if !answer.is_ok_and(|endpoint| service.endpoints.contains(&endpoint)) {
            failed += 1;
        }
        thread::sleep(PACE.saturating_sub(asked.elapsed()));
    }
    failed
}
