//! Load balancer IPs (reference §3.1): captured in VIP mode, whatever the type says; left to the load balancer
//! in Proxy mode.

use kube_verdict_scenario_tests::prelude::*;

#[test]
fn load_balancer_ips() {
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply([
        service("web")
            .ip("10.96.0.10")
            .tcp("http", 80)
            .load_balancer("192.0.2.1", None)
            .load_balancer("192.0.2.2", Some("VIP"))
            .load_balancer("192.0.2.3", Some("Proxy"))
            .load_balancer_hostname("lb.example.com")
            .build(),
        slice("web", "web").tcp("http", 8080).with([at("pod-a"), at("pod-c")]).build(),
        service("typed")
            .ip("10.96.0.11")
            .tcp("http", 80)
            .load_balancer("192.0.2.4", None)
            .set("type", "ClusterIP".into())
            .build(),
        slice("typed", "typed").tcp("http", 8080).with([at("pod-b")]).build(),
        service("empty").ip("10.96.0.12").tcp("http", 80).load_balancer("192.0.2.5", None).build(),
    ]);
    let web = &["pod-a:8080", "pod-c:8080"];
    scenario.check(&[
        case("without ipMode", From::Client, "192.0.2.1:80", snat(web)),
        case("from a pod", From::PodB, "192.0.2.1:80", snat(web)),
        case("from the node", From::Node, "192.0.2.1:80", snat(web)),
        case("ipMode VIP", From::Client, "192.0.2.2:80", snat(web)),
        case("ipMode Proxy leaves for the load balancer", From::Client, "192.0.2.3:80", PASS),
        case("the same from a pod", From::PodB, "192.0.2.3:80", PASS),
        case("a port of no service", From::Client, "192.0.2.1:81", PASS),
        case("the type does not matter", From::Client, "192.0.2.4:80", snat(&["pod-b:8080"])),
        case("no endpoints", From::Client, "192.0.2.5:80", REJECT),
    ]);
}
