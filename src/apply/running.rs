//! Whether a daemon looks after this network namespace: one of ours, or a kube-proxy, which may be ours under another
//! name. By what /proc shows, which is what this process may see: a daemon in a pid namespace elsewhere is not found.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// A daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daemon {
    name: String,
    pid: u32,
}

impl fmt::Display for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", self.name, self.pid)
    }
}

/// Words on a command line that make the programme something else than a daemon.
const COMMANDS: [&str; 7] = ["apply", "check", "render", "explain", "cleanup", "help", "--cleanup"];

/// The first that is found.
pub fn running() -> Option<Daemon> {
    let here = namespace(Path::new("/proc/self"))?;
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes.filter_map(|process| daemon(&process.path(), &here)).next()
}

fn namespace(process: &Path) -> Option<PathBuf> {
    fs::read_link(process.join("ns/net")).ok()
}

fn daemon(process: &Path, here: &Path) -> Option<Daemon> {
    let pid: u32 = process.file_name()?.to_str()?.parse().ok().filter(|pid| *pid != std::process::id())?;
    let name = fs::read_to_string(process.join("comm")).ok()?.trim().to_owned();
    if !["kube-verdict", "kube-proxy"].contains(&name.as_str()) || namespace(process)? != here {
        return None;
    }
    let line = fs::read(process.join("cmdline")).ok()?;
    let is_command =
        line.split(|byte| *byte == 0).skip(1).any(|word| COMMANDS.iter().any(|c| c.as_bytes() == word));
    (!is_command).then_some(Daemon { name, pid })
}
