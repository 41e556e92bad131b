//! What clean-ups took and came to, under kube-proxy's names (reference §14.1).

use kube_verdict_table::{Family, PerFamily};
use prometheus::core::{AtomicU64, GenericCounter, GenericCounterVec};
use prometheus::{Histogram, HistogramOpts, HistogramVec, Opts, Registry, exponential_buckets};

use super::Round;

/// The metrics of a [`Cleaner`](super::Cleaner).
#[derive(Clone, Debug)]
pub struct Observed(PerFamily<OfFamily>);

#[derive(Clone, Debug)]
struct OfFamily {
    durations: Histogram,
    deleted: GenericCounter<AtomicU64>,
}

impl Observed {
    /// At nothing, and registered.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let durations = HistogramOpts::new(
            "kubeproxy_conntrack_reconciler_sync_duration_seconds",
            "[ALPHA] ReconcileConntrackFlowsLatency latency in seconds",
        );
        let durations = durations.buckets(exponential_buckets(0.001, 2.0, 15)?);
        let durations = HistogramVec::new(durations, &["ip_family"])?;
        let deleted = Opts::new(
            "kubeproxy_conntrack_reconciler_deleted_entries_total",
            "[ALPHA] Cumulative conntrack flows deleted by conntrack reconciler",
        );
        let deleted = GenericCounterVec::new(deleted, &["ip_family"])?;
        registry.register(Box::new(durations.clone()))?;
        registry.register(Box::new(deleted.clone()))?;
        Ok(Observed(PerFamily::from_fn(|family: Family| {
            let name = family.to_string();
            OfFamily {
                durations: durations.with_label_values(&[&name]),
                deleted: deleted.with_label_values(&[&name]),
            }
        })))
    }

    /// Counts a clean-up.
    pub fn observe(&self, round: &Round) {
        let of_family = &self.0[round.family];
        of_family.durations.observe(round.took.as_secs_f64());
        of_family.deleted.inc_by(round.deleted as u64);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prometheus::TextEncoder;

    use super::*;

    #[test]
    fn under_kube_proxys_names() {
        let registry = Registry::new();
        let observed = Observed::new(&registry).unwrap();
        observed.observe(&Round { family: Family::V6, took: Duration::from_millis(3), deleted: 7 });
        let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        for line in [
            "kubeproxy_conntrack_reconciler_sync_duration_seconds_bucket{ip_family=\"IPv6\",le=\"0.002\"} 0",
            "kubeproxy_conntrack_reconciler_sync_duration_seconds_bucket{ip_family=\"IPv6\",le=\"0.004\"} 1",
            "kubeproxy_conntrack_reconciler_sync_duration_seconds_bucket{ip_family=\"IPv4\",le=\"16.384\"} 0",
            "kubeproxy_conntrack_reconciler_deleted_entries_total{ip_family=\"IPv6\"} 7",
            "kubeproxy_conntrack_reconciler_deleted_entries_total{ip_family=\"IPv4\"} 0",
        ] {
            assert!(text.lines().any(|said| said == line), "{line:?} is not in\n{text}");
        }
    }
}
