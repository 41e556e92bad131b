//! A world of Services.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use super::Change;

/// ClusterIPs are counted from here; 10.96.0.0/13.
const CLUSTER_IPS: u32 = 0x0a60_0100;
/// Endpoints are counted from here; 10.128.0.0/9.
const ENDPOINTS: u32 = 0x0a80_0000;
/// Endpoints that there may be at one time: above these bits of an address is its version.
const PLACES: u32 = 1 << 20;
/// Addresses that an endpoint has in turn.
const VERSIONS: u32 = 8;
/// At most so many Services have one endpoint only, to be changed and watched.
const PROBES: u32 = 100;

/// How large a world is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Services, probes aside
    pub services: u32,
    /// endpoints of each of them
    pub endpoints: u32,
}

impl Size {
    /// Services of the given number of endpoints: at least one of each protocol.
    pub fn regular(self) -> u32 {
        self.services.max(2)
    }

    /// Services of one endpoint, TCP, which stand behind the others in number and name: changes are made to them,
    /// since a client sees at its first connection where such a Service leads.
    pub fn probes(self) -> u32 {
        self.services.clamp(1, PROBES)
    }

    /// Whether there are addresses enough.
    pub fn fits(self) -> bool {
        (self.regular() + 2 * PROBES).checked_mul(self.endpoints).is_some_and(|places| places <= PLACES)
    }
}

/// What a Service's port speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP
    Tcp,
    /// UDP
    Udp,
}

impl Protocol {
    /// As the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Tcp => "TCP",
            Protocol::Udp => "UDP",
        }
    }
}

/// A Service as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// its number in the world
    pub number: u32,
    /// its name, which sorts as its number
    pub name: String,
    /// where clients reach it, at [`super::PORT`]
    pub cluster_ip: Ipv4Addr,
    /// what it speaks
    pub protocol: Protocol,
    /// where its endpoints are, at [`super::TARGET_PORT`]
    pub endpoints: Vec<Ipv4Addr>,
}

/// All Services as they are now.
#[derive(Clone, Debug)]
pub struct World {
    size: Size,
    /// how often an endpoint was replaced
    versions: BTreeMap<(u32, u32), u32>,
    /// created beside those that exist from the start
    extra: BTreeSet<u32>,
    /// deleted of those
    deleted: BTreeSet<u32>,
}

impl World {
    /// The world at the start.
    pub fn new(size: Size) -> Self {
        World { size, versions: BTreeMap::new(), extra: BTreeSet::new(), deleted: BTreeSet::new() }
    }

    /// How large it is.
    pub fn size(&self) -> Size {
        self.size
    }

    /// The numbers of the probes that exist from the start.
    pub fn probes(&self) -> std::ops::Range<u32> {
        self.size.regular()..self.size.regular() + self.size.probes()
    }

    /// A number for a Service that does not exist yet.
    pub fn unborn(&self) -> u32 {
        self.probes().end
    }

    /// Every Service, by number.
    pub fn services(&self) -> impl Iterator<Item = Service> + '_ {
        let numbers = (0..self.probes().end).filter(|number| !self.deleted.contains(number));
        numbers.chain(self.extra.iter().copied()).map(|number| self.made(number))
    }

    /// A Service, if it exists.
    pub fn service(&self, number: u32) -> Option<Service> {
        let exists = match number < self.probes().end {
            true => !self.deleted.contains(&number),
            false => self.extra.contains(&number),
        };
        exists.then(|| self.made(number))
    }

    /// Makes a change; the Service as it is then, if it still exists.
    pub fn apply(&mut self, change: Change) -> Option<Service> {
        match change {
            Change::Replace { service, endpoint } => {
                *self.versions.entry((service, endpoint)).or_default() += 1
            }
            Change::Create { service } => {
                self.deleted.remove(&service);
                if service >= self.probes().end {
                    self.extra.insert(service);
                }
            }
            Change::Delete { service } => {
                if !self.extra.remove(&service) {
                    self.deleted.insert(service);
                }
            }
        }
        self.service(change.service())
    }

    /// Where an endpoint is now.
    pub fn endpoint(&self, service: u32, endpoint: u32) -> Ipv4Addr {
        let version = self.versions.get(&(service, endpoint)).copied().unwrap_or_default() % VERSIONS;
        Ipv4Addr::from(ENDPOINTS + version * PLACES + service * self.size.endpoints + endpoint)
    }

    fn made(&self, number: u32) -> Service {
        let regular = number < self.size.regular();
        let endpoints = if regular { self.size.endpoints } else { 1 };
        Service {
            number,
            name: if regular { format!("service-{number:06}") } else { format!("zz-probe-{number:06}") },
            cluster_ip: Ipv4Addr::from(CLUSTER_IPS + number),
            protocol: if regular && number % 2 == 1 { Protocol::Udp } else { Protocol::Tcp },
            endpoints: (0..endpoints).map(|endpoint| self.endpoint(number, endpoint)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_endpoint_has_an_address_that_nobody_else_has() {
        let mut world = World::new(Size { services: 50, endpoints: 3 });
        let before: BTreeSet<Ipv4Addr> = world.services().flat_map(|service| service.endpoints).collect();
        assert_eq!(before.len(), 50 * 3 + 50);
        let after = world.apply(Change::Replace { service: 7, endpoint: 2 }).expect("it exists");
        assert!(!before.contains(&after.endpoints[2]));
        assert!(before.contains(&after.endpoints[1]));
    }

    #[test]
    fn services_come_and_go() {
        let mut world = World::new(Size { services: 1, endpoints: 3 });
        let protocols: Vec<Protocol> = world.services().map(|service| service.protocol).collect();
        assert_eq!(protocols, [Protocol::Tcp, Protocol::Udp, Protocol::Tcp]);
        let service = world.unborn();
        assert_eq!(world.service(service), None);
        assert!(world.apply(Change::Create { service }).is_some_and(|service| service.endpoints.len() == 1));
        assert_eq!(world.services().count(), 4);
        assert_eq!(world.apply(Change::Delete { service }), None);
        assert_eq!(world.services().count(), 3);
    }

    #[test]
    fn a_million_endpoints_fit() {
        assert!(Size { services: 100_000, endpoints: 10 }.fits());
        assert!(!Size { services: 200_000, endpoints: 10 }.fits());
    }
}
