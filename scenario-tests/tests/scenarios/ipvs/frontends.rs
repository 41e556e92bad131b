//! However many addresses a service port has, it is one virtual server for each family and policy.

use kube_verdict_scenario_tests::prelude::*;

use super::ends;

const ADDRESSES: u8 = 200;

fn web() -> Service {
    let web = service("web").ip("10.96.0.10").tcp("http", 80).node_port(30010);
    (1..=ADDRESSES).fold(web, |web, n| web.external_ip(&format!("198.51.100.{n}")))
}

#[test]
fn two_hundred_addresses() {
    if !is_about_ipvs() {
        return;
    }
    let mut scenario = Scenario::start(&Config::default());
    let reach = |scenario: &Scenario, backends: &[&str]| {
        let all =
            ["10.96.0.10:80", "198.51.100.1:80", "198.51.100.123:80", "198.51.100.200:80", "node:30010"];
        scenario.check(&all.map(|to| case("one of many", From::Client, to, snat(backends))));
    };
    scenario.apply([web().build(), ends("web", &["pod-a", "pod-c"])]);
    assert_eq!(scenario.virtual_servers().len(), 2, "{:?}", scenario.virtual_servers());
    reach(&scenario, &["pod-a:8080", "pod-c:8080"]);

    scenario.apply([web().external_local().build(), ends("web", &["pod-a", "pod-c"])]);
    assert_eq!(scenario.virtual_servers().len(), 4, "{:?}", scenario.virtual_servers());
    scenario.check(&[
        case("outsiders: local ones", From::Client, "198.51.100.123:80", dnat(&["pod-a:8080"])),
        case("pods: all", From::PodB, "198.51.100.123:80", dnat(&["pod-a:8080", "pod-c:8080"])),
        case("by ClusterIP: all", From::PodB, "10.96.0.10:80", dnat(&["pod-a:8080", "pod-c:8080"])),
    ]);
    scenario.apply([]);
    scenario.until("they are gone", || scenario.virtual_servers().is_empty());
}
