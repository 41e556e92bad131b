//! Tests of the table as a whole: updates, sharing and conflicts between Services, node changes.

use serde_json::json;

use super::*;
use crate::change::{Notice, Walked};
use crate::fate::{Fate, Route, Target};
use crate::net::{Family, PerFamily};
use crate::node::NodePortAddresses;
use crate::objects::{Kind, Object, ObjectKey};
use crate::testing::{applied, node, object, scheduled, service, settings, slice};

fn table(objects: impl IntoIterator<Item = Object>) -> ServiceTable {
    let mut table = ServiceTable::new(settings(), node());
    table.update(applied(objects));
    table
}

fn deleted(kind: Kind, name: &str) -> [ObjectEvent; 1] {
    [ObjectEvent::Deleted(ObjectKey { kind, namespace: "default".into(), name: name.into() })]
}

fn web() -> [Object; 2] {
    [service("web", json!({})), slice("web-1", "web", &["10.0.0.1 node=n1", "10.0.0.2 node=n2"])]
}

fn cluster_ip_frontend() -> Frontend {
    Frontend::Address { ip: "10.96.0.1".parse().unwrap(), protocol: Protocol::Tcp, port: 80 }
}

fn backends(fate: &Fate) -> Vec<String> {
    match &fate.route {
        Route::Everyone(Target::Backends(selection)) => {
            selection.backends.iter().map(Backend::to_string).collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn slices_may_come_first_last_or_alone() {
    let [service, slice] = web();
    let expected = table([service.clone(), slice.clone()]).everything();
    assert_eq!(expected.frontends.len(), 1);
    let mut alone = table([slice.clone()]);
    assert!(alone.everything().frontends.is_empty() && alone.hairpins().next().is_none());
    alone.update(applied([service.clone()]));
    assert_eq!(alone.everything(), expected);
    alone.update(deleted(Kind::Service, "web"));
    assert!(alone.everything().frontends.is_empty(), "the slice waits");
    alone.update(applied([service]));
    assert_eq!(alone.everything(), expected);
    alone.update(deleted(Kind::EndpointSlice, "web-1"));
    assert_eq!(backends(alone.fate(&cluster_ip_frontend()).unwrap()), [""; 0]);
}

#[test]
fn a_resync_changes_and_walks_nothing() {
    let mut table = table(web());
    let update = table.update(applied(web()));
    assert!(update.change.is_empty());
    assert_eq!(update.walked, Walked::default());
}

#[test]
fn a_change_to_what_nothing_reads_is_none() {
    let mut table = table(web());
    let [Object::Service(mut service), Object::EndpointSlice(mut slice)] = web() else { panic!() };
    service.metadata.deletion_timestamp = Some("2026-01-01T00:00:00Z".into());
    slice.endpoints[1].node_name = Some("n3".into());
    let update = table.update(applied([Object::Service(service), Object::EndpointSlice(slice)]));
    assert_eq!((update.change.is_empty(), update.walked), (true, Walked::default()));
}

#[test]
fn an_equal_fate_keeps_its_allocation_and_is_no_change() {
    let mut table = table(web());
    let before = Arc::clone(table.fate(&cluster_ip_frontend()).unwrap());
    let unready = slice("web-2", "web", &["10.0.0.3 node=n1 unready"]);
    let update = table.update(applied([unready]));
    assert!(update.change.is_empty());
    assert_eq!(update.walked, Walked { services: 1, endpoints: 3 });
    assert!(Arc::ptr_eq(&before, table.fate(&cluster_ip_frontend()).unwrap()));
}

#[test]
fn a_label_or_headlessness_takes_an_object_out_of_the_watch() {
    let mut table = table(web());
    let [Object::Service(mut service), _] = web() else { panic!() };
    service.metadata.labels.has_proxy_name = true;
    let update = table.update(applied([Object::Service(service)]));
    assert_eq!(update.change.frontends[0].fate, None);
    assert_eq!(update.change.cluster_ips.removed, ["10.96.0.1".parse::<IpAddr>().unwrap()]);
    table.update(applied(web()));
    let [_, Object::EndpointSlice(mut slice)] = web() else { panic!() };
    slice.metadata.labels.is_headless = true;
    table.update(applied([Object::EndpointSlice(slice)]));
    assert_eq!(backends(table.fate(&cluster_ip_frontend()).unwrap()), [""; 0]);
}

#[test]
fn a_slice_can_change_hands() {
    let mut table = table(web());
    let other = service("other", json!({"clusterIP": "10.96.0.2"}));
    let moved = slice("web-1", "other", &["10.0.0.1 node=n1"]);
    table.update(applied([other, moved]));
    assert_eq!(backends(table.fate(&cluster_ip_frontend()).unwrap()), [""; 0]);
    let ip = "10.96.0.2".parse().unwrap();
    let taken = Frontend::Address { ip, protocol: Protocol::Tcp, port: 80 };
    assert_eq!(backends(table.fate(&taken).unwrap()), ["10.0.0.1:8080"]);
}

#[test]
fn an_orphaned_slice_is_noticed_once() {
    let orphan = || {
        let document = json!({"kind": "EndpointSlice", "metadata": {"name": "a"}, "addressType": "IPv4"});
        applied([object(document)])
    };
    let mut table = table([]);
    let notices = table.update(orphan()).notices;
    assert_eq!(notices[0].object, "EndpointSlice default/a");
    assert_eq!(table.update(orphan()).notices, []);
}

#[test]
fn what_services_share_stays_until_the_last_lets_go() {
    let other = service("other", json!({"ports": [{"port": 81}]}));
    let mut table = table(web().into_iter().chain([other, slice("o", "other", &["10.0.0.1 node=n1"])]));
    let update = table.update(deleted(Kind::Service, "web"));
    assert_eq!(update.change.cluster_ips, SetChange::default());
    assert_eq!(update.change.hairpins, SetChange::default());
    let update = table.update(deleted(Kind::Service, "other"));
    assert_eq!(update.change.cluster_ips.removed.len(), 1);
    assert_eq!(update.change.hairpins.removed.len(), 1);
}

fn rival(name: &str, created: Option<&str>, spec: serde_json::Value) -> Object {
    let Object::Service(mut service) = service(name, spec) else { panic!() };
    service.metadata.creation_timestamp = created.map(Box::from);
    Object::Service(service)
}

fn owner(table: &ServiceTable) -> String {
    table.fate(&cluster_ip_frontend()).unwrap().service.to_string()
}

#[test]
fn a_contested_frontend_goes_to_kind_then_age_then_name() {
    let external = json!({"clusterIP": "10.96.0.9", "externalIPs": ["10.96.0.1"]});
    let rows = [
        ("by name", rival("a", None, json!({})), rival("b", None, json!({}))),
        (
            "by age",
            rival("b", Some("2026-01-01T00:00:00Z"), json!({})),
            rival("a", Some("2026-01-02T00:00:00Z"), json!({})),
        ),
        (
            "no timestamp is oldest",
            rival("b", None, json!({})),
            rival("a", Some("2026-01-02T00:00:00Z"), json!({})),
        ),
        ("by kind", rival("b", Some("2026-01-02T00:00:00Z"), json!({})), rival("a", None, external)),
    ];
    for (name, winner, loser) in rows {
        let expected = format!("default/{}", winner.metadata().name);
        for order in [[&winner, &loser], [&loser, &winner]] {
            let mut table = table([order[0].clone()]);
            let update = table.update(applied([order[1].clone()]));
            assert_eq!(owner(&table), expected, "{name}");
            let [notice] = &update.notices[..] else { panic!("{name}: {:?}", update.notices) };
            assert_eq!(
                notice.object,
                format!("Service {}", loser.metadata().namespace.to_string() + "/" + &loser.metadata().name)
            );
            assert!(notice.message.contains("default/a") && notice.message.contains("default/b"), "{notice}");
        }
        let mut both = table([winner.clone(), loser.clone()]);
        let update = both.update([ObjectEvent::Deleted(winner.key())]);
        assert_eq!(
            owner(&both),
            format!("default/{}", loser.metadata().name),
            "{name}: the loser takes over"
        );
        assert!(
            update.change.frontends.iter().any(|c| c.frontend == cluster_ip_frontend() && c.fate.is_some())
        );
        assert_eq!(update.notices, [], "{name}");
    }
}

#[test]
fn a_frontend_that_changes_hands_within_a_batch_was_never_contested() {
    let mut table = table(web());
    let mut events = applied([service("a", json!({}))]);
    events.extend(deleted(Kind::Service, "web"));
    let update = table.update(events);
    assert_eq!(update.notices, []);
    assert_eq!(owner(&table), "default/a");
    assert_eq!(update.change.frontends.len(), 1);
}

#[test]
fn a_losers_change_is_no_change() {
    let mut table = table(web().into_iter().chain([service("zzz", json!({}))]));
    let update = table.update(applied([slice("z", "zzz", &["10.0.0.7 node=n2"])]));
    assert!(update.change.is_empty(), "{:?}", update.change);
    assert_eq!(update.notices, [], "an old conflict is not news");
}

#[test]
fn service_prefixes_are_united() {
    let cidr = |name: &str, prefixes: &[&str]| {
        object(json!({"kind": "ServiceCIDR", "metadata": {"name": name}, "spec": {"cidrs": prefixes}}))
    };
    let mut table = table([]);
    let update =
        table.update(applied([cidr("a", &["10.96.0.0/16", "fd00::/108"]), cidr("b", &["10.96.1.0/24"])]));
    let shown = |prefixes: &[Cidr]| prefixes.iter().map(Cidr::to_string).collect::<Vec<_>>();
    assert_eq!(shown(&update.change.service_cidrs.unwrap()), ["10.96.0.0/16", "fd00::/108"]);
    let key = |name: &str| ObjectKey { kind: Kind::ServiceCidr, namespace: "".into(), name: name.into() };
    assert!(table.update([ObjectEvent::Deleted(key("b"))]).change.is_empty(), "it was inside another");
    assert!(table.update(applied([cidr("a", &["fd00::/108", "10.96.0.0/16"])])).change.is_empty());
    assert_eq!(table.update([ObjectEvent::Deleted(key("a"))]).change.service_cidrs, Some(Vec::new()));
}

#[test]
fn of_the_node_zone_ips_and_node_port_addresses_count() {
    let zoned = slice("web-1", "web", &["10.0.0.1 zones=a", "10.0.0.2 zones=b"]);
    let mut table = table([service("web", json!({})), zoned]);
    let mut node = node();
    assert!(table.set_node(node.clone()).change.is_empty());

    node.local_addresses.insert("10.9.9.9".parse().unwrap());
    let update = table.set_node(node.clone());
    assert_eq!((update.change.is_empty(), update.walked), (true, Walked::default()));

    node.zone = Some("b".into());
    table.set_node(node.clone());
    assert_eq!(backends(table.fate(&cluster_ip_frontend()).unwrap()), ["10.0.0.2:8080"]);

    node.node_port_addresses =
        PerFamily { v4: NodePortAddresses::default(), v6: NodePortAddresses::AnyLocal };
    let update = table.set_node(node.clone());
    assert_eq!(update.change.node_port_addresses, Some(node.node_port_addresses.clone()));
    assert_eq!(table.everything().node_port_addresses, Some(node.node_port_addresses));
}

#[test]
fn health_checks_count_distinct_ready_local_ips() {
    let spec = |port: u16| {
        json!({
            "type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": port,
            "clusterIPs": ["10.96.0.1", "fd00:96::1"], "clusterIP": "10.96.0.1",
            "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}]
        })
    };
    let slice = object(json!({
        "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "ports": [{"name": "a", "port": 8080}, {"name": "b", "port": 8081}],
        "endpoints": [
            {"addresses": ["10.0.0.1"], "nodeName": "n1"},
            {"addresses": ["10.0.0.2"], "nodeName": "n1"},
            {"addresses": ["10.0.0.3"], "nodeName": "n1", "conditions": {"ready": false, "terminating": true}},
            {"addresses": ["10.0.0.4"], "nodeName": "n2"}
        ]
    }));
    let mut table = table([service("web", spec(32000)), slice, service("plain", json!({}))]);
    let check = crate::HealthCheck {
        namespace: "default".into(),
        name: "web".into(),
        port: 32000,
        local_endpoints: PerFamily { v4: Some(2), v6: Some(0) },
    };
    assert_eq!(table.health_checks(), [check]);
    let update = table.update(applied([service("web", spec(0))]));
    assert_eq!(update.notices[0].field, "spec.healthCheckNodePort");
    assert_eq!(table.health_checks(), []);
    let v4_only = json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 1});
    table.update(applied([service("web", v4_only)]));
    assert_eq!(table.health_checks()[0].local_endpoints[Family::V6], None);
}

#[test]
fn nothing_is_left_of_what_is_deleted() {
    let mut table = table(web());
    table.update(deleted(Kind::Service, "web"));
    table.update(deleted(Kind::EndpointSlice, "web-1"));
    assert!(table.services.is_empty() && table.slice_owners.is_empty() && table.health_checked.is_empty());
    assert_eq!(table.everything().frontends, []);
}

#[test]
fn updates_name_the_health_checks_that_they_touch() {
    let spec = |port: u16| json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": port});
    let mut table = ServiceTable::new(settings(), node());
    let update = table
        .update(applied([service("web", spec(32000)), service("plain", json!({"clusterIP": "10.96.0.2"}))]));
    let [change] = &update.health_checks[..] else { panic!("{update:?}") };
    assert_eq!((&*change.name, change.check.as_ref().unwrap().port), ("web", 32000));
    let update = table.update(applied([slice("web-1", "web", &["10.0.0.1 node=n1"])]));
    let check = update.health_checks[0].check.as_ref().unwrap();
    assert_eq!(check.local_endpoints, PerFamily { v4: Some(1), v6: None });
    assert_eq!(table.update(applied([slice("plain-1", "plain", &["10.0.0.1"])])).health_checks, []);
    // As good as deleted, for health checks: another policy.
    let update = table.update(applied([service("web", json!({"type": "LoadBalancer"}))]));
    assert_eq!(update.health_checks[0].check, None);
    assert_eq!(table.update(deleted(Kind::Service, "web")).health_checks, []);
}

#[test]
fn only_slices_that_change_say_since_when() {
    let at = |text: &str, addresses: &[&str]| {
        let Object::EndpointSlice(mut slice) = slice("web-1", "web", addresses) else { panic!() };
        slice.metadata.annotations.last_change_trigger_time = Some(text.into());
        applied([Object::EndpointSlice(slice)])
    };
    let mut table = table([service("web", json!({}))]);
    let moments =
        |update: crate::Update| update.triggered.into_iter().map(|t| (t.family, t.at)).collect::<Vec<_>>();
    assert_eq!(moments(table.update(at("first", &["10.0.0.1"]))), [(Family::V4, "first".into())]);
    assert_eq!(moments(table.update(at("again", &["10.0.0.1"]))), []);
    assert_eq!(moments(table.update(at("second", &["10.0.0.2"]))), [(Family::V4, "second".into())]);
    assert_eq!(moments(table.update(deleted(Kind::EndpointSlice, "web-1"))), []);
}

#[test]
fn the_scheduler_is_part_of_every_fate_and_shared() {
    let spec = json!({"type": "NodePort", "externalIPs": ["203.0.113.1"], "ports": [{"port": 80, "nodePort": 30080}]});
    let plain = service("web", spec);
    let mut table = table([plain.clone()]);
    let schedulers = |table: &ServiceTable| -> Vec<Option<Arc<str>>> {
        table.frontends().map(|(_, fate)| fate.scheduler.clone()).collect()
    };
    assert_eq!(schedulers(&table), [None, None, None]);
    let update = table.update(applied([scheduled(plain.clone(), " sh, sh-port ")]));
    assert_eq!((update.change.frontends.len(), update.notices), (3, vec![]));
    let all: Vec<Arc<str>> = schedulers(&table).into_iter().flatten().collect();
    assert!(all.len() == 3 && all.iter().all(|one| &**one == "sh,sh-port" && Arc::ptr_eq(one, &all[0])));

    let same = table.update(applied([scheduled(plain.clone(), "sh,sh-port")]));
    assert!(same.change.is_empty() && same.walked == Walked::default(), "{same:?}");
    let back = table.update(applied([scheduled(plain, "  ")]));
    assert_eq!((back.change.frontends.len(), back.notices), (3, vec![]), "blank is absent");
    assert_eq!(schedulers(&table), [None, None, None]);
}

#[test]
fn a_scheduler_that_cannot_be_one_is_named_and_ignored() {
    let plain = service("web", json!({}));
    let mut table = table([plain.clone()]);
    let said = |update: Update| -> Vec<String> { update.notices.iter().map(Notice::to_string).collect() };
    let update = table.update(applied([scheduled(plain.clone(), "least connections")]));
    assert!(update.change.is_empty(), "{update:?}");
    let expected = "Service default/web: metadata.annotations[kube-verdict.io/ipvs-scheduler]: \"least connections\" \
        is no scheduler: write its name, of at most 15 letters, digits, - and _, and its flags after commas, such as \
        lc or sh,sh-port; the annotation is ignored";
    assert_eq!(said(update), [expected]);
    let again = table.update(applied([scheduled(plain.clone(), "least connections")]));
    assert_eq!(said(again), [""; 0], "said once");
    let other = table.update(applied([scheduled(plain.clone(), "least, connections!")]));
    assert_eq!(said(other).len(), 1, "another mistake");
    assert_eq!(said(table.update(applied([scheduled(plain, "lc")]))), [""; 0]);
    assert_eq!(table.fate(&cluster_ip_frontend()).unwrap().scheduler.as_deref(), Some("lc"));
}
