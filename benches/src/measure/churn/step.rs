//! One rate, for a while.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::bystander::{self, Unchanged};
use super::markers::{self, Marker, Noticed};
use super::stream::{Stream, UNCHANGED};
use crate::Error;
use crate::measure::Turn;
use crate::stage::{ClientThread, Pending};
use crate::workload::{Change, Protocol};

/// Changes that are due within this time are told together.
const TICK: Duration = Duration::from_millis(1);

/// A process is told of so many changes at once at most, also when this programme was late: an API server remembers no
/// more than its last events, and who watches would have to list everything anew.
const TOGETHER: usize = 100;

/// If changes to be told to a process are so late, this programme gives up.
const LATE: Duration = Duration::from_millis(500);

/// What there was to see.
#[derive(Debug)]
pub struct Step {
    /// of the markers
    pub noticed: Noticed,
    /// cores that the contender took, from the first change until the last marker was noticed
    pub cpu: f64,
    /// new connections to Services that nobody changes which failed
    pub failed: Vec<(Protocol, u32)>,
    /// this programme could not tell a process of changes at that rate, gave up when it was so late, and knows nothing of
    /// the process
    pub gave_up: Option<Duration>,
}

/// The clients, at work.
struct Clients {
    markers: Sender<Marker>,
    /// probes that may be used again
    free: Receiver<u32>,
    noticed: Pending<Noticed>,
    is_over: Arc<AtomicBool>,
    failed: Pending<Vec<u32>>,
    _threads: [ClientThread; 2],
}

/// Makes changes at an even rate, and markers among them, until the time is up, and waits until clients have noticed all
/// markers or there is no patience left.
///
/// # Errors
/// The contender is no longer there.
pub fn play(turn: &mut Turn<'_>, rate: u32, time: Duration) -> Result<Step, Error> {
    let unchanged = unchanged(turn);
    let protocols: Vec<Protocol> = unchanged.iter().map(|service| service.protocol).collect();
    let cpu = turn.contestant.cpu()?;
    let (clients, start) = (Clients::start(turn, unchanged), Instant::now());
    let result = make_changes(turn, &clients, rate, start, time);
    drop(clients.markers);
    let (noticed, took) = (clients.noticed.wait(), start.elapsed());
    // Before anything is allowed to fail here: the client's thread is waited for.
    clients.is_over.store(true, Ordering::Relaxed);
    let cpu = turn.contestant.cpu()?.saturating_sub(cpu).as_secs_f64() / took.as_secs_f64();
    let failed = protocols.into_iter().zip(clients.failed.wait()?).collect();
    Ok(Step { noticed: noticed?, cpu, failed, gave_up: result? })
}

/// Returns by how much this programme was late, if it had to give up.
fn make_changes(
    turn: &mut Turn<'_>,
    clients: &Clients,
    rate: u32,
    start: Instant,
    time: Duration,
) -> Result<Option<Duration>, Error> {
    let mut stream = Stream::new(turn.world.size(), rate);
    let mut probes: VecDeque<u32> = turn.world.probes().collect();
    // Rules are loaded with all that is due, as kube-proxy would: that takes its time, which is what is measured. Telling a
    // process is this programme's own business.
    let (most, latest) = match turn.contestant.memory()? {
        Some(_) => (TOGETHER, LATE),
        None => (usize::MAX, Duration::MAX),
    };
    loop {
        let passed = start.elapsed().min(time);
        let late = start.elapsed().saturating_sub(stream.next());
        if late > latest {
            return Ok(Some(late));
        }
        let mut changes = stream.due(passed);
        probes.extend(clients.free.try_iter());
        // Where all probes are still waiting to be noticed a marker is left out: those that wait tell of the lag.
        let used: Vec<(u32, Instant)> = stream
            .markers(passed)
            .into_iter()
            .filter_map(|due| probes.pop_front().map(|probe| (probe, start + due)))
            .collect();
        changes.extend(used.iter().map(|(probe, _)| Change::Replace { service: *probe, endpoint: 0 }));
        for changes in changes.chunks(most) {
            turn.tell(changes)?;
        }
        for (probe, due) in used {
            let service = turn.world.service(probe).ok_or("the probe is gone")?;
            let (to, wanted) = (turn.contestant.frontend(&service), service.endpoints[0]);
            // If the clients have ended, waiting for them says so.
            let _ = clients.markers.send(Marker { probe, to, wanted, due });
        }
        if passed == time {
            return Ok(None);
        }
        let next = stream.next().max(passed + TICK).min(time);
        sleep(next.saturating_sub(start.elapsed()));
    }
}

impl Clients {
    fn start(turn: &Turn<'_>, unchanged: Vec<Unchanged>) -> Self {
        let threads = [ClientThread::start(turn.stage), ClientThread::start(turn.stage)];
        let ((markers, given), (noticed, free)) = (channel(), channel());
        let patience = turn.effort.patience;
        let noticed = threads[0].begin(move || markers::watch(&given, &noticed, patience));
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let failed = threads[1].begin(move || bystander::watch(&unchanged, &over));
        Clients { markers, free, noticed, is_over, failed, _threads: threads }
    }
}

fn unchanged(turn: &Turn<'_>) -> Vec<Unchanged> {
    let services = (0..UNCHANGED).filter_map(|number| turn.world.service(number));
    let unchanged = services.map(|service| Unchanged {
        protocol: service.protocol,
        to: turn.contestant.frontend(&service),
        endpoints: service.endpoints,
    });
    unchanged.collect()
}
