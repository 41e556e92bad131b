//! With a real API server: from process start until a client is served, from a write to the API until a client
//! notices, and memory, for us and for the real kube-proxy, one after the other against the same objects.
//!
//! Both are asked by the same client: new connections to a Service's ClusterIP, one after the other.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kube_verdict_scenario_tests::cluster::{Api, ControlPlane, Kubeconfig, program};
use kube_verdict_scenario_tests::netns::Netns;
use kube_verdict_scenario_tests::plan::NODE;
use kube_verdict_scenario_tests::topology::ip_batch;
use serde_json::{Value, json};

use super::stats::{memory, row, tail};
use crate::Error;

/// Where the probing client connects to; it sorts last of all.
const PROBE: &str = "10.111.255.250:80";
/// The two backends of that Service, of which one is in its slice at a time.
const BACKENDS: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 200, 0, 1), Ipv4Addr::new(10, 200, 0, 2)];
/// How long to wait for the slower of the two.
const PATIENCE: Duration = Duration::from_secs(180);
/// Objects written at once.
const CHUNK: u32 = 500;

/// Prints the rows.
pub fn measure(binary: &Path, services: u32, endpoints: u32, changes: u32) -> Result<(), Error> {
    let control_plane = ControlPlane::start();
    fill(control_plane.api(), services, endpoints);
    let directory = tempfile::tempdir()?;
    for name in ["kube-verdict", "kube-proxy"] {
        let node = node();
        let link = control_plane.connect(&node);
        let command = command(name, binary, directory.path(), &link)?;
        contender(name, command, &node, control_plane.api(), changes)?;
    }
    Ok(())
}

fn contender(name: &str, mut command: Command, node: &Netns, api: &Api, changes: u32) -> Result<(), Error> {
    api.apply(&[slice("zz-probe", "zz-probe", &[BACKENDS[0].to_string()])]);
    let start = Instant::now();
    let mut child = node.run(|| command.spawn())?;
    let log = child.stderr.take().ok_or("no log")?;
    let log = std::thread::spawn(move || {
        BufReader::new(log).lines().map_while(Result::ok).collect::<Vec<String>>()
    });
    let served = node.run(|| until_served_by(BACKENDS[0], start))?;
    row(&format!("{name}: process start → a client is served"), &[served]);
    std::thread::sleep(Duration::from_secs(5));
    let rest = memory(&child, "VmRSS")?;
    let mut times = Vec::new();
    for change in 1..=changes as usize {
        let next = BACKENDS[change % 2];
        let body = slice("zz-probe", "zz-probe", &[next.to_string()]);
        let written = Instant::now();
        let time = std::thread::scope(|scope| {
            let client = scope.spawn(|| node.run(|| until_served_by(next, written)));
            api.apply(std::slice::from_ref(&body));
            client.join().unwrap_or_else(|_| Err("the client died".into()))
        })?;
        times.push(time);
        std::thread::sleep(Duration::from_millis(50));
    }
    tail(&format!("{name}: slice written to the API → a client reaches the new endpoint"), &times);
    println!(
        "| {name}: resident memory at rest, after the changes, peak | {rest} | {} | {} |",
        memory(&child, "VmRSS")?,
        memory(&child, "VmHWM")?
    );
    child.kill()?;
    child.wait()?;
    let lines = log.join().unwrap_or_default();
    let programmed: Vec<Duration> = lines
        .iter()
        .filter(|line| line.contains("programmed a change"))
        .filter_map(|line| line.split("microseconds=").nth(1)?.split_whitespace().next()?.parse().ok())
        .map(Duration::from_micros)
        .collect();
    if !programmed.is_empty() {
        tail(&format!("{name}: … of which: event taken in → committed, by its log"), &programmed);
    }
    Ok(())
}

/// A namespace with the two backends in it, and a way out to a neighbour who never answers.
fn node() -> Netns {
    let node = Netns::new();
    node.run(|| {
        ip_batch(
            "link set lo up\nlink add out type veth peer name nowhere\nlink set out up\nlink set nowhere up\n\
             addr add 192.0.2.2/24 dev out\nneigh add 192.0.2.1 lladdr 02:00:00:00:00:01 dev out\n\
             route add default via 192.0.2.1\n",
        );
        for ip in BACKENDS {
            ip_batch(&format!("addr add {ip}/32 dev lo\n"));
        }
        for ip in BACKENDS {
            let listener = TcpListener::bind((ip, 8080)).expect("a backend");
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let mut stream: TcpStream = stream;
                    let _ = stream.write_all(&ip.octets());
                }
            });
        }
    });
    node
}

/// Connects until the answer comes from this backend; the time since `start`.
fn until_served_by(backend: Ipv4Addr, start: Instant) -> Result<Duration, String> {
    let to: SocketAddr = PROBE.parse().map_err(|error| format!("{PROBE}: {error}"))?;
    while start.elapsed() < PATIENCE {
        if let Ok(mut stream) = TcpStream::connect_timeout(&to, Duration::from_millis(10)) {
            let mut answer = [0; 4];
            if stream.read_exact(&mut answer).is_ok() && answer == backend.octets() {
                return Ok(start.elapsed());
            }
        }
    }
    Err(format!("{PROBE} is not served by {backend} after {PATIENCE:?}"))
}

fn command(name: &str, binary: &Path, directory: &Path, link: &Kubeconfig) -> Result<Command, Error> {
    let path = |suffix: &str| directory.join(format!("{name}.{suffix}"));
    link.write(&path("kubeconfig"));
    let config = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
        "mode": "nftables", "hostnameOverride": NODE, "clusterCIDR": "10.200.0.0/16",
        "clientConnection": { "kubeconfig": path("kubeconfig") },
        "conntrack": { "maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s" },
    });
    fs::write(path("conf"), config.to_string())?;
    let mut command = match name {
        "kube-proxy" => Command::new(program(name)),
        _ => Command::new(binary),
    };
    command.arg("--config").arg(path("conf")).arg(if name == "kube-proxy" { "-v=2" } else { "-v=4" });
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    Ok(command)
}

fn fill(api: &Api, services: u32, endpoints: u32) {
    api.apply(&[json!({
        "apiVersion": "v1", "kind": "Node", "metadata": { "name": NODE },
        "status": { "addresses": [{ "type": "InternalIP", "address": "192.0.2.2" }] },
    })]);
    api.apply(&[service("zz-probe", "10.111.255.250")]);
    let start = Instant::now();
    for first in (0..services).step_by(CHUNK as usize) {
        let numbers = first..services.min(first + CHUNK);
        let objects: Vec<Value> = numbers
            .flat_map(|n| {
                let name = format!("service-{n:05}");
                let ips: Vec<String> = (0..endpoints)
                    .map(|e| Ipv4Addr::from(0x0a80_0000 + (n * endpoints + e) % 0x7f_0000).to_string())
                    .collect();
                let cluster_ip = Ipv4Addr::from(0x0a61_0000 + n).to_string();
                [service(&name, &cluster_ip), slice(&format!("{name}-x"), &name, &ips)]
            })
            .collect();
        api.apply(&objects);
        eprint!(
            "\rwriting to the API: {}/{services} Services, {:.0} s ",
            first + CHUNK,
            start.elapsed().as_secs_f64()
        );
    }
    eprintln!();
}

fn service(name: &str, cluster_ip: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "namespace": "default", "name": name },
        "spec": { "clusterIP": cluster_ip, "ports": [{ "name": "http", "port": 80, "protocol": "TCP" }] },
    })
}

fn slice(name: &str, service: &str, ips: &[String]) -> Value {
    let endpoint = |ip| json!({ "addresses": [ip], "conditions": { "ready": true }, "nodeName": "node-x" });
    let endpoints: Vec<Value> = ips.iter().map(endpoint).collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {
            "namespace": "default", "name": name, "labels": { "kubernetes.io/service-name": service }
        },
        "ports": [{ "name": "http", "port": 8080, "protocol": "TCP" }], "endpoints": endpoints,
    })
}
