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
    let of_kind = match kind {
        Kind::Service => OF_SERVICE,
        Kind::EndpointSlice => OF_ENDPOINT_SLICE,
        Kind::Node => OF_NODE,
        Kind::ServiceCidr => OF_SERVICE_CIDR,
    };
    let shape = path.shape();
    of_kind.iter().chain(OF_ALL).any(|known| {
        shape.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    })
}
