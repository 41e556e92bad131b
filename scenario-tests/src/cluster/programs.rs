//! The real Kubernetes programs: built once per machine by `scripts/peers.sh`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The path of a program, such as `kube-proxy`; built first if it is not there.
///
/// # Panics
/// When it cannot be built.
pub fn program(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let path = FOLDER.get_or_init(|| peers(&[])).join(name);
    if path.exists() { path } else { peers(&[name]).join(name) }
}

fn peers(names: &[&str]) -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/peers.sh");
    let output = Command::new(&script)
        .args(names)
        .stderr(Stdio::inherit())
        .output()
        .unwrap_or_else(|error| panic!("cannot run {}: {error}", script.display()));
    assert!(
        output.status.success(),
        "the programs that this test runs against cannot be built; `make peers` says why"
    );
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
}
