//! What happens from outside, step by step, and then nothing: the daemon has until then to make everything right, and
//! does nothing more from there on.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::Duration;

use futures::FutureExt;
use kube_verdict_ipvs_codec::Order;
use kube_verdict_nftables::layout::Element;
use kube_verdict_table::ServiceTable;
use kube_verdict_table::objects::{Kind, ObjectEvent};
use tokio::sync::watch;
use tokio::time::{advance, sleep};

use super::plan::Plan;
use super::rng::Rng;
use super::world::{Killed, Shared, World};
use super::{life, objects, others};
use crate::node::Interfaces;

/// Until then everything has to be right: the longest time that something refused waits, and one look at everything
/// more, and what drains in IPVS.
const PATIENCE: Duration = Duration::from_secs(420);
/// For so long nothing is written then.
const PEACE: Duration = Duration::from_secs(900);
/// Within this time everything is looked at once more.
const LOOK: Duration = Duration::from_secs(60);

/// What is wrong, and what was before it.
#[derive(Debug)]
pub struct Failure {
    pub what: String,
    pub trace: String,
}

/// Runs a seed, with so many steps or as many as it has. Says what happened, in lines.
pub fn simulate(seed: u64, steps: Option<usize>) -> Result<String, Failure> {
    let plan = Plan::new(&mut Rng::new(seed), steps);
    simulate_as(seed, plan)
}

/// Runs a plan.
pub fn simulate_as(seed: u64, plan: Plan) -> Result<String, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(async {
        let world = World::new(seed, plan);
        let playing = AssertUnwindSafe(play(Rc::clone(&world))).catch_unwind();
        let ended = playing.await;
        let world = world.borrow();
        let trace = || format!("{:?}\n{}", world.plan, world.trace());
        match ended {
            Ok(Ok(())) => Ok(world.trace()),
            Ok(Err(what)) => Err(Failure { what, trace: trace() }),
            Err(payload) => {
                Err(Failure { what: world.wrong.clone().unwrap_or_else(|| words(&*payload)), trace: trace() })
            }
        }
    })
}

fn words(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    format!("a panic: {}", text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("of something"))
}

/// Processes, one after the other, until the script is at its end.
async fn play(world: Shared) -> Result<(), String> {
    let (addresses, interfaces) = watch::channel(life::interfaces(false));
    let mut script = std::pin::pin!(script(Rc::clone(&world), addresses));
    loop {
        let life = life::live(Rc::clone(&world), interfaces.clone());
        let life = AssertUnwindSafe(life).catch_unwind();
        tokio::select! {
            biased;
            ended = life => match ended {
                Ok(ended) => world.borrow_mut().tell(format!("the process ends: {ended:?}")),
                Err(payload) if payload.is::<Killed>() => {}
                Err(payload) => std::panic::resume_unwind(payload),
            },
            ended = &mut script => return ended,
        }
        let milliseconds = {
            let mut world = world.borrow_mut();
            let is_calm = world.is_calm;
            if is_calm { 0 } else { world.rng.pick(&[0, 100, 5000]) }
        };
        tokio::select! {
            biased;
            () = life::down(milliseconds) => {}
            ended = &mut script => return ended,
        }
    }
}

async fn script(world: Shared, addresses: watch::Sender<Interfaces>) -> Result<(), String> {
    let steps = {
        let mut world = world.borrow_mut();
        begin(&mut world);
        world.plan.steps
    };
    for _ in 0..steps {
        let (pause, leaps) = {
            let mut world = world.borrow_mut();
            step(&mut world, &addresses);
            let rng = &mut world.rng;
            let pause = rng.pick(&[0, 0, 1, 1, 20, 20, 300, 2000, 40_000]);
            (Duration::from_millis(pause), rng.one_in(60))
        };
        if leaps {
            // Nobody ran, and everything is due at once.
            world.borrow_mut().tell("time leaps");
            advance(Duration::from_secs(4000)).await;
        }
        sleep(pause).await;
    }
    calm_down(&world);
    wait(&world).await?;
    // What others left and no packet meets is found by the next look.
    sleep(LOOK).await;
    let writes = world.borrow().writes;
    world.borrow_mut().tell("peace");
    sleep(PEACE).await;
    let mut world = world.borrow_mut();
    match world.writes - writes {
        0 => is_as_the_server_says(&world).and_then(|()| world.is_settled()),
        writes => {
            Err(format!("{writes} batches or orders were written in {PEACE:?} in which nothing happened"))
        }
    }
}

fn begin(world: &mut World) {
    let World { rng, api, plan, .. } = world;
    api.apply(objects::node(rng));
    for _ in 0..rng.below(4 * plan.services) {
        api.apply(objects::any(rng, plan.services));
    }
}

/// One step.
fn step(world: &mut World, addresses: &watch::Sender<Interfaces>) {
    let (breaks, others) = (world.plan.breaks, world.plan.others);
    if world.rng.one_in(others) {
        return match world.rng.below(6) {
            // A fight, or a flood of changes that are nothing to us.
            0 => (0..30).for_each(|_| others::act(world)),
            1 => world.nft.lose_notes(),
            _ => others::act(world),
        };
    }
    if world.rng.one_in(breaks) {
        let World { rng, api, .. } = world;
        return api.forget(rng);
    }
    if world.plan.refuses && world.rng.one_in(8) {
        return refuse(world);
    }
    let World { rng, api, plan, ipvs, .. } = world;
    match rng.below(20) {
        0..=7 => {
            for _ in 0..=rng.below(4) {
                api.apply(objects::any(rng, plan.services));
            }
        }
        8..=10 => {
            let keys = api.keys(rng.pick(&[
                Kind::Service,
                Kind::EndpointSlice,
                Kind::EndpointSlice,
                Kind::ServiceCidr,
            ]));
            if !keys.is_empty() {
                api.delete(&keys[rng.below(keys.len())]);
            }
        }
        11 => api.apply(objects::node(rng)),
        12 => {
            let has_another = rng.one_in(2);
            addresses.send_replace(life::interfaces(has_another));
        }
        13 => {
            // One object flips, and the watch cannot follow.
            let n = 1 + rng.below(plan.services);
            for _ in 0..40 {
                api.apply(objects::slice(rng, n));
                if rng.one_in(10) {
                    api.deliver(rng, 7, false);
                }
            }
        }
        14 if plan.is_ipvs => {
            let there: Vec<_> = ipvs
                .contents()
                .iter()
                .flat_map(|(key, there)| {
                    there.real.values().map(|(real, _)| {
                        (*key, kube_verdict_table::Backend { ip: real.address, port: real.port })
                    })
                })
                .collect();
            for (key, backend) in there {
                ipvs.connect(&key, backend, rng.below(2) as u32, 0);
            }
        }
        _ => {}
    }
    let breaks_off = plan.breaks > 0;
    for _ in 0..rng.below(5) {
        api.deliver(rng, 3, breaks_off);
    }
}

/// From now on the kernel refuses some things, or nothing.
fn refuse(world: &mut World) {
    let (chance, errno) = (world.rng.below(6), world.rng.pick(&[libc::EINVAL, libc::ENOMEM, libc::ENOSPC]));
    world.tell(format!("the kernel refuses of kind {chance}, with {errno}"));
    world.nft.refuse = match chance {
        0 | 1 => None,
        _ => Some(Box::new(move |element: &Element| {
            let is_refused = match element {
                Element::Slot(.., backend) | Element::Sticky(.., backend) => {
                    chance == 2 && backend.port == 8081
                }
                Element::Frontend(frontend, _) => chance == 3 && frontend.port() == 81,
                Element::SourceRange(..) | Element::AffinityId(..) => chance == 4,
                Element::Inside(..) | Element::ClusterIp(_) => chance == 5,
                Element::Mark(frontend, ..) => chance == 2 && frontend.port() == 81,
                _ => false,
            };
            is_refused.then_some(errno)
        })),
    };
    world.ipvs.refuse = match chance {
        3 => Some(Box::new(move |order: &Order| match order {
            Order::AddTo(_, real) if real.port == 8081 => Some(errno),
            _ => None,
        })),
        4 => Some(Box::new(move |order: &Order| matches!(order, Order::Add(_)).then_some(errno))),
        _ => None,
    };
}

/// Nothing goes wrong any more, and everything is told.
fn calm_down(world: &Shared) {
    let mut world = world.borrow_mut();
    world.tell("calm");
    world.is_calm = true;
    world.nft.refuse = None;
    world.ipvs.refuse = None;
    let there: Vec<_> = world
        .ipvs
        .contents()
        .iter()
        .flat_map(|(key, there)| {
            there.real.keys().map(|(ip, port)| (*key, kube_verdict_table::Backend { ip: *ip, port: *port }))
        })
        .collect();
    for (key, backend) in there {
        world.ipvs.connect(&key, backend, 0, 0);
    }
    world.api.deliver_all();
    world.bell.notify_one();
}

/// Until everything is right, and nothing more is written.
async fn wait(world: &Shared) -> Result<(), String> {
    // A process may have begun meanwhile, which is told nothing yet.
    let mut writes = world.borrow().writes;
    for _ in 0..PATIENCE.as_secs() / 30 {
        world.borrow_mut().api.deliver_all();
        sleep(Duration::from_secs(30)).await;
        let mut world = world.borrow_mut();
        if world.is_settled().is_ok() && world.writes == writes {
            return Ok(());
        }
        writes = world.writes;
    }
    let mut world = world.borrow_mut();
    world.is_settled().map_err(|what| format!("{PATIENCE:?} after the last event: {what}"))
}

/// The daemon has taken in all that the server has.
fn is_as_the_server_says(world: &World) -> Result<(), String> {
    let known = world.ledger.table();
    let mut truth = ServiceTable::new(known.settings().clone(), known.node().clone());
    truth.update(world.api.objects().map(|object| ObjectEvent::Applied(object.clone())));
    match truth.everything() == known.everything() {
        true => Ok(()),
        false => Err("the daemon's table is not what the API server's objects make".into()),
    }
}
