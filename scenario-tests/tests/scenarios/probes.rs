//! Endpoints that are asked whether they are well, on a machine without a cluster: who does not answer is taken out,
//! and comes back.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kube_verdict_scenario_tests::http;
use kube_verdict_scenario_tests::pace;
use kube_verdict_scenario_tests::prelude::*;
use kube_verdict_scenario_tests::topology::Host;

/// A server that is asked, beside the one that serves: it can be stopped, and answers HTTP with any status.
struct Asked {
    status: Arc<AtomicU16>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

const PORT: u16 = 8090;

impl Asked {
    fn at(scenario: &Scenario, address: &str) -> Self {
        let address = SocketAddr::new(plan::ip(Family::V4, address), PORT);
        let host = Host::of(address.ip()).expect("a host of the plan");
        let listener = scenario.topology().of(host).run(|| TcpListener::bind(address).expect("a free port"));
        listener.set_nonblocking(true).expect("nonblocking");
        let (status, ends) = (Arc::new(AtomicU16::new(200)), Arc::new(AtomicBool::new(false)));
        let thread = std::thread::spawn({
            let (status, ends) = (Arc::clone(&status), Arc::clone(&ends));
            move || {
                while !ends.load(Ordering::Relaxed) {
                    match listener.accept() {
                        Ok((stream, _)) => {
                            let _ = stream.set_nonblocking(false);
                            let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
                            let mut line = String::new();
                            let _ = BufReader::new(&stream).read_line(&mut line);
                            let status = status.load(Ordering::Relaxed);
                            let _ = write!(&stream, "HTTP/1.1 {status} So\r\ncontent-length: 0\r\n\r\n");
                        }
                        Err(_) => std::thread::sleep(Duration::from_millis(5)),
                    }
                }
            }
        });
        Asked { status, ends, thread: Some(thread) }
    }

    fn says(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn objects(kind: &str, all_down: &str) -> Vec<Objects> {
    let mut web = service("web").ip("10.96.0.10").tcp("http", 80).only(Family::V4).build();
    web[0]["metadata"]["annotations"] = serde_json::json!({
        "kube-verdict.io/health-check": kind,
        "kube-verdict.io/health-check-port": PORT.to_string(),
        "kube-verdict.io/health-check-interval": "200ms",
        "kube-verdict.io/health-check-timeout": "200ms",
        "kube-verdict.io/health-check-fall": "2",
        "kube-verdict.io/health-check-all-down": all_down,
    });
    let slice = slice("web-1", "web").tcp("http", 8080).with([at("pod-a"), at("pod-b")]).build();
    // Of one family: in the other nobody answers.
    let slice = slice.into_iter().filter(|slice| slice["addressType"] == "IPv4").collect();
    vec![web, slice]
}

/// Waits until connections to the Service fare so, each of several in a row.
#[track_caller]
fn becomes(scenario: &Scenario, expected: Expected) {
    let deadline = Instant::now() + pace::limit(Duration::from_secs(20));
    loop {
        let line = case("web", From::Client, "10.96.0.10:80", expected.clone()).only(Family::V4);
        let complaints = scenario.packet_complaints(&[line]);
        if complaints.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{}\n{}", complaints.join("\n"), scenario.files().log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn page_has(scenario: &Scenario, line: &str) {
    let metrics = SocketAddr::from(([127, 0, 0, 1], 10249));
    http::becomes(scenario.node(), metrics, "/metrics", |answer| answer.body.lines().any(|l| l == line));
}

#[test]
fn who_does_not_answer_is_out_until_it_answers_again() {
    let mut scenario = Scenario::start(&Config::default());
    let (_a, b) = (Asked::at(&scenario, "pod-a"), Asked::at(&scenario, "pod-b"));
    scenario.apply(objects("tcp", "keep"));
    becomes(&scenario, snat(&["pod-a:8080", "pod-b:8080"]));
    drop(b);
    becomes(&scenario, snat(&["pod-a:8080"]));
    page_has(
        &scenario,
        "kubeverdict_health_check_endpoints{namespace=\"default\",service=\"web\",state=\"unhealthy\"} 1",
    );
    assert!(scenario.files().log().contains("is not well and taken out: "), "{}", scenario.files().log());
    // Who comes back does not begin by sending anybody there.
    scenario.take_daemon().kill();
    scenario.start_daemon();
    page_has(
        &scenario,
        "kubeverdict_health_check_endpoints{namespace=\"default\",service=\"web\",state=\"unhealthy\"} 1",
    );
    becomes(&scenario, snat(&["pod-a:8080"]));
    let _b = Asked::at(&scenario, "pod-b");
    becomes(&scenario, snat(&["pod-a:8080", "pod-b:8080"]));
    page_has(
        &scenario,
        "kubeverdict_health_check_endpoints{namespace=\"default\",service=\"web\",state=\"healthy\"} 2",
    );
}

#[test]
fn when_nobody_is_well_the_last_stay_or_connections_are_refused() {
    let mut scenario = Scenario::start(&Config::default());
    let (a, b) = (Asked::at(&scenario, "pod-a"), Asked::at(&scenario, "pod-b"));
    scenario.apply(objects("http:/healthz", "keep"));
    becomes(&scenario, snat(&["pod-a:8080", "pod-b:8080"]));
    a.says(500);
    becomes(&scenario, snat(&["pod-b:8080"]));
    assert!(scenario.files().log().contains("HTTP status 500"), "{}", scenario.files().log());
    b.says(503);
    page_has(
        &scenario,
        "kubeverdict_health_check_endpoints{namespace=\"default\",service=\"web\",state=\"healthy\"} 0",
    );
    becomes(&scenario, snat(&["pod-b:8080"]));
    scenario.apply(objects("http:/healthz", "reject"));
    becomes(&scenario, REJECT);
    a.says(302);
    becomes(&scenario, snat(&["pod-a:8080"]));
    // Without the annotation everybody counts again, and an annotation that comes later finds its endpoints.
    let mut plain = objects("tcp", "keep");
    plain[0][0]["metadata"]["annotations"] = serde_json::json!({});
    scenario.apply(plain);
    becomes(&scenario, snat(&["pod-a:8080", "pod-b:8080"]));
    scenario.apply(objects("http:/healthz", "reject"));
    becomes(&scenario, snat(&["pod-a:8080"]));
}
