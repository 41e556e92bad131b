//! Which of them this machine can have, and from which programs.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use kube_verdict_ipvs_codec::Ipvs;
use kube_verdict_scenario_tests::netns::Netns;

use super::Daemon;
use crate::Error;
use crate::contender::{Contender, Kind};
use crate::stage::Stage;
use crate::workload::World;

/// Where programs of the administrator are, which PATH may not name.
pub const SBIN: &str = "/usr/local/sbin:/usr/sbin:/sbin";

/// Where the processes' programs are.
#[derive(Clone, Debug)]
pub struct Programs {
    /// kube-verdict
    pub kube_verdict: PathBuf,
    /// the real kube-proxy; none: it does not take part
    pub kube_proxy: Option<PathBuf>,
}

/// A contender that can be a process on this machine.
#[derive(Clone, Debug)]
pub struct Candidate {
    contender: Contender,
    program: PathBuf,
    version: String,
    /// the program that is all of iptables, for those who use it
    iptables: Option<PathBuf>,
    /// what lists the rules, for those of whom they are a list
    order_program: Option<PathBuf>,
}

impl Candidate {
    /// Looks for a contender's program, and for what it needs of the machine.
    ///
    /// # Errors
    /// Why the contender has to be absent.
    pub fn find(contender: Contender, programs: &Programs) -> Result<Candidate, String> {
        let program = match contender.kind() {
            Kind::Ours => programs.kube_verdict.clone(),
            Kind::Peer => {
                programs.kube_proxy.clone().ok_or("no kube-proxy was given: --kube-proxy PATH names one")?
            }
            Kind::Rules | Kind::Floor => return Err("it is no process".to_owned()),
        };
        let version = version(&program)?;
        let mut candidate = Candidate { contender, program, version, iptables: None, order_program: None };
        match contender {
            Contender::KubeProxyNftables => drop(installed("nft", "nftables")?),
            Contender::KubeProxyIptablesLegacy => candidate.use_iptables("iptables-legacy")?,
            Contender::KubeProxyIptablesNft => candidate.use_iptables("iptables-nft")?,
            Contender::KubeVerdictIpvs => ipvs()?,
            Contender::KubeProxyIpvs => {
                ipvs()?;
                dummy()?;
                tried("ipset", "ipset", &["list", "-n"])?;
                // Its rules are few, and the same in both.
                candidate.iptables = Some(iptables("iptables-legacy").or_else(|_| iptables("iptables-nft"))?);
            }
            _ => {}
        }
        Ok(candidate)
    }

    /// Who it is.
    pub fn contender(&self) -> Contender {
        self.contender
    }

    /// Its version, as it says itself.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// A contestant on a stage.
    ///
    /// # Errors
    /// Those of [`Daemon::new`].
    pub fn contestant(&self, stage: &Stage, world: &World) -> Result<Daemon, Error> {
        Daemon::new(self, stage, world)
    }

    /// `mode` of the configuration.
    pub(super) fn mode(&self) -> &'static str {
        match self.contender {
            Contender::KubeVerdictIpvs | Contender::KubeProxyIpvs => "ipvs",
            Contender::KubeProxyIptablesLegacy | Contender::KubeProxyIptablesNft => "iptables",
            _ => "nftables",
        }
    }

    pub(super) fn program(&self) -> &Path {
        &self.program
    }

    pub(super) fn iptables(&self) -> Option<&Path> {
        self.iptables.as_deref()
    }

    pub(super) fn order_program(&self) -> Option<&Path> {
        self.order_program.as_deref()
    }

    fn use_iptables(&mut self, name: &str) -> Result<(), String> {
        self.iptables = Some(iptables(name)?);
        self.order_program = Some(installed(&format!("{name}-save"), "iptables")?);
        Ok(())
    }
}

/// What it says to `--version`, without its name.
fn version(program: &Path) -> Result<String, String> {
    let output = Command::new(program).arg("--version").output();
    let output = output.map_err(|error| format!("{} cannot be run: {error}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.split_whitespace().last().unwrap_or_default().to_owned();
    match output.status.success() && !version.is_empty() {
        true => Ok(version),
        false => Err(format!("{} does not say its version ({})", program.display(), output.status)),
    }
}

/// Where a program is.
fn installed(name: &str, package: &str) -> Result<PathBuf, String> {
    let path = env::var("PATH").unwrap_or_default();
    let mut places = env::split_paths(&path).chain(env::split_paths(SBIN));
    places
        .find_map(|place| Some(place.join(name)).filter(|path| path.is_file()))
        .ok_or_else(|| format!("there is no program {name}: install the package {package}"))
}

/// Where a program is that works in a new network namespace.
fn tried(name: &str, package: &str, words: &[&str]) -> Result<PathBuf, String> {
    let program = installed(name, package)?;
    let output = Netns::new().run(|| Command::new(&program).args(words).output());
    match output {
        Ok(output) if output.status.success() => Ok(program),
        Ok(output) => {
            let complaint = String::from_utf8_lossy(&output.stderr);
            Err(format!("{name} does not work with this kernel: {}", complaint.trim()))
        }
        Err(error) => Err(format!("{} cannot be run: {error}", program.display())),
    }
}

/// The program that is all of iptables, of one variant: it is told by the name that it is called by.
fn iptables(name: &str) -> Result<PathBuf, String> {
    let program = tried(name, "iptables", &["-w", "-t", "nat", "-S"])?;
    program.canonicalize().map_err(|error| format!("{} leads nowhere: {error}", program.display()))
}

fn ipvs() -> Result<(), String> {
    // Newer kernels load it by themselves when somebody asks for it (5.10 does not).
    let _ = Command::new("modprobe").arg("ip_vs").output();
    let servers = Netns::new().run(|| Ipvs::open()?.virtual_servers());
    servers.map(drop).map_err(|error| format!("this kernel has no IPVS ({error})"))
}

fn dummy() -> Result<(), String> {
    tried("ip", "iproute2", &["link", "add", "type", "dummy"]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_absent_has_a_reason() {
        let programs = Programs { kube_verdict: "/nowhere/kube-verdict".into(), kube_proxy: None };
        for contender in [Contender::KubeVerdictNftables, Contender::KubeProxyNftables, Contender::FloorDnat]
        {
            let found = Candidate::find(contender, &programs);
            assert!(found.is_err_and(|reason| !reason.is_empty()), "{contender:?}");
        }
        let found = Candidate::find(Contender::KubeVerdictNftables, &programs).map(drop);
        assert!(found.is_err_and(|reason| reason.contains("/nowhere/kube-verdict cannot be run")));
    }
}
