//! Deleting stale UDP flows from a conntrack table that is full of others: how long it takes, next to asking the
//! kernel for everything, and whether the loop notices.
//!
//! The flows are made by the program `conntrack`, which nothing else here needs.

use std::fmt::Write;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube_verdict::conntrack::{Cleaner, Kernel, Netlink, Targets, clean};
use kube_verdict::reconcile::{Input, Reconciler, Witness};
use kube_verdict::source::manifests::Directory;
use kube_verdict_nftables::{Netlink as Nfnetlink, Nftables, Options};
use kube_verdict_table::{Backend, Family};

use super::stats::{row, tail};
use crate::Error;
use crate::parts::empty_table;

/// The first client whose flow is stale; those before have flows of others.
const STALE: u32 = 0x0100_0000;
/// Time between two changes of an endpoint.
const GAP: Duration = Duration::from_millis(5);

/// Prints the rows: with so many flows of others, half of them UDP.
pub fn measure(others: u32, rounds: u32, changes: u32) -> Result<(), Error> {
    let start = Instant::now();
    load(foreign(others))?;
    println!("| making {others} flows of others (conntrack -R) | {:.1?} | | |", start.elapsed());
    for stale in [0, 10, 1000, 10_000] {
        measure_clean(&format!("1 service port, {stale} stale"), Netlink::default(), 1, stale, rounds)?;
    }
    measure_clean("1,000 service ports, 10 stale", Netlink::default(), 1000, 10, rounds)?;
    measure_clean("1 service port, 10 stale, unfiltered", Netlink::unfiltered(), 1, 10, rounds)?;
    measure_changes("UDP endpoint event -> committed, alone", (), changes)?;
    let cleaner = Cleaner::start(Netlink::default(), |_| {})?;
    measure_changes("UDP endpoint event -> committed, cleaning up meanwhile", cleaner, changes)
}

/// As many stale flows as are wanted, deleted once in each round.
fn measure_clean(
    name: &str,
    mut kernel: impl Kernel,
    ports: u16,
    stale: u32,
    rounds: u32,
) -> Result<(), Error> {
    let serving: Arc<[Backend]> = [Backend { ip: [10, 0, 0, 1].into(), port: 53 }].into();
    let frontend = |n| (SocketAddr::new([10, 96, 0, 1].into(), 5000 + n), Arc::clone(&serving));
    let targets: Targets = (0..ports).map(frontend).collect();
    let mut times = Vec::new();
    for _ in 0..rounds {
        load((0..stale).map(|n| udp(client(STALE + n), Ipv4Addr::new(10, 96, 0, 1), 5000)))?;
        let start = Instant::now();
        let deleted = clean(&mut kernel, Family::V4, &targets, |_| false)?;
        times.push(start.elapsed());
        if deleted != stale as usize {
            return Err(format!("{name}: {deleted} were deleted").into());
        }
    }
    row(&format!("clean-up: {name}"), &times);
    Ok(())
}

/// The loop's changes of a UDP Service, each of which touches its flows.
fn measure_changes(name: &str, witness: impl Witness, changes: u32) -> Result<(), Error> {
    let backend = Nftables::new(Nfnetlink::open()?, Options::slots(0x4000));
    let now = Instant::now();
    let mut reconciler = Reconciler::new(empty_table(), backend, witness, Duration::from_secs(3600), now);
    let mut times = Vec::new();
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("dns.yaml");
    let mut versions = Vec::new();
    for version in 0..2 {
        std::fs::write(&file, manifest(version))?;
        versions.push(Directory::open(directory.path())?.load().events);
    }
    for events in versions.iter().cycle().take(changes as usize) {
        let input = Input { events: events.clone(), ..Input::default() };
        let start = Instant::now();
        reconciler.take_in(input, start).ok_or("the kernel refused a change")?;
        times.push(start.elapsed());
        std::thread::sleep(GAP);
    }
    tail(name, &times);
    Ok(())
}

fn manifest(version: u32) -> String {
    format!(
        "apiVersion: v1
kind: Service
metadata: {{name: dns}}
spec:
  clusterIP: 10.96.0.1
  ports: [{{port: 53, protocol: UDP}}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: dns-1, labels: {{kubernetes.io/service-name: dns}}}}
addressType: IPv4
ports: [{{port: 5353, protocol: UDP}}]
endpoints: [{{addresses: [10.0.0.{version}]}}]
"
    )
}

fn foreign(count: u32) -> impl Iterator<Item = String> {
    (0..count).map(|n| match n % 2 {
        0 => udp(client(n), Ipv4Addr::new(10, 97, 0, (n % 200) as u8), 1000 + (n % 300) as u16),
        _ => {
            let client = client(n);
            format!(
                "-A -p tcp -s {client} -d 10.97.1.1 --sport 4000 --dport 80 -t 3600 --state ESTABLISHED\n"
            )
        }
    })
}

fn client(n: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x0b00_0000 + n)
}

fn udp(client: Ipv4Addr, to: Ipv4Addr, port: u16) -> String {
    let mut line = format!("-A -p udp -s {client} -d {to} --sport 4000 --dport {port} -t 3600 ");
    let _ = writeln!(line, "-r 10.1.0.1 -q {client} --reply-port-src 53 --reply-port-dst 4000");
    line
}

/// Has flows made in the namespace of this process.
fn load(lines: impl Iterator<Item = String>) -> Result<(), Error> {
    let mut file = tempfile::NamedTempFile::new()?;
    let mut any = false;
    for line in lines {
        file.write_all(line.as_bytes())?;
        any = true;
    }
    if !any {
        return Ok(());
    }
    let output = Command::new("conntrack")
        .arg("-R")
        .arg(file.path())
        .output()
        .map_err(|error| format!("cannot run conntrack (package conntrack): {error}"))?;
    if !output.status.success() {
        return Err(format!("conntrack -R: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(())
}
