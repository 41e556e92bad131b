//! What kube-proxy writes, word for word: scripts in the place of the programs that it runs keep what comes in on standard
//! input, and hand it on.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::Mode;

/// Where the scripts keep it, in the order of the clock.
#[derive(Clone, Debug)]
pub(super) struct Record {
    directory: PathBuf,
}

impl Record {
    /// Puts the scripts of a mode in the place of its programs for IPv4, in a directory that is first on PATH.
    pub(super) fn install(mode: Mode, programs: &Path, directory: PathBuf) -> Record {
        fs::create_dir(&directory).expect("a directory");
        let (name, real) = match mode {
            Mode::Nftables => ("nft", "/usr/sbin/nft"),
            Mode::IptablesLegacy => ("iptables-restore", "/usr/sbin/iptables-legacy-restore"),
            Mode::IptablesNft => ("iptables-restore", "/usr/sbin/iptables-nft-restore"),
        };
        let place = directory.display();
        let script = format!(
            "#!/bin/sh\nfile={place}/$(date +%s%N)\ntee $file.part | {real} \"$@\"\nstatus=$?\n\
             case \" $* \" in *' --check '*|*' --json '*) rm $file.part ;; *) mv $file.part $file ;; esac\n\
             exit $status\n"
        );
        let path = programs.join(name);
        let _ = fs::remove_file(&path);
        fs::write(&path, script).expect("a script");
        fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("a program");
        Record { directory }
    }

    /// What was written so far, each input once it was taken; without those that say nothing.
    pub(super) fn inputs(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.directory).expect("the record");
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
        paths.retain(|path| path.extension().is_none());
        paths.sort_unstable();
        let texts = paths.iter().map(|path| fs::read_to_string(path).expect("an input"));
        texts.filter(|text| !text.is_empty()).collect()
    }
}
