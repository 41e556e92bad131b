//! What a process is given: a configuration, a kubeconfig, and the iptables that it is to find.

use std::env;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use super::candidate::{Candidate, SBIN};
use crate::stage::CLUSTER_CIDR;
use crate::workload::NODE;

/// A temporary directory with all of it.
#[derive(Debug)]
pub struct Files {
    directory: TempDir,
}

impl Files {
    /// Writes them.
    pub fn write(candidate: &Candidate, api: SocketAddr) -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("kube-verdict-bench-").tempdir()?;
        let files = Files { directory };
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "bench",
            "clusters": [{ "name": "bench", "cluster": { "server": format!("http://{api}") } }],
            "users": [{ "name": "bench", "user": {} }],
            "contexts": [{ "name": "bench", "context": { "cluster": "bench", "user": "bench" } }],
        });
        fs::write(files.path("kubeconfig"), kubeconfig.to_string())?;
        // The maximum of conntrack entries and its timeouts belong to the machine, not to the namespace.
        let config = json!({
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
            "mode": candidate.mode(), "hostnameOverride": NODE, "clusterCIDR": CLUSTER_CIDR,
            "clientConnection": { "kubeconfig": files.path("kubeconfig") },
            "healthzBindAddress": "127.0.0.1:10256", "metricsBindAddress": "127.0.0.1:10249",
            "conntrack": {
                "maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s",
            },
        });
        fs::write(files.path("config"), config.to_string())?;
        fs::create_dir(files.path("bin"))?;
        if let Some(multi) = candidate.iptables() {
            choose_iptables(&files.path("bin"), multi)?;
        }
        Ok(files)
    }

    /// The command line.
    pub fn command(&self, candidate: &Candidate) -> Command {
        let mut command = Command::new(candidate.program());
        command.arg("--config").arg(self.path("config"));
        let path = env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}:{SBIN}", self.path("bin").display()));
        // Others on this machine may load rules too: in namespaces of theirs, under the same lock.
        command.env("XTABLES_LOCKFILE", self.path("xtables.lock"));
        command
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// Makes every name of iptables lead to the one program that is all of them.
fn choose_iptables(directory: &Path, multi: &Path) -> io::Result<()> {
    for name in ["iptables", "ip6tables"] {
        for suffix in ["", "-save", "-restore"] {
            symlink(multi, directory.join(format!("{name}{suffix}")))?;
        }
    }
    Ok(())
}
