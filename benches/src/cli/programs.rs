//! Where the programs are that contenders run.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::Error;
use crate::contender::daemon::Programs;

/// The options that name them.
#[derive(Clone, Debug, Default, Args)]
pub struct Paths {
    /// kube-verdict; the one built beside this program unless named
    #[arg(long, value_name = "PATH")]
    pub daemon: Option<PathBuf>,
    /// The real kube-proxy; unless named, the one of `scripts/peers.sh` if it was built, or else of PATH
    #[arg(long, value_name = "PATH")]
    pub kube_proxy: Option<PathBuf>,
}

impl Paths {
    /// Looks for them.
    ///
    /// # Errors
    /// kube-verdict is not there, or the kube-proxy that was named is not.
    pub fn find(&self) -> Result<Programs, Error> {
        let daemon = match &self.daemon {
            Some(path) => path.clone(),
            None => std::env::current_exe()?.with_file_name("kube-verdict"),
        };
        if !daemon.is_file() {
            let path = daemon.display();
            return Err(format!(
                "kube-verdict is not at {path}: build it (`cargo build --release`), or name it with --daemon"
            )
            .into());
        }
        let kube_proxy = match &self.kube_proxy {
            Some(path) if !path.is_file() => {
                let path = path.display();
                return Err(format!(
                    "no kube-proxy at {path}: `make bench-peers` builds one; without --kube-proxy it is done without"
                )
                .into());
            }
            Some(path) => Some(path.clone()),
            None => candidates().into_iter().find(|path| path.is_file()),
        };
        Ok(Programs { kube_verdict: daemon, kube_proxy })
    }
}

/// Where a kube-proxy may be, the likeliest place first.
fn candidates() -> Vec<PathBuf> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    let cache = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
    let folders = cache.map(|cache| cache.join("kube-verdict")).and_then(|folder| folder.read_dir().ok());
    let mut built: Vec<PathBuf> = (folders.into_iter().flatten().flatten())
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("peers-"))
        .map(|entry| entry.path())
        .collect();
    // The newest version, as far as names say.
    built.sort_unstable_by(|one, other| other.cmp(one));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let folders = variable("KUBE_VERDICT_PEERS").into_iter().chain(built).chain(path);
    folders.map(|folder: PathBuf| Path::join(&folder, "kube-proxy")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_with_the_next_step() {
        let error =
            Paths { daemon: Some("/nowhere/kube-verdict".into()), kube_proxy: None }.find().unwrap_err();
        assert!(error.to_string().contains("/nowhere/kube-verdict: build it"), "{error}");
        let file = tempfile::NamedTempFile::new().unwrap();
        let paths =
            Paths { daemon: Some(file.path().into()), kube_proxy: Some("/nowhere/kube-proxy".into()) };
        assert!(paths.find().unwrap_err().to_string().contains("make bench-peers"));
    }
}
