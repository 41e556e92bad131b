//! loadBalancerSourceRanges (reference §5): load balancer IPs only, before everything else.

use kube_verdict_scenario_tests::prelude::*;
use kube_verdict_scenario_tests::topology;

/// A Service with every kind of frontend, numbered.
fn lb(name: &str, number: u8) -> Service {
    service(name)
        .ip(&format!("10.96.0.{number}"))
        .every_protocol(80)
        .external_ip(&format!("198.51.100.{number}"))
        .load_balancer(&format!("192.0.2.{number}"), None)
        .node_port(30000 + u16::from(number))
}

fn ends(name: &str) -> Objects {
    slice(name, name).every_protocol(8080).with([at("pod-c")]).build()
}

#[test]
fn source_ranges() {
    let mut scenario = Scenario::start(&Config::default());
    let spaced = [" 203.0.113.0/24".to_owned(), "\tfd00:203:0:113::/64 ".to_owned()];
    let wrong_family = ["203.0.113.0/24".to_owned()];
    scenario.apply([
        lb("some", 10).ranges_of(&["203.0.113.0/24", "10.244.2.0/24"]).build(),
        ends("some"),
        lb("spaced", 11).ranges(&spaced).build(),
        ends("spaced"),
        lb("half", 12).ranges(&wrong_family).build(),
        ends("half"),
        lb("everybody", 13).ranges_of(&["0.0.0.0/0", "198.18.0.0/16"]).build(),
        ends("everybody"),
        lb("empty", 14).ranges_of(&["203.0.113.0/24"]).build(),
        lb("local", 15).ranges_of(&["203.0.113.0/24"]).external_local().build(),
        ends("local"),
        lb("nested", 16).ranges_of(&["203.0.113.0/24", "203.0.0.0/16", "203.0.113.10/32"]).build(),
        ends("nested"),
        lb("sticky", 17).ranges_of(&["203.0.113.0/24"]).affinity(600).build(),
        ends("sticky"),
    ]);
    let allowed = snat(&["pod-c:8080"]);
    let mut cases = Vec::new();
    for protocol in ["tcp", "udp", "sctp"] {
        let to = format!("192.0.2.10:80/{protocol}");
        cases.extend([
            case("inside a range", From::Client, &to, allowed.clone()),
            case("inside the other range", From::PodD, &to, allowed.clone()),
            case("outside", From::Client2, &to, DROP),
            case("pods are no exception", From::PodA, &to, DROP),
            case("nor is the node", From::Node, &to, DROP),
        ]);
    }
    cases.extend([
        case("external IPs are not restricted", From::Client2, "198.51.100.10:80", allowed.clone()),
        case("nor are NodePorts", From::Client2, "node:30010", allowed.clone()),
        case("nor ClusterIPs", From::PodA, "10.96.0.10:80", dnat(&["pod-c:8080"])),
        case("a port of no service is not restricted", From::Client2, "192.0.2.10:81", PASS),
        case("white space is trimmed", From::Client, "192.0.2.11:80", allowed.clone()),
        case("and still restricts", From::Client2, "192.0.2.11:80", DROP),
        case("a family with ranges", From::Client2, "192.0.2.12:80", DROP).only(Family::V4),
        case("a family without", From::Client2, "192.0.2.12:80", allowed.clone()).only(Family::V6),
        case("everybody", From::Client2, "192.0.2.13:80", allowed.clone()),
        case("no endpoints, allowed", From::Client, "192.0.2.14:80", REJECT),
        case("no endpoints, not allowed: dropped first", From::Client2, "192.0.2.14:80", DROP),
        case("external policy Local, allowed, none here", From::Client, "192.0.2.15:80", DROP),
        case("the short circuit does not help a pod", From::PodA, "192.0.2.15:80", DROP),
        case("nor the node", From::Node, "192.0.2.15:80", DROP),
        case("nested ranges", From::Client, "192.0.2.16:80", allowed.clone()),
        case("inside the outermost", From::Client2, "192.0.2.16:80", allowed.clone()),
        case("outside of nested ranges", From::PodA, "192.0.2.16:80", DROP),
        case("with affinity", From::Client, "192.0.2.17:80", allowed),
        case("with affinity, outside", From::Client2, "192.0.2.17:80", DROP),
    ]);
    scenario.check(&cases);
}

/// With a load balancer IP that the node itself has, the node's packets carry it as their source; a range that
/// covers the node lets them pass.
#[test]
fn the_node_exception() {
    let mut scenario = Scenario::start(&Config::default());
    scenario.node().run(|| {
        let mut commands = String::new();
        for address in ["192.0.2.10", "192.0.2.11"] {
            for (family, length) in [(Family::V4, 32), (Family::V6, 128)] {
                commands += &format!("addr add {}/{length} dev lo\n", plan::ip(family, address));
            }
        }
        topology::ip_batch(&commands);
    });
    scenario.apply([
        lb("covering", 10).ranges_of(&["172.18.0.0/24"]).build(),
        ends("covering"),
        lb("other", 11).ranges_of(&["203.0.113.0/24"]).build(),
        ends("other"),
    ]);
    let allowed = snat(&["pod-c:8080"]);
    scenario.check(&[
        case("the VIP as source", From::NodeAt("192.0.2.10"), "192.0.2.10:80", allowed.clone()),
        case("the node's own address", From::NodeAt(plan::NODE_IP), "192.0.2.10:80", allowed),
        case("outsiders", From::Client, "192.0.2.10:80", DROP),
        case("a node that is not covered", From::NodeAt("192.0.2.11"), "192.0.2.11:80", DROP),
    ]);
}
