//! What the machine must have. A test that cannot run fails and says why: a test that is skipped without a word
//! proves nothing and looks like one that does.

use std::process::Command;
use std::sync::OnceLock;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::kernel;
use crate::mode::{Mode, mode};
use crate::netns::Netns;

/// Fails with what is missing, if anything is.
///
/// # Panics
/// When the tests cannot run here.
pub fn check() {
    static MISSING: OnceLock<Option<String>> = OnceLock::new();
    if let Some(missing) = MISSING.get_or_init(missing) {
        panic!("the scenario tests cannot run here: {missing}");
    }
}

fn missing() -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("they make network namespaces and must run as root".to_owned());
    }
    for (program, flag, package) in [("ip", "-V", "iproute2"), ("nft", "-v", "nftables")] {
        if Command::new(program).arg(flag).output().is_err() {
            return Some(format!("there is no program {program:?}: install the package {package}"));
        }
    }
    let netns = Netns::new();
    // The kernel may have to load a module first, and who comes meanwhile is told that there is none.
    let veth = netns.run(|| Command::new("ip").args(["link", "add", "type", "veth"]).output());
    if !veth.is_ok_and(|output| output.status.success()) {
        return Some("this kernel makes no veth devices".to_owned());
    }
    // Newer kernels load it by themselves when somebody asks for it (5.10 does not).
    let has_ipvs = || Command::new("modprobe").arg("ip_vs").output().is_ok_and(|o| o.status.success());
    if mode() == Mode::Ipvs && !has_ipvs() {
        return Some("this kernel has no IPVS, which KUBE_VERDICT_MODE=ipvs asks for".to_owned());
    }
    let ruleset =
        "table ip probe { chain c { type nat hook prerouting priority 0;\nct state new reject\n}\n}\n";
    kernel::nft(&netns, &["-f", "-"], ruleset).err().map(|error| {
        format!("this kernel does not take a small nftables ruleset; it needs nf_tables with nat, conntrack and reject: {error}")
    })
}

/// Lets this process, in which every scenario plays, have so many files open as some of them need.
///
/// # Panics
/// When that is refused.
pub fn many_files() {
    const ENOUGH: u64 = 16_384;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("the limit of open files");
    if soft < ENOUGH {
        // Not everywhere may root have more than it was given.
        setrlimit(Resource::RLIMIT_NOFILE, ENOUGH, hard.max(ENOUGH))
            .or_else(|_| setrlimit(Resource::RLIMIT_NOFILE, hard, hard))
            .expect("more open files");
    }
}
