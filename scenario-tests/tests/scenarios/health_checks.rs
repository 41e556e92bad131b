//! The ports on which load balancers ask nodes for endpoints (reference §13.2).

use std::net::SocketAddr;

use kube_verdict_scenario_tests::http;
use kube_verdict_scenario_tests::prelude::*;
use kube_verdict_scenario_tests::topology::{Host, ip_batch};

const PORT: u16 = 32100;

fn web(port: u16) -> Service {
    service("web")
        .ip("10.96.0.10")
        .tcp("http", 80)
        .node_port(30080)
        .load_balancer("198.51.100.7", None)
        .external_local()
        .set("healthCheckNodePort", port.into())
}

fn endpoints(endpoints: impl IntoIterator<Item = Endpoint>) -> Objects {
    slice("web-1", "web").tcp("http", 8080).with(endpoints).build()
}

fn node_at(family: Family, port: u16) -> SocketAddr {
    SocketAddr::new(plan::ip(family, plan::NODE_IP), port)
}

/// Asks as a load balancer would, until the answer has this weight.
fn becomes(scenario: &Scenario, family: Family, port: u16, weight: usize) -> http::Response {
    let client = scenario.topology().of(Host::Outside);
    http::becomes(client, node_at(family, port), "/any/path", |answer| {
        answer.header("x-load-balancing-endpoint-weight") == Some(&weight.to_string())
    })
}

#[test]
fn endpoints_and_ports_are_followed_in_both_families() {
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply([web(PORT).build(), endpoints([at("pod-a"), at("pod-b"), at("pod-c")])]);
    for family in Family::BOTH {
        let answer = becomes(&scenario, family, PORT, 2);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(
            answer.body,
            "{\n\t\"service\": {\n\t\t\"namespace\": \"default\",\n\t\t\"name\": \"web\"\n\t},\n\
             \t\"localEndpoints\": 2,\n\t\"serviceProxyHealthy\": true\n}"
        );
    }
    // Packets still reach an endpoint that terminates, but load balancers are to look elsewhere.
    scenario.apply([web(PORT).build(), endpoints([at("pod-a").terminating(), at("pod-c")])]);
    for family in Family::BOTH {
        assert_eq!(becomes(&scenario, family, PORT, 0).status, 503);
    }
    scenario.apply([web(PORT + 1).build(), endpoints([at("pod-a")])]);
    for family in Family::BOTH {
        assert_eq!(becomes(&scenario, family, PORT + 1, 1).status, 200);
        http::closes(scenario.node(), node_at(family, PORT));
    }
    scenario.apply([]);
    Family::BOTH.iter().for_each(|family| http::closes(scenario.node(), node_at(*family, PORT + 1)));
}

#[test]
fn a_service_of_one_family_is_asked_in_that_one_and_the_other_is_free() {
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply([web(PORT).only(Family::V4).build(), endpoints([at("pod-a")])]);
    assert_eq!(becomes(&scenario, Family::V4, PORT, 1).status, 200);
    http::closes(scenario.node(), node_at(Family::V6, PORT));
    scenario.apply([web(PORT).only(Family::V6).build(), endpoints([at("pod-a")])]);
    assert_eq!(becomes(&scenario, Family::V6, PORT, 1).status, 200);
    http::closes(scenario.node(), node_at(Family::V4, PORT));
}

#[test]
fn addresses_that_come_and_go_are_followed() {
    let config = Config::default().node_ports_in(&["172.18.0.0/16"]);
    let mut scenario = Scenario::start(&config);
    scenario.apply([web(PORT).build(), endpoints([at("pod-a")])]);
    let node = scenario.node();
    let late: SocketAddr = SocketAddr::from(([172, 18, 200, 1], PORT));
    assert_eq!(http::becomes(node, node_at(Family::V4, PORT), "/", |_| true).status, 200);
    http::closes(node, SocketAddr::from(([127, 0, 0, 1], PORT)));
    http::closes(node, late);
    node.run(|| ip_batch("addr add 172.18.200.1/32 dev lo\n"));
    http::becomes(node, late, "/", |answer| answer.status == 200);
    node.run(|| ip_batch("addr del 172.18.200.1/32 dev lo\n"));
    node.run(|| ip_batch("addr add 172.18.200.1/32 dev lo\n"));
    http::becomes(node, late, "/", |answer| answer.status == 200);
}

#[test]
fn a_port_that_is_taken_is_had_when_it_is_free_and_others_do_not_wait() {
    let mut scenario = Scenario::start(&Config::default());
    let taken = scenario.node().run(|| std::net::TcpListener::bind(("0.0.0.0", PORT)).expect("a free port"));
    let other = service("other")
        .ip("10.96.0.11")
        .tcp("http", 81)
        .load_balancer("198.51.100.8", None)
        .external_local()
        .set("healthCheckNodePort", (PORT + 2).into());
    scenario.apply([web(PORT).build(), endpoints([at("pod-a")]), other.build()]);
    assert_eq!(becomes(&scenario, Family::V4, PORT + 2, 0).status, 503);
    assert_eq!(becomes(&scenario, Family::V6, PORT, 1).status, 200, "the family that could be had");
    assert!(scenario.files().log().contains("Service default/web: its health check cannot be served"));
    drop(taken);
    assert_eq!(becomes(&scenario, Family::V4, PORT, 1).status, 200);
}

#[test]
fn thousands_are_served() {
    const MANY: u16 = 1500;
    let mut scenario = Scenario::start(&Config::default());
    let many = (0..MANY).map(|n| {
        service(&format!("many-{n}"))
            .ip(&format!("10.96.{}.{}", 10 + n / 250, n % 250 + 1))
            .tcp("http", 80)
            .set("type", "LoadBalancer".into())
            .external_local()
            .set("healthCheckNodePort", (20000 + n).into())
            .only(Family::V4)
            .build()
    });
    scenario.apply(many);
    assert_eq!(becomes(&scenario, Family::V4, 20000 + MANY - 1, 0).status, 503);
    let metrics = SocketAddr::from(([127, 0, 0, 1], 10249));
    let line = format!("\nkubeverdict_health_check_listeners {MANY}\n");
    http::becomes(scenario.node(), metrics, "/metrics", |answer| answer.body.contains(&line));
    scenario.apply([]);
    http::becomes(scenario.node(), metrics, "/metrics", |answer| {
        answer.body.contains("\nkubeverdict_health_check_listeners 0\n")
    });
}
