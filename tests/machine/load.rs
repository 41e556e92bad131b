//! Connections by every way that a Service has: some that last, and clients that open one after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::node::{EXTERNAL, NODE, NODE_PORT, WEB, WEB_6};
use crate::talk::{Flow, Talk, enter};

/// Between two connections of a client: whoever is started anew has to get a turn in an emulated machine.
const PAUSE: Duration = Duration::from_millis(50);

/// How long many new connections may take.
const PATIENCE: Duration = Duration::from_secs(150);

const WAYS: [(&str, &str); 7] = [
    ("client", WEB),
    ("client", NODE_PORT),
    ("client", EXTERNAL),
    ("client", WEB_6),
    ("pod-a", WEB),
    (NODE, WEB),
    (NODE, WEB_6),
];
const ECHO: [(&str, &str); 3] =
    [("client", "10.96.0.1:7"), ("client", "192.0.2.1:30007"), (NODE, "[fd00:10:96::1]:7")];

/// TCP sends the first packet again after so long.
const RESENT: Duration = Duration::from_secs(1);

/// Connections of all kinds.
pub struct Company {
    talks: Vec<Talk>,
    flows: Vec<Flow>,
}

impl Company {
    pub fn gather() -> Company {
        let talks = WAYS.map(|(from, to)| Talk::open(from, to));
        let flows = ECHO.map(|(from, to)| Flow::begin(from, to));
        let mut company = Company { talks: talks.into(), flows: flows.into() };
        company.go_on();
        company
    }

    pub fn go_on(&mut self) {
        self.talks.iter_mut().for_each(|talk| drop(talk.go_on()));
        self.flows.iter_mut().for_each(|flow| drop(flow.go_on()));
    }

    pub fn end(self) {
        self.talks.into_iter().for_each(Talk::reset);
    }
}

pub const SIZE: u32 = (WAYS.len() + ECHO.len()) as u32;

/// One connection after the other, until it is told to stop. A failure is a panic.
pub struct Load {
    stop: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
    /// those of which a packet was lost, or that had to wait for the machine
    slow: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    pub fn begin() -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let (count, slow) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let client = |from: &'static str, once: Box<dyn Fn() + Send>| {
            let (stop, count, slow) = (Arc::clone(&stop), Arc::clone(&count), Arc::clone(&slow));
            thread::spawn(move || {
                enter(from);
                while !stop.load(Ordering::Relaxed) {
                    let start = Instant::now();
                    once();
                    count.fetch_add(1, Ordering::Relaxed);
                    slow.fetch_add(usize::from(start.elapsed() >= RESENT), Ordering::Relaxed);
                    thread::sleep(PAUSE);
                }
            })
        };
        let talk = |to| {
            move || {
                let mut talk = Talk::open_here(to);
                talk.go_on();
                talk.reset();
            }
        };
        // A datagram is not sent again: one that is lost is a failure.
        let flow = |to| move || drop(Flow::begin_here(to).go_on());
        let mut threads: Vec<_> =
            WAYS[..6].iter().map(|(from, to)| client(from, Box::new(talk(to)))).collect();
        threads.extend(ECHO.iter().map(|(from, to)| client(from, Box::new(flow(to)))));
        Load { stop, count, slow, threads }
    }

    /// Lets so many more connections happen.
    pub fn go_on(&self, more: usize) {
        let (deadline, goal) = (Instant::now() + PATIENCE, self.count.load(Ordering::Relaxed) + more);
        while self.count.load(Ordering::Relaxed) < goal {
            let failed = self.threads.iter().any(JoinHandle::is_finished);
            assert!(!failed && Instant::now() < deadline, "the load has failed or hangs");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// How many connections there were, and how many slow ones.
    pub fn end(self) -> (usize, usize) {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().expect("a connection that failed"));
        (self.count.load(Ordering::Relaxed), self.slow.load(Ordering::Relaxed))
    }
}
