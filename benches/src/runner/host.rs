//! What a run took place on: the kernel's and the programmes' own words.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::contender::daemon::Programs;
use crate::results::Machine;

/// Programs whose versions are written down, and the word that makes each of them say its own.
const PROGRAMS: &[&str] = &["nft", "iptables-legacy", "iptables-nft", "ipvsadm"];

/// This machine.
pub fn machine(programs: &Programs) -> Machine {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let ours = [Some(("kube-verdict", programs.kube_verdict.as_path()))];
    let named = PROGRAMS.iter().map(|name| Some((*name, Path::new(name))));
    let peer = [programs.kube_proxy.as_deref().map(|path| ("kube-proxy", path))];
    Machine {
        kernel: kernel.trim().to_owned(),
        processor: value(&cpuinfo, "model name").unwrap_or(std::env::consts::ARCH).to_owned(),
        cores: std::thread::available_parallelism().map_or(0, |cores| cores.get() as u32),
        memory: value(&meminfo, "MemTotal").and_then(kibibytes).unwrap_or_default(),
        programs: (ours.into_iter().chain(peer).chain(named).flatten())
            .filter_map(|(name, path)| Some((name.to_owned(), version(path)?)))
            .collect(),
    }
}

/// What a program says of its version, on one line; none: it is not there, or it does not know.
pub fn version(program: &Path) -> Option<String> {
    let mut command = Command::new(program);
    // Debian keeps these where not every user looks.
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin")).arg("--version").stdin(Stdio::null());
    let output = command.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Some(short(text.lines().next()?))
}

/// `nftables v1.0.6 (Lester Gooch #5)` → `v1.0.6`: the first word with a digit and a full stop in it.
fn short(line: &str) -> String {
    let looks_like_one = |word: &&str| {
        word.contains('.') && word.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit())
    };
    line.split_whitespace().find(looks_like_one).unwrap_or(line.trim()).trim_start_matches('v').to_owned()
}

/// The value of the first line with this key, of the files that the kernel writes as `key : value`.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim())
}

fn kibibytes(text: &str) -> Option<u64> {
    Some(text.strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_say() {
        assert_eq!(short("nftables v1.0.6 (Lester Gooch #5)"), "1.0.6");
        assert_eq!(short("iptables v1.8.9 (legacy)"), "1.8.9");
        assert_eq!(short("Kubernetes v1.36.3"), "1.36.3");
        assert_eq!(short("kube-verdict 0.1.0"), "0.1.0");
        assert_eq!(short("no number "), "no number");
    }

    #[test]
    fn the_kernels_files_are_read() {
        assert_eq!(
            value("MemTotal:       16384 kB\nMemFree: 3 kB\n", "MemTotal").and_then(kibibytes),
            Some(1 << 24)
        );
        assert_eq!(value("vendor_id\t: A\nmodel name\t: B C\n", "model name"), Some("B C"));
    }

    #[test]
    fn this_machine_is_described() {
        let programs = Programs { kube_verdict: "/nowhere".into(), kube_proxy: None };
        let machine = machine(&programs);
        assert!(!machine.kernel.is_empty() && machine.cores > 0 && machine.memory > 0, "{machine:?}");
        assert!(machine.programs.iter().all(|(name, _)| name != "kube-verdict"), "{machine:?}");
    }
}
