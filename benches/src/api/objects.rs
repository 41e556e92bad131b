//! What the API would say of a Service of the world: as JSON, with everything that objects of a real cluster carry
//! (owners, managed fields, references to Pods), since contenders pay for reading that too.

use std::hash::{DefaultHasher, Hash, Hasher};

use kube_verdict_table::objects::Kind;
use serde_json::{Map, Value, json};

use super::protobuf::{self, TIME};
use super::schema::{self, Field};
use crate::stage::NODE_IP;
use crate::workload::{NAMESPACE, NODE, PORT, PORT_NAME, Service, TARGET_PORT};

/// Endpoints of a slice at most, as kube-controller-manager fills them.
pub const SLICE: usize = 100;
/// Nodes that endpoints are said to be on; none of them is the contender's.
const NODES: usize = 100;
/// Zones that those nodes are said to be in.
const ZONES: usize = 3;
/// The range of ClusterIPs.
const SERVICE_CIDR: &str = "10.96.0.0/12";

/// What the API server knows of a kind.
pub trait Resource {
    /// Its API version.
    fn version(self) -> &'static str;
    /// The path of its objects, of all namespaces.
    fn path(self) -> &'static str;
}

impl Resource for Kind {
    fn version(self) -> &'static str {
        match self {
            Kind::Service | Kind::Node => "v1",
            Kind::EndpointSlice => "discovery.k8s.io/v1",
            Kind::ServiceCidr => "networking.k8s.io/v1",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Kind::Service => "/api/v1/services",
            Kind::EndpointSlice => "/apis/discovery.k8s.io/v1/endpointslices",
            Kind::Node => "/api/v1/nodes",
            Kind::ServiceCidr => "/apis/networking.k8s.io/v1/servicecidrs",
        }
    }
}

fn message(kind: Kind) -> &'static [Field] {
    match kind {
        Kind::Service => schema::SERVICE,
        Kind::EndpointSlice => schema::ENDPOINT_SLICE,
        Kind::Node => schema::NODE,
        Kind::ServiceCidr => schema::SERVICE_CIDR,
    }
}

/// An object in both encodings.
#[derive(Debug, PartialEq, Eq)]
pub struct Object {
    /// of which kind
    pub kind: Kind,
    /// its name
    pub name: String,
    /// JSON, on one line
    pub json: Vec<u8>,
    /// the protobuf message, without its envelope
    pub protobuf: Vec<u8>,
}

/// The Node on which contenders are.
pub fn node(revision: u64) -> Object {
    let addresses = json!([
        { "type": "InternalIP", "address": NODE_IP.to_string() }, { "type": "Hostname", "address": NODE },
    ]);
    let labels = json!({ "kubernetes.io/hostname": NODE, "topology.kubernetes.io/zone": "zone-0" });
    let body = json!({
        "metadata": { "labels": labels }, "spec": { "podCIDR": "10.0.1.0/24" }, "status": { "addresses": addresses },
    });
    object(Kind::Node, NODE.to_owned(), revision, body)
}

/// The range of ClusterIPs.
pub fn service_cidr(revision: u64) -> Object {
    object(
        Kind::ServiceCidr,
        "kubernetes".to_owned(),
        revision,
        json!({ "spec": { "cidrs": [SERVICE_CIDR] } }),
    )
}

/// A Service.
pub fn service(service: &Service, revision: u64) -> Object {
    let ip = service.cluster_ip.to_string();
    let port = json!({
        "name": PORT_NAME, "protocol": service.protocol.as_str(), "port": PORT, "targetPort": TARGET_PORT,
    });
    let body = json!({
        "metadata": { "namespace": NAMESPACE, "labels": { "app": service.name } },
        "spec": {
            "clusterIP": ip, "clusterIPs": [ip], "ports": [port], "selector": { "app": service.name },
            "type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster",
            "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
        },
        "status": { "loadBalancer": {} },
    });
    object(Kind::Service, service.name.clone(), revision, body)
}

/// How many slices a Service has.
pub fn slices(service: &Service) -> usize {
    service.endpoints.len().div_ceil(SLICE)
}

/// The slice of a Service that has this place among its slices.
pub fn slice(service: &Service, place: usize, revision: u64) -> Object {
    let first = place * SLICE;
    let endpoints = service.endpoints.iter().enumerate().skip(first).take(SLICE).map(|(at, address)| {
        let on = service.number as usize + at;
        json!({
            "addresses": [address.to_string()],
            "conditions": { "ready": true, "serving": true, "terminating": false },
            "nodeName": format!("node-{}", 1 + on % NODES),
            "zone": format!("zone-{}", on % ZONES),
            "targetRef": {
                "kind": "Pod", "namespace": NAMESPACE, "name": format!("{}-{at:04}", service.name),
                "uid": uid(Kind::Service, &address.to_string()),
            },
        })
    });
    let body = json!({
        "metadata": {
            "namespace": NAMESPACE,
            "generateName": format!("{}-", service.name),
            "labels": {
                "app": service.name,
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                "kubernetes.io/service-name": service.name,
            },
            "ownerReferences": [{
                "apiVersion": "v1", "kind": "Service", "name": service.name, "uid": uid(Kind::Service, &service.name),
                "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "addressType": "IPv4",
        "endpoints": endpoints.collect::<Vec<Value>>(),
        "ports": [{ "name": PORT_NAME, "protocol": service.protocol.as_str(), "port": TARGET_PORT }],
    });
    object(Kind::EndpointSlice, format!("{}-{place}", service.name), revision, body)
}

/// Completes the metadata, and encodes.
fn object(kind: Kind, name: String, revision: u64, mut body: Value) -> Object {
    let parts = body.as_object().map(Map::keys).into_iter().flatten();
    let fields: Map<String, Value> = parts.map(|part| (format!("f:{part}"), json!({}))).collect();
    body["metadata"]["name"] = name.as_str().into();
    body["metadata"]["uid"] = uid(kind, &name).into();
    body["metadata"]["resourceVersion"] = revision.to_string().into();
    body["metadata"]["generation"] = 1.into();
    body["metadata"]["creationTimestamp"] = TIME.0.into();
    body["metadata"]["managedFields"] = json!([{
        "manager": "kube-controller-manager", "operation": "Update", "apiVersion": kind.version(),
        "time": TIME.0, "fieldsType": "FieldsV1", "fieldsV1": fields,
    }]);
    let protobuf = protobuf::encode(message(kind), &body);
    body["apiVersion"] = kind.version().into();
    body["kind"] = kind.name().into();
    Object { kind, name, json: body.to_string().into_bytes(), protobuf }
}

/// An identity, always the same for the same name.
fn uid(kind: Kind, name: &str) -> String {
    let mut hasher = DefaultHasher::new();
    (kind.name(), name).hash(&mut hasher);
    let hash = hasher.finish();
    format!("{:08x}-0000-4000-8000-{:012x}", hash >> 32, hash & 0xffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::{Size, World};

    #[test]
    fn protobuf_says_what_json_says() {
        let world = World::new(Size { services: 2, endpoints: 250 });
        let first = world.service(0).expect("it exists");
        let objects = [service(&first, 1), slice(&first, 2, 2), node(3), service_cidr(4)];
        for object in objects {
            let mut body: Value = serde_json::from_slice(&object.json).expect("JSON");
            assert_eq!(body["kind"], object.kind.name());
            for name in ["apiVersion", "kind"] {
                body.as_object_mut().expect("an object").remove(name);
            }
            assert_eq!(protobuf::forgotten(message(object.kind), &body), None, "of {}", object.kind.name());
        }
    }

    #[test]
    fn many_endpoints_are_in_several_slices() {
        let world = World::new(Size { services: 2, endpoints: 250 });
        let service = world.service(1).expect("it exists");
        assert_eq!(slices(&service), 3);
        let body: Value = serde_json::from_slice(&slice(&service, 2, 1).json).expect("JSON");
        assert_eq!(body["endpoints"].as_array().map(Vec::len), Some(50));
        assert_eq!(body["endpoints"][0]["addresses"][0], service.endpoints[200].to_string());
        assert_eq!(body["ports"][0]["protocol"], "UDP");
        assert_eq!(body["metadata"]["name"], "service-000001-2");
    }
}
