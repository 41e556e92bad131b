//! The cost of an update follows what changed: counted, never timed.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use kube_verdict_table::objects::{Kind, Object, ObjectEvent, ObjectKey};
use kube_verdict_table::{Balancer, NodeState, ServiceTable, Settings, Update, Walked};
use serde_json::json;

const SERVICES: usize = 30_000;
const ENDPOINTS: usize = 3;

fn decode(kind: Kind, document: serde_json::Value) -> ObjectEvent {
    let mut object = Object::deserialize_as(kind, document).unwrap();
    object.apply_api_defaults();
    ObjectEvent::Applied(object)
}

fn service(i: usize) -> ObjectEvent {
    decode(
        Kind::Service,
        json!({
            "metadata": {"name": format!("s{i}")},
            "spec": {"clusterIP": format!("10.{}.{}.{}", 96 + (i >> 16), i >> 8 & 255, i & 255), "ports": [{"port": 80}]}
        }),
    )
}

fn slice(i: usize, first: usize) -> ObjectEvent {
    let endpoint =
        |n: usize| json!({"addresses": [format!("172.16.{}.{}", n >> 8 & 255, n & 255)], "nodeName": "n1"});
    let endpoints: Vec<_> = (first..first + ENDPOINTS).map(endpoint).collect();
    decode(
        Kind::EndpointSlice,
        json!({
            "metadata": {"name": format!("s{i}-x"), "labels": {"kubernetes.io/service-name": format!("s{i}")}},
            "addressType": "IPv4", "endpoints": endpoints, "ports": [{"port": 8080}]
        }),
    )
}

fn sizes(update: &Update) -> (usize, usize, usize) {
    let hairpins = &update.change.hairpins;
    (update.change.frontends.len(), hairpins.added.len(), hairpins.removed.len())
}

#[test]
fn an_event_on_one_of_30_000_services_touches_no_other() {
    let settings = Settings {
        node_name: "n1".into(),
        detector: Default::default(),
        masquerade_all: false,
        allow_external_ips: true,
        balancer: Balancer::Random,
    };
    let mut table = ServiceTable::new(settings, NodeState::default());
    let all = table.update((0..SERVICES).flat_map(|i| [service(i), slice(i, 0)]));
    assert_eq!(all.walked, Walked { services: SERVICES, endpoints: SERVICES * ENDPOINTS });
    assert_eq!(sizes(&all), (SERVICES, ENDPOINTS, 0));

    let one = Walked { services: 1, endpoints: ENDPOINTS };
    let moved = table.update([slice(17_000, 1)]);
    assert_eq!((moved.walked, sizes(&moved)), (one, (1, 1, 0)), "another backend");
    let back = table.update([slice(17_000, 0)]);
    assert_eq!((back.walked, sizes(&back)), (one, (1, 0, 1)), "and back");
    let several = table.update([slice(1, 1), slice(1, 2), slice(1, 3), slice(2, 1)]);
    assert_eq!(
        several.walked,
        Walked { services: 2, endpoints: 2 * ENDPOINTS },
        "once each, however many events"
    );

    let key = ObjectKey { kind: Kind::Service, namespace: "default".into(), name: "s9".into() };
    let gone = table.update([ObjectEvent::Deleted(key)]);
    assert_eq!((gone.walked, sizes(&gone)), (Walked::default(), (1, 0, 0)));

    let resync = table.update((10..SERVICES).flat_map(|i| [service(i), slice(i, 0)]));
    assert_eq!((resync.walked, sizes(&resync)), (Walked::default(), (0, 0, 0)));
}
