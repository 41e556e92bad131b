//! What is kept makes the table that it was kept of, and no bytes make anything worse than a refusal.

use kube_verdict_table::objects::ObjectEvent;
use kube_verdict_table::{NodeState, ServiceTable, Settings};
use proptest::prelude::*;

use super::*;

#[path = "../../table/tests/support/generate.rs"]
#[allow(dead_code)]
mod generate;

const NODE: &str = "n1";

fn table(settings: Settings, node: NodeState, objects: impl IntoIterator<Item = Object>) -> ServiceTable {
    let mut table = ServiceTable::new(settings, node);
    table.update(objects.into_iter().map(ObjectEvent::Applied));
    table
}

fn there_and_back(object: &Object) -> Object {
    read(&super::object(object, NODE), NODE).unwrap()
}

fn json(kind: Kind, value: serde_json::Value) -> Object {
    Object::deserialize_as(kind, value).unwrap()
}

proptest! {
    #[test]
    fn what_comes_back_makes_the_same_table(
        objects in generate::objects(),
        settings in generate::settings(),
        node in generate::node(),
    ) {
        let kept: Vec<Object> = objects.values().map(there_and_back).collect();
        for (object, key) in kept.iter().zip(objects.keys()) {
            prop_assert_eq!(&object.key(), key);
            prop_assert_eq!(&there_and_back(object), object, "twice is as good as once");
        }
        let before = table(settings.clone(), node.clone(), objects.into_values());
        let after = table(settings, node, kept);
        prop_assert_eq!(before.everything(), after.everything());
        prop_assert_eq!(before.totals(), after.totals());
    }

    #[test]
    fn bytes_of_whatever_kind_are_no_danger(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        // Whether it is an object is a matter of luck; whether it comes back as one is not.
        if let Ok(object) = read(&bytes, NODE) {
            prop_assert_eq!(there_and_back(&object), object);
        }
    }

    #[test]
    fn an_object_that_is_cut_short_or_goes_on_is_none(object in generate::object(), at in any::<prop::sample::Index>()) {
        let mut bytes = super::object(&object, NODE).into_vec();
        prop_assert!(read(&bytes[..at.index(bytes.len())], NODE).is_err());
        bytes.push(0);
        prop_assert!(read(&bytes, NODE).is_err());
    }
}

#[test]
fn what_a_person_mistyped_comes_back_too() {
    let service = json(
        Kind::Service,
        serde_json::json!({
            "metadata": {"name": "web", "namespace": "n", "creationTimestamp": "2026-01-01T00:00:00Z",
                "annotations": {"kube-verdict.io/ipvs-scheduler": "lc"}},
            "spec": {"type": "Nonsense", "clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1", "None", "x"],
                "ipFamilies": ["IPv4", "IPv5"], "healthCheckNodePort": -1, "sessionAffinity": "ClientIP",
                "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 86400}},
                "ports": [{"name": "http", "port": 80, "protocol": "SCTP", "nodePort": "many"}]},
            "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1", "ipMode": "Proxy"}, {}]}},
        }),
    );
    assert_eq!(there_and_back(&service), service);
    let node = json(
        Kind::Node,
        serde_json::json!({
            "metadata": {"name": NODE, "deletionTimestamp": "2026-01-01T00:00:00Z",
                "labels": {"topology.kubernetes.io/zone": "a"}},
            "spec": {"podCIDR": "10.1.0.0/24", "podCIDRs": ["10.1.0.0/24", "fd00::/64", "?"],
                "taints": [{"key": "k"}]},
            "status": {"addresses": [{"type": "InternalIP", "address": "192.168.0.1"},
                {"type": "Hostname", "address": "n1"}]},
        }),
    );
    assert_eq!(there_and_back(&node), node);
}

#[test]
fn of_other_nodes_only_is_kept_that_they_are_others() {
    let endpoint = |node: &str, hint: &str| serde_json::json!({"addresses": ["10.0.0.1"], "nodeName": node, "hints": {"forNodes": [{"name": hint}]}});
    let slice = |name: &str| {
        json(
            Kind::EndpointSlice,
            serde_json::json!({"metadata": {"name": "s"}, "addressType": "IPv4",
                "endpoints": [endpoint(NODE, NODE), endpoint(name, name)]}),
        )
    };
    assert_eq!(there_and_back(&slice("n2")), there_and_back(&slice("n3")));
    assert_ne!(there_and_back(&slice("n2")), there_and_back(&slice(NODE)));
    assert_eq!(there_and_back(&slice(NODE)), slice(NODE));
}

#[test]
fn versions_and_triggers_are_no_part_of_it() {
    let with = json(
        Kind::EndpointSlice,
        serde_json::json!({"metadata": {"name": "s", "resourceVersion": "7",
            "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": "2026-01-01T00:00:00Z"}}}),
    );
    let without = json(Kind::EndpointSlice, serde_json::json!({"metadata": {"name": "s"}}));
    assert_eq!(there_and_back(&with), without);
}
