//! A Service as the API has it.

use serde_json::{Value, json};

use super::{NAMESPACE, PORT, PORT_NAME, Service, TARGET_PORT};

/// The Service, and its slice, whose name is the Service's with `-x`. Endpoints are all on another node.
pub fn objects(service: &Service) -> [Value; 2] {
    let protocol = service.protocol.as_str();
    let endpoint =
        |ip| json!({ "addresses": [ip], "conditions": { "ready": true }, "nodeName": "elsewhere" });
    [
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": { "namespace": NAMESPACE, "name": service.name },
            "spec": {
                "type": "ClusterIP",
                "clusterIP": service.cluster_ip,
                "clusterIPs": [service.cluster_ip],
                "ipFamilies": ["IPv4"],
                "ports": [{ "name": PORT_NAME, "port": PORT, "protocol": protocol, "targetPort": TARGET_PORT }],
            },
        }),
        json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "namespace": NAMESPACE,
                "name": format!("{}-x", service.name),
                "labels": { "kubernetes.io/service-name": service.name },
            },
            "addressType": "IPv4",
            "ports": [{ "name": PORT_NAME, "port": TARGET_PORT, "protocol": protocol }],
            "endpoints": service.endpoints.iter().map(endpoint).collect::<Vec<_>>(),
        }),
    ]
}
