//! The daemon in IPVS mode, as IPVS shows what it does; next to `ipvsadm -R` with the same virtual servers in the same
//! kernel.

use std::collections::HashMap;
use std::io::Write;
use std::net::IpAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kube_verdict_ipvs_codec::{Family as IpvsFamily, Ipvs, Key};
use kube_verdict_nftables::layout::Element;
use kube_verdict_nftables::{Kernel, Netlink};
use kube_verdict_table::{Family, Frontend};
use nix::sched::{CloneFlags, unshare};

use super::daemon::{NODE, Scene, Witness};
use super::manifests;
use super::stats::row;
use crate::Error;

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
    /// endpoints of each Service
    endpoints: u32,
    /// the virtual server and the real server that are waited for
    awaited: Option<(Key, IpAddr)>,
}

impl Servers {
    fn read(endpoints: u32) -> Result<Self, Error> {
        let found = Netlink::open()?.read(Family::V4)?.table.unwrap_or_default();
        let keys = found.elements.iter().filter_map(|element| match element {
            Element::Mark(Frontend::Address { ip, .. }, _, mark) => {
                Some((*ip, Key::Mark { family: IpvsFamily::V4, mark: *mark }))
            }
            _ => None,
        });
        Ok(Servers { ipvs: Ipvs::open()?, keys: keys.collect(), endpoints, awaited: None })
    }
}

impl Witness for Servers {
    fn before(&mut self, service: u32, version: u32) -> Result<(), Error> {
        let cluster_ip = IpAddr::V4(manifests::cluster_ip(service));
        let key = self.keys.get(&cluster_ip).ok_or("a Service without a virtual server")?;
        let first = manifests::first_endpoint(service, self.endpoints, version);
        self.awaited = Some((*key, IpAddr::V4(first)));
        Ok(())
    }

    fn arrived(&mut self) -> Result<bool, Error> {
        let (key, first) = self.awaited.as_ref().ok_or("nothing is waited for")?;
        let servers = self.ipvs.real_servers(key)?;
        Ok(servers.iter().any(|real| real.server.address == *first && real.server.weight > 0))
    }
}

/// Prints the rows.
pub fn measure(scene: &Scene) -> Result<(), Error> {
    routes()?;
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), CONFIGURATION)?;
    let words = ["--config", file.path().to_str().ok_or("a path of text")?];
    ipvsadm(scene.binary, scene.directory, words)?;
    let scene = Scene { words: &words, ..*scene };
    scene.measure(|| Servers::read(scene.endpoints))
}

/// Routes to all backends: without one IPVS takes none.
fn routes() -> std::io::Result<()> {
    for words in [["link", "set", "lo", "up"].as_slice(), &["route", "add", "10.0.0.0/8", "dev", "lo"]] {
        Command::new("ip").args(words).status()?;
    }
    Ok(())
}

/// The peer, in a network namespace of its own: what was deleted there slows nobody else down.
fn ipvsadm(binary: &Path, directory: &Path, words: [&str; 2]) -> Result<(), Error> {
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
