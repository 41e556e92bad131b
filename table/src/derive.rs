//! From one Service and its slices to frontends and fates (reference §3, §4.1, §5).
//!
//! Knows nothing of other Services: who wins a frontend that two of them claim is decided in `claims`.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use crate::change::Walked;
use crate::fate::{
    Backend, Fate, Frontend, FrontendKind, Masquerade, Policy, Route, Selection, ServicePortName, Target,
};
use crate::flows::Serving;
use crate::net::{Cidr, Family, PerFamily, Protocol};
use crate::node::{NodeState, Settings};
use crate::select::{Candidate, Picks, Uses, pick};
use crate::service::{Port, Service};
use crate::slices::{Merged, Slices, merge};
use crate::totals::NoLocalEndpoints;

/// What one Service contributes to the table. Each list is sorted and without duplicates.
#[derive(Debug, Default)]
pub(crate) struct Derived {
    /// as in [`Service::created`]
    pub(crate) created: Option<Arc<str>>,
    pub(crate) claims: Box<[(Frontend, Arc<Fate>)]>,
    pub(crate) cluster_ips: Box<[IpAddr]>,
    pub(crate) hairpins: Box<[(Protocol, Backend)]>,
    pub(crate) no_local_endpoints: PerFamily<NoLocalEndpoints>,
    /// of each UDP port in each family; in no order
    pub(crate) serving: Box<[Serving]>,
}

impl Derived {
    /// The UDP frontends of the ports whose serving endpoints differ from those in `old`, and the ports' names.
    pub(crate) fn moved_flows<'a>(
        &'a self,
        old: &'a Derived,
    ) -> impl Iterator<Item = (Frontend, Arc<ServicePortName>)> + 'a {
        let moved = self.serving.iter().filter(|new| old.serving.iter().any(|old| new.differs(old)));
        moved.flat_map(|moved| {
            let claims = self.claims.iter().filter(|(frontend, fate)| {
                frontend.protocol() == Protocol::Udp
                    && frontend.family() == moved.family
                    && fate.service == moved.service
            });
            claims.map(|(frontend, _)| (*frontend, Arc::clone(&moved.service)))
        })
    }
}

/// Derives everything from `service` and counts what was looked at.
pub(crate) fn derive(
    service: &Service,
    slices: &Slices,
    settings: &Settings,
    node: &NodeState,
    walked: &mut Walked,
) -> Derived {
    walked.services += 1;
    walked.endpoints += slices.endpoints();
    let mut found = Found::default();
    for family in Family::BOTH {
        let Some(cluster_ip) = service.cluster_ips[family] else { continue };
        let in_family = InFamily::new(service, family, cluster_ip, settings, node);
        if !service.ports.is_empty() {
            found.cluster_ips.push(cluster_ip);
        }
        for port in &service.ports {
            in_family.derive_port(port, slices, &mut found);
        }
    }
    found.finish(service.created.clone())
}

/// Contributions while they are collected.
#[derive(Default)]
struct Found {
    claims: Vec<(Frontend, Arc<Fate>)>,
    cluster_ips: Vec<IpAddr>,
    hairpins: Vec<(Protocol, Backend)>,
    no_local_endpoints: PerFamily<NoLocalEndpoints>,
    serving: Vec<Serving>,
}

impl Found {
    fn finish(mut self, created: Option<Arc<str>>) -> Derived {
        // One address may be named by several fields of a Service: the kind that is declared first has it.
        self.claims.sort_by(|(a, x), (b, y)| (a, x.kind, &x.service).cmp(&(b, y.kind, &y.service)));
        let before = self.claims.len();
        self.claims.dedup_by(|(a, _), (b, _)| a == b);
        if self.claims.len() < before {
            // A kind may have lost all its frontends, and with them the use for its endpoints.
            let used: BTreeSet<(Protocol, Backend)> = self.claims.iter().flat_map(destinations).collect();
            self.hairpins.retain(|hairpin| used.contains(hairpin));
        }
        self.hairpins.sort_unstable();
        self.hairpins.dedup();
        self.cluster_ips.sort_unstable();
        Derived {
            created,
            claims: self.claims.into(),
            cluster_ips: self.cluster_ips.into(),
            hairpins: self.hairpins.into(),
            no_local_endpoints: self.no_local_endpoints,
            serving: self.serving.into(),
        }
    }
}

/// One Service in one family.
struct InFamily<'a> {
    service: &'a Service,
    family: Family,
    cluster_ip: IpAddr,
    external_ips: Vec<IpAddr>,
    load_balancer_ips: Vec<IpAddr>,
    sources: Option<Arc<[Cidr]>>,
    settings: &'a Settings,
    zone: Option<&'a str>,
}

impl<'a> InFamily<'a> {
    fn new(
        service: &'a Service,
        family: Family,
        cluster_ip: IpAddr,
        settings: &'a Settings,
        node: &'a NodeState,
    ) -> Self {
        let of_family = |ips: &[IpAddr]| ips.iter().copied().filter(|ip| Family::of(*ip) == family).collect();
        let external_ips =
            if settings.allow_external_ips { of_family(&service.external_ips) } else { Vec::new() };
        let load_balancer_ips: Vec<IpAddr> = of_family(&service.load_balancer_ips);
        let ranges = service.source_ranges.iter().copied().filter(|range| range.family() == family);
        let sources = allowed_sources(ranges.collect(), &load_balancer_ips, node.node_ips[family]);
        let zone = node.zone.as_deref();
        InFamily { service, family, cluster_ip, external_ips, load_balancer_ips, sources, settings, zone }
    }

    fn derive_port(&self, port: &Port, slices: &Slices, found: &mut Found) {
        let merged = merge(slices, self.family, &port.name.port, port.protocol);
        if port.protocol == Protocol::Udp {
            found.serving.push(Serving::new(self.family, &port.name, &merged));
        }
        let candidates: Vec<Candidate<'_>> = merged.iter().map(Candidate::from).collect();
        let picks = pick(&candidates, self.zone, self.uses(port));
        let used = [&picks.cluster, &picks.local].into_iter().flatten();
        found.hairpins.extend(used.flat_map(|selection| hairpins(&merged, selection, port.protocol)));
        if picks.any && picks.local.is_none() {
            let count = &mut found.no_local_endpoints[self.family];
            count.internal += u32::from(self.internal_local());
            count.external += u32::from(self.external_local() && self.is_external(port));
        }
        self.claim_all(port, &picks, &mut found.claims);
    }

    fn internal_local(&self) -> bool {
        self.service.internal_policy == Policy::Local
    }

    fn external_local(&self) -> bool {
        self.service.external_policy == Policy::Local
    }

    /// Whether the port can be reached other than by its ClusterIP.
    fn is_external(&self, port: &Port) -> bool {
        port.node_port.is_some() || !self.external_ips.is_empty() || !self.load_balancer_ips.is_empty()
    }

    /// Reference §1.2, "derived per service port".
    fn uses(&self, port: &Port) -> Uses {
        let external = self.is_external(port);
        Uses {
            cluster: !self.internal_local() || external,
            local: self.internal_local() || self.external_local() && external,
        }
    }

    /// Every frontend of the port (reference §3.1).
    fn claim_all(&self, port: &Port, picks: &Picks, claims: &mut Vec<(Frontend, Arc<Fate>)>) {
        let at = |ip: IpAddr| Frontend::Address { ip, protocol: port.protocol, port: port.number };
        let cluster_ip = self.fate(port, FrontendKind::ClusterIp, picks);
        claims.push((at(self.cluster_ip), Arc::new(cluster_ip)));
        let mut claim = |kind: FrontendKind, frontends: &mut dyn Iterator<Item = Frontend>| {
            // One fate serves all frontends of a kind.
            let mut fate = None;
            for frontend in frontends {
                let fate = fate.get_or_insert_with(|| Arc::new(self.fate(port, kind, picks)));
                claims.push((frontend, Arc::clone(fate)));
            }
        };
        claim(FrontendKind::LoadBalancer, &mut self.load_balancer_ips.iter().copied().map(at));
        claim(FrontendKind::ExternalIp, &mut self.external_ips.iter().copied().map(at));
        let (family, protocol) = (self.family, port.protocol);
        let node_port = port.node_port.map(|port| Frontend::NodePort { family, protocol, port });
        claim(FrontendKind::NodePort, &mut node_port.into_iter());
    }

    fn fate(&self, port: &Port, kind: FrontendKind, picks: &Picks) -> Fate {
        let (masquerade, route) = match kind {
            FrontendKind::ClusterIp => (self.internal_masquerade(), self.internal_route(picks)),
            _ => self.external_route(picks),
        };
        Fate {
            service: Arc::clone(&port.name),
            kind,
            sources: self.sources.clone().filter(|_| kind == FrontendKind::LoadBalancer),
            affinity: self.service.affinity,
            scheduler: self.service.scheduler(),
            masquerade,
            route,
        }
    }

    /// Reference §4.1, the first three rows.
    fn internal_masquerade(&self) -> Masquerade {
        if self.settings.masquerade_all {
            Masquerade::Always
        } else if self.settings.detector[self.family].is_some() {
            Masquerade::UnlessLocalPod
        } else {
            Masquerade::Never
        }
    }

    fn internal_route(&self, picks: &Picks) -> Route {
        Route::Everyone(match self.service.internal_policy {
            Policy::Cluster => cluster_target(picks),
            Policy::Local => local_target(picks),
        })
    }

    /// Reference §3.4 and the external rows of §4.1.
    fn external_route(&self, picks: &Picks) -> (Masquerade, Route) {
        match self.service.external_policy {
            Policy::Cluster => (Masquerade::Always, Route::Everyone(cluster_target(picks))),
            Policy::Local => {
                let (inside, outside) = (cluster_target(picks), local_target(picks));
                (Masquerade::Never, Route::ByOrigin { inside, outside })
            }
        }
    }
}

fn cluster_target(picks: &Picks) -> Target {
    picks.cluster.clone().map_or(Target::Reject, Target::Backends)
}

fn local_target(picks: &Picks) -> Target {
    let nothing = if picks.any { Target::Drop } else { Target::Reject };
    picks.local.clone().map_or(nothing, Target::Backends)
}

/// Who may use the load balancer's addresses (reference §5); None: everybody.
fn allowed_sources(
    mut ranges: Vec<Cidr>,
    load_balancer_ips: &[IpAddr],
    node_ip: Option<IpAddr>,
) -> Option<Arc<[Cidr]>> {
    if ranges.is_empty() || load_balancer_ips.is_empty() || ranges.iter().any(|range| range.length() == 0) {
        return None;
    }
    // Where a VIP is assigned to the node, the node's own packets to it leave with the VIP as source.
    if node_ip.is_some_and(|ip| ranges.iter().any(|range| range.contains(ip))) {
        ranges.extend(load_balancer_ips.iter().copied().map(Cidr::host));
    }
    Some(Cidr::union(ranges).into())
}

/// Everywhere that a claim's connections may go.
fn destinations((frontend, fate): &(Frontend, Arc<Fate>)) -> impl Iterator<Item = (Protocol, Backend)> {
    let protocol = frontend.protocol();
    fate.selections().flat_map(move |s| s.backends.iter().map(move |backend| (protocol, *backend)))
}

/// The backends of a selection that may be the source of a connection to themselves.
fn hairpins<'m>(
    merged: &'m [Merged<'_>],
    selection: &'m Selection,
    protocol: Protocol,
) -> impl Iterator<Item = (Protocol, Backend)> + 'm {
    let here = merged.iter().filter(|m| m.may_be_here()).map(|m| m.backend());
    here.filter(|backend| selection.backends.binary_search(backend).is_ok())
        .map(move |backend| (protocol, backend))
}

#[cfg(test)]
#[path = "derive_tests.rs"]
mod tests;
