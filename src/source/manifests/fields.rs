//! Which fields of an object may be written although a proxy does not read them (reference §1.2). Everything
//! else that the object types pass over is a typing error, and worth a warning.
//!
//! The lists hold what the API knows and we do not read, as of Kubernetes 1.37; a listed field covers all
//! that is inside of it.

use kube_verdict_table::objects::Kind;

use crate::document::Path;

const OF_ALL: &[&str] = &[
    "apiVersion",
    "kind",
    "metadata.annotations",
    "metadata.clusterName",
    "metadata.creationTimestamp",
    "metadata.deletionGracePeriodSeconds",
    "metadata.deletionTimestamp",
    "metadata.finalizers",
    "metadata.generateName",
    "metadata.generation",
    "metadata.labels",
    "metadata.managedFields",
    "metadata.ownerReferences",
    "metadata.resourceVersion",
    "metadata.selfLink",
    "metadata.uid",
];

const OF_SERVICE: &[&str] = &[
    "spec.allocateLoadBalancerNodePorts",
    "spec.externalName",
    "spec.ipFamily",
    "spec.ipFamilyPolicy",
    "spec.loadBalancerClass",
    "spec.loadBalancerIP",
    "spec.ports[].appProtocol",
    "spec.ports[].targetPort",
    "spec.publishNotReadyAddresses",
    "spec.selector",
    "spec.topologyKeys",
    "spec.trafficDistribution",
    "status.conditions",
    "status.loadBalancer.ingress[].hostname",
    "status.loadBalancer.ingress[].ports",
];

const OF_ENDPOINT_SLICE: &[&str] = &[
    "endpoints[].addresses",
    "endpoints[].deprecatedTopology",
    "endpoints[].hostname",
    "endpoints[].targetRef",
    "endpoints[].zone",
    "ports[].appProtocol",
];

const OF_NODE: &[&str] = &[
    "spec.configSource",
    "spec.externalID",
    "spec.providerID",
    "spec.taints[].effect",
    "spec.taints[].timeAdded",
    "spec.taints[].value",
    "spec.unschedulable",
    "status.allocatable",
    "status.capacity",
    "status.conditions",
    "status.config",
    "status.daemonEndpoints",
    "status.declaredFeatures",
    "status.features",
    "status.images",
    "status.nodeInfo",
    "status.phase",
    "status.runtimeHandlers",
    "status.volumesAttached",
    "status.volumesInUse",
];

const OF_SERVICE_CIDR: &[&str] = &["status"];

/// Whether an unread field belongs to the API.
pub(super) fn is_known(kind: Kind, path: &Path<'_>) -> bool {
    let shape = path.shape();
    unread(kind).any(|known| {
        shape.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    })
}

fn unread(kind: Kind) -> impl Iterator<Item = &'static str> {
    let of_kind = match kind {
        Kind::Service => OF_SERVICE,
        Kind::EndpointSlice => OF_ENDPOINT_SLICE,
        Kind::Node => OF_NODE,
        Kind::ServiceCidr => OF_SERVICE_CIDR,
    };
    of_kind.iter().chain(OF_ALL).copied()
}

/// How alike two names have to be for one to be taken for the other, written wrongly: between 0 and 1.
const ALIKE: f64 = 0.8;

/// The field of the same mapping whose name is like that of an unknown one, if there is such a field: one of those
/// that are `read` there, or that the API knows there.
pub(super) fn nearest(kind: Kind, field: &str, read: &[&'static str]) -> Option<String> {
    let (parent, name) = field.rsplit_once('.').unwrap_or(("", field));
    let prefix = if parent.is_empty() { String::new() } else { shape(parent) + "." };
    let unread = unread(kind).filter_map(|known| known.strip_prefix(prefix.as_str()));
    let unread = unread.map(|rest| rest.split(['.', '[']).next().unwrap_or(rest));
    // Whoever writes node_port, Node-Port or nodeport means the same.
    let plain = |text: &str| text.replace(['_', '-'], "").to_lowercase();
    let name = plain(name);
    let likeness = |known: &str| strsim::jaro_winkler(&name, &plain(known));
    let best = read.iter().copied().chain(unread).max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(best) >= ALIKE).then(|| best.to_owned())
}

/// `spec.ports[]` of `spec.ports[1]`.
fn shape(path: &str) -> String {
    path.chars().filter(|c| !c.is_ascii_digit()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_nearly_right_are_guessed_and_others_are_not() {
        let ports = ["name", "port", "protocol", "nodePort"];
        for (field, expected) in [
            ("spec.ports[0].node_port", Some("nodePort")),
            ("spec.ports[12].targetport", Some("targetPort")),
            ("spec.ports[0].protcol", Some("protocol")),
            ("spec.ports[0].weight", None),
        ] {
            assert_eq!(nearest(Kind::Service, field, &ports).as_deref(), expected, "{field}");
        }
        assert_eq!(nearest(Kind::Service, "spce", &["metadata", "spec", "status"]).as_deref(), Some("spec"));
        let slice = ["addresses", "conditions", "nodeName", "hints"];
        let guess = |field| nearest(Kind::EndpointSlice, field, &slice);
        assert_eq!(guess("endpoints[3].address").as_deref(), Some("addresses"));
        assert_eq!(guess("endpoints[3].x"), None);
    }
}
