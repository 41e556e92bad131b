//! A client of Services that nobody changes: does it notice that others are changed?

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use crate::stage::ask;
use crate::workload::Protocol;

/// Between two questions.
const GAP: Duration = Duration::from_millis(5);
/// How long an answer may take, where it takes a tenth of a millisecond: shorter than the kernel waits before it sends a
/// SYN again, so that a lost one is a failure.
const ANSWER: Duration = Duration::from_millis(900);

/// A Service, and who may answer.
#[derive(Clone, Debug)]
pub struct Unchanged {
    /// what it speaks
    pub protocol: Protocol,
    /// where clients reach it
    pub to: SocketAddrV4,
    /// its endpoints
    pub endpoints: Vec<Ipv4Addr>,
}

/// Opens new connections to all of them in turn until it is over; how many failed, of each.
pub fn watch(services: &[Unchanged], is_over: &AtomicBool) -> Vec<u32> {
    let mut failed = vec![0; services.len()];
    while !is_over.load(Ordering::Relaxed) {
        for (service, failed) in services.iter().zip(&mut failed) {
            let answer = ask(service.protocol, service.to, ANSWER);
            if !answer.is_ok_and(|endpoint| service.endpoints.contains(&endpoint)) {
                *failed += 1;
            }
            sleep(GAP);
        }
    }
    failed
}
