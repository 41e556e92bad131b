//! The numbers of service ports: those that affinity remembers clients by, and virtual servers are marked by.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::num::NonZeroU32;
use std::sync::Arc;

use kube_verdict_table::ServicePortName;

use crate::layout::{Balancer, OURS};

/// The numbers, each with its users.
#[derive(Clone, Debug)]
pub struct Numbers {
    of: HashMap<Arc<ServicePortName>, u32>,
    used: BTreeMap<u32, Number>,
    last: u32,
    /// so many there can be
    capacity: u32,
    /// what service ports had before everything was forgotten
    before: HashMap<Arc<ServicePortName>, u32>,
    /// of those, what is in use elsewhere: whoever had none does not get these
    promised: HashSet<u32>,
}

#[derive(Clone, Debug)]
struct Number {
    frontends: u32,
    /// the affinity timeout
    seconds: Option<u32>,
    owner: Arc<ServicePortName>,
}

impl Numbers {
    /// As many as marks have room for, each service port having two of them.
    pub(super) fn new(balancer: Balancer) -> Self {
        let capacity = match balancer {
            Balancer::Ipvs(marks) => marks.capacity() / 2,
            // Nothing that nft has a word for: `root` is the handle of all bits.
            _ => !OURS - 1,
        };
        Numbers {
            of: HashMap::new(),
            used: BTreeMap::new(),
            last: OURS,
            capacity,
            before: HashMap::new(),
            promised: HashSet::new(),
        }
    }

    /// The service port's number; a new one is taken as late as possible after it was given back, while
    /// clients are still remembered under it. None: there are no more.
    pub(super) fn get(&mut self, service: &Arc<ServicePortName>) -> Option<NonZeroU32> {
        if let Some(number) = self.of.get(service) {
            return NonZeroU32::new(*number);
        }
        if let Some(number) = self.before.get(service).copied() {
            self.adopt(service, number);
            if let Some(number) = self.of.get(service) {
                return NonZeroU32::new(*number);
            }
        }
        if self.used.len() >= self.capacity as usize {
            return None;
        }
        if self.used.len() + self.promised.len() >= self.capacity as usize {
            self.promised.clear();
        }
        let mut number = self.last;
        loop {
            number = OURS | ((number & !OURS) % self.capacity + 1);
            if !self.used.contains_key(&number) && !self.promised.contains(&number) {
                break;
            }
        }
        self.adopt(service, number);
        NonZeroU32::new(number)
    }

    /// Gives the service port this number, if both are free; it is how numbers survive a restart.
    pub(super) fn adopt(&mut self, service: &Arc<ServicePortName>, number: u32) {
        if !self.is_number(number) || self.of.contains_key(service) || self.used.contains_key(&number) {
            return;
        }
        self.last = self.last.max(number);
        self.of.insert(service.clone(), number);
        self.used.insert(number, Number { frontends: 0, seconds: None, owner: service.clone() });
    }

    /// Whether the service port may have this number, as far as these know: it has no other, and nobody else has it.
    pub(crate) fn agree(&self, service: &Arc<ServicePortName>, number: u32) -> bool {
        self.of.get(service).is_none_or(|its| *its == number)
            && self.used.get(&number).is_none_or(|used| used.owner == *service)
    }

    /// Service ports are to get the numbers that they had, until [`Numbers::is_filled`].
    pub(super) fn remember(&mut self, before: &Numbers) {
        self.before = before.of.clone();
    }

    /// All that were to get a number have one. Nobody gets any of those that are taken besides.
    pub(super) fn is_filled(&mut self, taken: impl Iterator<Item = u32>) {
        self.before = HashMap::new();
        self.promised = HashSet::new();
        taken.for_each(|number| self.reserve(number));
    }

    /// Nobody gets these numbers but who had them before.
    pub(super) fn spare(&mut self, taken: impl Iterator<Item = u32>) {
        let had: HashSet<u32> = self.before.values().copied().collect();
        for number in taken {
            if had.contains(&number) {
                self.promised.insert(number);
            } else {
                self.reserve(number);
            }
        }
    }

    /// Nobody gets this number.
    pub(super) fn reserve(&mut self, number: u32) {
        let owner = ServicePortName { namespace: "".into(), name: "".into(), port: "".into() };
        let reserved = Number { frontends: 1, seconds: None, owner: Arc::new(owner) };
        self.used.entry(number).or_insert(reserved);
    }

    /// The affinity timeout of its service port.
    pub(super) fn seconds(&self, number: u32) -> Option<u32> {
        self.used.get(&number).filter(|number| number.frontends > 0).and_then(|number| number.seconds)
    }

    pub(super) fn enter(&mut self, number: u32, seconds: Option<u32>) {
        if let Some(used) = self.used.get_mut(&number) {
            used.frontends += 1;
            used.seconds = seconds;
        }
    }

    pub(super) fn leave(&mut self, number: u32) {
        if let Some(used) = self.used.get_mut(&number) {
            used.frontends = used.frontends.saturating_sub(1);
        }
    }

    /// Gives a number back when its last frontend is gone.
    pub(super) fn settle(&mut self, number: u32) {
        if self.used.get(&number).is_some_and(|used| used.frontends == 0)
            && let Some(used) = self.used.remove(&number)
        {
            self.of.remove(&used.owner);
        }
    }

    /// Whether a service port can have this number: marked as ours, and one of those that there are.
    fn is_number(&self, number: u32) -> bool {
        number & OURS != 0 && (1..=self.capacity).contains(&(number & !OURS))
    }
}
