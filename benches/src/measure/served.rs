//! Waiting for a Service to be served, as a client sees it.

use std::net::SocketAddrV4;
use std::thread;
use std::time::{Duration, Instant};

use super::Turn;
use crate::Error;
use crate::stage::{ClientThread, ask};
use crate::workload::Service;

/// The least time that a question is given, and between questions that were refused: several thousand refusals a second
/// would take a good part of a core from whoever is waited for.
const SHORTEST: Duration = Duration::from_millis(1);
/// A connection over the stage takes a fraction of a millisecond, and more when somebody is busy.
const ANSWER: Duration = Duration::from_millis(10);
/// The most.
const LONGEST: Duration = Duration::from_millis(200);
/// How long the client asks before it is looked whether the contender is still there.
const LOOK: Duration = Duration::from_millis(200);

/// Asks until one of the Service's endpoints answers; the time since `start`, to a hundredth of itself or to some
/// milliseconds.
pub(super) fn until_served(
    turn: &mut Turn<'_>,
    client: &ClientThread,
    service: &Service,
    start: Instant,
) -> Result<Duration, Error> {
    loop {
        let (asked, to) = (service.clone(), turn.contestant.frontend(service));
        if let Some(time) = client.begin(move || ask_for_a_while(&asked, to, start)).wait()? {
            return Ok(time);
        }
        turn.contestant.check()?;
        if start.elapsed() > turn.effort.patience {
            let Service { name, endpoints, .. } = service;
            let which = endpoints.first().map(ToString::to_string).unwrap_or_default();
            return Err(format!("{name} is not served by {which} after {:?}", turn.effort.patience).into());
        }
    }
}

fn ask_for_a_while(service: &Service, to: SocketAddrV4, start: Instant) -> Option<Duration> {
    let begin = Instant::now();
    while begin.elapsed() < LOOK {
        // Who takes long is asked less often.
        let step = (start.elapsed() / 100).clamp(SHORTEST, LONGEST);
        let asked = Instant::now();
        match ask(service.protocol, to, step.max(ANSWER)) {
            Ok(endpoint) if service.endpoints.contains(&endpoint) => return Some(start.elapsed()),
            _ => thread::sleep(step.saturating_sub(asked.elapsed())),
        }
    }
    None
}
