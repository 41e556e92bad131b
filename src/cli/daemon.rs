//! `kube-verdict --manifests DIR`: the daemon, in the foreground.

use std::time::Instant;

use kube_verdict_nftables::{Netlink, Nftables, Options};
use kube_verdict_table::ServiceTable;
use tokio::signal::unix::{SignalKind, signal};

use super::arguments::Sources;
use super::{Failure, kernel, logging};
use crate::config::{self, Effective, Loaded};
use crate::feed::Feed;
use crate::node::{self, ThisNode};
use crate::reconcile::{Ended, News, Pace, Reconciler, run as reconcile};
use crate::source::manifests::{Directory, follow};
use crate::{host, memory};

/// Runs until it is told to stop.
pub(super) fn run(sources: &Sources) -> Result<(), Failure> {
    let manifests = sources.manifests();
    let loaded = config::load(&sources.flags()).inspect_err(|_| logging::for_daemon(&sources.logging()))?;
    logging::for_daemon(&loaded.logging);
    config::log(&loaded.messages);
    let directory = Directory::open(manifests)?;
    let netlink = kernel::open()?;
    host::prepare(&loaded.effective)?;
    // The loop has one thread: it waits for news, or for the kernel, never for both.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(directory, netlink, loaded))
}

async fn serve(directory: Directory, netlink: Netlink, loaded: Loaded) -> Result<(), Failure> {
    let Loaded { effective, source, .. } = loaded;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut changed = None;
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            change = config::changed(source.as_ref()) => changed = Some(change),
        }
    };
    let ended = work(directory, netlink, effective, stop).await;
    match changed {
        Some(changed) => Err(format!("{changed}; the rules stay").into()),
        None => ended,
    }
}

async fn work(
    directory: Directory,
    netlink: Netlink,
    effective: Effective,
    stop: impl Future<Output = ()>,
) -> Result<(), Failure> {
    tokio::pin!(stop);
    let options = Options { masquerade_mark: effective.masquerade_mark };
    let pace = Pace { min_sync_period: effective.min_sync_period };
    let sync_period = effective.sync_period;
    let node_name = node::name::name(effective.hostname_override.as_deref())?;
    let manifests = directory.path().display().to_string();
    tracing::info!("serving node {node_name:?} from {manifests}");

    let interfaces = node::follow()?;
    let this = ThisNode::new(node_name, effective, interfaces.borrow().clone());
    let (_follower, batches) = follow(directory)?;
    let mut feed = Feed::new(batches, interfaces, this);
    // The first batch is everything; nothing is programmed before.
    let first = tokio::select! {
        () = &mut stop => return Ok(()),
        first = feed.next() => first,
    };
    let Some(first) = first else { return Err(feed.ended().into()) };
    if first.has_gaps {
        tracing::warn!(
            "until everything can be read, services that only the kernel knows of stay as they are"
        );
    }
    if let Some(message) = feed.node().other_nodes(&first.events) {
        tracing::warn!("{message}");
    }
    config::log(&feed.node().suspicious(host::is_dual_stack())?);
    let table = ServiceTable::new(feed.node().settings()?, feed.node().state());
    let backend = Nftables::new(netlink, options);
    let mut reconciler = Reconciler::new(table, backend, (), sync_period, Instant::now());
    let start = Instant::now();
    if let Some(report) = reconciler.start(first, start) {
        tracing::info!(
            frontends = reconciler.table().frontends().count(),
            operations = report.operations,
            milliseconds = start.elapsed().as_millis() as u64,
            "the kernel is as the manifests say"
        );
    }
    memory::give_back();
    match reconcile(&mut reconciler, &mut feed, pace, stop).await {
        Ended::Stopped => {
            tracing::info!("stopped; the rules stay (`kube-verdict cleanup` removes them)");
            Ok(())
        }
        Ended::NoMoreNews => Err(format!("{}; the rules stay", feed.ended()).into()),
    }
}
