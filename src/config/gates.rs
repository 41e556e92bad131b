//! Feature gates (reference §18): which names are known, and which of them decide anything here.
//!
//! kube-proxy knows the gates of every component, because it is built from the same tree, and operators give all
//! components the same list. So `gates.txt` has the names that kube-proxy 1.36.3 takes (found by asking it); the
//! table below has those that mean something to a service proxy, older and newer ones among them.

use super::file::File;

/// False: externalIPs are not served.
pub(super) const ALLOW_SERVICE_EXTERNAL_IPS: &str = "AllowServiceExternalIPs";
/// On: `logging.options` may be set. Alpha.
pub(super) const LOGGING_ALPHA_OPTIONS: &str = "LoggingAlphaOptions";
/// Off: there is no log in JSON. Beta, as the following ones.
pub(super) const LOGGING_BETA_OPTIONS: &str = "LoggingBetaOptions";
/// Off: `/flagz` is not served.
pub(super) const COMPONENT_FLAGZ: &str = "ComponentFlagz";
/// Off: `/statusz` is not served.
pub(super) const COMPONENT_STATUSZ: &str = "ComponentStatusz";

/// What a known gate does to this daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// turns something on or off; on unless said otherwise
    Works,
    /// what it gates is always on here: turning it off does nothing
    AlwaysOn,
    /// what it gates is not here: turning it on does nothing
    NotHere,
    /// nothing that this daemon does depends on it, either way
    Neutral,
}

const GATES: [(&str, Gate); 21] = [
    (ALLOW_SERVICE_EXTERNAL_IPS, Gate::Works),
    ("EndpointSlice", Gate::AlwaysOn),
    ("EndpointSliceProxying", Gate::AlwaysOn),
    ("EndpointSliceTerminatingCondition", Gate::AlwaysOn),
    ("IPv6DualStack", Gate::AlwaysOn),
    ("KubeProxyIPVS", Gate::AlwaysOn),
    ("LoadBalancerIPMode", Gate::AlwaysOn),
    ("MultiCIDRServiceAllocator", Gate::AlwaysOn),
    ("NFTablesNetlink", Gate::AlwaysOn),
    ("NFTablesProxyMode", Gate::AlwaysOn),
    ("PreferSameTrafficDistribution", Gate::AlwaysOn),
    ("ProxyTerminatingEndpoints", Gate::AlwaysOn),
    ("SCTPSupport", Gate::AlwaysOn),
    ("ServiceInternalTrafficPolicy", Gate::AlwaysOn),
    ("ServiceTrafficDistribution", Gate::AlwaysOn),
    ("TopologyAwareHints", Gate::AlwaysOn),
    ("KubeProxyDrainingTerminatingNodes", Gate::Neutral),
    ("KubeProxyNFTablesLocalhostNodePorts", Gate::NotHere),
    ("CloudDualStackNodeIPs", Gate::Neutral),
    ("ComponentSLIs", Gate::Neutral),
    ("ServiceNodePortStaticSubrange", Gate::Neutral),
];

/// Every gate that kube-proxy knows.
const KUBERNETES: &str = include_str!("gates.txt");

/// What a gate does here; None: no such gate is known.
pub(super) fn find(name: &str) -> Option<Gate> {
    let here = GATES.iter().find(|(known, _)| *known == name).map(|(_, gate)| *gate);
    here.or_else(|| KUBERNETES.lines().any(|known| known == name).then_some(Gate::Neutral))
}

/// Whether a gate that works here is on: as it says, else as all of its stage do, else on if it is beta.
pub(super) fn is_on(file: &File, name: &str) -> bool {
    let said = |name: &str| file.feature_gates.as_ref().and_then(|gates| gates.get(name)).copied();
    let by_stage = match name {
        ALLOW_SERVICE_EXTERNAL_IPS => true,
        LOGGING_ALPHA_OPTIONS => said("AllAlpha").unwrap_or(false),
        _ => said("AllBeta").unwrap_or(true),
    };
    said(name).unwrap_or(by_stage)
}

/// The gates that are set to what has no effect here, for the log.
pub(super) fn without_effect(file: &File) -> Vec<String> {
    let gates = file.feature_gates.iter().flatten();
    gates
        .filter(|(name, on)| {
            matches!((find(name), on), (Some(Gate::AlwaysOn), false) | (Some(Gate::NotHere), true))
        })
        .map(|(name, on)| format!("featureGates.{name}={on}"))
        .collect()
}
