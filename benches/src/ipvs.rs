//! The daemon in IPVS mode: start, changes of one endpoint as the kernel shows them, memory, restart; next to
//! `ipvsadm -R` with the same virtual servers in the same kernel.

use std::collections::HashMap;
use std::error::Error;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kube_verdict_ipvs_codec::{Family as IpvsFamily, Ipvs, Key};
use kube_verdict_nftables::layout::Element;
use kube_verdict_nftables::{Kernel, Netlink};
use kube_verdict_table::{Family, Frontend};
use nix::sched::{CloneFlags, unshare};

use crate::daemon::{NODE, Started, start, stop};
use crate::manifests;
use crate::stats::{memory, row, tail};

const CONFIGURATION: &str = "\
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: ipvs
conntrack: {maxPerCore: 0}
";

/// What IPVS has of the Services.
struct Servers {
    ipvs: Ipvs,
    /// the virtual server of each Service, by its ClusterIP
    keys: HashMap<IpAddr, Key>,
}

impl Servers {
    fn read() -> Result<Self, Box<dyn Error>> {
        let found = Netlink::open()?.read(Family::V4)?.table.unwrap_or_default();
        let keys = found.elements.iter().filter_map(|element| match element {
            Element::Mark(Frontend::Address { ip, .. }, _, mark) => {
                Some((*ip, Key::Mark { family: IpvsFamily::V4, mark: *mark }))
            }
            _ => None,
        });
        Ok(Servers { ipvs: Ipvs::open()?, keys: keys.collect() })
    }

    fn serves(&mut self, service: Ipv4Addr, backend: Ipv4Addr) -> Result<bool, Box<dyn Error>> {
        let key = self.keys.get(&IpAddr::V4(service)).ok_or("a Service without a virtual server")?;
        let servers = self.ipvs.real_servers(key)?;
        Ok(servers.iter().any(|real| real.server.address == IpAddr::V4(backend) && real.server.weight > 0))
    }
}

/// Prints the rows.
pub fn measure(
    binary: &Path,
    directory: &Path,
    services: u32,
    endpoints: u32,
    changes: u32,
) -> Result<(), Box<dyn Error>> {
    routes()?;
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), CONFIGURATION)?;
    let words = ["--config", file.path().to_str().ok_or("a path of text")?];
    ipvsadm(binary, directory, words)?;
    let Started { mut daemon, started, programmed } = start(binary, directory, &words)?;
    row("process start -> in step", &[started]);
    row("of that, from the table to IPVS and nftables", &[programmed]);
    let resident = memory(&daemon, "VmRSS")?;
    let mut servers = Servers::read()?;
    let times = (0..changes)
        .map(|change| one_change(&mut servers, directory, change, services, endpoints))
        .collect::<Result<Vec<_>, _>>()?;
    tail("file replaced -> the new real server is there, one endpoint", &times);
    let (after, peak) = (memory(&daemon, "VmRSS")?, memory(&daemon, "VmHWM")?);
    println!(
        "| resident memory after the start, after {changes} changes, peak | {resident} | {after} | {peak} |"
    );
    stop(&mut daemon)?;
    let before = Netlink::open()?.generation()?;
    let Started { mut daemon, started, programmed } = start(binary, directory, &words)?;
    row("restart with nothing changed -> in step", &[started]);
    row("of that, reading back and comparing", &[programmed]);
    let batches = Netlink::open()?.generation()?.wrapping_sub(before);
    println!("| batches written by that restart | {batches} | | |");
    stop(&mut daemon)
}

/// Routes to all backends: without one IPVS takes none.
fn routes() -> std::io::Result<()> {
    for words in [["link", "set", "lo", "up"].as_slice(), &["route", "add", "10.0.0.0/8", "dev", "lo"]] {
        Command::new("ip").args(words).status()?;
    }
    Ok(())
}

/// The peer, in a network namespace of its own: what was deleted there slows nobody else down.
fn ipvsadm(binary: &Path, directory: &Path, words: [&str; 2]) -> Result<(), Box<dyn Error>> {
    let rendered = Command::new(binary)
        .args(["render", "--only", "ipvs", "--hostname-override", NODE])
        .args(words)
        .arg("--manifests")
        .arg(directory)
        .output()?;
    if !rendered.status.success() {
        return Err(String::from_utf8_lossy(&rendered.stderr).into());
    }
    let restore = move || -> Result<Duration, String> {
        unshare(CloneFlags::CLONE_NEWNET).map_err(|error| error.to_string())?;
        routes().map_err(|error| error.to_string())?;
        let start = Instant::now();
        let mut ipvsadm = Command::new("ipvsadm")
            .arg("-R")
            .stdin(Stdio::piped())
            .spawn()
            .map_err(|error| format!("ipvsadm: {error}"))?;
        let mut input = ipvsadm.stdin.take().ok_or("no standard input")?;
        input.write_all(&rendered.stdout).map_err(|error| format!("ipvsadm: {error}"))?;
        drop(input);
        match ipvsadm.wait().map_err(|error| error.to_string())? {
            status if status.success() => Ok(start.elapsed()),
            status => Err(format!("ipvsadm ended with {status}")),
        }
    };
    let time = std::thread::spawn(restore).join().map_err(|_| "the thread of ipvsadm")??;
    row("`ipvsadm -R` of the same virtual servers", &[time]);
    Ok(())
}

/// Replaces one Service's file by rename, and waits until IPVS has the endpoint that is new in it.
fn one_change(
    servers: &mut Servers,
    directory: &Path,
    change: u32,
    services: u32,
    endpoints: u32,
) -> Result<Duration, Box<dyn Error>> {
    let service = change.wrapping_mul(7919) % services;
    let version = 1 + change / services;
    let temporary = directory.join(".next");
    std::fs::write(&temporary, manifests::manifest(service, endpoints, version))?;
    let (cluster_ip, first) =
        (manifests::cluster_ip(service), manifests::first_endpoint(service, endpoints, version));
    let start = Instant::now();
    std::fs::rename(&temporary, manifests::path(directory, service))?;
    while !servers.serves(cluster_ip, first)? {
        if start.elapsed() > Duration::from_secs(30) {
            return Err(format!("the change of service-{service} never came").into());
        }
    }
    let time = start.elapsed();
    // A quiet moment, so that the next change finds the daemon at rest.
    std::thread::sleep(Duration::from_millis(5));
    Ok(time)
}
