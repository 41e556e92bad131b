//! Who asks for health and metrics may do as he likes: be slow, be many, never stop. Others are answered meanwhile, and
//! the daemon keeps few sockets and little memory. What it says holds nothing of its environment.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use kube_verdict_scenario_tests::http;
use kube_verdict_scenario_tests::pace;
use kube_verdict_scenario_tests::prelude::*;
use kube_verdict_scenario_tests::requirements;
use kube_verdict_scenario_tests::topology::Host;

const HEALTH: u16 = 10256;
const METRICS: u16 = 10249;
const CHECK: u16 = 32000;

/// What connections of a server cost at most, beside what it has without any: those that it keeps, and one that it is
/// about to.
const KEPT: usize = 64 + 1;
const KEPT_OF_CHECKS: usize = 512 + 1;

/// Clients at once.
const MANY: usize = 800;

fn start() -> (Scenario, u32) {
    requirements::many_files();
    let mut scenario =
        Scenario::start(&Config::default().field("metricsBindAddress", "0.0.0.0:10249".into()));
    scenario.apply([
        service("web")
            .ip("10.96.0.10")
            .tcp("http", 80)
            .node_port(30080)
            .load_balancer("198.51.100.1", None)
            .external_local()
            .set("healthCheckNodePort", CHECK.into())
            .build(),
        slice("web-1", "web").tcp("http", 8080).with([at("pod-a")]).build(),
    ]);
    let daemon = scenario.take_daemon();
    let pid = daemon.pid();
    scenario.put_daemon(daemon);
    (scenario, pid)
}

fn files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).expect("the daemon").count()
}

fn resident(pid: u32) -> usize {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).expect("the daemon");
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("a number") << 12
}

fn node(port: u16) -> SocketAddr {
    SocketAddr::new(plan::ip(Family::V4, plan::NODE_IP), port)
}

/// So many clients that say this and then nothing, and read nothing.
fn dawdle(scenario: &Scenario, port: u16, says: &[u8]) -> Vec<TcpStream> {
    scenario.topology().of(Host::Outside).run(|| {
        let connect = |_| {
            let mut stream = TcpStream::connect_timeout(&node(port), pace::limit(Duration::from_secs(10)))?;
            // The server may have made room for another already.
            let _ = stream.write_all(says);
            Ok::<_, std::io::Error>(stream)
        };
        (0..MANY).map(connect).collect::<Result<_, _>>().expect("a connection")
    })
}

fn is_answered(scenario: &Scenario, port: u16, path: &str) {
    let answer = http::becomes(scenario.topology().of(Host::Outside), node(port), path, |_| true);
    assert_eq!(answer.status, 200, "{port}{path}: {answer:?}");
}

#[test]
fn the_slow_and_the_many_hinder_nobody() {
    let (scenario, pid) = start();
    http::becomes(scenario.topology().of(Host::Outside), node(CHECK), "/", |answer| answer.status == 200);
    let (files_before, resident_before) = (files(pid), resident(pid));
    let mut dawdlers = Vec::new();
    let ways: [&[u8]; 4] = [
        b"",
        b"GET /metr",
        b"GET /metrics HTTP/1.1\r\nHost: node\r\nX-A: ",
        b"GET /metrics HTTP/1.1\r\nHost: node\r\n\r\n",
    ];
    for says in ways {
        for (port, path) in [(METRICS, "/metrics"), (HEALTH, "/livez"), (CHECK, "/")] {
            dawdlers.extend(dawdle(&scenario, port, says));
            for _ in 0..5 {
                is_answered(&scenario, port, path);
            }
        }
        let held = files(pid).saturating_sub(files_before);
        assert!(held <= 2 * KEPT + KEPT_OF_CHECKS, "{held} sockets for {} clients", dawdlers.len());
    }
    let grown = resident(pid).saturating_sub(resident_before) >> 20;
    assert!(grown < 64, "{grown} MiB for {} clients", dawdlers.len());
    // They have all been told to go long before they do, and those that were kept have little time.
    let deadline = Instant::now() + pace::limit(Duration::from_secs(60));
    while files(pid) > files_before {
        assert!(Instant::now() < deadline, "{} files, {files_before} before", files(pid));
        std::thread::sleep(Duration::from_millis(100));
    }
    drop(dawdlers);
}

#[test]
fn questions_without_end_are_cut_short() {
    let (scenario, pid) = start();
    let resident_before = resident(pid);
    let question = b"GET /livez HTTP/1.1\r\nHost: node\r\n";
    let endless: [(&str, Vec<u8>, Vec<u8>); 5] = [
        ("a path", b"GET /".to_vec(), vec![b'a'; 4096]),
        ("a header", [question.as_slice(), b"X-A: "].concat(), vec![b'a'; 4096]),
        ("headers", question.to_vec(), b"X-A: b\r\n".repeat(512)),
        (
            "a body",
            [question.as_slice(), b"Content-Length: 1099511627776\r\n\r\n"].concat(),
            vec![b'a'; 4096],
        ),
        ("questions", vec![], [question.as_slice(), b"\r\n"].concat().repeat(128)),
    ];
    for (what, begins, goes_on) in endless {
        for port in [METRICS, HEALTH] {
            scenario.topology().of(Host::Outside).run(|| {
                let mut stream = TcpStream::connect(node(port)).expect("a connection");
                let limit = Some(pace::limit(Duration::from_secs(20)));
                stream.set_write_timeout(limit).expect("a time limit");
                stream.set_read_timeout(limit).expect("a time limit");
                let asked = stream
                    .write_all(&begins)
                    .and_then(|()| (0..1 << 14).try_for_each(|_| stream.write_all(&goes_on)));
                assert!(asked.is_err(), "{what}: 64 MiB were taken in");
                let mut answer = Vec::new();
                let _ = stream.take(1 << 20).read_to_end(&mut answer);
                assert!(answer.len() < 1 << 16, "{what}: {} bytes in answer", answer.len());
            });
            is_answered(&scenario, port, "/healthz");
        }
    }
    let grown = resident(pid).saturating_sub(resident_before) >> 20;
    assert!(grown < 32, "{grown} MiB");
}

#[test]
fn nothing_of_the_environment_is_told() {
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply([]);
    let told: String =
        ["/metrics", "/metrics/slis", "/healthz", "/proxyMode", "/configz", "/flagz", "/statusz"]
            .into_iter()
            .map(|path| {
                http::get(scenario.node(), SocketAddr::from(([127, 0, 0, 1], METRICS)), path)
                    .expect(path)
                    .body
            })
            .collect();
    assert!(told.contains("kubeverdict_build_info") && told.contains("hostname-override"), "{told}");
    let secrets = std::env::vars().filter(|(_, value)| value.len() > 20);
    let mut compared = 0;
    for (name, value) in secrets {
        compared += 1;
        assert!(!told.contains(&value), "{name} is told");
    }
    assert!(compared > 0, "cargo sets some");
    // By default it is told on this host alone.
    assert!(http::get(scenario.topology().of(Host::Outside), node(METRICS), "/metrics").is_err());
}
