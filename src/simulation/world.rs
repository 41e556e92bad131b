//! All there is in a simulation but the daemon: the kernels, the API server, what is to go wrong, and the judge. The
//! daemon's kernels ([`super::kernel`]) and its witness are handles of it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::time::Duration;

use kube_verdict_ipvs::Marks;
use kube_verdict_ipvs::kernel::memory::MemoryKernel as Ipvs;
use kube_verdict_nftables::kernel::memory::MemoryKernel;
use kube_verdict_table::PerFamily;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::api::Api;
use super::ledger::{Excuse, Kernels, Ledger, Touched};
use super::others;
use super::plan::Plan;
use super::rng::Rng;
use crate::reconcile::{Input, Scope, Synced, Witness};

/// How many lines a trace has.
const TRACE: usize = 60;
/// So often the kernel may be asked without time passing.
const SPIN: usize = 4000;

/// The process is killed: what unwinds is not a panic.
pub struct Killed;
/// Something is wrong, and it is noted what.
pub struct Wrong;

/// A handle of the world.
pub type Shared = Rc<RefCell<World>>;

/// The world.
pub struct World {
    pub plan: Plan,
    pub rng: Rng,
    pub nft: MemoryKernel,
    pub ipvs: Ipvs,
    pub api: Api,
    pub ledger: Ledger,
    /// nothing goes wrong any more
    pub is_calm: bool,
    /// rings when there is something to hear
    pub bell: Rc<Notify>,
    /// the kernel has refused something since the process began
    pub has_refused: bool,
    /// others have changed our tables since the process began
    pub is_meddled: bool,
    /// IPVS has failed, or others were at it, since everything was compared with it
    pub is_ipvs_in_trouble: bool,
    /// others have changed what frontends share, since all of a family was compared and written
    pub is_broken: PerFamily<bool>,
    /// batches and orders of ours that became real
    pub writes: usize,
    /// what the last sync said: whether it went well, and how much is refused
    pub said: Option<(bool, usize)>,
    pub wrong: Option<String>,
    trace: VecDeque<String>,
    start: Instant,
    calls: (Duration, usize),
}

impl World {
    pub fn new(seed: u64, plan: Plan) -> Shared {
        let mut nft = MemoryKernel::new();
        nft.hears = plan.listens.then_some(true);
        nft.largest = plan.largest;
        Rc::new(RefCell::new(World {
            plan,
            rng: Rng::new(seed ^ 0x5eed),
            nft,
            ipvs: Ipvs::default(),
            api: Api::default(),
            ledger: Ledger::new(),
            is_calm: false,
            bell: Rc::default(),
            has_refused: false,
            is_meddled: false,
            is_ipvs_in_trouble: false,
            is_broken: PerFamily::default(),
            writes: 0,
            said: None,
            wrong: None,
            trace: VecDeque::new(),
            start: Instant::now(),
            calls: Default::default(),
        }))
    }

    /// A line for the trace.
    pub fn tell(&mut self, line: impl Into<String>) {
        if self.trace.len() == TRACE {
            self.trace.pop_front();
        }
        let seconds = self.start.elapsed().as_secs_f64();
        self.trace.push_back(format!("{seconds:12.3}  {}", line.into()));
    }

    /// The last lines.
    pub fn trace(&self) -> String {
        self.trace.iter().map(|line| format!("{line}\n")).collect()
    }

    /// Something is wrong: it ends here.
    pub fn fail(&mut self, what: impl Into<String>) -> ! {
        let what = what.into();
        self.tell(format!("WRONG: {what}"));
        self.wrong.get_or_insert(what);
        resume_unwind(Box::new(Wrong))
    }

    /// The process may be killed now.
    pub fn may_be_killed(&mut self, place: &str) {
        if !self.is_calm && self.rng.one_in(self.plan.kills) {
            self.tell(format!("the process is killed {place}"));
            resume_unwind(Box::new(Killed));
        }
    }

    /// Somebody else may do something now.
    pub fn may_be_meddled_with(&mut self) {
        if !self.is_calm && self.rng.one_in(self.plan.interludes) {
            others::act(self);
        }
    }

    /// The daemon asks a kernel something: it must not do so for ever.
    pub fn count_call(&mut self) {
        let now = self.start.elapsed();
        if self.calls.0 != now {
            self.calls = (now, 0);
        }
        self.calls.1 += 1;
        if self.calls.1 > SPIN {
            self.fail("the loop turns and no time passes");
        }
    }

    fn kernels(&self) -> Kernels<'_> {
        let marks = self.plan.is_ipvs.then_some(Marks::DEFAULT);
        Kernels { nft: &self.nft, ipvs: &self.ipvs, marks }
    }

    /// A kernel was changed.
    pub fn changed(&mut self, touched: &Touched, is_ours: bool) {
        let mut ledger = std::mem::replace(&mut self.ledger, Ledger::new());
        if !is_ours && matches!(touched, Touched::Everything) {
            self.is_broken = PerFamily { v4: true, v6: true };
        }
        let excuse = PerFamily::from_fn(|family| match (self.is_ipvs_in_trouble, self.is_broken[family]) {
            (true, _) if self.is_meddled => Excuse::ForAll,
            (false, false) => Excuse::None,
            _ => Excuse::ForNews,
        });
        let judged = ledger.changed(touched, is_ours, &excuse, &self.kernels());
        self.ledger = ledger;
        self.writes += usize::from(is_ours);
        if !is_ours {
            self.is_meddled = true;
            if self.nft.has_notes() {
                self.bell.notify_one();
            }
        }
        if let Err(what) = judged {
            self.fail(what);
        }
    }

    fn take_in(&mut self, news: &Input) {
        self.tell(format!("{} events are taken in", news.events.len()));
        let mut ledger = std::mem::replace(&mut self.ledger, Ledger::new());
        ledger.take_in(news, &self.kernels());
        self.ledger = ledger;
    }

    /// Whether everything is as it should be.
    pub fn is_settled(&mut self) -> Result<(), String> {
        match self.said {
            Some((true, 0)) => {}
            Some((true, refused)) => return Err(format!("{refused} are still said to be refused")),
            Some((false, _)) => return Err("the last sync failed".into()),
            None => return Err("there was no sync".into()),
        }
        let mut ledger = std::mem::replace(&mut self.ledger, Ledger::new());
        let settled = ledger.is_settled(&self.kernels());
        self.ledger = ledger;
        settled
    }
}

/// The daemon's witness.
pub struct Listening(pub Shared);

impl Witness for Listening {
    fn requested(&mut self, news: &Input) {
        self.0.borrow_mut().take_in(news);
    }

    fn synced(&mut self, sync: &Synced<'_>) {
        let mut world = self.0.borrow_mut();
        let said = match sync.outcome {
            Ok(report) => format!("{} operations, {} orders", report.operations, report.orders),
            Err(errors) => errors.iter().map(|error| format!("{error:.120}")).collect::<Vec<_>>().join("; "),
        };
        world.tell(format!("synced ({:?}): {said}; {} refused", sync.scope, sync.quarantined));
        if sync.quarantined > 0 && !world.has_refused {
            world.fail("something is said to be refused, and the kernel has refused nothing");
        }
        let all_servers_serve = sync.servers.as_ref().is_none_or(|servers| {
            [&servers.v4, &servers.v6].into_iter().flatten().all(|figures| figures.quarantined == 0)
        });
        if sync.outcome.is_ok() && sync.scope == Scope::Everything && all_servers_serve {
            world.is_ipvs_in_trouble = false;
        }
        let is_as_it_says = sync.outcome.is_ok() && !world.has_refused && !world.is_meddled;
        if let Some(what) = world.ledger.unsettled().filter(|_| is_as_it_says) {
            world.fail(format!("all is said to be well. {what}"));
        }
        world.said = Some((sync.outcome.is_ok(), sync.quarantined));
    }
}
