//! The daemon as a black box: the program, a directory of manifests, a configuration file, and a network
//! namespace to run in.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::cluster::Kubeconfig;
use crate::model::Probe;
use crate::netns::Netns;
use crate::pace;
use crate::plan::NODE;
use crate::tether::{self, Tether};

/// The program under test: `KUBE_VERDICT_BIN`, or the one in the target directory of the running test, brought
/// up to date by cargo once per test process.
///
/// # Panics
/// When it does not build.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(path) = std::env::var_os("KUBE_VERDICT_BIN") {
            return path.into();
        }
        let test = std::env::current_exe().expect("the path of this test");
        // target/PROFILE/deps/TEST
        let directory = test.ancestors().nth(2).expect("a target directory");
        let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        build.args(["build", "--quiet", "--package", "kube-verdict", "--bin", "kube-verdict"]);
        build.args(["--target-dir".as_ref(), directory.parent().expect("a target directory").as_os_str()]);
        if directory.ends_with("release") {
            build.arg("--release");
        }
        // What cargo says of the test to the test: build scripts would take it for a change.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|prefix| text.starts_with(prefix)) {
                build.env_remove(&name);
            }
        }
        let built = build.current_dir(env!("CARGO_MANIFEST_DIR")).status();
        assert!(built.is_ok_and(|status| status.success()), "the daemon does not build: {build:?}");
        directory.join("kube-verdict")
    })
}

/// A directory of manifests, a configuration file and a log.
#[derive(Debug)]
pub struct Files {
    directory: tempfile::TempDir,
    is_cluster: bool,
    words: Vec<String>,
}

impl Files {
    /// With this configuration and no manifests.
    pub fn new(config: &Value) -> Self {
        let directory = tempfile::Builder::new().prefix("kube-verdict-").tempdir().expect("a directory");
        fs::create_dir(directory.path().join("manifests")).expect("a directory");
        // JSON is YAML.
        fs::write(directory.path().join("config.yaml"), config.to_string()).expect("the configuration");
        Files { directory, is_cluster: false, words: Vec::new() }
    }

    /// With this configuration, and a kubeconfig in place of manifests.
    pub fn for_cluster(config: &Value, kubeconfig: &Kubeconfig) -> Self {
        let mut files = Files::new(config);
        files.is_cluster = true;
        let mut config = config.clone();
        config["clientConnection"]["kubeconfig"] = files.kubeconfig().to_str().expect("text").into();
        fs::write(files.config(), config.to_string()).expect("the configuration");
        kubeconfig.write(&files.kubeconfig());
        files
    }

    /// Adds words to the command line.
    pub fn add_words(&mut self, words: &[&str]) {
        self.words.extend(words.iter().map(|word| (*word).to_owned()));
    }

    /// Takes the last so many words from it again.
    pub fn drop_words(&mut self, count: usize) {
        self.words.truncate(self.words.len().saturating_sub(count));
    }

    /// The file that leads to the API server.
    pub fn kubeconfig(&self) -> PathBuf {
        self.directory.path().join("kubeconfig")
    }

    /// Where a test may leave files of its own.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// `--manifests`
    pub fn manifests(&self) -> PathBuf {
        self.directory.path().join("manifests")
    }

    /// `--config`
    pub fn config(&self) -> PathBuf {
        self.directory.path().join("config.yaml")
    }

    /// What the daemon said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// Replaces one manifest file by rename, as editors and ConfigMaps do.
    pub fn write(&self, name: &str, objects: &[Value]) {
        let list = serde_json::json!({ "apiVersion": "v1", "kind": "List", "items": objects });
        let temporary = self.manifests().join(format!(".{name}.new"));
        fs::write(&temporary, list.to_string()).expect("writing a manifest");
        fs::rename(&temporary, self.manifests().join(name)).expect("renaming a manifest");
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(words).arg("--config").arg(self.config());
        if !self.is_cluster {
            command.arg("--manifests").arg(self.manifests());
        }
        command.args(["--hostname-override", NODE]).args(&self.words);
        command
    }

    /// Runs `render`.
    pub fn render(&self, netns: &Netns) -> String {
        let output = netns.run(|| self.command(&["render"]).output().expect("running the program"));
        succeeded("render", &output);
        String::from_utf8(output.stdout).expect("text")
    }

    /// Runs `cleanup`.
    pub fn cleanup(&self, netns: &Netns) {
        let output =
            netns.run(|| Command::new(program()).arg("cleanup").output().expect("running the program"));
        succeeded("cleanup", &output);
    }

    /// Runs `explain` about a packet.
    ///
    /// # Errors
    /// What went wrong, when it did not answer.
    pub fn explain(&self, netns: &Netns, probe: &Probe) -> Result<Value, String> {
        let Probe { source, interface, to, protocol } = probe;
        let mut command = self.command(&["explain"]);
        command.args(["--from", &source.to_string(), "--to", &format!("{to}/{protocol}"), "-o", "json"]);
        if let Some(interface) = interface {
            command.args(["--in-interface", interface]);
        }
        let output = netns.run(|| command.output().expect("running the program"));
        if !output.status.success() {
            return Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)));
        }
        serde_json::from_slice(&output.stdout)
            .map_err(|e| format!("{command:?}: {e} in {}", String::from_utf8_lossy(&output.stdout)))
    }
}

fn succeeded(what: &str, output: &Output) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what} failed ({}): {error}", output.status);
}

/// The running daemon. It is killed on drop, and by the kernel should the test die first.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    _tether: Tether,
}

impl Daemon {
    /// Starts it in a namespace. The log is appended to.
    pub fn start(files: &Files, netns: &Netns) -> Daemon {
        let log = File::options().create(true).append(true).open(files.log_path()).expect("the log");
        let mut command = files.command(&[]);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("the log")).stderr(log);
        let (child, tether) = tether::spawn(netns, command);
        Daemon { child, _tether: tether }
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did within this time.
    ///
    /// # Panics
    /// When it goes on.
    pub fn ends_within(&mut self, time: Duration) -> std::process::ExitStatus {
        let deadline = Instant::now() + time;
        loop {
            match self.child.try_wait().expect("waiting for the daemon") {
                Some(status) => return status,
                None if Instant::now() > deadline => panic!("the daemon goes on after {time:?}"),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// `kill -9`
    pub fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM, and waits for the end. The rules stay.
    ///
    /// # Panics
    /// When it does not end within seconds, or not well.
    pub fn terminate(mut self) {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM).expect("SIGTERM");
        let status = self.ends_within(pace::limit(Duration::from_secs(10)));
        assert!(status.success() || status.signal() == Some(15), "the daemon ended badly: {status}");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
