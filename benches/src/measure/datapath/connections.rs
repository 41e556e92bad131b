//! A client that opens new connections, one after the other.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use crate::stage::ask;
use crate::workload::Protocol;

/// This many are made before any counts.
const WARM_UP: u32 = 100;
/// How long an answer may take, where it takes a tenth of a millisecond: shorter than the kernel waits before it sends a
/// SYN again, so that a lost one is a failure.
const ANSWER: Duration = Duration::from_millis(900);
/// So many failures in a row say all that there is to say.
const ENOUGH: u32 = 5;

/// What became of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Made {
    /// answered by an endpoint of the Service
    pub answered: u32,
    /// refused, not answered, or answered by somebody else; those of the warm-up too
    pub failed: u32,
    /// how long all of these took
    pub took: Duration,
}

/// Makes so many, or fewer if the time is up.
pub fn make(
    protocol: Protocol,
    to: SocketAddrV4,
    endpoints: &[Ipv4Addr],
    count: u16,
    time: Duration,
) -> Made {
    let mut made = Made::default();
    let mut in_a_row = 0;
    let mut start = Instant::now();
    for number in 0..WARM_UP + u32::from(count) {
        if number == WARM_UP {
            made.answered = 0;
            start = Instant::now();
        }
        if ask(protocol, to, ANSWER).is_ok_and(|endpoint| endpoints.contains(&endpoint)) {
            made.answered += 1;
            in_a_row = 0;
        } else {
            made.failed += 1;
            in_a_row += 1;
        }
        let is_over = number >= WARM_UP && start.elapsed() > time;
        if in_a_row == ENOUGH || is_over {
            break;
        }
    }
    made.took = start.elapsed();
    made
}
