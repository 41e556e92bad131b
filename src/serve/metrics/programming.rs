//! kube-proxy's metrics of syncs and changes: its names, labels, buckets and help texts (reference §14.1).

use kube_verdict_table::{NoLocalEndpoints, PerFamily};
use prometheus::core::{GenericCounter, GenericGauge};
use prometheus::{Histogram, Registry};

use super::{Atom, FAMILY, Float, counter, counters, gauge, gauges, histograms, per_family};

/// The fields that a sync changes.
pub(in crate::serve) struct Programming {
    pub(in crate::serve) syncs: PerFamily<Histogram>,
    pub(in crate::serve) full_syncs: PerFamily<Histogram>,
    pub(in crate::serve) partial_syncs: PerFamily<Histogram>,
    /// from a slice's annotation to the kernel's answer
    pub(in crate::serve) latency: PerFamily<Histogram>,
    pub(in crate::serve) last_success: PerFamily<GenericGauge<Float>>,
    pub(in crate::serve) last_request: PerFamily<GenericGauge<Float>>,
    pub(in crate::serve) endpoint_changes: Changes,
    pub(in crate::serve) service_changes: Changes,
    pub(in crate::serve) failures: PerFamily<GenericCounter<Atom>>,
    pub(in crate::serve) cleanup_failures: PerFamily<GenericCounter<Atom>>,
    no_local_endpoints: PerFamily<[GenericGauge<Float>; 2]>,
}

/// Changes to objects of a kind.
pub(in crate::serve) struct Changes {
    pub(in crate::serve) pending: GenericGauge<Float>,
    pub(in crate::serve) total: GenericCounter<Atom>,
}

impl Programming {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let milliseconds: Vec<f64> = (0..15).map(|k| 0.001 * f64::from(1 << k)).collect();
        let duration = |name, help| histograms(registry, (name, help), &milliseconds);
        let timestamps = |name, help| -> prometheus::Result<PerFamily<GenericGauge<Float>>> {
            let both = gauges(registry, (name, help), &[FAMILY])?;
            Ok(per_family(|family| both.with_label_values(&[family])))
        };
        let failures = |name, help| -> prometheus::Result<PerFamily<GenericCounter<Atom>>> {
            let both = counters(registry, (name, help), &[FAMILY])?;
            Ok(per_family(|family| both.with_label_values(&[family])))
        };
        let no_local_endpoints = gauges(
            registry,
            (
                "kubeproxy_sync_proxy_rules_no_local_endpoints_total",
                "[ALPHA] Number of services with a Local traffic policy and no endpoints",
            ),
            &["traffic_policy", FAMILY],
        )?;
        Ok(Programming {
            syncs: duration(
                "kubeproxy_sync_proxy_rules_duration_seconds",
                "[ALPHA] SyncProxyRules latency in seconds",
            )?,
            full_syncs: duration(
                "kubeproxy_sync_full_proxy_rules_duration_seconds",
                "[ALPHA] SyncProxyRules latency in seconds for full resyncs",
            )?,
            partial_syncs: duration(
                "kubeproxy_sync_partial_proxy_rules_duration_seconds",
                "[ALPHA] SyncProxyRules latency in seconds for partial resyncs",
            )?,
            latency: histograms(
                registry,
                (
                    "kubeproxy_network_programming_duration_seconds",
                    "[ALPHA] In Cluster Network Programming Latency in seconds",
                ),
                &latency_buckets(),
            )?,
            last_success: timestamps(
                "kubeproxy_sync_proxy_rules_last_timestamp_seconds",
                "[ALPHA] The last time proxy rules were successfully synced",
            )?,
            last_request: timestamps(
                "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds",
                "[ALPHA] The last time a sync of proxy rules was queued",
            )?,
            endpoint_changes: Changes::new(registry, "endpoint", "Endpoint")?,
            service_changes: Changes::new(registry, "service", "Service")?,
            failures: failures(
                "kubeproxy_sync_proxy_rules_nftables_sync_failures_total",
                "[ALPHA] Cumulative proxy nftables sync failures",
            )?,
            cleanup_failures: failures(
                "kubeproxy_sync_proxy_rules_nftables_cleanup_failures_total",
                "[ALPHA] Cumulative proxy nftables cleanup failures",
            )?,
            no_local_endpoints: per_family(|family| {
                ["internal", "external"].map(|policy| no_local_endpoints.with_label_values(&[policy, family]))
            }),
        })
    }

    /// Sets the gauge of service ports that lack local endpoints.
    pub(in crate::serve) fn set_no_local_endpoints(&self, counts: &PerFamily<NoLocalEndpoints>) {
        for family in kube_verdict_table::Family::BOTH {
            let [internal, external] = &self.no_local_endpoints[family];
            internal.set(f64::from(counts[family].internal));
            external.set(f64::from(counts[family].external));
        }
    }
}

impl Changes {
    fn new(registry: &Registry, kind: &str, spelled: &str) -> prometheus::Result<Self> {
        let name = |suffix| format!("kubeproxy_sync_proxy_rules_{kind}_changes_{suffix}");
        let pending = format!("[ALPHA] Pending proxy rules {spelled} changes");
        let total = format!("[ALPHA] Cumulative proxy rules {spelled} changes");
        Ok(Changes {
            pending: gauge(registry, &name("pending"), &pending)?,
            total: counter(registry, &name("total"), &total)?,
        })
    }
}

/// A quarter, a half, then each second of a minute, and coarser up to five minutes.
fn latency_buckets() -> Vec<f64> {
    let linear = |start: f64, step: f64, count: i32| (0..count).map(move |n| start + step * f64::from(n));
    linear(0.25, 0.25, 2)
        .chain(linear(1.0, 1.0, 59))
        .chain(linear(60.0, 5.0, 12))
        .chain(linear(120.0, 30.0, 7))
        .collect()
}
