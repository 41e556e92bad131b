//! What the story plays on: the namespaces, the servers in the pods, a directory with manifests, a configuration
//! and the daemon's log, and the daemon.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use kube_verdict_scenario_tests::config::Config;
use kube_verdict_scenario_tests::daemon::{Daemon, Files, program};
use kube_verdict_scenario_tests::echo::Echo;
use kube_verdict_scenario_tests::netlink::Netfilter;
use kube_verdict_scenario_tests::netns::Netns;
use kube_verdict_scenario_tests::plan::{self, Family};
use kube_verdict_scenario_tests::topology::{Host, Topology};
use kube_verdict_scenario_tests::wire::Protocol;

use crate::{Shown, claim};

/// What the daemon says when everything is programmed.
const READY: &str = "the kernel is as the manifests say";
/// Where the web servers are, and the port they listen on.
pub const PODS: [(Host, &str); 3] =
    [(Host::PodA, plan::POD_A), (Host::PodB, plan::POD_B), (Host::Remote, plan::POD_C)];
/// The port of every server.
pub const SERVER_PORT: u16 = 8080;

/// Everything.
pub struct Stage {
    topology: Topology,
    _servers: Echo,
    files: Files,
    daemon: Option<Daemon>,
}

impl Stage {
    /// Namespaces, servers and an empty directory; no daemon yet.
    pub fn new() -> Self {
        let topology = Topology::new();
        let mut servers = Echo::new();
        for (host, address) in PODS {
            for family in Family::BOTH {
                let at = SocketAddr::new(plan::ip(family, address), SERVER_PORT);
                servers.ensure(topology.of(host), at, Protocol::Tcp);
            }
        }
        let files = Files::new(&Config::default().build());
        Stage { topology, _servers: servers, files, daemon: None }
    }

    /// The namespace of a host.
    pub fn of(&self, host: Host) -> &Netns {
        self.topology.of(host)
    }

    /// The node's namespace.
    pub fn node(&self) -> &Netns {
        self.of(Host::Node)
    }

    /// A manifest file.
    pub fn manifest(&self, name: &str) -> PathBuf {
        self.files.manifests().join(name)
    }

    /// Replaces a manifest file by renaming, as editors do; the moment at which it counts.
    pub fn replace(&self, name: &str, text: &str) -> Shown<Instant> {
        let temporary = self.manifest(&format!(".{name}.new"));
        fs::write(&temporary, text).map_err(|error| format!("writing {name}: {error}"))?;
        let moment = Instant::now();
        fs::rename(temporary, self.manifest(name)).map_err(|error| format!("renaming {name}: {error}"))?;
        Ok(moment)
    }

    /// The same, and waits until the kernel's ruleset changes: when the file was replaced, and when that was
    /// seen in the kernel.
    pub fn replace_and_watch(&self, name: &str, text: &str) -> Shown<(Instant, Instant)> {
        let mut kernel = Netfilter::open(self.node());
        let before = kernel.generation();
        let replaced = self.replace(name, text)?;
        while kernel.generation() == before {
            claim(replaced.elapsed() < Duration::from_secs(5), "the kernel's ruleset did not change")?;
            std::thread::sleep(Duration::from_micros(50));
        }
        Ok((replaced, Instant::now()))
    }

    /// Waits until a chain is gone: those that nothing uses any more are removed five seconds after the change.
    pub fn await_absence(&self, chain: &str) -> Shown {
        let start = Instant::now();
        while self.shell(&format!("nft list chain ip kube-verdict {chain}")).is_ok() {
            claim(start.elapsed() < Duration::from_secs(20), format!("the unused chain {chain} stays"))?;
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// What a manifest file says.
    pub fn read(&self, name: &str) -> Shown<String> {
        fs::read_to_string(self.manifest(name)).map_err(|error| format!("reading {name}: {error}"))
    }

    /// Runs a line of shell on the node, in the directory of the manifests' directory, with the daemon's
    /// program in the path. Its whole output, if it succeeded.
    pub fn shell(&self, line: &str) -> Shown<String> {
        let directory = self.files.manifests().join("..");
        let programs = program().parent().unwrap_or(Path::new("/")).display();
        let path = format!("{programs}:{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
        let output = self.node().run(|| {
            let mut shell = Command::new("sh");
            shell.args(["-c", line]).current_dir(directory).env("PATH", path).env_remove("RUST_LOG").output()
        });
        let output = output.map_err(|error| format!("running a shell: {error}"))?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        claim(output.status.success(), format!("`{line}` failed: {text}"))?;
        Ok(text)
    }

    /// What the daemon said so far, with paths as the commands that are shown have them.
    pub fn log(&self) -> String {
        self.files.log().replace(&self.files.manifests().display().to_string(), "manifests")
    }

    /// Starts the daemon and waits until everything is programmed. What it said.
    pub fn start(&mut self) -> Shown<String> {
        let before = self.log().len();
        self.daemon = Some(Daemon::start(&self.files, self.node()));
        self.await_log(before, READY)
    }

    /// Stops the daemon with SIGTERM. What it said.
    pub fn terminate(&mut self) -> Shown<String> {
        let before = self.log().len();
        self.daemon.take().ok_or("no daemon runs")?.terminate();
        Ok(self.log().split_off(before))
    }

    /// Waits until the log says something after its first so many bytes; what it said from there on.
    pub fn await_log(&self, before: usize, what: &str) -> Shown<String> {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let said = self.log().split_off(before);
            if said.contains(what) && said.ends_with('\n') {
                return Ok(said);
            }
            claim(Instant::now() < deadline, format!("the daemon did not say {what:?} within seconds"))?;
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}
