//! Families are worlds apart (reference §1.5): a Service exists where it has a ClusterIP.

use kube_verdict_scenario_tests::prelude::*;
use serde_json::json;

#[test]
fn single_stack_services() {
    let mut scenario = Scenario::start(&Config::default());
    let single = |number: u8, family: Family| {
        let name = format!("s{number}");
        [
            service(&name)
                .ip(&format!("10.96.0.{number}"))
                .tcp("http", 80)
                .node_port(30000 + u16::from(number))
                .external_ip(&format!("198.51.100.{number}"))
                .load_balancer(&format!("192.0.2.{number}"), None)
                .only(family)
                .build(),
            slice(&name, &name).tcp("http", 8080).with([at("pod-a")]).build(),
        ]
    };
    scenario.apply([single(10, Family::V4), single(11, Family::V6)].concat());
    let served = snat(&["pod-a:8080"]);
    let mut cases = Vec::new();
    for (number, family, other) in [(10, Family::V4, Family::V6), (11, Family::V6, Family::V4)] {
        let frontends = [
            format!("10.96.0.{number}:80"),
            format!("198.51.100.{number}:80"),
            format!("192.0.2.{number}:80"),
            format!("node:300{number}"),
        ];
        for to in frontends {
            cases.push(case("in its own family", From::Client, &to, served.clone()).only(family));
            cases.push(case("in the other", From::Client, &to, PASS).only(other));
        }
    }
    scenario.check(&cases);
}

#[test]
fn families_choose_their_own_endpoints() {
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply([
        service("web").ip("10.96.0.10").tcp("http", 80).internal_local().build(),
        slice("four", "web").tcp("http", 4444).with([at("pod-a")]).only(Family::V4).build(),
        slice("six", "web").tcp("http", 6666).with([at("pod-b")]).only(Family::V6).build(),
        service("half").ip("10.96.0.11").tcp("http", 80).build(),
        slice("half", "half").tcp("http", 4444).with([at("pod-a")]).only(Family::V4).build(),
    ]);
    scenario.check(&[
        case("IPv4", From::PodD, "10.96.0.10:80", dnat(&["pod-a:4444"])).only(Family::V4),
        case("IPv6", From::PodD, "10.96.0.10:80", dnat(&["pod-b:6666"])).only(Family::V6),
        case("endpoints in one family", From::PodD, "10.96.0.11:80", dnat(&["pod-a:4444"])).only(Family::V4),
        case("none in the other", From::PodD, "10.96.0.11:80", REJECT).only(Family::V6),
    ]);
}

/// Without `ipFamilies`, `clusterIP` alone counts; with them, the order of `clusterIPs` follows theirs.
#[test]
fn the_order_of_cluster_ips() {
    let mut scenario = Scenario::start(&Config::default());
    let [v4, v6] = plan::both("10.96.0.10");
    scenario.apply([
        service("turned")
            .tcp("http", 80)
            .set("clusterIP", json!(v6))
            .set("clusterIPs", json!([v6, v4]))
            .set("ipFamilies", json!(["IPv6", "IPv4"]))
            .build(),
        slice("turned", "turned").tcp("http", 8080).with([at("pod-a")]).build(),
    ]);
    scenario.check(&[case("both families", From::PodB, "10.96.0.10:80", dnat(&["pod-a:8080"]))]);
}
