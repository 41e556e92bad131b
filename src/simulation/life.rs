//! The daemon in a simulation: the same source, feed, first input, table, loop and backends as in [`crate::daemon`], on
//! kernels and a server that are the world's.

use std::rc::Rc;
use std::time::Duration;

use kube_verdict_ipvs::{Director, Ipvs, Marks, Scheduler};
use kube_verdict_nftables::Nftables;
use kube_verdict_table::{PerFamily, ServiceTable};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};

use super::kernel::{Nft, Servers};
use super::objects::{NODE, NODE_IPS, POD_CIDRS};
use super::world::{Listening, Shared};
use crate::config::{self, DetectLocal, Effective};
use crate::daemon::first;
use crate::feed::Feed;
use crate::node::interfaces::InterfaceAddress;
use crate::node::{Interfaces, Reliance, ThisNode};
use crate::reconcile::{Alarm, Backend, Ended, Pace, Reconciler, run};

/// What a configuration file would say.
fn effective() -> Effective {
    let cidrs = POD_CIDRS.map(|cidr| cidr.parse().expect("a prefix"));
    let mut effective = config::defaults().effective;
    effective.detect_local = DetectLocal::ClusterCidr(cidrs.into());
    effective
}

/// The node's addresses, and maybe one more.
pub fn interfaces(has_another: bool) -> Interfaces {
    let another = has_another.then_some("192.0.2.77");
    let addresses = NODE_IPS.into_iter().chain(["127.0.0.1", "::1"]).chain(another);
    let address = |text: &str| InterfaceAddress {
        ip: text.parse().expect("an address"),
        index: 1,
        is_global: true,
        is_secondary: false,
    };
    Interfaces::new(addresses.map(address).collect(), PerFamily::default())
}

/// Rings a while after others changed something, and without need.
struct Bell {
    world: Shared,
    bell: Rc<Notify>,
    /// it was notified, and does not ring yet
    rings_at: Option<Instant>,
}

impl Alarm for Bell {
    async fn rings(&mut self) {
        let rings_at = match self.rings_at {
            Some(rings_at) => rings_at,
            None => {
                self.bell.notified().await;
                let mut world = self.world.borrow_mut();
                let delay = if world.is_calm { 0 } else { world.rng.pick(&[0, 0, 1, 30]) };
                *self.rings_at.insert(Instant::now() + Duration::from_millis(delay))
            }
        };
        tokio::time::sleep_until(rings_at).await;
        self.rings_at = None;
    }
}

/// A process, from its beginning to its end.
pub async fn live(world: Shared, interfaces: watch::Receiver<Interfaces>) -> Result<(), String> {
    let (source, bell, plan) = {
        let mut world = world.borrow_mut();
        world.tell("a process begins");
        world.nft.reopen();
        (world.has_refused, world.is_meddled, world.said) = (false, false, None);
        (world.api.connect(), Rc::clone(&world.bell), world.plan.clone())
    };
    let here = interfaces.borrow().clone();
    let this = ThisNode::new(NODE.into(), effective(), here, Reliance::Required);
    let mut feed = Feed::new(source, interfaces, this);
    let first = first::input(&mut feed).await.map_err(|failure| failure.to_string())?;
    let fixed = feed.node().fixed().map_err(|unknown| unknown.to_string())?;
    let node = feed.node().state();
    world.borrow_mut().ledger.begin(fixed.settings.clone(), node.clone());
    let table = ServiceTable::new(fixed.settings.clone(), node);
    feed.fix(fixed);
    let mut options = effective().nftables();
    let alarm = Bell { world: Rc::clone(&world), bell, rings_at: None };
    let pace = Pace { min_sync_period: plan.min_sync_period };
    let ended = match plan.is_ipvs {
        false => {
            go_on(Nftables::new(Nft(Rc::clone(&world)), options), table, first, feed, alarm, pace, world)
                .await
        }
        true => {
            options.balancer = kube_verdict_nftables::layout::Balancer::Ipvs(Marks::DEFAULT);
            let scheduler = Scheduler::configured("").map_err(|error| error.to_string())?;
            let director = Director::new(Servers(Rc::clone(&world)), Marks::DEFAULT, scheduler);
            let backend = Ipvs::new(Nft(Rc::clone(&world)), options, director);
            go_on(backend, table, first, feed, alarm, pace, world).await
        }
    };
    Err(format!("{ended:?}"))
}

async fn go_on<B: Backend>(
    backend: B,
    table: ServiceTable,
    first: crate::reconcile::Input,
    mut feed: Feed<super::api::Watched>,
    mut alarm: Bell,
    pace: Pace,
    world: Shared,
) -> Ended {
    let sync_period = effective().sync_period;
    let now = Instant::now().into_std();
    let mut reconciler = Reconciler::new(table, backend, Listening(world), sync_period, now);
    reconciler.start(first, now);
    run(&mut reconciler, &mut feed, &mut alarm, pace, std::future::pending()).await
}

/// The process is down for so long.
pub async fn down(milliseconds: u64) {
    sleep(Duration::from_millis(milliseconds)).await;
}
