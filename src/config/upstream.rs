//! Which kube-proxy this daemon stands in for, where a configuration depends on its version.

/// Its version, as far as there is one.
pub const VERSION: &str = "1.37.0";

/// The minor versions before the ones that this daemon stands in for: 1.36 and 1.37.
pub(super) const PREVIOUS: [&str; 2] = ["1.35", "1.36"];

/// Whether `showHiddenMetricsForVersion` may name this version: kube-proxy allows the one before its own.
pub(super) fn hides_metrics_of(version: &str) -> bool {
    PREVIOUS.contains(&version)
}
