//! How much there is, for metrics (reference §14.1). Kept up to date with each change and never counted, so
//! that asking costs the same whatever there is.

use crate::net::PerFamily;
use crate::table::ServiceTable;

/// What a table holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Services that there is something to do for: with a ClusterIP, and not another proxy's
    pub services: usize,
    /// EndpointSlices, with a Service or without
    pub slices: usize,
    /// endpoints in slices that have a Service or are labelled for one
    pub endpoints: usize,
    /// ServiceCIDR objects
    pub service_cidrs: usize,
    /// frontends, both families together
    pub frontends: usize,
    /// service ports that lack local endpoints
    pub no_local_endpoints: PerFamily<NoLocalEndpoints>,
}

/// Service ports with a traffic policy of Local for which there is no endpoint on this node, and one elsewhere:
/// their packets are dropped here (reference §3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoLocalEndpoints {
    /// by internalTrafficPolicy
    pub internal: u32,
    /// by externalTrafficPolicy
    pub external: u32,
}

impl NoLocalEndpoints {
    /// One Service's part was `old` and is `new`.
    pub(crate) fn replace(&mut self, old: Self, new: Self) {
        self.internal = self.internal - old.internal + new.internal;
        self.external = self.external - old.external + new.external;
    }
}

/// The part of [`Totals`] that no collection of the table knows.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) services: usize,
    pub(crate) endpoints: usize,
    pub(crate) no_local_endpoints: PerFamily<NoLocalEndpoints>,
}

impl ServiceTable {
    /// How much there is.
    pub fn totals(&self) -> Totals {
        Totals {
            services: self.counts.services,
            slices: self.slice_owners.len(),
            endpoints: self.counts.endpoints,
            service_cidrs: self.cidr_objects.len(),
            frontends: self.claims.len(),
            no_local_endpoints: self.counts.no_local_endpoints.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::net::Family;
    use crate::objects::{Kind, ObjectEvent, ObjectKey};
    use crate::testing::{applied, node, service, settings, slice};

    fn deleted(kind: Kind, name: &str) -> [ObjectEvent; 1] {
        [ObjectEvent::Deleted(ObjectKey { kind, namespace: "default".into(), name: name.into() })]
    }

    #[test]
    fn every_step_there_and_back_is_counted() {
        let mut table = ServiceTable::new(settings(), node());
        assert_eq!(table.totals(), Totals::default());
        table.update(applied([slice("web-1", "web", &["10.0.0.1", "10.0.0.2"])]));
        let orphans = Totals { slices: 1, endpoints: 2, ..Totals::default() };
        assert_eq!(table.totals(), orphans);
        table.update(applied([
            service("web", json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]})),
            service("dns", json!({"clusterIP": "10.96.0.2"})),
        ]));
        let all = Totals { services: 2, frontends: 3, ..orphans.clone() };
        assert_eq!(table.totals(), all);
        table.update(applied([slice("web-1", "web", &["10.0.0.1"])]));
        assert_eq!(table.totals(), Totals { endpoints: 1, ..all });
        // To another Service, which does not exist.
        table.update(applied([slice("web-1", "other", &["10.0.0.1", "10.0.0.3"])]));
        assert_eq!(table.totals().endpoints, 2);
        table.update(deleted(Kind::EndpointSlice, "web-1"));
        table.update(deleted(Kind::Service, "web"));
        table.update(deleted(Kind::Service, "dns"));
        assert_eq!(table.totals(), Totals::default());
    }

    #[test]
    fn a_service_that_is_no_longer_for_proxies_does_not_count() {
        let mut table = ServiceTable::new(settings(), node());
        table.update(applied([service("web", json!({}))]));
        table.update(applied([service("web", json!({"ports": [{"port": 81}]}))]));
        assert_eq!(table.totals().services, 1);
        table.update(applied([service("web", json!({"type": "ExternalName"}))]));
        assert_eq!(table.totals(), Totals::default());
    }

    /// Of the family, the internal and the external count.
    fn lacking(table: &ServiceTable, family: Family) -> (u32, u32) {
        let counts = table.totals().no_local_endpoints[family];
        (counts.internal, counts.external)
    }

    #[test]
    fn a_local_policy_without_local_endpoints_counts_once_a_port_and_family() {
        let local = |extra: serde_json::Value| {
            let mut spec = json!({
                "type": "NodePort", "externalTrafficPolicy": "Local",
                "ports": [{"port": 80, "nodePort": 30080}]
            });
            for (key, value) in extra.as_object().unwrap() {
                spec[key] = value.clone();
            }
            service("web", spec)
        };
        let mut table = ServiceTable::new(settings(), node());
        // No endpoints anywhere: packets are rejected, nothing is lacking here in particular.
        table.update(applied([local(json!({}))]));
        assert_eq!(lacking(&table, Family::V4), (0, 0));
        table.update(applied([slice("web-1", "web", &["10.0.0.1 node=n2"])]));
        assert_eq!(lacking(&table, Family::V4), (0, 1));
        assert_eq!(lacking(&table, Family::V6), (0, 0));
        table.update(applied([local(json!({"internalTrafficPolicy": "Local"}))]));
        assert_eq!(lacking(&table, Family::V4), (1, 1));
        // Terminating here and still serving is better than nothing, so nothing is lacking.
        table.update(applied([slice(
            "web-1",
            "web",
            &["10.0.0.1 node=n2", "10.0.0.2 node=n1 unready terminating"],
        )]));
        assert_eq!(lacking(&table, Family::V4), (0, 0));
        table.update(applied([slice("web-1", "web", &["10.0.0.1 node=n2"])]));
        assert_eq!(lacking(&table, Family::V4), (1, 1));
        table.update(deleted(Kind::Service, "web"));
        assert_eq!(lacking(&table, Family::V4), (0, 0));
    }
}
