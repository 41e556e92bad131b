//! Established connections outlive whatever happens to their Service: all verdicts are about new connections
//! (reference §§3.2, 7).

use kube_verdict_scenario_tests::conversation::Conversation;
use kube_verdict_scenario_tests::prelude::*;

fn web() -> Service {
    service("web")
        .ip("10.96.0.10")
        .tcp("http", 80)
        .node_port(30010)
        .external_ip("198.51.100.10")
        .load_balancer("192.0.2.10", None)
}

fn ends(endpoints: impl IntoIterator<Item = Endpoint>) -> Objects {
    slice("web", "web").tcp("http", 8080).with(endpoints).build()
}

/// A connection by every frontend, from everywhere, in both families.
fn conversations(scenario: &Scenario) -> Vec<Conversation> {
    let mut all = Vec::new();
    for family in Family::BOTH {
        for from in [From::PodB, From::Node, From::Client] {
            for to in ["10.96.0.10:80", "node:30010", "198.51.100.10:80", "192.0.2.10:80"] {
                all.push(Conversation::open(scenario, from, family, to));
            }
        }
    }
    all
}

#[test]
fn established_connections_survive() {
    let mut scenario = Scenario::start(&Config::default());
    let here = || ends([at("pod-a")]);
    scenario.apply([web().build(), here()]);
    let mut established = conversations(&scenario);

    let elsewhere = case("the next one", From::Client, "10.96.0.10:80", snat(&["pod-c:8080"]));
    let refused = case("the next one", From::Client, "10.96.0.10:80", REJECT);
    let changes: [(&str, Vec<Objects>, Case); 8] = [
        ("another endpoint", vec![web().build(), ends([at("pod-c")])], elsewhere.clone()),
        ("none ready", vec![web().build(), ends([at("pod-a").unready()])], refused.clone()),
        ("no endpoints", vec![web().build()], refused),
        (
            "policies Local, none here",
            vec![web().internal_local().external_local().build(), ends([at("pod-c")])],
            case("the next one", From::Client, "10.96.0.10:80", DROP),
        ),
        (
            "source ranges that exclude the client",
            vec![web().ranges_of(&["10.0.0.0/8"]).build(), here()],
            case("the next one", From::Client, "192.0.2.10:80", DROP),
        ),
        ("affinity", vec![web().affinity(600).build(), ends([at("pod-c")])], elsewhere),
        (
            "the Service is gone",
            vec![service_cidr("kubernetes", plan::SERVICE_CIDR)],
            case("the next one", From::Client, "10.96.0.10:80", DROP),
        ),
        (
            "everything is back",
            vec![web().build(), here()],
            case("the next one", From::Client, "10.96.0.10:80", snat(&["pod-a:8080"])),
        ),
    ];
    for (name, objects, next) in changes {
        scenario.apply(objects);
        scenario.check(&[Case { name: format!("{name}: {}", next.name), ..next }]);
        for conversation in &mut established {
            conversation.still_lives();
        }
    }
}

/// SIGTERM leaves the rules, and a new daemon takes them over.
#[test]
fn rules_outlive_the_daemon() {
    let mut scenario = Scenario::start(&Config::default());
    let objects = || [web().build(), ends([at("pod-a")])];
    scenario.apply(objects());
    let mut established = conversations(&scenario);
    scenario.take_daemon().terminate();
    for conversation in &mut established {
        conversation.still_lives();
    }
    scenario.check(&[
        case("without a daemon", From::Client, "10.96.0.10:80", snat(&["pod-a:8080"])),
        case("without a daemon", From::Client, "node:30010", snat(&["pod-a:8080"])),
    ]);
    scenario.start_daemon();
    scenario.apply(objects());
    for conversation in &mut established {
        conversation.still_lives();
    }
}
