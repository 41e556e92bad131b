//! The monitor on synthetic syncs.

use kube_verdict_nftables::Figures;
use kube_verdict_nftables::kernel::CommitError;
use kube_verdict_table::ServiceTable;
use kube_verdict_table::objects::Object;
use serde_json::{Value, json};

use crate::reconcile::{Error, Report};

use super::*;
use crate::config;
use crate::serve::monitor;

struct Loop {
    monitor: Monitor,
    readings: Readings,
    table: ServiceTable,
}

impl Loop {
    fn new() -> Self {
        let effective = config::defaults().effective;
        let (monitor, readings) = monitor(&effective, "n1", true).unwrap();
        let table = ServiceTable::new(effective.settings("n1", &[]), Default::default());
        Loop { monitor, readings, table }
    }

    /// One round, with an outcome of which only the families that failed matter.
    fn round(&mut self, objects: &[Value], failed: &[Family]) {
        let events = objects.iter().map(|object| {
            let kind = Kind::ALL.into_iter().find(|kind| object["kind"] == kind.name()).unwrap();
            ObjectEvent::Applied(Object::deserialize_as(kind, object).unwrap())
        });
        let input = Input { events: events.collect(), ..Input::default() };
        self.monitor.requested(&input);
        let update = self.table.update(input.events);
        let errors: Vec<Error> = failed
            .iter()
            .map(|family| {
                kube_verdict_nftables::Error::Commit { family: *family, error: CommitError::Stale, hint: "" }
                    .into()
            })
            .collect();
        let report = Report { batches: 1, operations: 3, elements: 2, ..Report::default() };
        let took = Some(Duration::from_micros(20));
        self.monitor.synced(&Synced {
            table: &self.table,
            scope: Scope::Change,
            update: Some(&update),
            took: Duration::from_micros(30),
            outcome: if errors.is_empty() { Ok(&report) } else { Err(&errors) },
            figures: PerFamily::from_fn(|_| Figures { took, ..Figures::default() }),
            quarantined: 0,
            servers: None,
            repair: None,
        });
    }

    fn has(&self, sample: &str) -> bool {
        self.readings.metrics.exposition().unwrap().lines().any(|line| line == sample)
    }
}

fn service() -> Value {
    json!({
        "kind": "Service", "metadata": {"namespace": "default", "name": "web"},
        "spec": {
            "type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 32000,
            "clusterIP": "10.96.0.1", "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}]
        }
    })
}

fn slice(address: &str, triggered: &str) -> Value {
    json!({
        "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {
            "namespace": "default", "name": "web-1", "labels": {"kubernetes.io/service-name": "web"},
            "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": triggered}
        },
        "endpoints": [{"addresses": [address], "nodeName": "n1", "conditions": {"ready": true}}],
        "ports": [{"name": "", "port": 8080, "protocol": "TCP"}]
    })
}

/// An annotation of now, give or take.
fn now(plus_seconds: i64) -> String {
    Timestamp::from_second(Timestamp::now().as_second() + plus_seconds).unwrap().to_string()
}

#[test]
fn changes_are_pending_until_both_families_have_them() {
    let mut one = Loop::new();
    one.round(&[service()], &[Family::V6]);
    assert!(one.has("kubeproxy_sync_proxy_rules_service_changes_pending 1"));
    assert!(one.has("kubeproxy_sync_proxy_rules_nftables_sync_failures_total{ip_family=\"IPv6\"} 1"));
    assert!(one.has("kubeverdict_in_sync{ip_family=\"IPv4\"} 1"));
    assert!(one.has("kubeverdict_in_sync{ip_family=\"IPv6\"} 0"));
    one.round(&[slice("10.0.0.1", "")], &[]);
    assert!(one.has("kubeproxy_sync_proxy_rules_service_changes_pending 0"));
    assert!(one.has("kubeproxy_sync_proxy_rules_service_changes_total 1"));
    assert!(one.has("kubeproxy_sync_proxy_rules_endpoint_changes_total 1"));
    assert!(one.has("kubeverdict_retries_total 1"));
    assert!(one.has("kubeverdict_operations_total 3"));
    assert!(one.has("kubeproxy_sync_partial_proxy_rules_duration_seconds_count{ip_family=\"IPv4\"} 2"));
    assert!(one.has("kubeverdict_objects{kind=\"EndpointSlice\"} 1"));
}

#[test]
fn latency_is_of_slices_that_changed_after_the_start_and_are_programmed() {
    let mut one = Loop::new();
    let count =
        |n: u32| format!("kubeproxy_network_programming_duration_seconds_count{{ip_family=\"IPv4\"}} {n}");
    one.round(&[slice("10.0.0.1", "2020-01-01T00:00:00Z"), service()], &[]);
    assert!(one.has(&count(0)), "older than the process");
    one.round(&[slice("10.0.0.2", &now(60))], &[Family::V4]);
    assert!(one.has(&count(0)), "not programmed");
    one.round(&[slice("10.0.0.3", "yesterday")], &[]);
    assert!(one.has(&count(1)), "the one from before, and none that is no time");
    one.round(&[slice("10.0.0.3", &now(120))], &[]);
    assert!(one.has(&count(1)), "the same endpoints");
}

#[tokio::test]
async fn health_checks_go_out_when_they_are_programmed() {
    let mut one = Loop::new();
    one.round(&[service()], &[Family::V4]);
    one.round(&[slice("10.0.0.1", "")], &[]);
    let news = one.readings.outbox.take().await;
    let check = news.checks.values().next().unwrap().as_ref().unwrap();
    assert_eq!((check.port, check.local_endpoints.v4), (32000, Some(1)));
    assert!(news.addresses.is_some());
    one.round(&[slice("10.0.0.2", "")], &[]);
    assert!(one.readings.outbox.take().await.addresses.is_none());
}

#[test]
fn a_node_on_its_way_out_gets_no_new_connections() {
    let mut one = Loop::new();
    assert!(!one.readings.is_eligible(), "there is no Node yet");
    one.round(&[json!({"kind": "Node", "metadata": {"name": "n1"}})], &[]);
    assert!(one.readings.is_eligible());
    let taints = json!([{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}]);
    one.round(&[json!({"kind": "Node", "metadata": {"name": "n1"}, "spec": {"taints": taints}})], &[]);
    assert!(!one.readings.is_eligible());
}

/// Not a limit but a figure: `cargo test --release -p kube-verdict --lib -- --ignored --nocapture costs`.
#[test]
#[ignore = "measures"]
fn what_a_change_costs() {
    let mut one = Loop::new();
    one.round(&[service(), slice("10.0.0.1", "")], &[]);
    let report = Report { batches: 1, operations: 3, elements: 2, ..Report::default() };
    let took = Some(Duration::from_micros(20));
    const ROUNDS: u32 = 100_000;
    let mut spent = Duration::ZERO;
    for n in 0..ROUNDS {
        let event = slice(&format!("10.0.{}.{}", n / 250 % 250, n % 250 + 1), "");
        let event = ObjectEvent::Applied(Object::deserialize_as(Kind::EndpointSlice, event).unwrap());
        let input = Input { events: vec![event], ..Input::default() };
        let start = std::time::Instant::now();
        one.monitor.requested(&input);
        spent += start.elapsed();
        let update = one.table.update(input.events);
        let start = std::time::Instant::now();
        one.monitor.synced(&Synced {
            table: &one.table,
            scope: Scope::Change,
            update: Some(&update),
            took: Duration::from_micros(30),
            outcome: Ok(&report),
            figures: PerFamily::from_fn(|_| Figures { took, ..Figures::default() }),
            quarantined: 0,
            servers: None,
            repair: None,
        });
        spent += start.elapsed();
    }
    println!("a change costs {} ns", (spent / ROUNDS).as_nanos());
}

#[test]
fn virtual_servers_are_shown_when_they_are_counted() {
    let mut lap = Loop::new();
    lap.round(&[], &[]);
    assert!(lap.has("kubeverdict_ipvs_virtual_servers{ip_family=\"IPv4\"} 0"));
    let figures = kube_verdict_ipvs::Figures {
        virtual_servers: 1,
        real_servers: 2,
        draining_virtual_servers: 3,
        draining_real_servers: 4,
        schedulers_replaced: 5,
        quarantined: 6,
    };
    // Of IPv6 nothing is known at the moment.
    let servers = PerFamily::from_fn(|family| (family == Family::V4).then_some(figures));
    lap.monitor.synced(&Synced {
        table: &lap.table,
        scope: Scope::Upkeep,
        update: None,
        took: Duration::ZERO,
        outcome: Ok(&Report { orders: 7, ..Report::default() }),
        figures: PerFamily::default(),
        servers: Some(servers),
        quarantined: 0,
        repair: None,
    });
    for (name, value) in [
        ("virtual_servers", 1),
        ("real_servers", 2),
        ("draining_virtual_servers", 3),
        ("draining_real_servers", 4),
        ("schedulers_replaced", 5),
        ("quarantined", 6),
    ] {
        assert!(lap.has(&format!("kubeverdict_ipvs_{name}{{ip_family=\"IPv4\"}} {value}")), "{name}");
        assert!(lap.has(&format!("kubeverdict_ipvs_{name}{{ip_family=\"IPv6\"}} 0")), "{name}");
    }
    assert!(lap.has("kubeverdict_ipvs_orders_total 7"));
    // A change is not worth counting them all.
    lap.round(&[service()], &[]);
    assert!(lap.has("kubeverdict_ipvs_virtual_servers{ip_family=\"IPv4\"} 1"));
}

#[test]
fn health_checks_that_the_kernel_never_gets_take_no_more_room_than_there_are_services() {
    let mut one = Loop::new();
    one.round(&[service()], &[Family::V4]);
    for round in 0..100 {
        one.round(&[slice(&format!("10.0.0.{}", round % 2 + 1), "")], &[Family::V4]);
        one.round(
            &[json!({
                "kind": "EndpointSlice", "addressType": "IPv4", "endpoints": [], "ports": [],
                "metadata": {
                    "namespace": "default", "name": "web-1", "labels": {"kubernetes.io/service-name": "web"}
                },
            })],
            &[Family::V4],
        );
    }
    assert_eq!(one.monitor.health_checks.len(), 1);
}
