//! What one frontend has in the kernel, and how a fate becomes that.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use kube_verdict_table::{Backend, Cidr, Fate, Frontend, Masquerade, Policy, Route, Target};

use super::element::{Element, Verdict};
use super::marks::Balancer;
use super::names::{Chain, Entry, Over, Scope, Space};
use crate::jhash::jhash;
use crate::slots;

/// All that the kernel holds of one frontend; its elements follow from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programme {
    /// what happens to a packet (to those from allowed sources, if `sources` says so)
    pub verdict: Verdict,
    /// what happens to packets from inside, when it is not the same
    pub inside: Option<Verdict>,
    /// the sources allowed
    pub sources: Option<Arc<[Cidr]>>,
    /// the backend of each slot; where IPVS balances, those that a client may be sent back to
    pub cluster: Box<[Backend]>,
    /// the same of the local ones
    pub local: Box<[Backend]>,
    /// the marks of its virtual servers, where IPVS balances
    pub marks: Marked,
    /// the number of the service port, if it needs one: for affinity, or for its marks
    pub number: Option<NonZeroU32>,
    /// the affinity timeout in seconds
    pub affinity: Option<u32>,
}

/// The marks of a frontend's virtual servers; 0: it has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marked {
    /// for most sources
    pub cluster: u32,
    /// for sources from outside under externalTrafficPolicy Local
    pub local: u32,
}

impl Marked {
    /// The marks, each with its scope.
    pub fn iter(self) -> impl Iterator<Item = (Scope, u32)> {
        [(Scope::Cluster, self.cluster), (Scope::Local, self.local)]
            .into_iter()
            .filter(|(_, mark)| *mark != 0)
    }
}

/// The seed of our hashes.
pub const HASH_SEED: u32 = 1;
/// The bit of the packet priority that says: what stands here is ours, the number of a service port or the
/// hash of a backend. Priorities from elsewhere are small, or handles of traffic control.
pub const OURS: u32 = 1 << 31;

/// The kernel's `jhash … daddr . th dport mod 2147483648 seed 1 offset 2147483648` of a packet to this backend.
pub fn hash_backend(backend: &Backend) -> u32 {
    let mut key = [0u8; 20];
    let length = match backend.ip {
        std::net::IpAddr::V4(ip) => {
            key[..4].copy_from_slice(&ip.octets());
            4
        }
        std::net::IpAddr::V6(ip) => {
            key[..16].copy_from_slice(&ip.octets());
            16
        }
    };
    key[length..length + 2].copy_from_slice(&backend.port.to_be_bytes());
    let hash = jhash(&key[..length + 4], HASH_SEED);
    // reciprocal_scale() of linux/kernel.h
    ((u64::from(hash) * u64::from(OURS)) >> 32) as u32 | OURS
}

impl Programme {
    /// What a fate asks for. `before` keeps backends in their slots; `number` is the service port's, for affinity
    /// and for the marks of its virtual servers. Where IPVS balances and there is no number left, connections
    /// are dropped.
    pub fn new(
        frontend: &Frontend,
        fate: &Fate,
        before: Option<&Programme>,
        number: Option<NonZeroU32>,
        balancer: Balancer,
    ) -> Self {
        let affinity = number.and(fate.affinity).map(|affinity| affinity.timeout_seconds);
        let writer = Writer { space: Space::of(frontend), is_sticky: affinity.is_some(), number, balancer };
        let sources = fate.sources.clone();
        let (before_cluster, before_local) =
            before.map_or((&[][..], &[][..]), |before| (&*before.cluster, &*before.local));
        let nobody = Pool { over: Over::Slots(0), backends: Box::default(), mark: 0 };
        let (verdict, inside, cluster, local) = match &fate.route {
            Route::Everyone(target) => {
                let entry = match fate.masquerade {
                    Masquerade::Never => Entry::Pick,
                    Masquerade::UnlessLocalPod => Entry::Internal,
                    Masquerade::Always => Entry::External,
                };
                let cluster = writer.pool(target, before_cluster);
                (writer.verdict(entry, target, &cluster), None, cluster, nobody)
            }
            Route::ByOrigin { inside: Target::Reject, outside: Target::Reject } => {
                (Verdict::Goto(Chain::NoEndpoints), None, nobody.clone(), nobody)
            }
            Route::ByOrigin { inside, outside } => {
                let cluster = writer.pool(inside, before_cluster);
                let local = writer.pool(outside, before_local);
                let inside = writer.verdict(Entry::Pick, inside, &cluster);
                (writer.spread(Entry::Local, local.over), Some(inside), cluster, local)
            }
        };
        let marks = Marked { cluster: cluster.mark, local: local.mark };
        let (cluster, local) = (cluster.backends, local.backends);
        Programme { verdict, inside, sources, cluster, local, marks, number, affinity }
    }

    /// What is known of a frontend whose slots were read back.
    pub fn of_slots(cluster: Vec<Backend>, local: Vec<Backend>) -> Self {
        let verdict = Verdict::Drop;
        Programme {
            verdict,
            inside: None,
            sources: None,
            cluster: cluster.into(),
            local: local.into(),
            marks: Marked::default(),
            number: None,
            affinity: None,
        }
    }

    /// Its elements. Those of one set stand together.
    pub fn elements(&self, frontend: Frontend) -> impl Iterator<Item = Element> {
        let (first, by_source) = match &self.sources {
            None => (self.verdict, None),
            Some(_) => (Verdict::Goto(Chain::CheckSource), Some(Element::BySource(frontend, self.verdict))),
        };
        let sources = self.sources.iter().flat_map(|sources| sources.iter());
        let sources = sources
            .filter(move |cidr| cidr.family() == frontend.family())
            .map(move |cidr| Element::SourceRange(frontend, *cidr));
        [
            Some(Element::Frontend(frontend, first)),
            by_source,
            self.inside.map(|inside| Element::Inside(frontend, inside)),
        ]
        .into_iter()
        .flatten()
        .chain(sources)
        .chain(self.slot_elements(frontend, Scope::Cluster))
        .chain(self.slot_elements(frontend, Scope::Local))
        .chain(self.affinity.and(self.number).map(|number| Element::AffinityId(frontend, number.get())))
    }

    fn slot_elements(&self, frontend: Frontend, scope: Scope) -> impl Iterator<Item = Element> {
        let (backends, mark) = match scope {
            Scope::Cluster => (&self.cluster, self.marks.cluster),
            Scope::Local => (&self.local, self.marks.local),
        };
        let in_slots = if mark == 0 { &backends[..] } else { &[] };
        let slots = (0u32..)
            .zip(in_slots.iter())
            .map(move |(slot, backend)| Element::Slot(frontend, scope, slot, *backend));
        let mark = (mark != 0).then_some(Element::Mark(frontend, scope, mark));
        // Two backends of one hash are one to their clients: the lower one serves both.
        let mut hashes: BTreeMap<u32, Backend> = BTreeMap::new();
        if self.affinity.is_some() {
            for backend in backends {
                let lowest = hashes.entry(hash_backend(backend)).or_insert(*backend);
                *lowest = (*lowest).min(*backend);
            }
        }
        let sticky =
            hashes.into_iter().map(move |(hash, backend)| Element::Sticky(frontend, scope, hash, backend));
        slots.chain(mark).chain(sticky)
    }
}

/// Backends as they are written for one scope.
#[derive(Clone)]
struct Pool {
    over: Over,
    backends: Box<[Backend]>,
    /// of the virtual server; 0: there is none
    mark: u32,
}

/// What the parts of one frontend's programme have in common.
struct Writer {
    space: Space,
    is_sticky: bool,
    number: Option<NonZeroU32>,
    balancer: Balancer,
}

impl Writer {
    fn pool(&self, target: &Target, before: &[Backend]) -> Pool {
        let Target::Backends(selection) = target else {
            return Pool { over: Over::Slots(0), backends: Box::default(), mark: 0 };
        };
        match self.balancer {
            Balancer::Slots | Balancer::SlotsBesideIpvs(_) => {
                let backends = slots::assign(before, &selection.backends);
                let slots = u32::try_from(backends.len()).unwrap_or(u32::MAX);
                Pool { over: Over::Slots(slots), backends, mark: 0 }
            }
            Balancer::Ipvs(marks) => {
                let server = self.number.map(|number| server_number(number.get(), selection.choice.policy));
                let mark = server.and_then(|server| marks.mark(server)).unwrap_or(0);
                // Real servers are IPVS's; here they only matter to clients who have been somewhere.
                let backends = if self.is_sticky { (&*selection.backends).into() } else { Box::default() };
                Pool { over: Over::Ipvs, backends, mark }
            }
        }
    }

    fn spread(&self, entry: Entry, over: Over) -> Verdict {
        let sticky = self.is_sticky && over != Over::Slots(0);
        Verdict::Goto(Chain::Spread { space: self.space, entry, sticky, over })
    }

    fn verdict(&self, entry: Entry, target: &Target, pool: &Pool) -> Verdict {
        match target {
            Target::Backends(_) if pool.over == Over::Ipvs && pool.mark == 0 => Verdict::Drop,
            Target::Backends(_) => self.spread(entry, pool.over),
            Target::Reject => Verdict::Goto(Chain::NoEndpoints),
            Target::Drop => Verdict::Drop,
        }
    }
}

/// The number of a service port's virtual server. It may have two: of all endpoints, and of this node's.
fn server_number(number: u32, policy: Policy) -> u32 {
    (number & !OURS) << 1 | u32::from(policy == Policy::Local)
}

/// The number of the service port that has a virtual server of this number.
pub fn port_number(server: u32) -> u32 {
    server >> 1 | OURS
}
