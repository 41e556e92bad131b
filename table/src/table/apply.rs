//! How an update goes: file the events' objects under their Services, derive the touched Services anew, then
//! compare with what they contributed before.

use std::collections::BTreeSet;
use std::mem;
use std::sync::Arc;

use super::ServiceTable;
use super::record::{Name, Record};
use crate::change::{Change, Notice, Triggered, Update, Walked};
use crate::claims::Claim;
use crate::derive::{Derived, derive};
use crate::fate::{Fate, Frontend, FrontendKind, ServicePortName};
use crate::net::{Cidr, Family, Protocol};
use crate::objects::{self, EndpointSlice, Kind, Leaf, Object, ObjectKey, ServiceCidr};
use crate::scheduler::SCHEDULER_ANNOTATION;
use crate::service::{HealthCheck, Service};
use crate::slice::Slice;

/// What a batch of events touched.
#[derive(Default)]
pub(super) struct Touched {
    /// in order, so that the outcome does not depend on a hash
    pub(super) services: BTreeSet<Name>,
    service_cidrs: bool,
    /// UDP frontends whose flows may be wrong for a reason of the node's
    pub(super) flows: BTreeSet<Frontend>,
    notices: Vec<Notice>,
    /// Services whose health check went, or may have changed otherwise
    health_checks: BTreeSet<Name>,
    triggered: Vec<Triggered>,
}

impl Touched {
    fn notice(&mut self, object: String, field: &str, message: &str) {
        self.notices.push(Notice { object, field: field.into(), message: message.into() });
    }
}

impl ServiceTable {
    /// Files an object. One that a watch would not deliver is as good as deleted.
    pub(super) fn apply(&mut self, object: Object, touched: &mut Touched) {
        if !object.is_watched() {
            return self.delete(object.key(), touched);
        }
        match object {
            Object::Service(service) => self.apply_service(&service, touched),
            Object::EndpointSlice(slice) => self.apply_slice(slice, touched),
            Object::ServiceCidr(cidr) => self.apply_service_cidr(cidr, touched),
            Object::Node(_) => {}
        }
    }

    /// Forgets an object, if it is known.
    pub(super) fn delete(&mut self, key: ObjectKey, touched: &mut Touched) {
        let ObjectKey { kind, namespace, name } = key;
        match kind {
            Kind::Service => self.set_service(Name { namespace, name }, None, touched),
            Kind::EndpointSlice => self.remove_slice(&Name { namespace, name }, touched),
            Kind::ServiceCidr => touched.service_cidrs |= self.cidr_objects.remove(&name).is_some(),
            Kind::Node => {}
        }
    }

    fn apply_service(&mut self, service: &objects::Service, touched: &mut Touched) {
        let name = Name::of(&service.metadata);
        self.set_service(name, Service::new(service), touched);
    }

    fn set_service(&mut self, name: Name, service: Option<Service>, touched: &mut Touched) {
        let known = self.services.get(&name).and_then(|record| record.service.as_ref());
        if known == service.as_ref() {
            return;
        }
        let health = service.as_ref().map_or(HealthCheck::NotNeeded, |service| service.health);
        if health == HealthCheck::NotNeeded {
            if self.health_checked.remove(&name) {
                touched.health_checks.insert(name.clone());
            }
        } else {
            self.health_checked.insert(name.clone());
        }
        if health == HealthCheck::NoPort {
            touched.notice(
                format!("Service {name}"),
                "spec.healthCheckNodePort",
                "is 0 though the load balancer needs one to find nodes with endpoints: none is served; set a port",
            );
        }
        if let Some(Leaf::Invalid(wrong)) = service.as_ref().and_then(|service| service.scheduler.as_ref()) {
            touched.notice(
                format!("Service {name}"),
                &format!("metadata.annotations[{SCHEDULER_ANNOTATION}]"),
                &format!("{wrong}; the annotation is ignored"),
            );
        }
        self.counts.services += usize::from(service.is_some());
        let before = mem::replace(&mut self.services.entry(name.clone()).or_default().service, service);
        self.counts.services -= usize::from(before.is_some());
        touched.services.insert(name);
    }

    fn apply_slice(&mut self, mut slice: EndpointSlice, touched: &mut Touched) {
        let name = Name::of(&slice.metadata);
        let owner = slice.metadata.labels.service_name.clone();
        if self.slice_owners.get(&name) != Some(&owner) {
            self.remove_slice(&name, touched);
            if owner.is_none() {
                touched.notice(
                    format!("EndpointSlice {name}"),
                    "metadata.labels",
                    "kubernetes.io/service-name is missing: the slice is ignored; label it with its Service's name",
                );
            }
            self.slice_owners.insert(name.clone(), owner.clone());
        }
        let Some(owner) = owner else { return };
        let trigger = slice.metadata.annotations.last_change_trigger_time.take();
        match Slice::new(slice, &self.settings.node_name) {
            Some(slice) => {
                let family = slice.family;
                if self.file_slice(name, slice, owner, touched) {
                    touched.triggered.extend(trigger.map(|at| Triggered { family, at }));
                }
            }
            None => self.unfile_slice(&name, owner, touched),
        }
    }

    /// True if that changed anything.
    fn file_slice(&mut self, name: Name, slice: Slice, owner: Box<str>, touched: &mut Touched) -> bool {
        let owner = Name { namespace: name.namespace, name: owner };
        let slices = &mut self.services.entry(owner.clone()).or_default().slices;
        let known = slices.get(&name.name);
        if known == Some(&slice) {
            return false;
        }
        self.counts.endpoints -= known.map_or(0, |known| known.endpoints.len());
        self.counts.endpoints += slice.endpoints.len();
        slices.insert(name.name, slice);
        touched.services.insert(owner);
        true
    }

    fn unfile_slice(&mut self, name: &Name, owner: Box<str>, touched: &mut Touched) {
        let owner = Name { namespace: name.namespace.clone(), name: owner };
        let Some(record) = self.services.get_mut(&owner) else { return };
        if let Some(slice) = record.slices.remove(&name.name) {
            self.counts.endpoints -= slice.endpoints.len();
            touched.services.insert(owner);
        }
    }

    fn remove_slice(&mut self, name: &Name, touched: &mut Touched) {
        if let Some(owner) = self.slice_owners.remove(name).flatten() {
            self.unfile_slice(name, owner, touched);
        }
    }

    fn apply_service_cidr(&mut self, cidr: ServiceCidr, touched: &mut Touched) {
        let prefixes: Vec<Cidr> = cidr.spec.cidrs.iter().filter_map(Leaf::get).collect();
        if self.cidr_objects.get(&cidr.metadata.name) != Some(&prefixes) {
            self.cidr_objects.insert(cidr.metadata.name, prefixes);
            touched.service_cidrs = true;
        }
    }

    /// Derives what was touched and says what came of it.
    pub(super) fn derive_touched(&mut self, touched: Touched) -> Update {
        let mut walked = Walked::default();
        let mut wishes: Vec<(Frontend, Claim)> = Vec::new();
        let mut health_checked = touched.health_checks;
        let mut moved: Vec<(Frontend, Arc<ServicePortName>)> = Vec::new();
        for name in touched.services {
            if self.health_checked.contains(&name) {
                health_checked.insert(name.clone());
            }
            let Some(record) = self.services.get_mut(&name) else { continue };
            let Record { service, slices, derived } = &mut **record;
            let new = match service {
                Some(service) => derive(service, slices, &self.settings, &self.node, &mut walked),
                None => Derived::default(),
            };
            let old = mem::replace(derived, new);
            self.cluster_ips.replace(&old.cluster_ips, &derived.cluster_ips);
            self.hairpins.replace(&old.hairpins, &derived.hairpins);
            for family in Family::BOTH {
                let (old, new) = (old.no_local_endpoints[family], derived.no_local_endpoints[family]);
                self.counts.no_local_endpoints[family].replace(old, new);
            }
            withdraw(&old, derived, |frontend, old| self.claims.release(frontend, &old.service));
            renew(&old, derived, |frontend, claim| wishes.push((frontend, claim)));
            moved.extend(derived.moved_flows(&old));
            if record.is_empty() {
                self.services.remove(&name);
            }
        }
        // All old claims are gone before new ones are made: a frontend that moves from one Service to
        // another within a batch was never contested.
        let mut contested = BTreeSet::new();
        for (frontend, claim) in wishes {
            if self.claims.claim(frontend, claim) {
                contested.insert(frontend);
            }
        }
        let mut notices = touched.notices;
        notices.extend(contested.iter().flat_map(|frontend| self.conflict(frontend)));
        let service_cidrs = if touched.service_cidrs { self.unite_service_cidrs() } else { None };
        let mut flows = touched.flows;
        let mut taken = |frontend: Frontend| {
            if frontend.protocol() == Protocol::Udp {
                flows.insert(frontend);
            }
        };
        let change = Change {
            frontends: self.claims.changes(&mut taken),
            cluster_ips: self.cluster_ips.changes(),
            hairpins: self.hairpins.changes(),
            service_cidrs,
            node_port_addresses: None,
        };
        let health_checks = health_checked.into_iter().map(|name| self.health_check_change(name)).collect();
        // What another Service has of a moved port's frontends is not concerned.
        let is_owner = |(frontend, service): &(Frontend, Arc<ServicePortName>)| {
            self.fate(frontend).is_some_and(|fate| fate.service == *service)
        };
        flows.extend(moved.into_iter().filter(is_owner).map(|(frontend, _)| frontend));
        let flows = self.flows(flows);
        Update { change, notices, health_checks, triggered: touched.triggered, flows, walked }
    }

    /// What to say to those who lost a frontend.
    fn conflict(&self, frontend: &Frontend) -> Vec<Notice> {
        let Some(winner) = self.claims.get(frontend) else { return Vec::new() };
        let notice = |loser: &Arc<Fate>| Notice {
            object: format!("Service {}/{}", loser.service.namespace, loser.service.name),
            field: field_of(loser.kind).into(),
            message: format!(
                "{frontend} of {} also belongs to {} ({}), which keeps it: give one of them another address or port",
                loser.service, winner.service, winner.kind,
            ),
        };
        self.claims.losers(frontend).map(notice).collect()
    }

    fn unite_service_cidrs(&mut self) -> Option<Vec<Cidr>> {
        let united = Cidr::union(self.cidr_objects.values().flatten().copied());
        if united == self.service_cidrs {
            return None;
        }
        self.service_cidrs.clone_from(&united);
        Some(united)
    }
}

/// Where a Service says that it wants a frontend of this kind.
fn field_of(kind: FrontendKind) -> &'static str {
    match kind {
        FrontendKind::ClusterIp => "spec.clusterIPs",
        FrontendKind::LoadBalancer => "status.loadBalancer.ingress",
        FrontendKind::ExternalIp => "spec.externalIPs",
        FrontendKind::NodePort => "spec.ports",
    }
}

/// Calls `release` for every frontend that is in `old` and not in `new`.
fn withdraw(old: &Derived, new: &Derived, mut release: impl FnMut(Frontend, &Fate)) {
    for (frontend, fate) in &old.claims {
        if new.claims.binary_search_by_key(frontend, |(frontend, _)| *frontend).is_err() {
            release(*frontend, fate);
        }
    }
}

/// Calls `claim` for every frontend of `new` that is new or has another fate. The others keep their old
/// `Arc`, so that equal fates are one allocation and comparing them is cheap.
fn renew(old: &Derived, new: &mut Derived, mut claim: impl FnMut(Frontend, Claim)) {
    for (frontend, fate) in &mut new.claims {
        if let Ok(i) = old.claims.binary_search_by_key(frontend, |(frontend, _)| *frontend) {
            let known = &old.claims[i].1;
            if known == fate && old.created == new.created {
                *fate = Arc::clone(known);
                continue;
            }
        }
        claim(*frontend, Claim { fate: Arc::clone(fate), created: new.created.clone() });
    }
}
