//! What a mark stands for, what the kernel has of it, and which orders make the second the first. Without I/O.
//!
//! A real server serves with a weight of 1 and drains with a weight of 0 (reference §12.5). In one that is wrong in
//! any other way nothing but that is known: it has to be changed.

use kube_verdict_ipvs_codec::{Key, Load, Name, Order, RealServer, VirtualServer};
use kube_verdict_table::{Backend, Protocol};

use crate::{Scheduler, Server};

/// How a real server is in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Serves,
    Drains,
    Wrong,
}

/// A virtual server in the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    scheduler: Name,
    flags: u32,
    /// sorted
    real: Vec<(Backend, State)>,
}

/// A mark.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    /// what it stands for, or stood for while it is not wanted any more; None: what that is or was is not known
    pub(super) server: Option<Server>,
    pub(super) is_wanted: bool,
    /// None: nothing
    pub(super) held: Option<Held>,
    /// the scheduler in place of which another is used was told
    pub(super) told: bool,
}

impl Held {
    pub(super) fn of(server: &VirtualServer, listed: &[Load]) -> Held {
        let mut real: Vec<_> = listed.iter().map(|listed| state(&listed.server)).collect();
        real.sort_unstable_by_key(|(backend, _)| *backend);
        let mut held = Held { real, ..Held::new(server) };
        if server.persistence_engine.is_some() {
            // None that is wanted has this bit.
            held.flags |= kube_verdict_ipvs_codec::flags::PERSISTENT;
        }
        held
    }

    fn new(server: &VirtualServer) -> Held {
        Held { scheduler: server.scheduler, flags: server.flags, real: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.real.is_empty()
    }

    pub(super) fn get(&self, backend: &Backend) -> Option<State> {
        let index = self.find(backend).ok()?;
        Some(self.real[index].1)
    }

    fn find(&self, backend: &Backend) -> Result<usize, usize> {
        self.real.binary_search_by(|(there, _)| there.cmp(backend))
    }

    fn set(&mut self, real: &RealServer) {
        let (backend, state) = state(real);
        match self.find(&backend) {
            Ok(index) => self.real[index].1 = state,
            Err(index) => self.real.insert(index, (backend, state)),
        }
    }

    fn remove(&mut self, backend: &Backend) {
        if let Ok(index) = self.find(backend) {
            self.real.remove(index);
        }
    }
}

impl Place {
    /// Whether nobody needs to remember it.
    pub(super) fn is_over(&self) -> bool {
        !self.is_wanted && self.held.is_none()
    }

    /// The virtual server that is wanted here.
    pub(super) fn wanted(&self) -> Option<&Server> {
        self.server.as_ref().filter(|_| self.is_wanted)
    }

    /// Whether it stays as it is.
    fn is_kept(&self) -> bool {
        self.is_wanted && self.server.is_none()
    }

    fn wants(&self, backend: &Backend) -> bool {
        self.wanted().is_some_and(|server| server.backends.binary_search(backend).is_ok())
    }

    /// The order that makes or changes the virtual server itself.
    pub(super) fn order(&self, key: Key, scheduler: Scheduler) -> Option<Order> {
        self.wanted()?;
        let server = VirtualServer { flags: scheduler.flags, ..VirtualServer::new(key, scheduler.name) };
        match &self.held {
            None => Some(Order::Add(server)),
            Some(held) if (held.scheduler, held.flags) != (scheduler.name, scheduler.flags) => {
                Some(Order::Change(server))
            }
            Some(_) => None,
        }
    }

    /// Adds the orders that have every backend serve that is wanted.
    pub(super) fn raise(&self, key: Key, orders: &mut Vec<Order>) {
        let Some(server) = self.wanted() else { return };
        for backend in server.backends.iter() {
            let real = real(backend, 1);
            match self.held.as_ref().and_then(|held| held.get(backend)) {
                Some(State::Serves) => {}
                Some(State::Drains | State::Wrong) => orders.push(Order::ChangeIn(key, real)),
                None => orders.push(Order::AddTo(key, real)),
            }
        }
    }

    /// Adds the orders after which nothing that is not wanted gets new connections. What may still have some
    /// drains; UDP has nobody who ends a connection, so that a backend that does not serve any more goes at once, and
    /// IPVS forgets with it who was there (reference §§8, 12.5).
    pub(super) fn lower(
        &self,
        key: Key,
        still_serves: &dyn Fn(&Server, &Backend) -> bool,
        orders: &mut Vec<Order>,
    ) {
        let Some(held) = self.held.as_ref().filter(|_| !self.is_kept()) else { return };
        for (backend, state) in held.real.iter().filter(|(backend, _)| !self.wants(backend)) {
            let goes = self
                .server
                .as_ref()
                .is_some_and(|server| server.protocol == Protocol::Udp && !still_serves(server, backend));
            if goes {
                orders.push(Order::DeleteFrom(key, real(backend, 0)));
            } else if *state != State::Drains {
                orders.push(Order::ChangeIn(key, real(backend, 0)));
            }
        }
    }

    /// Whether something of it waits for connections to end, or is about to go.
    pub(super) fn drains(&self) -> bool {
        match &self.held {
            None => false,
            Some(_) if !self.is_wanted => true,
            Some(_) if self.is_kept() => false,
            Some(held) => {
                held.real.iter().any(|(backend, state)| *state == State::Drains && !self.wants(backend))
            }
        }
    }

    /// Adds the orders that delete what has drained. Says false if the kernel does not have all that it should.
    pub(super) fn tend(&self, key: Key, listed: &[Load], orders: &mut Vec<Order>) -> bool {
        let Some(held) = &self.held else { return true };
        let mut found = 0;
        for listed in listed {
            let (backend, state) = state(&listed.server);
            if held.get(&backend) != Some(state) {
                return false;
            }
            found += 1;
            let is_idle = listed.connections.active == 0 && listed.connections.inactive == 0;
            if state == State::Drains && is_idle && !self.wants(&backend) {
                orders.push(Order::DeleteFrom(key, listed.server));
            }
        }
        found == held.real.len()
    }

    /// An order of ours was carried out.
    pub(super) fn apply(&mut self, order: &Order) {
        match (order, &mut self.held) {
            (Order::Add(server), held) => *held = Some(Held::new(server)),
            (Order::Change(server), Some(held)) => {
                (held.scheduler, held.flags) = (server.scheduler, server.flags);
            }
            (Order::AddTo(_, real) | Order::ChangeIn(_, real), Some(held)) => held.set(real),
            (Order::DeleteFrom(_, real), Some(held)) => {
                held.remove(&Backend { ip: real.address, port: real.port });
            }
            (Order::Delete(_), held) => *held = None,
            (_, None) => {}
        }
    }

    /// Real servers in the kernel that get connections, and those that drain.
    pub(super) fn count(&self) -> (usize, usize) {
        let real = self.held.as_ref().map_or(&[][..], |held| &held.real);
        let draining = real.iter().filter(|(_, state)| *state == State::Drains).count();
        (real.len() - draining, draining)
    }
}

fn state(real: &RealServer) -> (Backend, State) {
    let backend = Backend { ip: real.address, port: real.port };
    let state = match real.weight {
        1 if *real == self::real(&backend, 1) => State::Serves,
        0 if *real == self::real(&backend, 0) => State::Drains,
        _ => State::Wrong,
    };
    (backend, state)
}

/// A backend as a real server: its packets are translated, as the packets of all virtual servers are.
fn real(backend: &Backend, weight: u32) -> RealServer {
    RealServer { weight, ..RealServer::new(backend.ip, backend.port) }
}
