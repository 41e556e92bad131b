//! Servers to want, and a kernel in memory to want them of.

#![allow(dead_code)]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube_verdict_ipvs::kernel::key;
use kube_verdict_ipvs::kernel::memory::{Contents, MemoryKernel};
use kube_verdict_ipvs::{Director, Marks, Scheduler, Server, Want, Wanted};
use kube_verdict_ipvs_codec::{Key, Order, RealServer};
use kube_verdict_table::{Backend, Family, Protocol, ServicePortName};

pub const V4: Family = Family::V4;

/// The mark of a number.
pub fn mark(number: u32) -> u32 {
    Marks::DEFAULT.mark(number).expect("a number")
}

/// A virtual server of IPv4.
pub fn server_key(number: u32) -> Key {
    key(V4, mark(number))
}

pub fn backend(last: u8) -> Backend {
    Backend { ip: IpAddr::V4(Ipv4Addr::new(10, 2, 0, last)), port: 8080 }
}

pub fn real(last: u8, weight: u32) -> RealServer {
    RealServer { weight, ..RealServer::new(backend(last).ip, 8080) }
}

/// A Service's port with these backends.
pub fn server(name: &str, protocol: Protocol, scheduler: Option<&str>, backends: &[u8]) -> Server {
    let service = ServicePortName { namespace: "default".into(), name: name.into(), port: "".into() };
    let mut backends: Vec<Backend> = backends.iter().copied().map(backend).collect();
    backends.sort_unstable();
    backends.dedup();
    Server {
        service: Arc::new(service),
        protocol,
        scheduler: scheduler.map(Into::into),
        backends: backends.into(),
    }
}

pub fn tcp(backends: &[u8]) -> Server {
    server("web", Protocol::Tcp, None, backends)
}

/// What is wanted of marks; None: nothing any more.
pub fn wanted(servers: impl IntoIterator<Item = (u32, Option<Server>)>, is_all: bool) -> Wanted {
    let want = |server: Option<Server>| server.map_or(Want::Gone, Want::Server);
    Wanted { servers: servers.into_iter().map(|(mark, server)| (mark, want(server))).collect(), is_all }
}

/// A director, and a clock.
pub struct Stage {
    pub director: Director<MemoryKernel>,
    pub now: Instant,
}

impl Stage {
    pub fn new() -> Stage {
        let rr = Scheduler::configured("").expect("a scheduler");
        Stage { director: Director::new(MemoryKernel::default(), Marks::DEFAULT, rr), now: Instant::now() }
    }

    /// One that has been told all that there is.
    pub fn with(servers: &[(u32, Server)]) -> Stage {
        let mut stage = Stage::new();
        stage.change(servers.iter().map(|(number, server)| (*number, Some(server.clone()))), true);
        stage
    }

    /// The same kernel, and a director that knows nothing.
    pub fn restarted(mut self) -> Stage {
        let kernel = std::mem::take(self.director.kernel_mut());
        let rr = Scheduler::configured("").expect("a scheduler");
        Stage { director: Director::new(kernel, Marks::DEFAULT, rr), now: self.now }
    }

    /// Both phases; what they wrote.
    pub fn change(
        &mut self,
        servers: impl IntoIterator<Item = (u32, Option<Server>)>,
        complete: bool,
    ) -> Vec<Order> {
        let servers = servers.into_iter().map(|(number, server)| (mark(number), server));
        self.director.raise(V4, &wanted(servers, complete), self.now).expect("raising");
        self.director.lower(V4, &|_, _| false, self.now).expect("lowering");
        self.written()
    }

    /// What was written since the last call.
    pub fn written(&mut self) -> Vec<Order> {
        std::mem::take(&mut self.kernel().journal)
    }

    pub fn kernel(&mut self) -> &mut MemoryKernel {
        self.director.kernel_mut()
    }

    pub fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// Tends when it is asked for; what that wrote.
    pub fn tend(&mut self) -> Vec<Order> {
        self.now = self.now.max(self.director.next_tend().expect("something to tend"));
        self.director.tend(self.now).expect("tending");
        self.written()
    }

    /// Real servers of a number, and their weights.
    pub fn weights(&mut self, number: u32) -> Option<Vec<(u8, u32)>> {
        let there: &Contents = self.kernel().contents().get(&server_key(number))?;
        let last = |address: IpAddr| match address {
            IpAddr::V4(address) => address.octets()[3],
            IpAddr::V6(address) => address.octets()[15],
        };
        Some(there.real.values().map(|(real, _)| (last(real.address), real.weight)).collect())
    }
}
