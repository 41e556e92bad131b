//! What is known of the endpoints that are asked, and what their objects become by it. Pure: objects and answers go
//! in, objects come out.
//!
//! A Service's endpoints of one family are judged together: when none of them is well, its annotation says whether
//! those that were well last stay in use, or none is left. An endpoint that is not ready by its manifest is not asked.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};

use kube_verdict_table::objects::{
    AllDown, EndpointSlice, Kind, Leaf, Object, ObjectEvent, ObjectKey, Probe, Service,
};
use kube_verdict_table::{Family, PerFamily, Protocol};

use super::pulse::Pulse;

/// Who is asked, and for whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Target {
    /// the Service
    pub(super) service: ObjectKey,
    /// the endpoint, with the port that is asked
    pub(super) address: SocketAddr,
}

/// An endpoint changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Transition {
    pub(super) target: Target,
    pub(super) is_well: bool,
    /// it was the last of its family that was well, or is the first: what that means
    pub(super) all_down: Option<AllDown>,
}

/// A Service whose endpoints are asked.
#[derive(Debug)]
struct Probed {
    probe: Probe,
    pulses: BTreeMap<SocketAddr, Pulse>,
    /// those that were well when any was
    last_well: PerFamily<BTreeSet<SocketAddr>>,
}

/// Everything that is known.
#[derive(Debug, Default)]
pub(super) struct Book {
    probed: BTreeMap<ObjectKey, Probed>,
    /// the slices of these Services, as they were written
    slices: HashMap<ObjectKey, BTreeMap<ObjectKey, EndpointSlice>>,
    /// the Service of each of them
    owners: HashMap<ObjectKey, ObjectKey>,
    /// slices that are not here belong to a Service that is asked for by now
    lacks_slices: bool,
}

impl Book {
    /// Takes objects in, and gives them as they are to be served.
    pub(super) fn take(&mut self, events: Vec<ObjectEvent>) -> Vec<ObjectEvent> {
        let mut touched = BTreeSet::new();
        for event in &events {
            match event {
                ObjectEvent::Applied(Object::Service(service)) => self.take_service(service, &mut touched),
                ObjectEvent::Deleted(key) if key.kind == Kind::Service => {
                    self.set_probe(key, None, &mut touched)
                }
                _ => {}
            }
        }
        for event in &events {
            match event {
                ObjectEvent::Applied(Object::EndpointSlice(slice)) => self.take_slice(slice, &mut touched),
                ObjectEvent::Deleted(key) if key.kind == Kind::EndpointSlice => {
                    self.drop_slice(key, &mut touched)
                }
                _ => {}
            }
        }
        let mut served = events;
        // A slice whose Service is touched follows as it is to be served.
        served.retain(|event| match event {
            ObjectEvent::Applied(object) => {
                !self.owners.get(&object.key()).is_some_and(|owner| touched.contains(owner))
            }
            ObjectEvent::Deleted(_) => true,
        });
        for service in touched {
            self.refresh(&service);
            served.extend(self.serve(&service));
            if !self.probed.contains_key(&service) {
                self.forget_slices(&service);
            }
        }
        served
    }

    /// Whether slices are to be told again that were told before: they are kept of Services alone that are asked,
    /// and one is that was not.
    pub(super) fn lacks_slices(&mut self) -> bool {
        std::mem::take(&mut self.lacks_slices)
    }

    /// Takes an answer in. Of a target that is none any more it changes nothing.
    pub(super) fn answer(
        &mut self,
        target: &Target,
        is_good: bool,
    ) -> Option<(Transition, Vec<ObjectEvent>)> {
        let probed = self.probed.get_mut(&target.service)?;
        let pulse = probed.pulses.get_mut(&target.address)?;
        if !pulse.feel(is_good, probed.probe.rise, probed.probe.fall) {
            return None;
        }
        let family = Family::of(target.address.ip());
        let others = probed.pulses.iter().filter(|(address, _)| Family::of(address.ip()) == family);
        let is_alone =
            !others.into_iter().any(|(address, pulse)| *address != target.address && pulse.is_well);
        let all_down = is_alone.then_some(probed.probe.all_down);
        self.refresh(&target.service);
        let transition = Transition { target: target.clone(), is_well: is_good, all_down };
        Some((transition, self.serve(&target.service)))
    }

    /// Everybody who is to be asked, and how.
    pub(super) fn targets(&self) -> impl Iterator<Item = (Target, &Probe)> {
        self.probed.iter().flat_map(|(service, probed)| {
            let target = |address: &SocketAddr| Target { service: service.clone(), address: *address };
            probed.pulses.keys().map(move |address| (target(address), &probed.probe))
        })
    }

    /// Whether somebody has not answered yet.
    pub(super) fn is_waiting(&self) -> bool {
        self.probed.values().any(|probed| probed.pulses.values().any(|pulse| !pulse.is_known))
    }

    /// Of each Service how many endpoints are well, and how many are not.
    pub(super) fn counts(&self) -> impl Iterator<Item = (&ObjectKey, usize, usize)> {
        self.probed.iter().map(|(service, probed)| {
            let well = probed.pulses.values().filter(|pulse| pulse.is_well).count();
            (service, well, probed.pulses.len() - well)
        })
    }

    fn take_service(&mut self, service: &Service, touched: &mut BTreeSet<ObjectKey>) {
        let metadata = &service.metadata;
        let (namespace, name) = (metadata.namespace.clone(), metadata.name.clone());
        // What is wrong with annotations the source has said.
        let probe = service.probe().unwrap_or_default();
        self.set_probe(&ObjectKey { kind: Kind::Service, namespace, name }, probe, touched);
    }

    fn set_probe(&mut self, service: &ObjectKey, probe: Option<Probe>, touched: &mut BTreeSet<ObjectKey>) {
        let known = self.probed.get_mut(service);
        match (known, probe) {
            (None, None) => return,
            (Some(probed), Some(probe)) if probed.probe == probe => return,
            (Some(probed), Some(probe)) => {
                if probed.probe.kind != probe.kind {
                    // Another question: what was answered before says nothing.
                    probed.pulses.values_mut().for_each(|pulse| pulse.is_known = false);
                }
                probed.probe = probe;
            }
            (Some(_), None) => drop(self.probed.remove(service)),
            (None, Some(probe)) => {
                let probed = Probed { probe, pulses: BTreeMap::new(), last_well: PerFamily::default() };
                self.probed.insert(service.clone(), probed);
                self.lacks_slices = true;
            }
        }
        touched.insert(service.clone());
    }

    fn take_slice(&mut self, slice: &EndpointSlice, touched: &mut BTreeSet<ObjectKey>) {
        let metadata = &slice.metadata;
        let namespace = metadata.namespace.clone();
        let key = ObjectKey { kind: Kind::EndpointSlice, namespace, name: metadata.name.clone() };
        self.drop_slice(&key, touched);
        let Some(name) = metadata.labels.service_name.clone() else { return };
        let owner = ObjectKey { kind: Kind::Service, namespace: metadata.namespace.clone(), name };
        if !self.probed.contains_key(&owner) {
            return;
        }
        touched.insert(owner.clone());
        self.owners.insert(key.clone(), owner.clone());
        self.slices.entry(owner).or_default().insert(key, slice.clone());
    }

    fn drop_slice(&mut self, key: &ObjectKey, touched: &mut BTreeSet<ObjectKey>) {
        let Some(owner) = self.owners.remove(key) else { return };
        if let Some(slices) = self.slices.get_mut(&owner) {
            slices.remove(key);
            if slices.is_empty() {
                self.slices.remove(&owner);
            }
        }
        touched.insert(owner);
    }

    fn forget_slices(&mut self, owner: &ObjectKey) {
        for key in self.slices.remove(owner).unwrap_or_default().into_keys() {
            self.owners.remove(&key);
        }
    }

    /// Asks those who are there by now, and remembers who was well last.
    fn refresh(&mut self, service: &ObjectKey) {
        let Some(probed) = self.probed.get_mut(service) else { return };
        let slices = self.slices.get(service).into_iter().flat_map(BTreeMap::values);
        let there: BTreeSet<SocketAddr> =
            slices.flat_map(|slice| asked(slice, &probed.probe)).flatten().collect();
        probed.pulses.retain(|address, _| there.contains(address));
        for address in there {
            probed.pulses.entry(address).or_default();
        }
        for family in Family::BOTH {
            let well: BTreeSet<SocketAddr> = probed.well(family).collect();
            if !well.is_empty() {
                probed.last_well[family] = well;
            }
        }
    }

    /// The slices of a Service as they are to be served.
    fn serve(&self, service: &ObjectKey) -> Vec<ObjectEvent> {
        let slices = self.slices.get(service).into_iter().flat_map(BTreeMap::values).cloned();
        let Some(probed) = self.probed.get(service) else {
            return slices.map(|slice| ObjectEvent::Applied(Object::EndpointSlice(slice))).collect();
        };
        let used = PerFamily::from_fn(|family| probed.used(family));
        let served = |mut slice: EndpointSlice| {
            let addresses: Vec<Option<SocketAddr>> = asked(&slice, &probed.probe).collect();
            for (endpoint, address) in slice.endpoints.iter_mut().zip(addresses) {
                if address.is_some_and(|address| !used[Family::of(address.ip())].contains(&address)) {
                    // What a kubelet makes of a failed readiness probe.
                    endpoint.conditions.ready = false;
                    endpoint.conditions.serving = false;
                }
            }
            ObjectEvent::Applied(Object::EndpointSlice(slice))
        };
        slices.map(served).collect()
    }
}

impl Probed {
    fn of(&self, family: Family) -> impl Iterator<Item = (&SocketAddr, &Pulse)> {
        self.pulses.iter().filter(move |(address, _)| Family::of(address.ip()) == family)
    }

    fn well(&self, family: Family) -> impl Iterator<Item = SocketAddr> {
        self.of(family).filter(|(_, pulse)| pulse.is_well).map(|(address, _)| *address)
    }

    /// Those that are served.
    fn used(&self, family: Family) -> BTreeSet<SocketAddr> {
        let well: BTreeSet<SocketAddr> = self.well(family).collect();
        if !well.is_empty() || self.probe.all_down == AllDown::Reject {
            return well;
        }
        let all: BTreeSet<SocketAddr> = self.of(family).map(|(address, _)| *address).collect();
        let last: BTreeSet<SocketAddr> = self.last_well[family].intersection(&all).copied().collect();
        // Nobody was ever well: then the health check may be what is wrong.
        if last.is_empty() { all } else { last }
    }
}

/// Who is asked for each endpoint of a slice; None: nobody is.
fn asked(slice: &EndpointSlice, probe: &Probe) -> impl Iterator<Item = Option<SocketAddr>> {
    let is_tcp =
        |leaf: Option<&Leaf<Protocol>>| leaf.map_or(Some(Protocol::Tcp), Leaf::get) == Some(Protocol::Tcp);
    let tcp = slice.ports.iter().find(|port| is_tcp(port.protocol.as_ref()));
    let port = probe.port.or_else(|| tcp?.port.as_ref()?.port());
    slice.endpoints.iter().map(move |endpoint| {
        let ip: IpAddr = endpoint.address.as_ref()?.get().filter(|_| endpoint.conditions.ready)?;
        Some(SocketAddr::new(ip, port?))
    })
}

#[cfg(test)]
#[path = "book_tests.rs"]
mod tests;
