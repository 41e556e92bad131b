//! The life of the loop: from the first complete set of objects until it is told to stop, or has to begin anew.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use kube_verdict_ipvs::Ipvs;
use kube_verdict_nftables::layout::Balancer;
use kube_verdict_nftables::{Netlink, Nftables, Options};
use kube_verdict_table::ServiceTable;
use prometheus::core::Collector;
use tokio::runtime::Handle;

use super::alarm::Bell;
use super::attendants::attend;
use super::ipvs::{self, Left};
use super::supervisor::{Supervisor, Watchdog};
use super::{Failure, first};
use crate::config::{self, Loaded};
use crate::events::{self, Events};
use crate::feed::Feed;
use crate::host::ReadOnly;
use crate::node::{self, Reliance, ThisNode};
use crate::reconcile::{Backend, Ended, Input, Leaving, Pace, Reconciler, Witness, run as reconcile};
use crate::source::Source;
use crate::{host, memory};

/// What it needs, whatever the source.
pub(super) struct Life {
    pub(super) netlink: Netlink,
    pub(super) loaded: Loaded,
    pub(super) name: String,
    pub(super) reliance: Reliance,
    pub(super) outside: Handle,
    pub(super) events: Events,
    /// what the way to the objects counts
    pub(super) collectors: Vec<Box<dyn Collector>>,
    /// who started the process
    pub(super) supervisor: Supervisor,
    /// what is logged after the first sync
    pub(super) in_sync: &'static str,
}

impl Life {
    /// Lives it.
    pub(super) async fn live<S: Source>(
        mut self,
        source: S,
        stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<(), Failure> {
        self.set_up_the_host()?;
        self.can_own_its_tables()?;
        let (witness, mut serving, readings) = attend(&mut self)?;
        let Life { mut netlink, loaded, name, reliance, events, supervisor, in_sync, .. } = self;
        let Loaded { effective, source: file, .. } = loaded;
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
        let options = effective.nftables();
        let director =
            effective.ipvs.as_ref().map(|mode| ipvs::set_up(&effective, mode, &readings)).transpose()?;
        let left = if director.is_none() { ipvs::left(&effective, readings) } else { None };
        let pace = Pace { min_sync_period: effective.min_sync_period };
        let sync_period = effective.sync_period;

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
        let alarm = Watchdog::new(Bell::hang(&mut netlink, sync_period), supervisor);
        let going = Going { table, witness, first, feed, alarm, pace, sync_period, in_sync };
        let stop = ending;
        match (director, left) {
            (None, None) => going.go_on(Nftables::new(netlink, options), stop).await,
            (None, Some(Left { marks, director, routing })) => {
                let options = Options { balancer: Balancer::SlotsBesideIpvs(marks), ..options };
                let leaving = Leaving::new(Ipvs::new(netlink, options, director), routing);
                going.go_on(leaving, stop).await
            }
            (Some(director), _) => going.go_on(Ipvs::new(netlink, options, director), stop).await,
        }
    }

    /// Without tables that outlive their owner a restart would take the rules away, and every connection with them.
    fn can_own_its_tables(&mut self) -> Result<(), Failure> {
        if !self.loaded.effective.own_tables {
            return Ok(());
        }
        match self.netlink.can_own() {
            Ok(true) => Ok(()),
            Ok(false) => Err("--own-tables needs Linux 6.9: on this kernel the tables would go with the daemon, and \
                              every restart would end what they serve. Do without it: what others change is mended \
                              within milliseconds"
                .into()),
            Err(error) => {
                Err(format!("--own-tables: the kernel does not say whether tables can be owned: {error}").into())
            }
        }
    }

    /// Conntrack's settings, and this process's place when memory is short (reference §16).
    fn set_up_the_host(&self) -> Result<(), Failure> {
        if let Some(read_only) = host::prepare(&self.loaded.effective)?.read_only {
            let node = events::node(&self.name);
            self.events.warn(&node, ReadOnly::REASON, "StartKubeProxy", read_only.to_string());
        }
        Ok(())
    }
}

/// A loop that is about to begin, with whatever backend.
struct Going<S, W> {
    table: ServiceTable,
    witness: W,
    first: Input,
    feed: Feed<S>,
    alarm: Watchdog<Bell>,
    pace: Pace,
    sync_period: Duration,
    in_sync: &'static str,
}

impl<S: Source, W: Witness> Going<S, W> {
    /// Programmes what there is, and follows the news until there is a reason to end.
    async fn go_on<B: Backend>(
        self,
        backend: B,
        ending: impl Future<Output = Result<(), Failure>>,
    ) -> Result<(), Failure> {
        let Going { table, witness, first, mut feed, mut alarm, pace, sync_period, in_sync } = self;
        let mut reconciler = Reconciler::new(table, backend, witness, sync_period, Instant::now());
        begin(&mut reconciler, first, in_sync);
        let mut ended = Ok(());
        let stop = async { ended = ending.await };
        match reconcile(&mut reconciler, &mut feed, &mut alarm, pace, stop).await {
            Ended::Stopped => {
                ended.map_err(|failure| format!("{failure}; the rules stay"))?;
                tracing::info!("stopped; the rules stay (`kube-verdict cleanup` removes them)");
                Ok(())
            }
            Ended::NoMoreNews => Err(format!("{}; the rules stay", feed.ended()).into()),
        }
    }
}

/// The first sync.
fn begin<B: Backend, W: Witness>(reconciler: &mut Reconciler<B, W>, first: Input, in_sync: &str) {
    let start = Instant::now();
    let in_sync =
        if first.kept.is_some() { "the kernel is as the table says that was kept" } else { in_sync };
    if let Some(report) = reconciler.start(first, start) {
        tracing::info!(
            frontends = reconciler.table().frontends().count(),
            operations = report.operations,
            milliseconds = start.elapsed().as_millis() as u64,
            "{in_sync}"
        );
    }
    memory::give_back();
}
