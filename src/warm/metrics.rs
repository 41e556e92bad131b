//! What is measured of the table that is kept.

use std::time::SystemTime;

use prometheus::core::Collector;
use prometheus::{Gauge, IntCounter, IntGauge};

/// The metrics. Clones are the same.
#[derive(Clone, Debug)]
pub struct WarmMetrics {
    serving: IntGauge,
    used: IntGauge,
    refused: IntGauge,
    table_time: Gauge,
    written_time: Gauge,
    written_bytes: IntGauge,
    failures: IntCounter,
}

impl WarmMetrics {
    /// At nothing. An error is a mistake in this programme.
    pub fn new() -> prometheus::Result<Self> {
        Ok(WarmMetrics {
            serving: IntGauge::new(
                "kubeverdict_warm_start_serving",
                "Whether a table that was kept on disk is served, because the source of objects is not complete",
            )?,
            used: IntGauge::new(
                "kubeverdict_warm_start_used",
                "Whether this process began with the table that was kept on disk",
            )?,
            refused: IntGauge::new(
                "kubeverdict_warm_start_refused",
                "Whether there was a table on disk at the start that could not be used",
            )?,
            table_time: Gauge::new(
                "kubeverdict_warm_start_table_timestamp_seconds",
                "When the table was kept that this process began with",
            )?,
            written_time: Gauge::new(
                "kubeverdict_warm_start_last_write_timestamp_seconds",
                "When the table was last kept on disk",
            )?,
            written_bytes: IntGauge::new(
                "kubeverdict_warm_start_bytes",
                "Size of the table that was last kept on disk",
            )?,
            failures: IntCounter::new(
                "kubeverdict_warm_start_write_failures_total",
                "How often the table could not be kept on disk",
            )?,
        })
    }

    /// For a registry.
    pub fn collectors(&self) -> [Box<dyn Collector>; 7] {
        [
            Box::new(self.serving.clone()),
            Box::new(self.used.clone()),
            Box::new(self.refused.clone()),
            Box::new(self.table_time.clone()),
            Box::new(self.written_time.clone()),
            Box::new(self.written_bytes.clone()),
            Box::new(self.failures.clone()),
        ]
    }

    /// A table of this time is served from now on.
    pub(super) fn began_with(&self, table: SystemTime) {
        self.table_time.set(seconds(table));
        self.used.set(1);
        self.serving.set(1);
        self.refused.set(0);
    }

    /// The source serves itself.
    pub(super) fn source_took_over(&self) {
        self.serving.set(0);
    }

    pub(super) fn refused(&self) {
        self.refused.set(1);
    }

    pub(super) fn wrote(&self, at: SystemTime, bytes: usize) {
        self.written_time.set(seconds(at));
        self.written_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    pub(super) fn failed_to_write(&self) {
        self.failures.inc();
    }
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
