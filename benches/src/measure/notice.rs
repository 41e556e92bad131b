//! When a client notices a change: it asks again and again, with new connections.
//!
//! In the first milliseconds after a change it asks without a pause, then with pauses that grow with the time that has
//! passed, a fiftieth of it: a figure is at most so much too high, and whoever takes seconds does not have to share the
//! machine with thousands of questions.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::stage::ask;
use crate::workload::Protocol;

/// So long there are no pauses.
const EAGER: Duration = Duration::from_millis(5);
/// The share of the time that has passed.
const SHARE: u32 = 50;
/// A question takes a tenth of a millisecond. What is lost is asked again after this, and so is what waits for an answer
/// that would come too late to be the truth.
const ANSWER: Duration = Duration::from_millis(50);
/// Questions in a row without an answer that mean that there is none any more.
const SILENCE: u32 = 3;

/// How long to wait before the next question about what happened at that time.
pub fn pause(since: Instant) -> Duration {
    let passed = since.elapsed();
    if passed < EAGER { Duration::ZERO } else { passed / SHARE }
}

/// Where a Service leads now, by TCP.
pub fn answer(to: SocketAddrV4) -> Option<Ipv4Addr> {
    ask(Protocol::Tcp, to, ANSWER).ok()
}

/// Asks until this endpoint answers, and returns when it did. None: there was not patience enough.
pub fn live(to: SocketAddrV4, endpoint: Ipv4Addr, since: Instant, patience: Duration) -> Option<Duration> {
    while since.elapsed() < patience {
        if answer(to) == Some(endpoint) {
            return Some(since.elapsed());
        }
        sleep(pause(since));
    }
    None
}

/// Asks until nobody answers any more, and returns when the first question was asked that got no answer.
pub fn gone(to: SocketAddrV4, since: Instant, patience: Duration) -> Option<Duration> {
    let (mut silent, mut first) = (0, Duration::ZERO);
    while since.elapsed() < patience {
        let asked = since.elapsed();
        if answer(to).is_some() {
            silent = 0;
            sleep(pause(since));
            continue;
        }
        if silent == 0 {
            first = asked;
        }
        silent += 1;
        if silent == SILENCE {
            return Some(first);
        }
    }
    None
}
