//! What one frontend has in the kernel, and how a fate becomes that.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube_verdict_table::{Backend, Cidr, Fate, Frontend, Masquerade, Route, Target};

use super::element::{Element, Verdict};
use super::names::{Chain, Entry, Scope, Space};
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
    /// the backend of each slot
    pub cluster: Box<[Backend]>,
    /// the backend of each local slot
    pub local: Box<[Backend]>,
    /// the number of the service port and the affinity timeout in seconds
    pub affinity: Option<(u32, u32)>,
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
    /// What a fate asks for. `before` keeps backends in their slots; `number` is the service port's, for
    /// affinity.
    pub fn new(frontend: &Frontend, fate: &Fate, before: Option<&Programme>, number: Option<u32>) -> Self {
        let space = Space::of(frontend);
        let assign = |old: Option<&[Backend]>, target: &Target| match target {
            Target::Backends(selection) => slots::assign(old.unwrap_or_default(), &selection.backends),
            _ => Box::default(),
        };
        let spread = |entry, backends: &[Backend]| {
            let slots = u32::try_from(backends.len()).unwrap_or(u32::MAX);
            Verdict::Goto(Chain::Spread { space, entry, sticky: number.is_some() && slots > 0, slots })
        };
        let verdict = |entry, target: &Target, backends: &[Backend]| match target {
            Target::Backends(_) => spread(entry, backends),
            Target::Reject => Verdict::Goto(Chain::NoEndpoints),
            Target::Drop => Verdict::Drop,
        };
        let affinity = number.zip(fate.affinity).map(|(number, affinity)| (number, affinity.timeout_seconds));
        let sources = fate.sources.clone();
        let before_cluster = before.map(|before| &*before.cluster);
        match &fate.route {
            Route::Everyone(target) => {
                let cluster = assign(before_cluster, target);
                let entry = match fate.masquerade {
                    Masquerade::Never => Entry::Pick,
                    Masquerade::UnlessLocalPod => Entry::Internal,
                    Masquerade::Always => Entry::External,
                };
                let verdict = verdict(entry, target, &cluster);
                Programme { verdict, inside: None, sources, cluster, local: Box::default(), affinity }
            }
            Route::ByOrigin { inside: Target::Reject, outside: Target::Reject } => Programme {
                verdict: Verdict::Goto(Chain::NoEndpoints),
                inside: None,
                sources,
                cluster: Box::default(),
                local: Box::default(),
                affinity,
            },
            Route::ByOrigin { inside, outside } => {
                let cluster = assign(before_cluster, inside);
                let local = assign(before.map(|before| &*before.local), outside);
                let inside = verdict(Entry::Pick, inside, &cluster);
                let verdict = spread(Entry::Local, &local);
                Programme { verdict, inside: Some(inside), sources, cluster, local, affinity }
            }
        }
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
        .chain(self.affinity.map(|(number, _)| Element::AffinityId(frontend, number)))
    }

    fn slot_elements(&self, frontend: Frontend, scope: Scope) -> impl Iterator<Item = Element> {
        let backends = match scope {
            Scope::Cluster => &self.cluster,
            Scope::Local => &self.local,
        };
        let slots = (0u32..)
            .zip(backends.iter())
            .map(move |(slot, backend)| Element::Slot(frontend, scope, slot, *backend));
        // Two backends of one hash are one to their clients: the lower one serves both.
        let mut hashes: BTreeMap<u32, Backend> = BTreeMap::new();
        if self.affinity.is_some() {
            for backend in backends {
                let lowest = hashes.entry(hash_backend(backend)).or_insert(*backend);
                *lowest = (*lowest).min(*backend);
            }
        }
        slots.chain(
            hashes.into_iter().map(move |(hash, backend)| Element::Sticky(frontend, scope, hash, backend)),
        )
    }
}
