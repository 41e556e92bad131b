//! What runs here: versions and feature gates.

use std::collections::HashMap;

use prometheus::core::GenericGauge;
use prometheus::{Opts, Registry};

use super::{Float, gauges, registered};

/// Facts that do not change while the process lives.
#[derive(Clone, Debug, Default)]
pub struct Build {
    /// the mode that runs
    pub mode: &'static str,
    /// feature gates that decide something here, and whether they are on
    pub gates: Vec<(&'static str, bool)>,
}

/// This programme's version.
const VERSION: &str = env!("CARGO_PKG_VERSION");

impl Build {
    pub(super) fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        let mut version = VERSION.split('.');
        let mut part = || version.next().unwrap_or_default();
        let kubernetes = Opts::new(
            "kubernetes_build_info",
            "[BETA] A metric with a constant '1' value labeled by major, minor, git version, git commit, git tree \
             state, build date, Go version, and compiler from which Kubernetes was built, and platform on which it \
             is running.",
        );
        let kubernetes = kubernetes.const_labels(labels(&[
            ("major", part()),
            ("minor", part()),
            ("git_version", &format!("v{VERSION}")),
            ("git_commit", ""),
            ("git_tree_state", ""),
            ("build_date", ""),
            ("go_version", ""),
            ("compiler", "rustc"),
            ("platform", &format!("linux/{}", architecture())),
        ]));
        registered(registry, GenericGauge::<Float>::with_opts(kubernetes)?)?.set(1.0);
        let ours = Opts::new("kubeverdict_build_info", "A constant 1, labelled by what runs");
        let ours = ours.const_labels(labels(&[("version", VERSION), ("backend", self.mode)]));
        registered(registry, GenericGauge::<Float>::with_opts(ours)?)?.set(1.0);
        let gates = gauges(
            registry,
            (
                "kubernetes_feature_enabled",
                "[BETA] This metric records the data about the stage and enablement of a k8s feature.",
            ),
            &["name", "stage"],
        )?;
        for (name, is_on) in &self.gates {
            gates.with_label_values(&[name, ""]).set(f64::from(u8::from(*is_on)));
        }
        Ok(())
    }
}

fn labels(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

/// As Go calls it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        other => other,
    }
}
