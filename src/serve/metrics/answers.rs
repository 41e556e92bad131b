//! What the health servers answered, and how many of them there are.

use prometheus::Registry;
use prometheus::core::{GenericCounter, GenericGauge};

use super::{Atom, Float, counter, counters, gauge};

/// Answers by their status, and the servers of Services' health checks.
pub(in crate::serve) struct Answers {
    healthz: [GenericCounter<Atom>; 2],
    livez: [GenericCounter<Atom>; 2],
    pub(in crate::serve) health_checks: GenericGauge<Float>,
    pub(in crate::serve) listeners: GenericGauge<Float>,
    pub(in crate::serve) listen_failures: GenericCounter<Atom>,
}

impl Answers {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let by_code = |path: &str| -> prometheus::Result<[GenericCounter<Atom>; 2]> {
            let name = format!("kubeproxy_proxy_{path}_total");
            let help = format!("[ALPHA] Cumulative proxy {path} HTTP status");
            let both = counters(registry, (&name, &help), &["code"])?;
            Ok(["200", "503"].map(|code| both.with_label_values(&[code])))
        };
        Ok(Answers {
            healthz: by_code("healthz")?,
            livez: by_code("livez")?,
            health_checks: gauge(
                registry,
                "kubeverdict_health_checks",
                "Services whose health check is served on their healthCheckNodePort",
            )?,
            listeners: gauge(
                registry,
                "kubeverdict_health_check_listeners",
                "Sockets that listen for health checks of Services",
            )?,
            listen_failures: counter(
                registry,
                "kubeverdict_health_check_listen_failures_total",
                "Attempts to listen for health checks of a Service that failed",
            )?,
        })
    }

    pub(in crate::serve) fn healthz(&self, status: u16) {
        self.healthz[usize::from(status != 200)].inc();
    }

    pub(in crate::serve) fn livez(&self, status: u16) {
        self.livez[usize::from(status != 200)].inc();
    }
}
