//! What health checks come to. Endpoints are counted for each Service, not named: labels are to be few.

use kube_verdict_table::objects::ObjectKey;
use prometheus::core::Collector;
use prometheus::{IntCounterVec, IntGaugeVec, Opts};

const SERVICE: [&str; 2] = ["namespace", "service"];

const RESULTS: [&str; 2] = ["success", "failure"];

/// The metrics. Clones are the same.
#[derive(Clone, Debug)]
pub struct ProbeMetrics {
    endpoints: IntGaugeVec,
    transitions: IntCounterVec,
    attempts: IntCounterVec,
}

impl ProbeMetrics {
    /// At nothing. An error is a mistake in this programme.
    pub fn new() -> prometheus::Result<Self> {
        let [namespace, service] = SERVICE;
        let metrics = ProbeMetrics {
            endpoints: IntGaugeVec::new(
                Opts::new(
                    "kubeverdict_health_check_endpoints",
                    "Endpoints that are asked whether they are well",
                ),
                &[namespace, service, "state"],
            )?,
            transitions: IntCounterVec::new(
                Opts::new(
                    "kubeverdict_health_check_transitions_total",
                    "Endpoints that became well or unwell",
                ),
                &[namespace, service, "to"],
            )?,
            attempts: IntCounterVec::new(
                Opts::new(
                    "kubeverdict_health_check_attempts_total",
                    "Questions to endpoints, by their answers",
                ),
                &["result"],
            )?,
        };
        for result in RESULTS {
            metrics.attempts.with_label_values(&[result]);
        }
        Ok(metrics)
    }

    /// For a registry.
    pub fn collectors(&self) -> [Box<dyn Collector>; 3] {
        [
            Box::new(self.endpoints.clone()),
            Box::new(self.transitions.clone()),
            Box::new(self.attempts.clone()),
        ]
    }

    pub(super) fn answered(&self, is_good: bool) {
        self.attempts.with_label_values(&[RESULTS[usize::from(!is_good)]]).inc();
    }

    pub(super) fn changed(&self, service: &ObjectKey, is_well: bool) {
        self.transitions.with_label_values(&[&*service.namespace, &*service.name, state(is_well)]).inc();
    }

    /// How many there are by now of each Service; of others there is nothing to tell.
    pub(super) fn count<'k>(&self, counts: impl Iterator<Item = (&'k ObjectKey, usize, usize)>) {
        self.endpoints.reset();
        for (service, well, unwell) in counts {
            for (is_well, number) in [(true, well), (false, unwell)] {
                let labels = [&*service.namespace, &*service.name, state(is_well)];
                self.endpoints.with_label_values(&labels).set(number as i64);
                // Counters begin at nothing, not with their first event.
                self.transitions.with_label_values(&labels);
            }
        }
    }
}

fn state(is_well: bool) -> &'static str {
    if is_well { "healthy" } else { "unhealthy" }
}
