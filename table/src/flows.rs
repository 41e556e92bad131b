//! Which UDP flows may have been overtaken by an update (reference §8). Says which frontends are concerned and
//! where their flows are right; which flows there are only the kernel knows.
//!
//! A flow is right at any endpoint that still serves, whatever hints, policies, readiness and termination say of
//! new ones: policy changes cut no flow, as with TCP.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use crate::fate::{Backend, Frontend, FrontendKind, ServicePortName};
use crate::net::{Family, Protocol};
use crate::slices::{Merged, Slices, merge};
use crate::table::{Name, ServiceTable};

/// Some UDP frontends of one service port, all of one family, and where flows to them are right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flows {
    /// the service port that has the frontends
    pub service: Arc<ServicePortName>,
    /// the frontends, sorted
    pub frontends: Vec<Frontend>,
    /// the endpoints at which a flow may stay, sorted: those that are serving, or ready. None of them: no flow
    /// is right (scaled to zero).
    pub serving: Arc<[Backend]>,
}

/// The serving endpoints of one UDP service port in one family, as far as is needed to notice a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Serving {
    pub(crate) family: Family,
    pub(crate) service: Arc<ServicePortName>,
    /// a hash of the endpoints, so that nothing is kept for each of them
    fingerprint: u64,
}

impl Serving {
    pub(crate) fn new(family: Family, service: &Arc<ServicePortName>, merged: &[Merged<'_>]) -> Self {
        let mut hasher = DefaultHasher::new();
        serving(merged).for_each(|backend| backend.hash(&mut hasher));
        Serving { family, service: Arc::clone(service), fingerprint: hasher.finish() }
    }

    /// Whether it is of the same service port as `other`, and the endpoints are others.
    pub(crate) fn differs(&self, other: &Serving) -> bool {
        self.family == other.family && self.service == other.service && self.fingerprint != other.fingerprint
    }
}

/// An endpoint that is ready is given new flows whatever `serving` says, so older ones are right there too.
fn serving<'m>(merged: &'m [Merged<'_>]) -> impl Iterator<Item = Backend> + 'm {
    merged.iter().filter(|m| m.is_serving()).map(Merged::backend)
}

impl ServiceTable {
    /// All UDP frontends and where flows to them are right, sorted by service port and family.
    pub fn udp_flows(&self) -> Vec<Flows> {
        let udp = self.frontends().filter(|(frontend, _)| frontend.protocol() == Protocol::Udp);
        self.flows(udp.map(|(frontend, _)| *frontend).collect())
    }

    /// Every UDP NodePort of a family.
    pub(crate) fn udp_node_ports(&self, family: Family) -> impl Iterator<Item = Frontend> {
        let all = self.frontends().filter(|(_, fate)| fate.kind == FrontendKind::NodePort);
        let frontends = all.map(|(frontend, _)| *frontend);
        frontends.filter(move |f| f.protocol() == Protocol::Udp && f.family() == family)
    }

    /// Where flows to these frontends are right. Frontends that nobody has are left out.
    pub(crate) fn flows(&self, frontends: BTreeSet<Frontend>) -> Vec<Flows> {
        let mut ports: BTreeMap<(&Arc<ServicePortName>, Family), Vec<Frontend>> = BTreeMap::new();
        for frontend in frontends {
            if let Some(fate) = self.fate(&frontend) {
                ports.entry((&fate.service, frontend.family())).or_default().push(frontend);
            }
        }
        let ports = ports.into_iter();
        let flows = ports.map(|((service, family), frontends)| Flows {
            service: Arc::clone(service),
            frontends,
            serving: self.serving(service, Protocol::Udp, family),
        });
        flows.collect()
    }

    /// Whether a service port has frontends. Of one that has none any more flows go on until they are idle, wherever
    /// they are.
    pub fn has_frontends(&self, port: &ServicePortName) -> bool {
        let name = Name { namespace: port.namespace.clone(), name: port.name.clone() };
        let claims = self.record(&name).into_iter().flat_map(|record| &record.derived.claims);
        claims.into_iter().any(|(_, fate)| *fate.service == *port)
    }

    /// The endpoints of a service port at which an established flow or connection may stay, sorted: those that
    /// are serving, or ready. Empty when no slice has any for it. Asked for each time; the cost is that of the
    /// Service's slices.
    pub fn serving(&self, port: &ServicePortName, protocol: Protocol, family: Family) -> Arc<[Backend]> {
        let name = Name { namespace: port.namespace.clone(), name: port.name.clone() };
        let no_slices = Slices::default();
        let slices = self.record(&name).map_or(&no_slices, |record| &record.slices);
        serving(&merge(slices, family, &port.port, protocol)).collect()
    }
}

#[cfg(test)]
#[path = "flows_tests.rs"]
mod tests;
