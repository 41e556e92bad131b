//! etcd and kube-apiserver, started, linked to nodes, killed and started again.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use super::api::Api;
use super::kubeconfig::{ADMIN, Kubeconfig};
use super::programs::program;
use crate::netns::Netns;
use crate::tether::{self, Tether};
use crate::topology::ip_batch;

/// The API server's port.
const PORT: u16 = 6443;
/// From start to ready takes three seconds on an idle machine with two cores.
const READY: Duration = Duration::from_secs(120);
/// As wide as an API server takes them.
pub const SERVICE_CIDRS: &str = "10.96.0.0/12,fd00:10:96::/108";

/// A running control plane. It is gone with its value.
#[derive(Debug)]
pub struct ControlPlane {
    api: Api,
    api_server: Option<(Child, Tether)>,
    etcd: Option<(Child, Tether)>,
    netns: Netns,
    directory: tempfile::TempDir,
    arguments: Vec<String>,
    links: AtomicU8,
}

impl ControlPlane {
    /// Starts it and waits until it is ready.
    pub fn start() -> ControlPlane {
        ControlPlane::start_with(&[])
    }

    /// The same, with more words for kube-apiserver.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start_with(arguments: &[&str]) -> ControlPlane {
        let netns = Netns::new();
        netns.run(|| ip_batch("link set lo up\n"));
        let directory =
            tempfile::Builder::new().prefix("kube-verdict-cluster-").tempdir().expect("a directory");
        keys(directory.path());
        let mut control_plane = ControlPlane {
            api: Api::new(&netns, &administrator(Ipv4Addr::LOCALHOST)),
            api_server: None,
            etcd: None,
            netns,
            directory,
            arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
            links: AtomicU8::new(0),
        };
        control_plane.start_etcd();
        control_plane.start_api_server();
        control_plane
    }

    /// The API, as the administrator.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Its namespace.
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// Makes a link to a node's namespace, and says how to reach the API server over it as administrator.
    pub fn connect(&self, node: &Netns) -> Kubeconfig {
        let number = self.links.fetch_add(1, Ordering::Relaxed);
        let (here, there) = (Ipv4Addr::new(100, 64, number, 1), Ipv4Addr::new(100, 64, number, 2));
        let name = format!("node{number}");
        let path = node.path();
        self.netns.run(|| {
            ip_batch(&format!(
                "link add {name} type veth peer name api netns {path}\n\
                 addr add {here}/30 dev {name}\nlink set {name} up\n"
            ));
        });
        node.run(|| ip_batch(&format!("addr add {there}/30 dev api\nlink set api up\n")));
        administrator(here)
    }

    /// `kubectl` with these words, as administrator, in the control plane's namespace: what it printed.
    ///
    /// # Errors
    /// What it complained of.
    pub fn kubectl(&self, words: &[&str]) -> Result<String, String> {
        let config = self.directory.path().join("admin.kubeconfig");
        administrator(Ipv4Addr::LOCALHOST).write(&config);
        let mut command = Command::new(program("kubectl"));
        command.arg("--kubeconfig").arg(&config).args(words).stdin(Stdio::null());
        let output = self.netns.run(|| command.output().expect("running kubectl"));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// A token for a ServiceAccount, valid for an hour or as long as is asked for (ten minutes at least).
    ///
    /// # Panics
    /// When the API server gives none.
    pub fn token(&self, namespace: &str, service_account: &str, seconds: u32) -> String {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token");
        let request = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": { "expirationSeconds": seconds }
        });
        let answer = self.api.post(&path, &request).expect("a token");
        answer["status"]["token"].as_str().expect("a token").to_owned()
    }

    /// `kill -9` of the API server; its state is etcd's.
    pub fn kill_api_server(&mut self) {
        end(self.api_server.take());
    }

    /// Starts the API server, or another one after the first, and waits until it is ready.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn start_api_server(&mut self) {
        let directory = self.directory.path();
        let mut command = Command::new(program("kube-apiserver"));
        command.current_dir(directory).args([
            "--etcd-servers=http://127.0.0.1:2379",
            "--cert-dir=certs",
            "--bind-address=0.0.0.0",
            "--advertise-address=127.0.0.1",
            &format!("--secure-port={PORT}"),
            &format!("--service-cluster-ip-range={SERVICE_CIDRS}"),
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-account-key-file=sa.pub",
            "--service-account-signing-key-file=sa.key",
            "--token-auth-file=tokens.csv",
            "--authorization-mode=Node,RBAC",
            "--endpoint-reconciler-type=none",
            "--max-requests-inflight=4000",
            "--max-mutating-requests-inflight=2000",
        ]);
        command.args(&self.arguments);
        self.api_server = Some(spawn(&self.netns, directory, "kube-apiserver", command));
        let deadline = Instant::now() + READY;
        while self.api.get("/readyz").is_err() {
            let (child, _) = self.api_server.as_mut().expect("just started");
            let ended = child.try_wait().expect("waiting for kube-apiserver");
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "kube-apiserver is not ready. Its log:\n{}",
                tail(&self.log_of("kube-apiserver"))
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        self.wait_for_namespace();
    }

    /// Forgets all history: who watches from before is told 410 Gone.
    ///
    /// # Panics
    /// When etcd refuses.
    pub fn compact(&self) {
        let revision = self.api.get("/api/v1/namespaces/default/services?limit=1").expect("a list");
        let revision = revision["metadata"]["resourceVersion"].as_str().expect("a version").to_owned();
        let mut command = Command::new(program("etcdctl"));
        command.args(["--endpoints=http://127.0.0.1:2379", "compact", "--physical", &revision]);
        let output = self.netns.run(|| command.output().expect("running etcdctl"));
        assert!(output.status.success(), "etcdctl: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// What a program said so far.
    pub fn log_of(&self, program: &str) -> String {
        fs::read_to_string(self.directory.path().join(format!("{program}.log"))).unwrap_or_default()
    }

    fn start_etcd(&mut self) {
        let directory = self.directory.path();
        let mut command = Command::new(program("etcd"));
        command.current_dir(directory).args([
            "--data-dir=etcd",
            "--unsafe-no-fsync",
            "--listen-client-urls=http://127.0.0.1:2379",
            "--advertise-client-urls=http://127.0.0.1:2379",
            "--listen-peer-urls=http://127.0.0.1:2380",
            "--initial-advertise-peer-urls=http://127.0.0.1:2380",
            "--initial-cluster=default=http://127.0.0.1:2380",
            "--quota-backend-bytes=8589934592",
        ]);
        self.etcd = Some(spawn(&self.netns, directory, "etcd", command));
    }

    /// Ready is not yet usable: the default namespace comes a moment later.
    fn wait_for_namespace(&self) {
        let deadline = Instant::now() + READY;
        while self.api.get("/api/v1/namespaces/default").is_err() {
            assert!(Instant::now() < deadline, "the API server has no default namespace");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        end(self.api_server.take());
        end(self.etcd.take());
    }
}

/// How the administrator reaches the API server at an address of its.
fn administrator(server: Ipv4Addr) -> Kubeconfig {
    Kubeconfig { server: server.into(), port: PORT, token: ADMIN.into() }
}

/// What tokens are signed with, and who has which.
fn keys(directory: &Path) {
    for words in [
        &["genrsa", "-out", "sa.key", "2048"][..],
        &["rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub"][..],
    ] {
        let output = Command::new("openssl")
            .args(words)
            .current_dir(directory)
            .output()
            .expect("running openssl (package openssl)");
        assert!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
    }
    fs::write(directory.join("tokens.csv"), format!("{ADMIN},admin,admin,system:masters\n"))
        .expect("writing tokens");
}

fn spawn(netns: &Netns, directory: &Path, name: &str, mut command: Command) -> (Child, Tether) {
    let path: PathBuf = directory.join(format!("{name}.log"));
    let log = File::options().create(true).append(true).open(path).expect("a log");
    command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log);
    tether::spawn(netns, command)
}

fn end(process: Option<(Child, Tether)>) {
    if let Some((mut child, _tether)) = process {
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
