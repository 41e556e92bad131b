//! Whatever happens, in whatever order: in the end the kernel has what is wanted and what others made, nothing is
//! taken away that is still wanted or still marked for, and no connection is ended that is not to be.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::*;
use kube_verdict_ipvs::Server;
use kube_verdict_ipvs::kernel::key;
use kube_verdict_ipvs_codec::{Key, Name, Order, VirtualServer};
use kube_verdict_table::{Backend, Family, Protocol};
use proptest::prelude::*;

/// Marks by number, as they are wanted or marked for.
type Wanted = BTreeMap<u32, Server>;

/// The last of the backends: those of UDP after it do not serve any more when they are not wanted.
const LAST_THAT_SERVES: u8 = 3;

/// What can happen.
#[derive(Clone, Debug)]
enum Step {
    /// some marks stand for something else
    Change(Vec<(u32, Option<Server>)>),
    /// everything that is wanted is named
    Complete(Vec<(u32, Server)>),
    /// time passes
    Tend(u64),
    Verify,
    /// a real server has so many connections
    Connect(u32, u8, u32),
    /// somebody else deletes everything, or a virtual server
    Flush,
    Delete(u32),
    /// somebody else adds a real server, sets its weight, takes it away
    Add(u32, u8, u32),
    Weigh(u32, u8, u32),
    Remove(u32, u8),
    /// somebody else makes a virtual server
    Make(u32, bool),
    /// the next call of the kernel breaks off after so many orders
    Fault(usize),
    /// from now on the kernel refuses this backend, or none
    Refuse(Option<u8>),
    /// the daemon starts anew, and names everything
    Restart,
}

fn a_server() -> impl Strategy<Value = Server> {
    let protocol = prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp)];
    let scheduler =
        prop_oneof![4 => Just(None), 1 => Just(Some("sh")), 1 => Just(Some("nq")), 1 => Just(Some("rr,rr"))];
    (protocol, scheduler, proptest::collection::vec(1u8..6, 0..5))
        .prop_map(|(protocol, scheduler, backends)| server("web", protocol, scheduler, &backends))
}

fn step() -> impl Strategy<Value = Step> {
    let number = || 1u32..6;
    let last = || 1u8..6;
    prop_oneof![
        6 => proptest::collection::vec((number(), proptest::option::weighted(0.8, a_server())), 1..4)
            .prop_map(Step::Change),
        1 => proptest::collection::vec((number(), a_server()), 0..5).prop_map(Step::Complete),
        5 => (0u64..40).prop_map(Step::Tend),
        1 => Just(Step::Verify),
        4 => (number(), last(), 0u32..3).prop_map(|(number, last, count)| Step::Connect(number, last, count)),
        1 => Just(Step::Flush),
        1 => number().prop_map(Step::Delete),
        1 => (number(), last(), 0u32..3).prop_map(|(number, last, weight)| Step::Add(number, last, weight)),
        1 => (number(), last(), 0u32..3).prop_map(|(number, last, weight)| Step::Weigh(number, last, weight)),
        1 => (number(), last()).prop_map(|(number, last)| Step::Remove(number, last)),
        1 => (number(), any::<bool>()).prop_map(|(number, is_ours)| Step::Make(number, is_ours)),
        1 => (0usize..4).prop_map(Step::Fault),
        1 => proptest::option::of(last()).prop_map(Step::Refuse),
        1 => Just(Step::Restart),
    ]
}

/// The world as it should be.
struct World {
    stage: Stage,
    wanted: Wanted,
    /// what packets are marked for
    marked: Wanted,
    /// what others made that is not ours
    others: BTreeSet<Key>,
    /// others have changed what is ours, and nobody has looked since
    is_meddled: bool,
}

impl World {
    fn new() -> World {
        let mut world = World {
            stage: Stage::new(),
            wanted: Wanted::new(),
            marked: Wanted::new(),
            others: BTreeSet::new(),
            is_meddled: false,
        };
        world.change(Vec::new(), true);
        world
    }

    /// Both phases, and packets marked anew between them if the first went well.
    fn change(&mut self, changes: Vec<(u32, Option<Server>)>, complete: bool) {
        if complete {
            self.wanted.clear();
        }
        for (number, server) in &changes {
            match server {
                Some(server) => self.wanted.insert(*number, server.clone()),
                None => self.wanted.remove(number),
            };
        }
        let marks = changes.into_iter().map(|(number, server)| (mark(number), server));
        let marks: BTreeMap<u32, Option<Server>> = marks.collect();
        let now = self.stage.now;
        let raised = self.watch(|stage| stage.director.raise(V4, &common::wanted(marks, complete), now).ok());
        let Some(raised) = raised else { return };
        assert!(self.journal_is_without_taking(), "raising takes away");
        self.is_meddled &= raised.read_back.is_empty();
        let refused = self.stage.director.figures(V4).map(|figures| figures.quarantined);
        if refused == Some(0) && !self.is_meddled {
            self.everything_wanted_serves();
        }
        self.marked = self.wanted.clone();
        let lowered = self.watch(|stage| stage.director.lower(V4, &serves, now).ok());
        if lowered.is_some() && !self.is_meddled {
            self.nothing_else_gets_connections();
        }
    }

    /// Has the director do something, and looks at what it writes.
    fn watch<T>(&mut self, work: impl FnOnce(&mut Stage) -> T) -> T {
        let before = self.stage.kernel().contents().clone();
        self.stage.written();
        let done = work(&mut self.stage);
        self.stage.kernel().fault = None;
        let mut made: BTreeSet<(Key, Option<Backend>)> = BTreeSet::new();
        for order in self.stage.kernel().journal.clone() {
            let there = order.real_server().map(|real| Backend { ip: real.address, port: real.port });
            let takes = match &order {
                Order::Delete(_) | Order::DeleteFrom(..) => true,
                Order::ChangeIn(_, real) | Order::AddTo(_, real) => real.weight != 1,
                _ => false,
            };
            assert!(!(takes && self.is_needed(order.key(), there)), "{order:?} while it is needed");
            if let (Order::DeleteFrom(key, real), Some(there)) = (&order, there)
                && let Some(before) = before.get(key)
                && let Some((_, connections)) = before.real.get(&(real.address, real.port))
                && connections.active + connections.inactive > 0
            {
                // Only a backend of UDP may, or one whose mark was UDP's.
                assert!(
                    there.ip > backend(LAST_THAT_SERVES).ip && !made.contains(&(*key, Some(there))),
                    "{order:?}"
                );
            }
            made.insert((*order.key(), there));
        }
        done
    }

    fn journal_is_without_taking(&mut self) -> bool {
        let takes = |order: &Order| matches!(order, Order::Delete(_) | Order::DeleteFrom(..));
        !self.stage.kernel().journal.iter().any(takes)
    }

    /// Whether somebody may be sent there.
    fn is_needed(&self, of: &Key, there: Option<Backend>) -> bool {
        [&self.wanted, &self.marked].into_iter().any(|servers| {
            let server = servers.iter().find(|(number, _)| server_key(**number) == *of);
            server.is_some_and(|(_, server)| there.is_none_or(|there| server.backends.contains(&there)))
        })
    }

    fn everything_wanted_serves(&mut self) {
        for (number, server) in self.wanted.clone() {
            let weights = self.stage.weights(number).unwrap_or_else(|| panic!("{number} is not there"));
            for wanted in server.backends.iter() {
                assert!(
                    weights.iter().any(|(last, weight)| backend(*last) == *wanted && *weight == 1),
                    "{wanted}"
                );
            }
        }
    }

    fn nothing_else_gets_connections(&mut self) {
        for number in 1..6 {
            let wanted = self.wanted.get(&number).cloned();
            for (last, weight) in self.stage.weights(number).unwrap_or_default() {
                let is_wanted =
                    wanted.as_ref().is_some_and(|server| server.backends.contains(&backend(last)));
                assert!(is_wanted || weight == 0, "{number}: {last} has a weight of {weight}");
            }
        }
    }

    fn go(&mut self, step: Step) {
        let rr = Name::new("rr").expect("a name");
        self.is_meddled |= matches!(
            step,
            Step::Flush
                | Step::Delete(_)
                | Step::Add(..)
                | Step::Weigh(..)
                | Step::Remove(..)
                | Step::Make(..)
        );
        match step {
            Step::Change(changes) => self.change(changes, false),
            Step::Complete(servers) => {
                self.change(
                    servers.into_iter().map(|(number, server)| (number, Some(server))).collect(),
                    true,
                );
            }
            Step::Tend(seconds) => {
                self.stage.pass(Duration::from_secs(seconds));
                let now = self.stage.now;
                self.watch(|stage| drop(stage.director.tend(now)));
            }
            Step::Verify => {
                let now = self.stage.now;
                self.watch(|stage| drop(stage.director.verify(now)));
            }
            Step::Connect(number, last, count) => {
                self.stage.kernel().connect(&server_key(number), backend(last), count, 0);
            }
            Step::Flush => {
                self.stage.kernel().flush();
                self.others.clear();
            }
            Step::Delete(number) => drop(self.stage.kernel().intrude(&Order::Delete(server_key(number)))),
            Step::Add(number, last, weight) => {
                let order = Order::AddTo(server_key(number), real(last, weight));
                let _ = self.stage.kernel().intrude(&order);
            }
            Step::Weigh(number, last, weight) => {
                let order = Order::ChangeIn(server_key(number), real(last, weight));
                let _ = self.stage.kernel().intrude(&order);
            }
            Step::Remove(number, last) => {
                let order = Order::DeleteFrom(server_key(number), real(last, 0));
                let _ = self.stage.kernel().intrude(&order);
            }
            Step::Make(number, is_ours) => {
                let key = if is_ours { server_key(number) } else { key(Family::V4, number) };
                if self.stage.kernel().intrude(&Order::Add(VirtualServer::new(key, rr))).is_ok() && !is_ours {
                    self.others.insert(key);
                }
            }
            Step::Fault(after) => self.stage.kernel().fault = Some(Box::new(move |_| Some(after))),
            Step::Refuse(backend_refused) => {
                self.stage.kernel().refuse = backend_refused.map(|last| {
                    let refuse = move |order: &Order| match order {
                        Order::AddTo(_, real) if real.address == backend(last).ip => Some(libc::ENOMEM),
                        _ => None,
                    };
                    Box::new(refuse) as Box<dyn FnMut(&Order) -> Option<i32>>
                });
            }
            Step::Restart => {
                self.stage.written();
                let stage = std::mem::replace(&mut self.stage, Stage::new());
                self.stage = stage.restarted();
                self.change(
                    self.wanted.clone().into_iter().map(|(number, server)| (number, Some(server))).collect(),
                    true,
                );
            }
        }
    }

    /// Quiet, for long.
    fn end(&mut self) {
        self.stage.kernel().refuse = None;
        self.stage.kernel().fault = None;
        for key in self.stage.kernel().contents().keys().copied().collect::<Vec<_>>() {
            for last in 1..6 {
                self.stage.kernel().connect(&key, backend(last), 0, 0);
            }
        }
        self.stage.pass(Duration::from_secs(1000));
        self.change(Vec::new(), false);
        let now = self.stage.now;
        self.watch(|stage| stage.director.verify(now)).expect("verifying");
        let mut looks = 0;
        while self.stage.director.next_tend().is_some() {
            self.stage.tend();
            looks += 1;
            assert!(looks < 20, "it never rests: {:?}", self.stage.director.figures(V4));
        }
        assert_eq!(self.stage.director.verify(self.stage.now).expect("verifying").orders, 0);
    }

    fn is_as_wanted(&mut self) {
        let ours: Vec<Key> = self.wanted.keys().map(|number| server_key(*number)).collect();
        let there: BTreeSet<Key> = self.stage.kernel().contents().keys().copied().collect();
        assert_eq!(there, ours.into_iter().chain(self.others.clone()).collect());
        for (number, server) in self.wanted.clone() {
            let wanted: Vec<(u8, u32)> = (1..6)
                .filter(|last| server.backends.contains(&backend(*last)))
                .map(|last| (last, 1))
                .collect();
            assert_eq!(self.stage.weights(number), Some(wanted));
            let scheduler = match server.scheduler.as_deref() {
                Some("sh") => "sh",
                _ => "rr",
            };
            assert_eq!(
                self.stage.kernel().contents()[&server_key(number)].server.scheduler.as_str(),
                scheduler
            );
        }
        let figures = self.stage.director.figures(V4).expect("figures");
        assert_eq!(figures.virtual_servers, self.wanted.len());
        assert_eq!(
            (figures.draining_virtual_servers, figures.draining_real_servers, figures.quarantined),
            (0, 0, 0)
        );
    }
}

fn serves(_: &Server, there: &Backend) -> bool {
    there.ip <= backend(LAST_THAT_SERVES).ip
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn in_the_end_it_is_as_wanted(steps in proptest::collection::vec(step(), 1..30)) {
        let mut world = World::new();
        for step in steps {
            world.go(step);
        }
        world.end();
        world.is_as_wanted();
    }
}
