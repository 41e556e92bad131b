//! A kernel in memory: an IPVS without packets, which refuses what the real one refuses and has the connections
//! that a test gives it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::net::IpAddr;

use kube_verdict_ipvs_codec::{
    self as codec, Connections, Key, Load, Order, RealServer, Refusal, Timeouts, VirtualServer,
};
use kube_verdict_table::{Backend, Family};

use super::{Error, Kernel, our_mark};
use crate::Marks;

/// What one call of the director's asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// [`Kernel::read`] or [`Kernel::real_servers`]
    Read,
    /// [`Kernel::run`], of so many orders
    Run(usize),
}

/// A virtual server, and its real ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// the virtual server
    pub server: VirtualServer,
    /// its real servers, and what each has to do
    pub real: BTreeMap<(IpAddr, u16), (RealServer, Connections)>,
}

/// Says what an order is refused with, if it is.
type Refuse = Box<dyn FnMut(&Order) -> Option<i32>>;
/// Says after how many orders a call fails, if it does.
type Fault = Box<dyn FnMut(Call) -> Option<usize>>;

/// An IPVS in memory.
pub struct MemoryKernel {
    servers: BTreeMap<Key, Contents>,
    /// the schedulers that it has
    pub schedulers: BTreeSet<String>,
    /// no IPVS at all
    pub is_missing: bool,
    /// refuses single orders
    pub refuse: Option<Refuse>,
    /// breaks off whole calls
    pub fault: Option<Fault>,
    /// every order that was carried out
    pub journal: Vec<Order>,
    /// how many listings were asked for
    pub listings: usize,
    /// as set
    pub timeouts: Timeouts,
}

impl fmt::Debug for MemoryKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryKernel").field("servers", &self.servers).finish_non_exhaustive()
    }
}

impl Default for MemoryKernel {
    fn default() -> Self {
        MemoryKernel {
            servers: BTreeMap::new(),
            schedulers: ["rr", "wrr", "lc", "wlc", "sh", "mh"].map(str::to_owned).into(),
            is_missing: false,
            refuse: None,
            fault: None,
            journal: Vec::new(),
            listings: 0,
            timeouts: Timeouts::default(),
        }
    }
}

impl MemoryKernel {
    /// All that there is.
    pub fn contents(&self) -> &BTreeMap<Key, Contents> {
        &self.servers
    }

    /// Gives a real server connections; says whether it is there.
    pub fn connect(&mut self, key: &Key, backend: Backend, active: u32, inactive: u32) -> bool {
        let real =
            self.servers.get_mut(key).and_then(|there| there.real.get_mut(&(backend.ip, backend.port)));
        let Some((_, connections)) = real else { return false };
        *connections = Connections { active, inactive, persistent: 0 };
        true
    }

    /// Someone else does something.
    pub fn intrude(&mut self, order: &Order) -> Result<(), i32> {
        perform(&mut self.servers, &self.schedulers, order)
    }

    /// Someone else deletes everything.
    pub fn flush(&mut self) {
        self.servers.clear();
    }

    /// Counts a call, and says after how many orders it fails.
    fn call(&mut self, call: Call) -> Result<Option<usize>, Error> {
        match self.is_missing {
            true => Err(Error::Missing),
            false => Ok(self.fault.as_mut().and_then(|fault| fault(call))),
        }
    }
}

/// What a socket says that lost answers.
fn lost() -> Error {
    Error::Failed(codec::Error::Socket(io::Error::from_raw_os_error(libc::ENOBUFS)))
}

impl Kernel for MemoryKernel {
    fn read(
        &mut self,
        family: Family,
        marks: Marks,
        each: &mut dyn FnMut(&VirtualServer, &[Load]),
    ) -> Result<(), Error> {
        if self.call(Call::Read)?.is_some() {
            return Err(lost());
        }
        self.listings += 1;
        for (key, there) in &self.servers {
            if our_mark(key, family, marks).is_some() {
                each(&there.server, &there.listed());
            }
        }
        Ok(())
    }

    fn run(&mut self, orders: &[Order]) -> Result<Vec<Refusal>, Error> {
        let fails_after = self.call(Call::Run(orders.len()))?;
        let mut refused = Vec::new();
        for (index, order) in orders.iter().take(fails_after.unwrap_or(usize::MAX)).enumerate() {
            let refusal = self.refuse.as_mut().and_then(|refuse| refuse(order));
            let done = refusal.map_or_else(|| perform(&mut self.servers, &self.schedulers, order), Err);
            match done {
                Ok(()) => self.journal.push(*order),
                Err(errno) => refused.push(Refusal { order: index, errno }),
            }
        }
        if fails_after.is_some() { Err(lost()) } else { Ok(refused) }
    }

    fn real_servers(
        &mut self,
        family: Family,
        marks: &[u32],
        each: &mut dyn FnMut(u32, &[Load]),
    ) -> Result<(), Error> {
        if self.call(Call::Read)?.is_some() {
            return Err(lost());
        }
        self.listings += marks.len();
        for mark in marks {
            let there = self.servers.get(&super::key(family, *mark));
            each(*mark, &there.map(Contents::listed).unwrap_or_default());
        }
        Ok(())
    }

    fn set_timeouts(&mut self, timeouts: Timeouts) -> Result<(), Error> {
        self.call(Call::Run(1))?;
        self.timeouts = timeouts;
        Ok(())
    }
}

impl Contents {
    fn listed(&self) -> Vec<Load> {
        let load = |(server, connections): &(RealServer, Connections)| Load {
            server: *server,
            connections: *connections,
        };
        self.real.values().map(load).collect()
    }
}

/// As ip_vs_genl_set_cmd() and what it calls.
fn perform(
    servers: &mut BTreeMap<Key, Contents>,
    schedulers: &BTreeSet<String>,
    order: &Order,
) -> Result<(), i32> {
    let is_there = servers.contains_key(order.key());
    if let Order::Add(server) = order {
        return match is_there {
            true => Err(libc::EEXIST),
            false if !schedulers.contains(server.scheduler.as_str()) => Err(libc::ENOENT),
            false => {
                servers.insert(server.key, Contents { server: *server, real: BTreeMap::new() });
                Ok(())
            }
        };
    }
    let there = servers.get_mut(order.key()).ok_or(libc::ESRCH)?;
    let place = order.real_server().map(|real| (real.address, real.port));
    match order {
        Order::Change(server) if !schedulers.contains(server.scheduler.as_str()) => return Err(libc::ENOENT),
        Order::Change(server) => there.server = *server,
        Order::AddTo(_, real) => {
            check(order.key(), real)?;
            match place.map(|place| there.real.entry(place)) {
                Some(std::collections::btree_map::Entry::Vacant(entry)) => {
                    entry.insert((*real, Connections::default()));
                }
                _ => return Err(libc::EEXIST),
            }
        }
        Order::ChangeIn(_, real) => {
            check(order.key(), real)?;
            place.and_then(|place| there.real.get_mut(&place)).ok_or(libc::ENOENT)?.0 = *real;
        }
        Order::DeleteFrom(..) => {
            place.and_then(|place| there.real.remove(&place)).ok_or(libc::ENOENT)?;
        }
        Order::Add(_) | Order::Delete(_) => drop(servers.remove(order.key())),
    }
    Ok(())
}

/// What ip_vs_add_dest() asks of a real server.
fn check(key: &Key, real: &RealServer) -> Result<(), i32> {
    let can_be_sent_to = match real.address {
        IpAddr::V4(ip) => !ip.is_multicast() && !ip.is_broadcast() && ip.octets()[0] != 0,
        IpAddr::V6(ip) => !ip.is_multicast() && !ip.is_unspecified(),
    };
    let is_possible = codec::Family::of(real.address) == key.family() && can_be_sent_to;
    if !is_possible {
        return Err(libc::EINVAL);
    }
    if i32::try_from(real.weight).is_err() { Err(libc::ERANGE) } else { Ok(()) }
}
