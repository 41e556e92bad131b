//! Drives a [`Reconciler`]: waits for what comes first, a change, a due time or the order to stop.

use std::future::Future;
use std::time::{Duration, Instant};

use kube_verdict_nftables::Kernel;
use kube_verdict_table::NodeState;
use kube_verdict_table::objects::ObjectEvent;
use tokio::sync::mpsc;
use tokio::time::{sleep, sleep_until};

use super::Reconciler;

/// News for the loop. What arrives while a batch is in flight goes out together.
#[derive(Clone, Debug, Default)]
pub struct Input {
    /// what changed of objects
    pub events: Vec<ObjectEvent>,
    /// the node, if it changed
    pub node: Option<NodeState>,
}

/// How fast changes follow each other.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    /// the shortest time from the end of one change to the start of the next; None: at once
    pub min_sync_period: Option<Duration>,
}

/// Follows `inputs` until they end or `stop` is done. The rules stay.
pub async fn run<K: Kernel>(
    reconciler: &mut Reconciler<K>,
    inputs: &mut mpsc::Receiver<Input>,
    pace: Pace,
    stop: impl Future<Output = ()>,
) {
    tokio::pin!(stop);
    loop {
        tokio::select! {
            biased;
            () = &mut stop => return,
            input = inputs.recv() => {
                let Some(input) = input else { return };
                change(reconciler, input, inputs);
                if let Some(period) = pace.min_sync_period {
                    tokio::select! {
                        () = &mut stop => return,
                        () = sleep(period) => {}
                    }
                }
            }
            () = sleep_until(reconciler.next_wake().into()) => {
                reconciler.wake(Instant::now());
            }
        }
    }
}

/// One input and all that wait behind it.
fn change<K: Kernel>(reconciler: &mut Reconciler<K>, first: Input, inputs: &mut mpsc::Receiver<Input>) {
    let start = Instant::now();
    let Input { mut events, mut node } = first;
    while let Ok(next) = inputs.try_recv() {
        events.extend(next.events);
        node = next.node.or(node);
    }
    let objects = events.len();
    let reports = [node.and_then(|node| reconciler.set_node(node, start)), reconciler.change(events, start)];
    for report in reports.into_iter().flatten() {
        tracing::debug!(
            objects,
            elements = report.elements,
            microseconds = start.elapsed().as_micros() as u64,
            "programmed a change"
        );
    }
}
