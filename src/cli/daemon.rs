//! `kube-verdict --manifests DIR`: the daemon, in the foreground.

use std::time::{Instant, SystemTime};

use kube_verdict_nftables::{Netlink, Nftables, Options};
use kube_verdict_table::ServiceTable;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};

use super::arguments::{Log, Sources};
use super::{Failure, kernel, logging, table};
use crate::config::{self, Effective};
use crate::feed::Feed;
use crate::memory;
use crate::node::{self, ThisNode};
use crate::reconcile::{Ended, News, Pace, Reconciler, run as reconcile};
use crate::serve::{self, Pages};
use crate::source::manifests::{Directory, follow};

/// Runs until it is told to stop.
pub(super) fn run(sources: &Sources, log: &Log) -> Result<(), Failure> {
    let manifests = sources.manifests();
    let loaded = config::load(&sources.flags()).inspect_err(|_| logging::for_daemon(log, None))?;
    logging::for_daemon(log, Some(&loaded));
    table::log_messages(&loaded);
    let directory = Directory::open(manifests)?;
    let netlink = kernel::open()?;
    // The loop has one thread: it waits for news, or for the kernel, never for both.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // The servers have another, so that they answer whatever the loop is at.
    let outside = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let pages = Pages { configz: "{}".into(), flags: flags_of(sources), started: SystemTime::now() };
    let result = runtime.block_on(serve(directory, netlink, loaded.effective, outside.handle(), pages));
    outside.shutdown_background();
    result
}

/// What the command line says, for `/flagz`.
fn flags_of(sources: &Sources) -> Vec<(String, String)> {
    let flags = sources.flags();
    let config = flags.config.map(|path| path.display().to_string()).unwrap_or_default();
    let hostname_override = flags.hostname_override.unwrap_or_default();
    let manifests = sources.manifests().display().to_string();
    [("config", config), ("hostname-override", hostname_override), ("manifests", manifests)]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
}

async fn serve(
    directory: Directory,
    netlink: Netlink,
    effective: Effective,
    outside: &Handle,
    pages: Pages,
) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    tokio::pin!(stop);
    let options = Options { masquerade_mark: effective.masquerade_mark };
    let pace = Pace { min_sync_period: effective.min_sync_period };
    let sync_period = effective.sync_period;
    let node_name = node::name::name(effective.hostname_override.as_deref())?;
    let manifests = directory.path().display().to_string();
    tracing::info!("serving node {node_name:?} from {manifests}");

    let (monitor, readings) = serve::monitor(&effective, &node_name, false)?;
    let mut serving = serve::start(outside, &effective.serving, &node_name, readings, pages, None)?;
    let interfaces = node::follow()?;
    let this = ThisNode::new(node_name, effective, interfaces.borrow().clone());
    let (_follower, batches) = follow(directory)?;
    let mut feed = Feed::new(batches, interfaces, this);
    // The first batch is everything; nothing is programmed before.
    let first = tokio::select! {
        () = &mut stop => return Ok(()),
        unavailable = serving.failed() => return Err(unavailable.into()),
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
    let table = ServiceTable::new(feed.node().settings()?, feed.node().state());
    let backend = Nftables::new(netlink, options);
    let mut reconciler = Reconciler::new(table, backend, monitor, sync_period, Instant::now());
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
    let unavailable = async {
        tokio::select! {
            () = &mut stop => None,
            unavailable = serving.failed() => Some(unavailable),
        }
    };
    tokio::pin!(unavailable);
    let mut failed = None;
    let stop = async { failed = unavailable.await };
    let ended = reconcile(&mut reconciler, &mut feed, pace, stop).await;
    if let Some(unavailable) = failed {
        return Err(format!("{unavailable}; the rules stay").into());
    }
    match ended {
        Ended::Stopped => {
            tracing::info!("stopped; the rules stay (`kube-verdict cleanup` removes them)");
            Ok(())
        }
        Ended::NoMoreNews => Err(format!("{}; the rules stay", feed.ended()).into()),
    }
}
