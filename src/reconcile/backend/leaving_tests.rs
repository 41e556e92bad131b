//! Leaving IPVS mode, on kernels in memory.

use std::io;
use std::time::Duration;

use kube_verdict_ipvs::kernel::key;
use kube_verdict_ipvs::kernel::memory::MemoryKernel as Servers;
use kube_verdict_ipvs::{Director, Marks, Scheduler};
use kube_verdict_ipvs_codec::{Key, Name, Order, RealServer, VirtualServer};
use kube_verdict_nftables::Options;
use kube_verdict_nftables::kernel::CommitError;
use kube_verdict_nftables::kernel::memory::MemoryKernel;
use kube_verdict_nftables::layout::{Balancer, Chain};
use kube_verdict_table::{Backend as Endpoint, Family, NodeState, Settings};

use super::*;

const MARKS: Marks = Marks::DEFAULT;

/// How often it was looked after, and removed.
#[derive(Default)]
struct Counting(std::rc::Rc<std::cell::Cell<(u32, u32)>>);

impl Routing for Counting {
    fn look_after(&mut self) {
        let (looks, removals) = self.0.get();
        self.0.set((looks + 1, removals));
    }

    fn remove(&mut self) {
        let (looks, removals) = self.0.get();
        self.0.set((looks, removals + 1));
    }
}

fn server() -> Key {
    key(Family::V4, MARKS.mark(1).unwrap())
}

fn endpoint() -> Endpoint {
    Endpoint { ip: [10, 2, 0, 1].into(), port: 8080 }
}

/// A virtual server with a real one that has a connection.
fn used() -> Servers {
    let mut servers = Servers::default();
    let real = RealServer::new(endpoint().ip, endpoint().port);
    for order in
        [Order::Add(VirtualServer::new(server(), Name::new("rr").unwrap())), Order::AddTo(server(), real)]
    {
        servers.intrude(&order).unwrap();
    }
    assert!(servers.connect(&server(), endpoint(), 1, 0));
    servers
}

struct Stage {
    backend: Leaving<MemoryKernel, Servers, Counting>,
    routing: std::rc::Rc<std::cell::Cell<(u32, u32)>>,
    table: ServiceTable,
    now: Instant,
}

impl Stage {
    fn of(servers: Servers) -> Stage {
        let settings = Settings {
            node_name: "node".into(),
            detector: PerFamily::default(),
            masquerade_all: false,
            allow_external_ips: true,
            balancer: kube_verdict_table::Balancer::Random,
        };
        let options =
            Options { masquerade_mark: 0x4000, balancer: Balancer::SlotsBesideIpvs(MARKS), own: false };
        let director = Director::new(servers, MARKS, Scheduler::configured("").unwrap());
        let routing = Counting::default();
        Stage {
            routing: std::rc::Rc::clone(&routing.0),
            backend: Leaving::new(Ipvs::new(MemoryKernel::new(), options, director), routing),
            table: ServiceTable::new(settings, NodeState::default()),
            now: Instant::now(),
        }
    }

    fn sync(&mut self) -> Outcome {
        self.backend.sync(&self.table, self.now)
    }

    fn tend(&mut self) -> (Scope, Outcome) {
        self.now = self.now.max(self.backend.next_tend().unwrap());
        self.backend.tend(&self.table, self.now)
    }

    fn servers(&mut self) -> &mut Servers {
        self.backend.ipvs.director_mut().unwrap().kernel_mut()
    }

    fn nftables(&mut self) -> &mut MemoryKernel {
        self.backend.ipvs.kernel_mut()
    }

    /// Whether there are chains that bring packets to IPVS.
    fn steers(&mut self) -> bool {
        let table = self.nftables().contents(Family::V4).unwrap();
        table.chains.iter().any(|(name, _)| *name == Chain::Steer.to_string())
    }
}

#[test]
fn a_connection_keeps_all_that_it_needs_until_it_ends() {
    let mut stage = Stage::of(used());
    stage.sync().unwrap();
    let weights = |stage: &mut Stage| {
        let there = stage.servers().contents()[&server()].real.values();
        there.map(|(real, _)| real.weight).collect::<Vec<_>>()
    };
    assert_eq!(weights(&mut stage), [0]);
    for _ in 0..3 {
        let (scope, outcome) = stage.tend();
        assert_eq!((scope, outcome.unwrap()), (Scope::Upkeep, Report::default()));
        assert!(stage.steers());
    }
    assert_eq!((weights(&mut stage), stage.routing.get()), (vec![0], (3, 0)));

    assert!(stage.servers().connect(&server(), endpoint(), 0, 0));
    let (scope, outcome) = stage.tend();
    assert_eq!((scope, outcome.unwrap().orders), (Scope::Everything, 2));
    assert_eq!((stage.steers(), stage.routing.get()), (false, (4, 1)));
    assert_eq!(stage.backend.next_tend(), None);
    // IPVS may be unloaded now.
    assert!(stage.backend.ipvs.director_mut().is_none());
    stage.backend.listen();
    stage.now += Duration::from_secs(3600);
    stage.sync().unwrap();
    assert_eq!(stage.routing.get(), (4, 1));
}

#[test]
fn what_has_no_connections_goes_with_all_the_rest() {
    let mut stage = Stage::of(used());
    assert!(stage.servers().connect(&server(), endpoint(), 0, 0));
    stage.sync().unwrap();
    assert!(stage.steers());
    stage.tend().1.unwrap();
    assert_eq!((stage.steers(), stage.routing.get().1), (false, 1));

    let mut stage = Stage::of(Servers::default());
    stage.sync().unwrap();
    assert_eq!((stage.steers(), stage.routing.get()), (false, (0, 1)));
}

#[test]
fn the_routing_outlives_chains_that_cannot_be_removed() {
    let mut stage = Stage::of(used());
    stage.sync().unwrap();
    assert!(stage.servers().connect(&server(), endpoint(), 0, 0));
    stage.nftables().fault =
        Some(Box::new(|_| Some(CommitError::Io(io::Error::from_raw_os_error(libc::ENOMEM)))));
    stage.tend().1.unwrap_err();
    assert_eq!((stage.steers(), stage.routing.get().1), (true, 0));
    stage.nftables().fault = None;
    stage.sync().unwrap();
    assert_eq!((stage.steers(), stage.routing.get().1), (false, 1));
}
