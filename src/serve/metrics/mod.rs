//! Metrics: kube-proxy's where they mean something here, under its names (reference §14.1), and our own, whose
//! names begin with `kubeverdict_`. docs/metrics.md lists them all.
//!
//! Values are fields of plain structs, looked up once: on the way of a change a metric costs an atomic addition.

mod answers;
mod build;
mod ipvs;
mod kernel;
mod process;
mod programming;
mod repairs;

use std::time::SystemTime;

use kube_verdict_table::{Family, PerFamily};
use prometheus::core::{Collector, GenericCounter, GenericCounterVec, GenericGauge, GenericGaugeVec};
use prometheus::{Histogram, HistogramOpts, HistogramVec, Opts, Registry, TextEncoder};

pub(super) use answers::Answers;
pub use build::Build;
pub(super) use ipvs::Ipvs;
pub(super) use kernel::Kernel;
pub(super) use programming::Programming;
pub(super) use repairs::Repairs;

/// What the text format is called (https://prometheus.io/docs/instrumenting/exposition_formats/).
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Everything that is measured.
pub struct Metrics {
    registry: Registry,
    pub(super) programming: Programming,
    pub(super) kernel: Kernel,
    pub(super) ipvs: Ipvs,
    pub(super) repairs: Repairs,
    pub(super) answers: Answers,
}

impl Metrics {
    /// Everything at nothing. An error is a mistake in this programme: two metrics of one name.
    pub fn new(build: &Build, started: SystemTime) -> prometheus::Result<Self> {
        let registry = Registry::new();
        build.register(&registry)?;
        process::register(&registry, started)?;
        Ok(Metrics {
            programming: Programming::new(&registry)?,
            kernel: Kernel::new(&registry)?,
            ipvs: Ipvs::new(&registry)?,
            repairs: Repairs::new(&registry)?,
            answers: Answers::new(&registry)?,
            registry,
        })
    }

    /// Where other rooms register what they measure.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// All of it, as text.
    pub(super) fn exposition(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

/// The label that kube-proxy tells families by.
const FAMILY: &str = "ip_family";

/// Puts a metric where it is found.
fn registered<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> prometheus::Result<C> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

type Atom = prometheus::core::AtomicU64;
type Float = prometheus::core::AtomicF64;

fn counter(registry: &Registry, name: &str, help: &str) -> prometheus::Result<GenericCounter<Atom>> {
    registered(registry, GenericCounter::new(name, help)?)
}

fn counters(
    registry: &Registry,
    (name, help): (&str, &str),
    labels: &[&str],
) -> prometheus::Result<GenericCounterVec<Atom>> {
    registered(registry, GenericCounterVec::new(Opts::new(name, help), labels)?)
}

fn gauge(registry: &Registry, name: &str, help: &str) -> prometheus::Result<GenericGauge<Float>> {
    registered(registry, GenericGauge::new(name, help)?)
}

fn gauges(
    registry: &Registry,
    (name, help): (&str, &str),
    labels: &[&str],
) -> prometheus::Result<GenericGaugeVec<Float>> {
    registered(registry, GenericGaugeVec::new(Opts::new(name, help), labels)?)
}

/// A histogram for each family.
fn histograms(
    registry: &Registry,
    (name, help): (&str, &str),
    buckets: &[f64],
) -> prometheus::Result<PerFamily<Histogram>> {
    let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
    let both = registered(registry, HistogramVec::new(options, &[FAMILY])?)?;
    Ok(per_family(|family| both.with_label_values(&[family])))
}

/// One of each for the label's two values.
fn per_family<T>(mut of: impl FnMut(&str) -> T) -> PerFamily<T> {
    PerFamily::from_fn(|family| {
        of(match family {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_there_from_the_start_and_said_once() {
        let metrics = Metrics::new(&Build::default(), SystemTime::now()).unwrap();
        let text = metrics.exposition().unwrap();
        for line in [
            "# HELP kubeproxy_sync_proxy_rules_duration_seconds [ALPHA] SyncProxyRules latency in seconds",
            "# TYPE kubeproxy_sync_proxy_rules_duration_seconds histogram",
            "kubeproxy_sync_proxy_rules_duration_seconds_bucket{ip_family=\"IPv6\",le=\"16.384\"} 0",
            "kubeproxy_network_programming_duration_seconds_bucket{ip_family=\"IPv4\",le=\"0.25\"} 0",
            "kubeproxy_network_programming_duration_seconds_bucket{ip_family=\"IPv4\",le=\"300\"} 0",
            "kubeproxy_sync_proxy_rules_no_local_endpoints_total{ip_family=\"IPv4\",traffic_policy=\"internal\"} 0",
            "kubeverdict_ipvs_draining_real_servers{ip_family=\"IPv6\"} 0",
            "kubeproxy_proxy_healthz_total{code=\"503\"} 0",
            "kubeverdict_foreign_changes_repaired_total{what=\"routing\"} 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is missing from\n{text}");
        }
        let mut names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
