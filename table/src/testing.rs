//! Objects for unit tests, written as a user would.

use serde_json::{Value, json};

use crate::node::{Balancer, NodeState, Settings};
use crate::objects::{Kind, Object, ObjectEvent};

/// Decodes and defaults a document with its `kind`.
pub(crate) fn object(document: Value) -> Object {
    let kind = Kind::ALL.into_iter().find(|kind| document["kind"] == kind.name()).unwrap();
    let mut object = Object::deserialize_as(kind, document).unwrap();
    object.apply_api_defaults();
    object
}

/// A Service with one unnamed port 80/TCP at 10.96.0.1, with fields of `spec` (and `status`) put over it.
pub(crate) fn service(name: &str, mut spec: Value) -> Object {
    let status = spec.as_object_mut().and_then(|spec| spec.remove("status")).unwrap_or(Value::Null);
    let mut whole = json!({"clusterIP": "10.96.0.1", "ports": [{"port": 80}]});
    for (key, value) in spec.as_object().unwrap() {
        whole[key] = value.clone();
    }
    let document = json!({"kind": "Service", "metadata": {"name": name}, "spec": whole, "status": status});
    object(document)
}

/// The same object with an annotation.
pub(crate) fn scheduled(mut service: Object, text: &str) -> Object {
    if let Object::Service(service) = &mut service {
        service.metadata.annotations.ours.get_or_insert_default().ipvs_scheduler = Some(text.into());
    }
    service
}

/// A slice `name` of Service `owner` for an unnamed port 8080/TCP. Endpoints are `10.0.0.1 node=n1 unready
/// terminating notserving zones=a,b nodes=n1`, separated by commas and spaces as a person would.
pub(crate) fn slice(name: &str, owner: &str, endpoints: &[&str]) -> Object {
    let v6 = endpoints.first().is_some_and(|e| e.contains(':'));
    object(json!({
        "kind": "EndpointSlice",
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": owner}},
        "addressType": if v6 { "IPv6" } else { "IPv4" },
        "endpoints": endpoints.iter().map(|text| endpoint(text)).collect::<Vec<_>>(),
        "ports": [{"name": "", "port": 8080}]
    }))
}

fn endpoint(text: &str) -> Value {
    let mut words = text.split(' ');
    let address = words.next().unwrap();
    let has = |word: &str| text.split(' ').any(|w| w == word);
    let list = |key: &str| -> Vec<Value> {
        let names = text.split(' ').find_map(|w| w.strip_prefix(key));
        names.into_iter().flat_map(|names| names.split(',')).map(|name| json!({"name": name})).collect()
    };
    let node = text.split(' ').find_map(|w| w.strip_prefix("node="));
    json!({
        "addresses": [address],
        "nodeName": node,
        "conditions": {
            "ready": !has("unready"), "serving": !has("notserving"), "terminating": has("terminating")
        },
        "hints": {"forZones": list("zones="), "forNodes": list("nodes=")}
    })
}

pub(crate) fn applied(objects: impl IntoIterator<Item = Object>) -> Vec<ObjectEvent> {
    objects.into_iter().map(ObjectEvent::Applied).collect()
}

/// A node `n1` without detector.
pub(crate) fn settings() -> Settings {
    Settings {
        node_name: "n1".into(),
        detector: Default::default(),
        masquerade_all: false,
        allow_external_ips: true,
        balancer: Balancer::Random,
    }
}

/// A node at 192.168.0.1 and fd00:1::1, NodePorts on every address.
pub(crate) fn node() -> NodeState {
    use crate::net::PerFamily;
    use crate::node::NodePortAddresses::AnyLocal;
    let ips = ["127.0.0.1", "::1", "192.168.0.1", "fd00:1::1"];
    NodeState {
        node_ips: PerFamily { v4: ips[2].parse().ok(), v6: ips[3].parse().ok() },
        local_addresses: ips.iter().map(|ip| ip.parse().unwrap()).collect(),
        zone: None,
        node_port_addresses: PerFamily { v4: AnyLocal, v6: AnyLocal },
    }
}
