//! Drives a [`Reconciler`]: waits for what comes first, a change, a due time or the order to stop.

use std::future::Future;
use std::time::{Duration, SystemTime};

use kube_verdict_table::NodeState;
use kube_verdict_table::objects::ObjectEvent;
use tokio::time::{sleep, sleep_until};

use super::{Backend, Reconciler, Witness, clock};

/// What happened since the last time.
#[derive(Clone, Debug, Default)]
pub struct Input {
    /// what changed of objects
    pub events: Vec<ObjectEvent>,
    /// the node, if it changed
    pub node: Option<NodeState>,
    /// the source has gaps: what the kernel serves and nobody knows of may be in one, and stays
    pub has_gaps: bool,
    /// some objects are from a table that was kept at this time: the source is not complete yet
    pub kept: Option<SystemTime>,
}

/// Where inputs come from.
pub trait News {
    /// Waits until there is something, and hands out all that there is: what arrived while a batch was in
    /// flight goes out together. None: there will never be more. Dropping the future loses nothing.
    fn next(&mut self) -> impl Future<Output = Option<Input>>;
}

/// Rings when the kernel has something to tell of what others do.
pub trait Alarm {
    /// Waits for the next time. It may ring without need. Dropping the future loses nothing.
    fn rings(&mut self) -> impl Future<Output = ()>;
}

/// Nothing ever rings.
impl Alarm for () {
    async fn rings(&mut self) {
        std::future::pending().await
    }
}

/// How fast changes follow each other.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    /// the shortest time from the end of one change to the start of the next; None: at once
    pub min_sync_period: Option<Duration>,
}

/// Why the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// it was told to
    Stopped,
    /// the news ended
    NoMoreNews,
}

/// Follows the news until they end or `stop` is done. The rules stay.
pub async fn run<B: Backend, W: Witness>(
    reconciler: &mut Reconciler<B, W>,
    news: &mut impl News,
    alarm: &mut impl Alarm,
    pace: Pace,
    stop: impl Future<Output = ()>,
) -> Ended {
    tokio::pin!(stop);
    loop {
        reconciler.listen(clock::now());
        // News may never pause, and are chosen before what is due.
        if reconciler.next_wake() <= clock::now() {
            reconciler.wake(clock::now());
        }
        tokio::select! {
            biased;
            () = &mut stop => return Ended::Stopped,
            () = alarm.rings() => {}
            input = news.next() => {
                let Some(input) = input else { return Ended::NoMoreNews };
                change(reconciler, input);
                if let Some(period) = pace.min_sync_period {
                    reconciler.listen(clock::now());
                    tokio::select! {
                        biased;
                        () = &mut stop => return Ended::Stopped,
                        // What rings meanwhile is listened to afterwards; the alarm is to see that somebody waits.
                        () = rings_unheard(alarm) => {}
                        () = sleep(period) => {}
                    }
                }
            }
            () = sleep_until(reconciler.next_wake().into()) => {
                reconciler.wake(clock::now());
            }
        }
    }
}

async fn rings_unheard(alarm: &mut impl Alarm) {
    loop {
        alarm.rings().await;
    }
}

fn change<B: Backend, W: Witness>(reconciler: &mut Reconciler<B, W>, input: Input) {
    let start = clock::now();
    let objects = input.events.len();
    if let Some(report) = reconciler.take_in(input, start) {
        tracing::debug!(
            objects,
            elements = report.elements,
            microseconds = start.elapsed().as_micros() as u64,
            "programmed a change"
        );
    }
}
