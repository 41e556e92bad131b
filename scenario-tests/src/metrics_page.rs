//! docs/metrics.md, read: its tables are the contract that the daemon and the real kube-proxy are held against.

use std::collections::{BTreeMap, BTreeSet};

/// Names that are kube-proxy's choice, against Prometheus' habits: gauges that end in `_total`.
pub const UPSTREAM_NAMES: &[&str] = &["kubeproxy_sync_proxy_rules_no_local_endpoints_total"];

/// The heading under which the metrics stand that kube-proxy has and we do not.
const ABSENT: &str = "## Not here";

/// The page itself, for tests that run where there are no sources.
const PAGE: &str = include_str!("../../docs/metrics.md");

/// The cells of the lines of tables whose first cell is a metric's name in backticks.
fn rows(text: &str) -> impl Iterator<Item = (String, Vec<String>)> {
    text.lines().filter_map(|line| {
        let cells: Vec<String> = line
            .strip_prefix('|')?
            .strip_suffix('|')?
            .split(" | ")
            .map(|cell| cell.trim().to_owned())
            .collect();
        let name = cells.first()?.strip_prefix('`')?.strip_suffix('`')?.to_owned();
        name.contains('_').then(|| (name, cells[1..].to_vec()))
    })
}

/// Our metrics: type and labels of each.
///
/// # Panics
/// When the page is not in its form.
pub fn ours() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let (present, _) = PAGE.split_once(ABSENT).expect("the heading of what is not here");
    let labels = |cell: &str| {
        let names = cell.split(',').map(|name| name.trim().trim_matches('`').to_owned());
        names.filter(|name| !name.is_empty() && name != "–").collect()
    };
    rows(present).map(|(name, cells)| (name, (cells[0].clone(), labels(&cells[1])))).collect()
}

/// kube-proxy's metrics that are not here, with the reason. A name may end in `*`.
///
/// # Panics
/// When a reason is missing.
pub fn absent() -> BTreeMap<String, String> {
    let (_, absent) = PAGE.split_once(ABSENT).expect("the heading of what is not here");
    let absent: BTreeMap<String, String> =
        rows(absent).map(|(name, cells)| (name, cells.last().cloned().unwrap_or_default())).collect();
    assert!(absent.values().all(|reason| reason.len() > 3), "a reason is missing: {absent:?}");
    absent
}
