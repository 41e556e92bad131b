//! The real kube-proxy, in a node's namespace: the peer that we are compared with, and the predecessor that we
//! take over from.

mod mode;
mod record;

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cluster::{Kubeconfig, program};
use crate::kernel;
use crate::netns::Netns;
use crate::plan::{Family, NODE};
use crate::tether::{self, Tether};

pub use mode::Mode;
use record::Record;

/// How long it may take to programme a change before a test fails; usually it is a second.
const PROGRAMMING: Duration = Duration::from_secs(60);

/// A running kube-proxy. It is killed on drop; its rules stay.
#[derive(Debug)]
pub struct KubeProxy {
    child: Child,
    _tether: Tether,
    netns: Netns,
    directory: tempfile::TempDir,
    record: Option<Record>,
}

impl KubeProxy {
    /// Starts it with a KubeProxyConfiguration, to which is added the mode, and what a namespace on a test machine
    /// needs. The API server must have a Node of the name [`NODE`].
    pub fn start(mode: Mode, netns: &Netns, config: &Value, api: &Kubeconfig) -> KubeProxy {
        KubeProxy::launch(mode, netns, config, api, false)
    }

    /// The same, and keeps what it writes of IPv4, word for word.
    pub fn start_recorded(mode: Mode, netns: &Netns, config: &Value, api: &Kubeconfig) -> KubeProxy {
        KubeProxy::launch(mode, netns, config, api, true)
    }

    fn launch(mode: Mode, netns: &Netns, config: &Value, api: &Kubeconfig, records: bool) -> KubeProxy {
        let directory = tempfile::Builder::new().prefix("kube-proxy-").tempdir().expect("a directory");
        let path = |name: &str| directory.path().join(name);
        api.write(&path("kubeconfig"));
        let mut config = config.clone();
        config["clientConnection"] = json!({ "kubeconfig": path("kubeconfig"), "qps": 100, "burst": 200 });
        // The maximum of conntrack entries belongs to the machine, not to the namespace.
        config["conntrack"] = json!({ "maxPerCore": 0, "min": 0 });
        config["hostnameOverride"] = NODE.into();
        config["mode"] = mode.word().into();
        config[mode.word()]["minSyncPeriod"] = "10ms".into();
        fs::write(path("config.conf"), config.to_string()).expect("the configuration");
        let log = File::create(path("log")).expect("the log");
        let mut command = Command::new(program("kube-proxy"));
        command.arg("--config").arg(path("config.conf")).arg("-v=2");
        mode.choose_iptables(&path("bin"));
        let record = records.then(|| Record::install(mode, &path("bin"), path("record")));
        let others = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{others}:/usr/sbin:/sbin", path("bin").display()));
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("the log")).stderr(log);
        let (child, tether) = tether::spawn(netns, command);
        KubeProxy { child, _tether: tether, netns: netns.share(), directory, record }
    }

    /// Waits until its nftables tables of both families mention each of these words.
    ///
    /// # Panics
    /// When they do not in time, or it died.
    pub fn wait_for(&mut self, words: &[String]) {
        let deadline = Instant::now() + PROGRAMMING;
        loop {
            let listings: String = Family::BOTH
                .into_iter()
                .filter_map(|family| {
                    kernel::nft(&self.netns, &["list", "table", family.table(), "kube-proxy"], "").ok()
                })
                .collect();
            let mentions = |word: &String| {
                let between = |c: char| c.is_whitespace() || c == ',';
                listings.split(between).any(|found| found == word)
            };
            if words.iter().all(mentions) {
                return;
            }
            let alive = matches!(self.child.try_wait(), Ok(None));
            assert!(
                alive && Instant::now() < deadline,
                "kube-proxy (running: {alive}) does not have {words:?}. Its log:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What it wrote of IPv4 so far, each input once it was taken; nothing unless it is recorded.
    pub fn inputs(&self) -> Vec<String> {
        self.record.as_ref().map(Record::inputs).unwrap_or_default()
    }

    /// What it said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for KubeProxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
