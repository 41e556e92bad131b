//! Our own metrics of the table and of what the kernel holds.

use std::collections::HashMap;

use kube_verdict_nftables::Figures;
use kube_verdict_nftables::layout::Set;
use kube_verdict_table::{Family, PerFamily, Totals};
use prometheus::core::{GenericCounter, GenericGauge};
use prometheus::{Histogram, HistogramOpts, Registry};

use crate::reconcile::Report;

use super::{Atom, FAMILY, Float, counter, gauge, gauges, per_family, registered};

/// The fields.
pub(in crate::serve) struct Kernel {
    /// from news to the kernel's answer, both families together
    pub(in crate::serve) change: Histogram,
    pub(in crate::serve) in_sync: PerFamily<GenericGauge<Float>>,
    pub(in crate::serve) retries: GenericCounter<Atom>,
    batches: GenericCounter<Atom>,
    operations: GenericCounter<Atom>,
    written: GenericCounter<Atom>,
    refusals: GenericCounter<Atom>,
    quarantined: GenericGauge<Float>,
    frontends: GenericGauge<Float>,
    endpoints: GenericGauge<Float>,
    services: GenericGauge<Float>,
    slices: GenericGauge<Float>,
    service_cidrs: GenericGauge<Float>,
    elements: PerFamily<HashMap<Set, GenericGauge<Float>>>,
}

impl Kernel {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let microseconds = (0..18).map(|k| 1e-5 * f64::from(1 << k)).collect();
        let change = HistogramOpts::new(
            "kubeverdict_change_duration_seconds",
            "From news of a change to the kernel's answer, both families together",
        );
        let change = registered(registry, Histogram::with_opts(change.buckets(microseconds))?)?;
        let in_sync = gauges(
            registry,
            ("kubeverdict_in_sync", "Whether the last sync of the family succeeded (1) or not (0)"),
            &[FAMILY],
        )?;
        let objects = gauges(
            registry,
            ("kubeverdict_objects", "Objects known that concern service proxies, by kind"),
            &["kind"],
        )?;
        let elements = gauges(
            registry,
            (
                "kubeverdict_elements",
                "Elements in the kernel by set, without those that packets write themselves",
            ),
            &["set", FAMILY],
        )?;
        let total = |name, help| counter(registry, name, help);
        Ok(Kernel {
            change,
            in_sync: per_family(|family| in_sync.with_label_values(&[family])),
            retries: total("kubeverdict_retries_total", "Syncs tried again after a failure")?,
            batches: total("kubeverdict_batches_total", "Batches committed to the kernel")?,
            operations: total("kubeverdict_operations_total", "Operations in the batches committed")?,
            written: total(
                "kubeverdict_elements_written_total",
                "Elements added or removed by the batches committed",
            )?,
            refusals: total(
                "kubeverdict_refusals_total",
                "Frontends and elements that the kernel refused, each time it did",
            )?,
            quarantined: gauge(
                registry,
                "kubeverdict_quarantined",
                "Frontends and elements that the kernel refuses at present; they are tried again",
            )?,
            frontends: gauge(
                registry,
                "kubeverdict_frontends",
                "Service addresses and node ports that are served, by protocol and port",
            )?,
            endpoints: gauge(registry, "kubeverdict_endpoints", "Endpoints in EndpointSlices, ready or not")?,
            services: objects.with_label_values(&["Service"]),
            slices: objects.with_label_values(&["EndpointSlice"]),
            service_cidrs: objects.with_label_values(&["ServiceCIDR"]),
            elements: per_family(|family| {
                let of = |set: Set| (set, elements.with_label_values(&[set.name(), family]));
                // What packets write is not known here.
                Set::all().filter(|set| !matches!(set, Set::Affinity | Set::OtherMarks)).map(of).collect()
            }),
        })
    }

    /// Counts what was written.
    pub(in crate::serve) fn count(&self, report: &Report) {
        self.batches.inc_by(report.batches as u64);
        self.operations.inc_by(report.operations as u64);
        self.written.inc_by(report.elements as u64);
        self.refusals.inc_by(report.refused.len() as u64);
    }

    /// What the table holds.
    pub(in crate::serve) fn set_totals(&self, totals: &Totals) {
        self.frontends.set(totals.frontends as f64);
        self.endpoints.set(totals.endpoints as f64);
        self.services.set(totals.services as f64);
        self.slices.set(totals.slices as f64);
        self.service_cidrs.set(totals.service_cidrs as f64);
    }

    /// What the kernel holds.
    pub(in crate::serve) fn set_held(&self, figures: &PerFamily<Figures<'_>>, quarantined: usize) {
        self.quarantined.set(quarantined as f64);
        for family in Family::BOTH {
            for (set, count) in figures[family].held.into_iter().flat_map(|held| held.iter()) {
                if let Some(gauge) = self.elements[family].get(&set) {
                    gauge.set(count as f64);
                }
            }
        }
    }
}
