//! Directories with one mistake each, and what is said of them.

use kube_verdict_table::NodeState;

use super::*;
use crate::config;
use crate::node::{Interfaces, Reliance, ThisNode};

const SERVICE: &str = "apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  clusterIP: 10.96.0.10
  ports:
  - name: http
    port: 80
";
const SLICE: &str = "apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: web-1
  labels:
    kubernetes.io/service-name: web
addressType: IPv4
ports:
- name: http
  port: 8080
endpoints:
- addresses: [192.0.2.11]
";

fn node(events: &[ObjectEvent]) -> Result<(Settings, NodeState), String> {
    let config = config::defaults().effective;
    let mut this = ThisNode::new("n1".into(), config, Interfaces::default(), Reliance::Optional);
    this.observe(events);
    Ok((this.settings().map_err(|error| error.to_string())?, this.state()))
}

fn checked(files: &[(&str, &str)]) -> (Checked, Vec<String>) {
    let root = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(root.path().join(name), text).unwrap();
    }
    let checked = check(&mut Directory::open(root.path()).unwrap(), node).unwrap();
    let text = text(&checked).replace(&format!("{}/", root.path().display()), "");
    (checked, text.lines().map(str::to_owned).collect())
}

/// The one finding of a directory, whose text begins so and contains the rest.
#[track_caller]
fn says(files: &[(&str, &str)], begins: &str, contains: &str) {
    let (_, lines) = checked(files);
    let is_it = lines.len() == 2 && lines[0].starts_with(begins) && lines[0].contains(contains);
    assert!(is_it, "{begins:?} … {contains:?} expected of\n{}", lines.join("\n"));
}

#[test]
fn what_is_fine_is_fine() {
    let (checked, lines) = checked(&[("a.yaml", SERVICE), ("b.yaml", SLICE)]);
    assert_eq!(lines, ["0 errors, 0 warnings, 2 objects in effect"]);
    assert_eq!(json(&checked)["findings"], serde_json::json!([]));
}

#[test]
fn objects_that_miss_each_other() {
    says(
        &[("a.yaml", SERVICE)],
        "a.yaml:4:3: warning: Service default/web: metadata.name: no EndpointSlice",
        "",
    );
    let typo = SLICE.replace("service-name: web", "service-name: wbe");
    let both = [("a.yaml", SERVICE), ("b.yaml", &typo)];
    let (_, lines) = checked(&both);
    assert!(lines[1].starts_with("b.yaml:6:5: warning: EndpointSlice default/web-1: "), "{lines:#?}");
    assert!(
        lines[1]
            .ends_with("there is no Service default/wbe, so these endpoints serve nobody: did you mean web?")
    );
    let unlabelled = SLICE.replace("kubernetes.io/service-name", "app");
    let (_, lines) = checked(&[("a.yaml", SERVICE), ("b.yaml", &unlabelled)]);
    assert!(lines.iter().any(|line| line.starts_with("b.yaml:5:3: warning:")), "{lines:#?}");
    assert_eq!(lines.iter().filter(|line| line.contains("service-name is missing")).count(), 1, "{lines:#?}");
}

#[test]
fn ports_that_miss_each_other() {
    let other = SLICE.replace("- name: http", "- name: web");
    let (_, lines) = checked(&[("a.yaml", SERVICE), ("b.yaml", &other)]);
    assert!(
        lines[0].starts_with("a.yaml:8:5: warning: Service default/web: spec.ports[0]: no IPv4"),
        "{lines:#?}"
    );
    assert!(lines[0].contains("they have port \"web\" (TCP)"), "{lines:#?}");
    assert!(
        lines[1].starts_with("b.yaml:9:3: warning: EndpointSlice default/web-1: ports[0]: "),
        "{lines:#?}"
    );
    let six = SERVICE.replace("10.96.0.10", "fd00:96::10");
    says(&[("a.yaml", &six), ("b.yaml", SLICE)], "a.yaml:8:5: warning:", "write one with addressType IPv6");
}

#[test]
fn a_host_name_is_refused_with_the_reason() {
    let named = SLICE.replace("192.0.2.11", "db.example.com");
    says(
        &[("a.yaml", SERVICE), ("b.yaml", &named)],
        "b.yaml:12:15: error: EndpointSlice default/web-1: endpoints[0].addresses[0]: \"db.example.com\" is a host name",
        "Write the IP address",
    );
    let mistyped = SLICE.replace("192.0.2.11", "192.0.2.1111");
    says(&[("a.yaml", SERVICE), ("b.yaml", &mistyped)], "b.yaml:12:15: error:", "is not an IP address");
}

#[test]
fn a_contested_frontend_says_who_wins() {
    let second = SERVICE.replace("name: web", "name: zoo");
    let slice = SLICE.replace("web", "zoo");
    says(
        &[("a.yaml", SERVICE), ("b.yaml", SLICE), ("c.yaml", &second), ("d.yaml", &slice)],
        "c.yaml:6:3: warning: Service default/zoo: spec.clusterIPs: ",
        "10.96.0.10:80/TCP of default/zoo:http also belongs to default/web:http (clusterIP), which keeps it",
    );
}

#[test]
fn what_the_daemon_would_log_is_there() {
    let typo = SERVICE.replace("clusterIP:", "clusterIPP: x\n  clusterIP:");
    says(&[("a.yaml", &typo), ("b.yaml", SLICE)], "a.yaml:6:3: warning:", "did you mean clusterIP?");
    let (checked, lines) = checked(&[("a.yaml", SERVICE), ("b.yaml", SLICE), ("c.yaml", "a: [")]);
    assert_eq!(checked.count(Severity::Error), 1, "{lines:#?}");
    assert!(lines[0].starts_with("c.yaml:1:"), "{lines:#?}");
}

#[test]
fn a_health_check_that_cannot_be_is_named() {
    let annotated =
        SERVICE.replace("name: web\n", "name: web\n  annotations:\n    kube-verdict.io/health-check: htp\n");
    says(
        &[("a.yaml", &annotated), ("b.yaml", SLICE)],
        "a.yaml:6:5: warning: Service default/web: metadata.annotations[kube-verdict.io/health-check]: \"htp\" is no",
        "there is no health check",
    );
}

#[test]
fn places_are_found_in_lists_and_in_several_documents() {
    let list = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Service\n  metadata: {name: x}\n  \
                spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}\n";
    let both = format!("{SERVICE}---\n{SLICE}---\n{list}");
    says(&[("a.yaml", &both)], "a.yaml:29:14: warning: Service default/x: metadata.name", "");
}

#[test]
fn the_json_is_a_contract() {
    let (checked, _) = checked(&[("a.yaml", SERVICE)]);
    let mut json = json(&checked);
    let file = json["findings"][0]["file"].take();
    let message = json["findings"][0]["message"].take();
    assert!(file.as_str().is_some_and(|file| file.ends_with("/a.yaml")) && message.is_string());
    let finding = serde_json::json!({
        "severity": "warning", "file": null, "line": 4, "column": 3, "object": "Service default/web",
        "field": "metadata.name", "message": null,
    });
    assert_eq!(json, serde_json::json!({"errors": 0, "warnings": 1, "objects": 1, "findings": [finding]}));
}
