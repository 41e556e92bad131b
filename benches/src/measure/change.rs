//! One change at a time, from its making until a client of the Service notices: an endpoint that is replaced, a rolling
//! update, a Service that comes and goes.
//!
//! Pace: before a change the contender has been at rest, by the kernel's account of its CPU time, for as long as
//! [`Contestant::quiet`](crate::contender::Contestant::quiet) says. So a change meets what it meets where changes are
//! rare: kube-proxy's minSyncPeriod, which defers what comes within a second of the sync before (reference §9), delays
//! nothing here; it does in [`churn`](super::churn).
//!
//! Of the replaced endpoints the first is a warm-up that does not count. Time runs from before the objects are written
//! until a client's question has come back with the new answer; the question's own way, about a tenth of a millisecond, is
//! part of it, and so are a hundred questions one after the other in a rolling update of a hundred Services. CPU time is
//! that of the whole measurement divided by its changes, and so contains what the contender does at rest.

use std::time::{Duration, Instant};

use super::percentile::{percentile, sorted};
use super::rest::settle;
use super::{Turn, notice, together};
use crate::Error;
use crate::results::Quantity;
use crate::stage::ClientThread;
use crate::workload::Change;

/// Replaced endpoints in a turn at least, however long they take.
const FEWEST: usize = 3;
/// Rolling updates, and Services created and deleted, in a turn at most; at least there is one.
const MOST: usize = 10;

/// All of them. What fails does not keep the others from being measured.
///
/// # Errors
/// A change that a client did not notice in time; a contender that is no longer there.
pub fn measure(turn: &mut Turn<'_>) -> Result<(), Error> {
    let client = ClientThread::start(turn.stage);
    let mut troubles = Vec::new();
    let mut note = |what: &str, result: Result<(), Error>| {
        troubles.extend(result.err().map(|error| format!("{what}: {error}")));
    };
    note("an endpoint replaced", replacements(turn, &client));
    note("a rolling update", rolling_updates(turn, &client));
    note("a Service created and deleted", comings_and_goings(turn, &client));
    together(troubles)
}

fn replacements(turn: &mut Turn<'_>, client: &ClientThread) -> Result<(), Error> {
    let probes: Vec<u32> = turn.world.probes().collect();
    let mut probes = probes.iter().cycle().copied();
    let mut next = || probes.next().ok_or("a world without probes");
    settle(turn)?;
    replaced(turn, client, &[next()?])?;
    settle(turn)?;
    let (start, cpu) = (Instant::now(), turn.contestant.cpu()?);
    let mut times = Vec::new();
    while times.len() < FEWEST || goes_on(turn, start, times.len(), turn.effort.changes as usize) {
        times.push(replaced(turn, client, &[next()?])?);
        settle(turn)?;
    }
    let cpu = turn.contestant.cpu()?.saturating_sub(cpu);
    turn.record(Quantity::ChangeCpu, "", cpu.as_secs_f64() / times.len() as f64);
    let times = sorted(times);
    let at = [(Quantity::ChangeP50, 50), (Quantity::ChangeP99, 99), (Quantity::ChangeMax, 100)];
    for (quantity, hundredths) in at {
        if let Some(time) = percentile(&times, hundredths) {
            turn.record(quantity, "", time);
        }
    }
    Ok(())
}

fn rolling_updates(turn: &mut Turn<'_>, client: &ClientThread) -> Result<(), Error> {
    let probes: Vec<u32> = turn.world.probes().collect();
    let (start, mut times) = (Instant::now(), Vec::new());
    while times.is_empty() || goes_on(turn, start, times.len(), MOST) {
        times.push(replaced(turn, client, &probes)?);
        settle(turn)?;
    }
    record_median(turn, Quantity::Rolling, times);
    Ok(())
}

fn comings_and_goings(turn: &mut Turn<'_>, client: &ClientThread) -> Result<(), Error> {
    let service = turn.world.unborn();
    let (start, mut creations, mut deletions) = (Instant::now(), Vec::new(), Vec::new());
    while deletions.is_empty() || goes_on(turn, start, deletions.len(), MOST) {
        creations.push(created(turn, client, service)?);
        settle(turn)?;
        deletions.push(deleted(turn, client, service)?);
        settle(turn)?;
    }
    record_median(turn, Quantity::Create, creations);
    record_median(turn, Quantity::Delete, deletions);
    Ok(())
}

fn goes_on(turn: &Turn<'_>, start: Instant, count: usize, most: usize) -> bool {
    count < most && start.elapsed() < turn.effort.budget
}

fn record_median(turn: &mut Turn<'_>, quantity: Quantity, times: Vec<f64>) {
    if let Some(median) = percentile(&sorted(times), 50) {
        turn.record(quantity, "", median);
    }
}

/// Replaces the endpoints of probes, all at once; seconds until the last is live.
fn replaced(turn: &mut Turn<'_>, client: &ClientThread, probes: &[u32]) -> Result<f64, Error> {
    let changes: Vec<Change> =
        probes.iter().map(|probe| Change::Replace { service: *probe, endpoint: 0 }).collect();
    live(turn, client, &changes, "a replaced endpoint")
}

fn created(turn: &mut Turn<'_>, client: &ClientThread, service: u32) -> Result<f64, Error> {
    live(turn, client, &[Change::Create { service }], "a new Service")
}

/// Makes changes of Services of one endpoint; seconds until the last of them leads where it should.
fn live(turn: &mut Turn<'_>, client: &ClientThread, changes: &[Change], what: &str) -> Result<f64, Error> {
    let mut later = turn.world.clone();
    let wanted = changes.iter().map(|change| {
        let service = later.apply(*change).ok_or("a change of a Service that does not exist")?;
        let endpoint = *service.endpoints.first().ok_or("a Service without endpoints")?;
        Ok((turn.contestant.frontend(&service), endpoint))
    });
    let wanted = wanted.collect::<Result<Vec<_>, Error>>()?;
    let (since, patience) = (Instant::now(), turn.effort.patience);
    let watch = client.begin(move || {
        let mut times = wanted.into_iter().map(|(to, endpoint)| notice::live(to, endpoint, since, patience));
        times.try_fold(Duration::ZERO, |_, time| time)
    });
    turn.tell(changes)?;
    let time = watch.wait()?;
    noticed(turn, time, what)
}

fn deleted(turn: &mut Turn<'_>, client: &ClientThread, service: u32) -> Result<f64, Error> {
    let to = turn.contestant.frontend(&turn.world.service(service).ok_or("there is nothing to delete")?);
    let (since, patience) = (Instant::now(), turn.effort.patience);
    let watch = client.begin(move || notice::gone(to, since, patience));
    turn.tell(&[Change::Delete { service }])?;
    let time = watch.wait()?;
    noticed(turn, time, "the end of a Service")
}

/// Seconds, if a client noticed; else why not.
fn noticed(turn: &mut Turn<'_>, time: Option<Duration>, what: &str) -> Result<f64, Error> {
    let Some(time) = time else {
        turn.contestant.check()?;
        return Err(format!("{what} was not noticed by a client within {:?}", turn.effort.patience).into());
    };
    Ok(time.as_secs_f64())
}
