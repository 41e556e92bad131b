//! externalTrafficPolicy Local and its short circuits (reference §3.4).

use kube_verdict_scenario_tests::prelude::*;

fn lb(name: &str, number: u8) -> Service {
    service(name)
        .ip(&format!("10.96.0.{number}"))
        .tcp("http", 80)
        .node_port(30000 + u16::from(number))
        .external_ip(&format!("198.51.100.{number}"))
        .load_balancer(&format!("192.0.2.{number}"), None)
        .external_local()
}

fn objects() -> Vec<Objects> {
    vec![
        lb("here", 10).build(),
        slice("here", "here").tcp("http", 8080).with([at("pod-a"), at("pod-c")]).build(),
        lb("elsewhere", 11).build(),
        slice("elsewhere", "elsewhere").tcp("http", 8080).with([at("pod-c"), at("pod-d")]).build(),
        lb("nowhere", 12).build(),
        slice("nowhere", "nowhere").tcp("http", 8080).with([at("pod-a").unready()]).build(),
        // A hint narrows the cluster's endpoints, never the local ones.
        lb("hinted", 13).build(),
        slice("hinted", "hinted")
            .tcp("http", 8080)
            .with([at("pod-a").zones(&["zone-b"]), at("pod-c").zones(&[plan::ZONE])])
            .build(),
    ]
}

/// Every external frontend of service `number`.
fn frontends(number: u8) -> [String; 3] {
    [
        format!("198.51.100.{number}:80"),
        format!("192.0.2.{number}:80"),
        format!("node:{}", 30000 + u16::from(number)),
    ]
}

#[test]
fn with_a_detector() {
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply(objects());
    let all = &["pod-a:8080", "pod-c:8080"];
    let remote = &["pod-c:8080", "pod-d:8080"];
    let mut cases = Vec::new();
    for to in frontends(10) {
        cases.extend([
            case("outsiders get local endpoints, unmasqueraded", From::Client, &to, dnat(&["pod-a:8080"])),
            case("other nodes are outsiders", From::Node2, &to, dnat(&["pod-a:8080"])),
            case("pods get the cluster's endpoints, unmasqueraded", From::PodB, &to, dnat(all)),
            case("pods of other nodes count as pods, by clusterCIDR", From::PodD, &to, dnat(all)),
            case("the node gets the cluster's, masqueraded", From::Node, &to, snat(all)),
            case("whatever its address", From::NodeAt(plan::NODE_LINK), &to, snat(all)),
            case(
                "a node address among the pods' is a pod's first",
                From::NodeAt(plan::POD_GATEWAY),
                &to,
                dnat(all),
            ),
        ]);
    }
    for to in frontends(11) {
        cases.extend([
            case("none here: outsiders are dropped", From::Client, &to, DROP),
            case("none here: pods are not", From::PodA, &to, dnat(remote)),
            case("none here: the node is not", From::Node, &to, snat(remote)),
        ]);
    }
    for to in frontends(12) {
        for from in [From::Client, From::PodB, From::Node] {
            cases.push(case("none anywhere", from, &to, REJECT));
        }
    }
    for to in frontends(13) {
        cases.extend([
            case("hints narrow what pods get", From::PodB, &to, dnat(&["pod-c:8080"])),
            case("hints do not touch local endpoints", From::Client, &to, dnat(&["pod-a:8080"])),
        ]);
    }
    cases.extend([
        case("the ClusterIP does not care", From::Client, "10.96.0.10:80", snat(all)),
        case("even when there is none here", From::Client, "10.96.0.11:80", snat(remote)),
    ]);
    scenario.check(&cases);
}

#[test]
fn without_a_detector_pods_are_outsiders() {
    let mut scenario = Scenario::start(&Config::detecting(Detect::Nothing));
    scenario.apply(objects());
    let all = &["pod-a:8080", "pod-c:8080"];
    let mut cases = Vec::new();
    for to in frontends(10) {
        cases.extend([
            case("pods get local endpoints", From::PodB, &to, dnat(&["pod-a:8080"])),
            case("the node gets the cluster's, masqueraded", From::Node, &to, snat(all)),
            case("outsiders get local endpoints", From::Client, &to, dnat(&["pod-a:8080"])),
        ]);
    }
    for to in frontends(11) {
        cases.push(case("none here: pods are dropped", From::PodA, &to, DROP));
    }
    scenario.check(&cases);
}

#[test]
fn by_interface_only_its_pods_are_inside() {
    let mut scenario = Scenario::start(&Config::detecting(Detect::Bridge("veth-a")));
    scenario.apply(objects());
    let all = &["pod-a:8080", "pod-c:8080"];
    let mut cases = Vec::new();
    for to in frontends(10) {
        cases.extend([
            case("by this interface", From::PodA, &to, dnat(all)),
            case("by another", From::PodB, &to, dnat(&["pod-a:8080"])),
            case("by none", From::Node, &to, snat(all)),
        ]);
    }
    scenario.check(&cases);
}

#[test]
fn the_policy_of_a_plain_cluster_ip_service_means_nothing() {
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply([
        // Without an external IP, and of type ClusterIP: a load balancer IP alone does not make the policy count.
        service("plain")
            .ip("10.96.0.10")
            .tcp("http", 80)
            .load_balancer("192.0.2.10", None)
            .external_local()
            .set("type", "ClusterIP".into())
            .build(),
        slice("plain", "plain").tcp("http", 8080).with([at("pod-a"), at("pod-c")]).build(),
        service("external")
            .ip("10.96.0.11")
            .tcp("http", 80)
            .external_ip("198.51.100.11")
            .external_local()
            .set("type", "ClusterIP".into())
            .build(),
        slice("external", "external").tcp("http", 8080).with([at("pod-a"), at("pod-c")]).build(),
    ]);
    let all = &["pod-a:8080", "pod-c:8080"];
    scenario.check(&[
        case("no effect", From::Client, "192.0.2.10:80", snat(all)),
        case("an external IP makes it count", From::Client, "198.51.100.11:80", dnat(&["pod-a:8080"])),
    ]);
}
