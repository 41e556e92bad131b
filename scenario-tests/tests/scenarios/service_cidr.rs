//! Service prefixes (reference §3.2): addresses inside them that belong to no Service are dropped, once the
//! prefixes are known.

use kube_verdict_scenario_tests::prelude::*;

fn web() -> [Objects; 2] {
    [
        service("web").ip("10.96.0.10").tcp("http", 80).external_ip("198.51.100.1").build(),
        slice("web", "web").tcp("http", 8080).with([at("pod-c")]).build(),
    ]
}

#[test]
fn service_cidrs_come_and_go() {
    let mut scenario = Scenario::start(&Config::default());
    let served = case("the Service is served all along", From::PodA, "10.96.0.10:80", dnat(&["pod-c:8080"]));
    let unknown = case("its unknown ports are rejected all along", From::PodA, "10.96.0.10:81", REJECT);

    scenario.apply(web());
    scenario.check(&[
        served.clone(),
        unknown.clone(),
        case("no prefix is known", From::PodA, "10.96.0.11:80", PASS),
    ]);

    scenario.apply(web().into_iter().chain([service_cidr("kubernetes", "10.96.0.0/16")]));
    scenario.check(&[
        served.clone(),
        unknown.clone(),
        case("inside", From::PodA, "10.96.0.11:80", DROP),
        case("inside, from the node", From::Node, "10.96.0.11:80", DROP),
        case("inside, from outside", From::Client, "10.96.255.255:80/udp", DROP),
        case("outside", From::PodA, "10.97.0.1:80", PASS),
        case("external IPs are elsewhere", From::Client, "198.51.100.1:81", PASS),
    ]);

    let two = [service_cidr("kubernetes", "10.96.0.0/16"), service_cidr("more", "10.97.0.0/24")];
    scenario.apply(web().into_iter().chain(two));
    scenario.check(&[
        served.clone(),
        case("inside the second", From::PodA, "10.97.0.1:80", DROP),
        case("just outside it", From::PodA, "10.97.1.1:80", PASS),
    ]);

    let nested = [service_cidr("kubernetes", "10.96.0.0/16"), service_cidr("inner", "10.96.1.0/24")];
    scenario.apply(web().into_iter().chain(nested));
    scenario.check(&[
        served.clone(),
        case("inside both", From::PodA, "10.96.1.1:80", DROP),
        case("inside the outer one", From::PodA, "10.96.2.1:80", DROP),
        case("the other is gone", From::PodA, "10.97.0.1:80", PASS),
    ]);

    scenario.apply(web());
    scenario.check(&[served, unknown, case("all gone", From::PodA, "10.96.1.1:80", PASS)]);
}

#[test]
fn an_address_that_a_service_gives_up() {
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply(web().into_iter().chain([service_cidr("kubernetes", "10.96.0.0/16")]));
    scenario.check(&[case("taken", From::PodA, "10.96.0.10:81", REJECT)]);
    scenario.apply([service_cidr("kubernetes", "10.96.0.0/16")]);
    scenario.check(&[
        case("given up", From::PodA, "10.96.0.10:80", DROP),
        case("on every port", From::PodA, "10.96.0.10:81", DROP),
    ]);
}
