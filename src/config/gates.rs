//! Feature gates (reference §18): which names are known, and which of them decide anything here.

use super::file::File;

/// False: externalIPs are not served.
pub(super) const ALLOW_SERVICE_EXTERNAL_IPS: &str = "AllowServiceExternalIPs";

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

const GATES: [(&str, Gate); 34] = [
    (ALLOW_SERVICE_EXTERNAL_IPS, Gate::Works),
    ("EndpointSlice", Gate::AlwaysOn),
    ("EndpointSliceProxying", Gate::AlwaysOn),
    ("EndpointSliceTerminatingCondition", Gate::AlwaysOn),
    ("IPv6DualStack", Gate::AlwaysOn),
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
    ("KubeProxyIPVS", Gate::NotHere),
    ("KubeProxyNFTablesLocalhostNodePorts", Gate::NotHere),
    ("AllAlpha", Gate::Neutral),
    ("AllBeta", Gate::Neutral),
    ("ClientsAllowCBOR", Gate::Neutral),
    ("ClientsPreferCBOR", Gate::Neutral),
    ("CloudDualStackNodeIPs", Gate::Neutral),
    ("ComponentFlagz", Gate::Neutral),
    ("ComponentSLIs", Gate::Neutral),
    ("ComponentStatusz", Gate::Neutral),
    ("ContextualLogging", Gate::Neutral),
    ("DisableNodeKubeProxyVersion", Gate::Neutral),
    ("InOrderInformers", Gate::Neutral),
    ("InformerResourceVersion", Gate::Neutral),
    ("LoggingAlphaOptions", Gate::Neutral),
    ("LoggingBetaOptions", Gate::Neutral),
    ("ServiceNodePortStaticSubrange", Gate::Neutral),
    ("WatchListClient", Gate::Neutral),
];

/// What a gate does here; None: no such gate is known.
pub(super) fn find(name: &str) -> Option<Gate> {
    GATES.iter().find(|(known, _)| *known == name).map(|(_, gate)| *gate)
}

/// Whether a gate that works here is on.
pub(super) fn is_on(file: &File, name: &str) -> bool {
    file.feature_gates.as_ref().and_then(|gates| gates.get(name)).copied().unwrap_or(true)
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
