//! The daemon: what is started in which order (reference §10.1), on which threads, and how it ends (§10.2).
//!
//! The loop has a thread of its own, on which nothing else runs: it waits for news, or for the kernel, never for
//! both. Whatever speaks to the outside, watches and servers, runs on a second, small runtime ([`outside`]).
//!
//! In order: the host is set up as the configuration asks; the way to the objects is opened, and a configuration
//! that can never work ends the process; then everything is read ([`first`]); then the kernel is made equal to
//! it; then, in a cluster, what kube-proxy left goes ([`crate::predecessor`]); from there on the loop follows the
//! news. It ends at once when it is told to, or when the configuration file says something else, and the rules
//! stay.

mod first;
mod outside;
mod stop;

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::time::{Instant, SystemTime};

use kube_verdict_nftables::{Netlink, Nftables, Options};
use kube_verdict_table::ServiceTable;
use tokio::runtime::Handle;

use crate::config::{self, Loaded};
use crate::conntrack::{self, Cleaner};
use crate::events::{self, Events};
use crate::feed::Feed;
use crate::node::{self, Reliance, ThisNode};
use crate::predecessor::Takeover;
use crate::reconcile::{Ended, Pace, Reconciler, run as reconcile};
use crate::serve::{self, Complaint, Pages};
use crate::source::kubernetes::Part;
use crate::source::manifests::{Directory, follow};
use crate::source::{Source, kubernetes};
use crate::{client, host, memory};

/// Why the daemon ended, in words that are enough by themselves.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Runs until it is told to stop, or cannot go on. Without a directory of manifests objects come from the API
/// server that `clientConnection` leads to.
pub fn run(manifests: Option<Directory>, netlink: Netlink, loaded: Loaded) -> Result<(), Failure> {
    let outside = outside::start()?;
    let inside = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = inside.block_on(serve(manifests, netlink, loaded, outside.handle().clone()));
    // Whoever still speaks to somebody is not waited for.
    outside.shutdown_background();
    result
}

/// Until it is told to stop, or the configuration file says something else.
async fn serve(
    manifests: Option<Directory>,
    netlink: Netlink,
    loaded: Loaded,
    outside: Handle,
) -> Result<(), Failure> {
    let effective = loaded.effective.clone();
    let stop = std::pin::pin!(stop::requested()?);
    match manifests {
        Some(directory) => {
            let name = node::name::name(effective.hostname_override.as_deref())?;
            tracing::info!("serving node {name:?} from {}", directory.path().display());
            let (_follower, batches) = follow(directory)?;
            let node = (name, Reliance::Optional);
            let (events, in_sync) = (Events::none(), "the kernel is as the manifests say");
            Life { netlink, loaded, node, outside, events, in_sync }.live(batches, stop).await
        }
        None => {
            let access = {
                let _entered = outside.enter();
                client::connect(&effective.client)?
            };
            let name = node::name::name(effective.hostname_override.as_deref())?;
            tracing::info!("serving node {name:?} from the API server {}", access.url);
            let events = Events::to(access.client.clone(), &name, &outside);
            let part = Part { node_name: name.clone(), proxy_name: effective.service_proxy_name.clone() };
            let watches = kubernetes::follow(&access.client, &part, &outside);
            let node = (name, Reliance::Required);
            let in_sync = "the kernel is as the API says";
            Life { netlink, loaded, node, outside, events, in_sync }.live(watches, stop).await
        }
    }
}

/// What a life of the loop needs, whatever the source.
struct Life {
    netlink: Netlink,
    loaded: Loaded,
    node: (String, Reliance),
    outside: Handle,
    events: Events,
    /// what is logged after the first sync
    in_sync: &'static str,
}

impl Life {
    async fn live<S: Source>(
        self,
        source: S,
        stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<(), Failure> {
        let Life { netlink, loaded, node: (name, reliance), outside, events, in_sync } = self;
        let Loaded { effective, configuration, flagz, source: file, .. } = loaded;
        if let Some(read_only) = host::prepare(&effective)?.read_only {
            events.warn(&events::node(&name), "readOnlySysFS", "StartKubeProxy", read_only.to_string());
        }
        // Beside manifests, and with Services of our own name, kube-proxy may run on purpose; else we are the proxy.
        let is_alone = reliance == Reliance::Required && effective.service_proxy_name.is_none();
        let takeover = if is_alone { Takeover::new() } else { Takeover::never() };
        let options = Options { masquerade_mark: effective.masquerade_mark };
        let pace = Pace { min_sync_period: effective.min_sync_period };
        let sync_period = effective.sync_period;

        let (monitor, readings) = serve::monitor(&effective, &name, reliance == Reliance::Required)?;
        let observed = conntrack::Observed::new(readings.metrics().registry())?;
        let pages = Pages {
            configz: configuration.configz().to_string(),
            flagz: effective.flagz.then_some(flagz),
            statusz: effective.statusz,
            started: SystemTime::now(),
        };
        let complaints = events.clone();
        let complain = move |complaint: Complaint| {
            let Complaint { object, reason, action, message } = complaint;
            complaints.warn(&object, reason, action, message);
        };
        let mut serving = serve::start(&outside, &effective.serving, &name, readings, pages, complain)?;
        let cleaner = Cleaner::start(conntrack::Netlink::default(), move |round| observed.observe(round))?;
        // What ends a life before its news do: an order, or a reason to start anew.
        let mut ending = std::pin::pin!(async {
            tokio::select! {
                () = stop => Ok(()),
                unavailable = serving.failed() => {
                    // Its Event is on its way, and would end with the process.
                    events.settle().await;
                    Err(Failure::from(unavailable))
                }
                changed = config::changed(file.as_ref()) => Err(changed.into()),
            }
        });

        let interfaces = node::follow()?;
        let this = ThisNode::new(name, effective, interfaces.borrow().clone(), reliance);
        let mut feed = Feed::new(source, interfaces, this);
        let first = tokio::select! {
            ended = &mut ending => return ended,
            first = first::input(&mut feed) => first?,
        };
        config::log(&feed.node().suspicious(host::is_dual_stack())?);
        let started = concat!("kube-verdict ", env!("CARGO_PKG_VERSION"));
        events.say(&events::node(feed.node().name()), "Starting", "StartKubeProxy", started);
        let fixed = feed.node().fixed()?;
        let table = ServiceTable::new(fixed.settings.clone(), feed.node().state());
        feed.fix(fixed);
        let backend = Nftables::new(netlink, options);
        let witness = (monitor, (cleaner, takeover));
        let mut reconciler = Reconciler::new(table, backend, witness, sync_period, Instant::now());
        let start = Instant::now();
        if let Some(report) = reconciler.start(first, start) {
            tracing::info!(
                frontends = reconciler.table().frontends().count(),
                operations = report.operations,
                milliseconds = start.elapsed().as_millis() as u64,
                "{in_sync}"
            );
        }
        memory::give_back();
        let mut ended = Ok(());
        let stop = async { ended = ending.await };
        match reconcile(&mut reconciler, &mut feed, pace, stop).await {
            Ended::Stopped => {
                ended.map_err(|failure| format!("{failure}; the rules stay"))?;
                tracing::info!("stopped; the rules stay (`kube-verdict cleanup` removes them)");
                Ok(())
            }
            Ended::NoMoreNews => Err(format!("{}; the rules stay", feed.ended()).into()),
        }
    }
}
