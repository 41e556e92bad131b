//! `/healthz` and `/livez` (reference §13.1), and the pages beside the metrics (§14).

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kube_verdict_scenario_tests::http::{self, Response};
use kube_verdict_scenario_tests::kernel;
use kube_verdict_scenario_tests::netns::Netns;
use kube_verdict_scenario_tests::pace;
use kube_verdict_scenario_tests::prelude::*;
use kube_verdict_scenario_tests::tether::{self, Tether};
use kube_verdict_scenario_tests::topology::Host;
use serde_json::{Value, json};

const HEALTHZ: u16 = 10256;
const METRICS: u16 = 10249;

fn on_loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn json_of(response: &Response) -> Value {
    serde_json::from_str(&response.body).unwrap_or_else(|error| panic!("{error}: {response:?}"))
}

#[test]
fn load_balancers_and_probes_are_answered_on_every_address() {
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply([]);
    let client = scenario.topology().of(Host::Outside);
    for family in Family::BOTH {
        let node = SocketAddr::new(plan::ip(family, plan::NODE_IP), HEALTHZ);
        let answer = http::becomes(client, node, "/healthz", |answer| answer.status == 200);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        let keys = [
            "{\"lastUpdated\":\"",
            "\"currentTime\":\"",
            "\"nodeEligible\":true",
            "\"healthy\":true",
            "\"status\":{\"IPv4\":{",
        ];
        let places: Vec<Option<usize>> = keys.iter().map(|key| answer.body.find(key)).collect();
        assert!(places.is_sorted() && places[0] == Some(0), "{places:?} in {}", answer.body);
        let livez = http::get(client, node, "/livez").expect("an answer");
        assert_eq!((livez.status, &json_of(&livez)["nodeEligible"]), (200, &Value::Null));
        assert_eq!(http::get(client, node, "/").expect("an answer").status, 404);
        assert!(
            http::get(client, SocketAddr::new(node.ip(), METRICS), "/metrics").is_err(),
            "for the node only"
        );
    }
}

#[test]
fn a_node_that_is_about_to_go_gets_no_new_connections_and_is_not_restarted() {
    let mut scenario = Scenario::start(&Config::default());
    let mut node = node(Some(plan::ZONE));
    node[0]["spec"]["taints"] = json!([{ "key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule" }]);
    scenario.apply([node]);
    let answer =
        http::becomes(scenario.node(), on_loopback(HEALTHZ), "/healthz", |answer| answer.status == 503);
    assert_eq!(
        (&json_of(&answer)["nodeEligible"], &json_of(&answer)["healthy"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(http::get(scenario.node(), on_loopback(HEALTHZ), "/livez").expect("an answer").status, 200);
    scenario.apply([]);
    http::becomes(scenario.node(), on_loopback(HEALTHZ), "/healthz", |answer| answer.status == 200);
}

/// Keeps our table for itself, as the kernel lets every program do (`flags owner`); gone with its value.
fn owner_of_our_table(netns: &Netns) -> (Child, Tether) {
    let mut command = Command::new("nft");
    command.arg("-i").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let (mut child, tether) = tether::spawn(netns, command);
    let stdin = child.stdin.as_mut().expect("piped");
    writeln!(stdin, "add table ip kube-verdict {{ flags owner; }}").expect("nft reads");
    stdin.flush().expect("nft reads");
    let deadline = Instant::now() + pace::limit(Duration::from_secs(20));
    let has_it =
        || kernel::nft(netns, &["list", "tables"], "").is_ok_and(|list| list.contains("kube-verdict"));
    while !has_it() {
        assert!(Instant::now() < deadline, "nft did not make the table");
        std::thread::sleep(Duration::from_millis(10));
    }
    (child, tether)
}

/// Kernels before 5.12 let nobody keep a table for himself: there is nothing to be shown there.
fn tables_have_owners() -> bool {
    kernel::nft(&Netns::new(), &["-f", "-"], "add table ip mine { flags owner; }\n").is_ok()
}

#[test]
fn what_the_kernel_refuses_for_long_is_unhealthy_until_it_takes_it() {
    if !tables_have_owners() {
        return;
    }
    let mut scenario = Scenario::without_daemon(&Config::default().sync_period("1s"));
    let (mut owner, _tether) = owner_of_our_table(scenario.node());
    scenario.write([]);
    scenario.start_daemon();
    let node = scenario.node();
    let answer = http::becomes(node, on_loopback(HEALTHZ), "/livez", |answer| answer.status == 503);
    let status = &json_of(&answer)["status"];
    assert_eq!((&status["IPv4"]["healthy"], &status["IPv6"]["healthy"]), (&json!(false), &json!(true)));
    assert_eq!(http::get(node, on_loopback(HEALTHZ), "/healthz").expect("an answer").status, 503);
    let metrics = http::get(node, on_loopback(METRICS), "/metrics").expect("metrics").body;
    assert!(metrics.lines().any(|line| line == "kubeverdict_in_sync{ip_family=\"IPv4\"} 0"), "{metrics}");
    assert!(metrics.lines().any(|line| line == "kubeverdict_in_sync{ip_family=\"IPv6\"} 1"), "{metrics}");
    owner.kill().expect("killing nft");
    owner.wait().expect("nft");
    http::becomes(node, on_loopback(HEALTHZ), "/livez", |answer| answer.status == 200);
    scenario.settle();
}

#[test]
fn ports_of_a_predecessor_are_had_when_it_goes() {
    let mut scenario = Scenario::without_daemon(&Config::default());
    let taken = scenario.node().run(|| std::net::TcpListener::bind("0.0.0.0:10256").expect("a free port"));
    scenario.write([]);
    scenario.start_daemon();
    scenario.settle();
    http::becomes(scenario.node(), on_loopback(METRICS), "/healthz", |answer| answer.body == "ok");
    assert!(scenario.files().log().contains("healthzBindAddress: cannot listen on 0.0.0.0:10256"));
    drop(taken);
    http::becomes(scenario.node(), on_loopback(HEALTHZ), "/healthz", |answer| answer.status == 200);
}

#[test]
fn with_hard_fail_a_port_that_is_taken_ends_the_process() {
    let config = Config::default().field("bindAddressHardFail", true.into());
    let mut scenario = Scenario::without_daemon(&config);
    let _taken = scenario.node().run(|| std::net::TcpListener::bind("127.0.0.1:10249").expect("a free port"));
    scenario.write([]);
    scenario.start_daemon();
    let mut daemon = scenario.take_daemon();
    let deadline = Instant::now() + pace::limit(Duration::from_secs(20));
    while daemon.is_running() {
        assert!(Instant::now() < deadline, "it still runs:\n{}", scenario.files().log());
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(scenario.files().log().contains("metricsBindAddress: cannot listen on 127.0.0.1:10249"));
}

#[test]
fn pages_for_people() {
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply([]);
    let page =
        |path| http::becomes(scenario.node(), on_loopback(METRICS), path, |answer| answer.status == 200);
    assert_eq!(page("/proxyMode").body, mode().word());
    assert_eq!(page("/proxyMode").header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(page("/healthz").body, "ok");
    assert!(page("/statusz").body.contains("\nPaths: "));
    assert_eq!(json_of(&page("/configz"))["kubeproxy.config.k8s.io"]["mode"], mode().word());
    assert!(page("/flagz").body.contains("\nhostname-override="));
    assert!(page("/metrics/slis").body.contains("kubernetes_healthchecks_total"));
    let answer = http::get(scenario.node(), on_loopback(METRICS), "/debug/pprof/");
    assert_eq!(answer.expect("an answer").status, 404);
}
