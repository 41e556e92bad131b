//! Decoding, defaulting and validation of hand-written objects.

use serde_json::{Value, json};

use super::*;
use crate::fate::Policy;
use crate::net::{Family, Protocol};

fn decode(kind: Kind, document: Value) -> Object {
    Object::deserialize_as(kind, document).expect("decodes")
}

fn service(document: Value) -> Object {
    let mut object = decode(Kind::Service, document);
    object.apply_api_defaults();
    object
}

fn slice(document: Value) -> Object {
    let mut object = decode(Kind::EndpointSlice, document);
    object.apply_api_defaults();
    object
}

fn fields(findings: Vec<FieldError>) -> Vec<String> {
    findings.into_iter().map(|finding| finding.field).collect()
}

#[test]
fn a_minimal_service_is_defaulted_as_an_api_server_would() {
    let object = service(json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"clusterIP": "10.96.0.1", "ports": [{"port": 80, "targetPort": "http"}], "selector": {"a": "b"}}
    }));
    assert_eq!(object.key().to_string(), "Service default/web");
    assert_eq!(object.validate(), []);
    assert_eq!(object.advice(), []);
    let Object::Service(service) = object else { panic!() };
    assert_eq!(service.spec.ports[0].protocol, Some(Leaf::Valid(Protocol::Tcp)));
    assert_eq!(service.spec.cluster_ips, [Leaf::Valid(ClusterIp::Ip("10.96.0.1".parse().unwrap()))]);
    assert_eq!(service.spec.ip_families, [Leaf::Valid(Family::V4)]);
    assert_eq!(service.spec.internal_traffic_policy, Some(Leaf::Valid(Policy::Cluster)));
    assert_eq!(service.spec.external_traffic_policy, None);
}

#[test]
fn cluster_ip_is_taken_from_cluster_ips() {
    let Object::Service(service) = service(json!({
        "metadata": {"name": "web"}, "spec": {"clusterIPs": ["fd00::1", "10.96.0.1"], "ports": [{"port": 80}]}
    })) else {
        panic!()
    };
    assert_eq!(service.spec.cluster_ip, Some(Leaf::Valid(ClusterIp::Ip("fd00::1".parse().unwrap()))));
    assert_eq!(service.spec.ip_families, [Leaf::Valid(Family::V6), Leaf::Valid(Family::V4)]);
}

#[test]
fn client_ip_affinity_lasts_three_hours_unless_told_otherwise() {
    let Object::Service(service) = service(json!({
        "metadata": {"name": "web"}, "spec": {"sessionAffinity": "ClientIP", "ports": [{"port": 80}]}
    })) else {
        panic!()
    };
    let timeout = service.spec.session_affinity_config.client_ip.timeout_seconds;
    assert_eq!(timeout, Some(Leaf::Valid(10_800)));
}

#[test]
fn null_and_empty_are_absent() {
    let plain =
        json!({"metadata": {"name": "web"}, "spec": {"clusterIP": "10.96.0.1", "ports": [{"port": 80}]}});
    let noisy = json!({
        "metadata": {"name": "web", "namespace": null, "labels": null, "creationTimestamp": null},
        "spec": {
            "type": "", "clusterIP": "10.96.0.1", "clusterIPs": null, "ipFamilies": null, "externalIPs": null,
            "sessionAffinity": null, "sessionAffinityConfig": null, "externalTrafficPolicy": "",
            "ports": [{"port": 80, "name": null, "protocol": null, "nodePort": null}]
        },
        "status": {"loadBalancer": null}
    });
    assert_eq!(service(noisy), service(plain));
}

#[test]
fn the_selectors_of_the_watch() {
    let labelled = |label: &str| json!({"metadata": {"name": "a", "labels": {label: ""}}});
    assert!(!service(labelled("service.kubernetes.io/service-proxy-name")).is_watched());
    assert!(service(labelled("service.kubernetes.io/headless")).is_watched());
    assert!(!slice(labelled("service.kubernetes.io/headless")).is_watched());
    assert!(slice(labelled("service.kubernetes.io/service-proxy-name")).is_watched());
    assert!(!service(json!({"metadata": {"name": "a"}, "spec": {"clusterIP": "None"}})).is_watched());
}

#[test]
fn a_slice_keeps_what_counts() {
    let object = slice(json!({
        "addressType": "IPv4",
        "metadata": {"name": "web-1", "namespace": "shop", "labels": {"kubernetes.io/service-name": "web", "x": 1}},
        "endpoints": [
            {"addresses": ["010.000.000.001", "10.0.0.9"], "nodeName": "n1", "conditions": {"ready": false}},
            {"addresses": ["10.0.0.2"], "hints": {"forZones": [{"name": "a"}], "forNodes": null}, "conditions": null},
            {"addresses": ["10.0.0.3"], "hints": {}}
        ],
        "ports": [{"name": "http", "port": 8080}, {"port": 53, "protocol": "UDP"}]
    }));
    assert_eq!(object.key().to_string(), "EndpointSlice shop/web-1");
    assert_eq!(object.validate(), []);
    let Object::EndpointSlice(slice) = object else { panic!() };
    assert_eq!(slice.metadata.labels.service_name.as_deref(), Some("web"));
    assert_eq!(slice.endpoints[0].address, Some(Leaf::Valid("10.0.0.1".parse().unwrap())));
    assert_eq!(slice.endpoints[0].node_name.as_deref(), Some("n1"));
    let expected = Conditions { ready: false, serving: true, terminating: false };
    assert_eq!(slice.endpoints[0].conditions, expected);
    assert_eq!(slice.endpoints[1].conditions, Conditions::default());
    assert_eq!(slice.endpoints[1].hints.as_ref().unwrap().for_zones[..], ["a".into()]);
    assert_eq!(slice.endpoints[2].hints, None);
    assert_eq!(slice.ports[0].protocol, Some(Leaf::Valid(Protocol::Tcp)));
}

#[test]
fn an_endpoint_stays_small() {
    // 100,000 of them are common.
    assert!(size_of::<Endpoint>() <= 56, "{}", size_of::<Endpoint>());
}

#[test]
fn impossible_leaves_are_reported_and_do_not_cost_the_object() {
    let object = service(json!({
        "metadata": {"name": "Web"},
        "spec": {
            "type": "Cluster", "clusterIP": "10.96.0.300", "externalIPs": ["x", null, "127.0.0.1", "10.0.0.5"],
            "externalTrafficPolicy": "local", "internalTrafficPolicy": 7,
            "sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 86401}},
            "loadBalancerSourceRanges": ["10.0.0.0/33"],
            "ports": [{"port": 70000}, {"name": "b", "port": "80", "protocol": "tcp"}, {"name": "b", "port": [1]}]
        },
        "status": {"loadBalancer": {"ingress": [{"ip": {"a": 1}, "ipMode": "vip"}, {"hostname": "lb"}]}}
    }));
    assert_eq!(
        fields(object.validate()),
        [
            "metadata.name",
            "spec.type",
            "spec.clusterIP",
            "spec.ports[0].port",
            "spec.ports[0].name",
            "spec.ports[1].port",
            "spec.ports[1].protocol",
            "spec.ports[2].port",
            "spec.ports[2].name",
            "spec.externalIPs[0]",
            "spec.externalIPs[1]",
            "spec.externalIPs[2]",
            "spec.externalTrafficPolicy",
            "spec.internalTrafficPolicy",
            "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
            "spec.loadBalancerSourceRanges[0]",
            "spec.loadBalancerSourceRanges",
            "status.loadBalancer.ingress[0].ip",
            "status.loadBalancer.ingress[0].ipMode",
        ]
    );
}

#[test]
fn contradictions_are_reported() {
    let object = service(json!({
        "metadata": {"name": "web"},
        "spec": {
            "clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1", "10.96.0.2"], "ipFamilies": ["IPv4", "IPv4"],
            "ports": [{"name": "a", "port": 80, "nodePort": 30000}, {"name": "b", "port": 80}]
        }
    }));
    assert_eq!(
        fields(object.validate()),
        ["spec.clusterIPs[1]", "spec.ipFamilies[1]", "spec.ports[0].nodePort", "spec.ports[1].port"]
    );
    let object = slice(json!({
        "metadata": {"name": "web"}, "addressType": "IPv6",
        "endpoints": [{"addresses": ["10.0.0.1"]}, {"addresses": []}, {"addresses": ["x"]}],
        "ports": [{"port": 0}, {"port": 1}]
    }));
    assert_eq!(
        fields(object.validate()),
        [
            "ports[0].port",
            "ports[1].name",
            "endpoints[0].addresses[0]",
            "endpoints[1].addresses",
            "endpoints[2].addresses[0]"
        ]
    );
    let object =
        decode(Kind::ServiceCidr, json!({"metadata": {"name": "a"}, "spec": {"cidrs": ["10.0.0.0"]}}));
    assert_eq!(fields(object.validate()), ["spec.cidrs[0]"]);
}

#[test]
fn one_port_number_may_serve_two_protocols() {
    let object = service(json!({
        "metadata": {"name": "dns"},
        "spec": {
            "type": "NodePort", "clusterIP": "10.96.0.10",
            "ports": [
                {"name": "udp", "port": 53, "protocol": "UDP", "nodePort": 30053},
                {"name": "tcp", "port": 53, "protocol": "TCP", "nodePort": 30053}
            ]
        }
    }));
    assert_eq!(object.validate(), []);
}

#[test]
fn what_nothing_allocates_is_advised() {
    let object = service(json!({
        "metadata": {"name": "web"},
        "spec": {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [{"port": 80}]}
    }));
    assert_eq!(object.validate(), []);
    assert_eq!(
        fields(object.advice()),
        [
            "spec.clusterIP",
            "spec.ports[0].nodePort",
            "status.loadBalancer.ingress",
            "spec.healthCheckNodePort"
        ]
    );
    assert_eq!(fields(slice(json!({"metadata": {"name": "a"}})).advice()), ["metadata.labels", "ports"]);
}

#[test]
fn a_node_has_one_ip_of_each_family() {
    let Object::Node(node) = decode(
        Kind::Node,
        json!({
            "metadata": {"name": "n1", "labels": {"topology.kubernetes.io/zone": "a"}},
            "spec": {"podCIDR": "10.1.0.0/24", "podCIDRs": ["10.1.0.0/24"], "taints": [{"key": "k", "effect": "NoSchedule"}]},
            "status": {"addresses": [
                {"type": "Hostname", "address": "n1"},
                {"type": "ExternalIP", "address": "203.0.113.1"},
                {"type": "InternalIP", "address": "fd00::1"},
                {"type": "ExternalIP", "address": "2001:db8::1"}
            ]}
        }),
    ) else {
        panic!()
    };
    assert_eq!(node.metadata.labels.zone.as_deref(), Some("a"));
    let ips: Vec<String> = node.ips().iter().map(ToString::to_string).collect();
    assert_eq!(ips, ["fd00::1", "203.0.113.1"]);
    assert_eq!(Object::Node(node).validate(), []);
}

#[test]
fn documents_are_told_apart_by_group_and_kind() {
    assert_eq!(Kind::of_document("v1", "Service"), Some(Kind::Service));
    assert_eq!(Kind::of_document("discovery.k8s.io/v1", "EndpointSlice"), Some(Kind::EndpointSlice));
    assert_eq!(Kind::of_document("networking.k8s.io/v1beta1", "ServiceCIDR"), Some(Kind::ServiceCidr));
    assert_eq!(Kind::of_document("serving.knative.dev/v1", "Service"), None);
    assert_eq!(Kind::of_document("v1", "Pod"), None);
}

#[test]
fn of_the_annotations_only_ours_is_kept() {
    let annotations = |value: Value| {
        let metadata = json!({"name": "web", "annotations": value});
        let Object::Service(service) = service(json!({"metadata": metadata, "spec": {}})) else { panic!() };
        service.metadata.annotations
    };
    let written = json!({"kube-verdict.io/ipvs-scheduler": "sh,sh-port", "kubectl.kubernetes.io/x": "{}", "a": "",
               "kube-verdict.io/health-check-rise": 2, "kube-verdict.io/health-checks": "x"});
    let kept = Annotations {
        ours: Some(Box::new(OurAnnotations {
            ipvs_scheduler: Some("sh,sh-port".into()),
            health_check: vec![("-rise".into(), "2".into())],
        })),
        ..Annotations::default()
    };
    assert_eq!(annotations(written), kept);
    for nothing in
        [json!(null), json!({}), json!({"kube-verdict.io/ipvs-scheduler": null}), json!({"b": "c"})]
    {
        assert_eq!(annotations(nothing), Annotations::default());
    }
}
