//! Objects that do not count (reference §§1.1–1.3), and fields that are never read.

use kube_verdict_scenario_tests::prelude::*;
use serde_json::json;

/// A Service at 10.96.0.`number` with pod-a behind it.
fn web(number: u8, change: impl Fn(Service) -> Service) -> Vec<Objects> {
    let name = format!("s{number}");
    let service = service(&name)
        .ip(&format!("10.96.0.{number}"))
        .tcp("http", 80)
        .node_port(30000 + u16::from(number))
        .external_ip(&format!("198.51.100.{number}"));
    vec![change(service).build(), slice(&name, &name).tcp("http", 8080).with([at("pod-a")]).build()]
}

#[test]
fn services_that_do_not_count() {
    let proxy_name = "service.kubernetes.io/service-proxy-name";
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply(
        [
            web(10, |s| s.set("type", "ExternalName".into()).set("externalName", "elsewhere.example".into())),
            web(11, |s| s.set("clusterIP", "None".into()).set("clusterIPs", json!(["None"]))),
            web(12, |s| s.label(proxy_name, "another-proxy")),
            web(13, |s| s.label(proxy_name, "")),
            web(14, |s| s),
        ]
        .concat(),
    );
    let mut cases = vec![
        case("an ordinary one", From::PodB, "10.96.0.14:80", dnat(&["pod-a:8080"])),
        case("an ordinary one", From::Client, "node:30014", snat(&["pod-a:8080"])),
    ];
    for (number, why) in
        [(10, "ExternalName"), (11, "headless"), (12, "another proxy's"), (13, "nobody's proxy's")]
    {
        for to in
            [format!("10.96.0.{number}:80"), format!("198.51.100.{number}:80"), format!("node:300{number}")]
        {
            cases.push(case(why, From::PodB, &to, PASS));
        }
    }
    scenario.check(&cases);
}

/// Adding the proxy-name label to a live Service makes it vanish; removing it brings it back.
#[test]
fn the_proxy_name_label_comes_and_goes() {
    let mut scenario = Scenario::start(&Config::default());
    for labelled in [false, true, false] {
        scenario.apply(web(10, |s| {
            if labelled { s.label("service.kubernetes.io/service-proxy-name", "other") } else { s }
        }));
        let fate = if labelled { PASS } else { dnat(&["pod-a:8080"]) };
        scenario.check(&[case(&format!("labelled: {labelled}"), From::PodB, "10.96.0.10:80", fate)]);
    }
}

#[test]
fn slices_that_do_not_count() {
    let mut scenario = Scenario::start(&Config::default());
    let mut fqdn = slice("fqdn", "web").tcp("http", 8081).with([at("pod-b")]).build();
    for object in &mut fqdn {
        object["addressType"] = "FQDN".into();
    }
    let mut orphan = slice("orphan", "web").tcp("http", 8082).with([at("pod-b")]).build();
    for object in &mut orphan {
        object["metadata"]["labels"] = json!({});
    }
    let mut elsewhere = slice("elsewhere", "web").tcp("http", 8083).with([at("pod-b")]).build();
    for object in &mut elsewhere {
        object["metadata"]["namespace"] = "other".into();
    }
    let mut nobody = slice("nobody", "web").tcp("http", 8084).with([at("pod-b")]).build();
    for object in &mut nobody {
        object["endpoints"][0]["addresses"] = json!([]);
    }
    // Only the first address of an endpoint counts.
    let mut many = slice("many", "web").tcp("http", 8085).with([at("pod-b")]).build();
    for object in &mut many {
        let second = if object["addressType"] == "IPv4" { "10.244.2.10" } else { "fd00:10:244:2::10" };
        object["endpoints"][0]["addresses"].as_array_mut().unwrap().push(second.into());
    }
    scenario.apply([
        service("web").ip("10.96.0.10").tcp("http", 80).build(),
        slice("web", "web").tcp("http", 8080).with([at("pod-a")]).build(),
        slice("headless", "web")
            .tcp("http", 8086)
            .with([at("pod-b")])
            .label("service.kubernetes.io/headless", "")
            .build(),
        slice("zero", "web")
            .raw_port(json!({ "name": "http", "protocol": "TCP", "port": 0 }))
            .with([at("pod-b")])
            .build(),
        slice("none", "web")
            .raw_port(json!({ "name": "http", "protocol": "TCP" }))
            .with([at("pod-b")])
            .build(),
        slice("misnamed", "web").tcp("https", 8087).with([at("pod-b")]).build(),
        fqdn,
        orphan,
        elsewhere,
        nobody,
        many,
    ]);
    scenario.check(&[case("what counts", From::PodD, "10.96.0.10:80", dnat(&["pod-a:8080", "pod-b:8085"]))]);
}
