//! What IPVS mode needs of the host, once, at the start: IPVS itself, and its sysctls (reference §§12.2, 12.3;
//! Documentation/networking/ipvs-sysctl.rst of the kernel).
//!
//! * IPVS is asked for first. The kernel loads the module then, if it can; 5.10 does not by itself. Its sysctls are
//!   not there before it is.
//! * A setting is written only when it is not as it should be, so that a daemon without the rights runs where
//!   somebody else made things right (`--init-only` is one).
//! * `strictARP` is without a meaning here: it keeps a node from answering ARP for addresses of kube-proxy's device
//!   `kube-ipvs0`. Here no device has a Service's address, so nobody answers for one, and `arp_ignore` and
//!   `arp_announce` stay as they are.

use std::io;
use std::time::Duration;

use kube_verdict_ipvs_codec::{Error, Ipvs, Timeouts};

use super::conntrack::Change;
use super::tree::Tree;
use crate::config;

/// How often IPVS is asked for once more, and how long after.
const ATTEMPTS: usize = 5;
const PAUSE: Duration = Duration::from_millis(200);

const RELEASE: &str = "/proc/sys/kernel/osrelease";

/// conn_reuse_mode is set to 0 from the first of these kernels on, and left alone from the second on, which no longer
/// delay connections that reuse a port (reference §12.3).
const REUSE: [(u32, u32); 2] = [(4, 1), (5, 9)];

/// IPVS mode cannot be had on this host.
#[derive(Debug, thiserror::Error)]
pub enum IpvsError {
    /// there is no IPVS
    #[error(
        "mode ipvs needs the kernel module ip_vs, which is not loaded and does not load by itself. Run `modprobe ip_vs` \
         before this daemon starts (below a DaemonSet: have a file in the node's /etc/modules-load.d name ip_vs), \
         or set mode to nftables, which serves the same Services"
    )]
    Missing,
    /// it does not answer as it should
    #[error("mode ipvs cannot be had: {0}. Run with CAP_NET_ADMIN, or set mode to nftables")]
    Refused(Error),
    /// a setting cannot be had
    #[error(
        "cannot set {file} to {value}: {source}. Mode ipvs does not work without it. Run as a user who may write it \
         (or run with --init-only once, as such a user), set it on the node, or set mode to nftables"
    )]
    Setting {
        /// the sysctl's file
        file: String,
        /// what it should be
        value: u64,
        /// why it is not
        source: io::Error,
    },
}

/// Makes sure that IPVS is there, and sets its sysctls. Each change is a line in the log. Timeouts that are asked for
/// are set, too; should the kernel refuse them that is logged, and no more, as in kube-proxy.
///
/// # Errors
/// When IPVS or a setting cannot be had; the text says how to do without.
pub fn prepare(settings: &config::Ipvs) -> Result<Vec<Change>, IpvsError> {
    let mut ipvs = probe()?;
    let changes = set(&Tree::new("/"))?;
    for Change { setting, from, to } in &changes {
        tracing::info!("{setting} was {from} and is {to}");
    }
    let timeouts = timeouts(settings);
    if timeouts != Timeouts::default()
        && let Err(error) = ipvs.set_timeouts(timeouts)
    {
        tracing::error!(
            "IPVS' timeouts stay as they are: {error}; set ipvs.tcpTimeout, tcpFinTimeout and udpTimeout to what the \
             kernel takes, or to 0"
        );
    }
    Ok(changes)
}

/// Whole seconds; 0 leaves one as it is.
fn timeouts(settings: &config::Ipvs) -> Timeouts {
    let seconds = |timeout: Duration| timeout.as_secs().try_into().unwrap_or(u32::MAX);
    Timeouts {
        tcp: seconds(settings.tcp_timeout),
        tcp_fin: seconds(settings.tcp_fin_timeout),
        udp: seconds(settings.udp_timeout),
    }
}

/// Asks IPVS who it is.
fn probe() -> Result<Ipvs, IpvsError> {
    let ask = || {
        let mut ipvs = Ipvs::open()?;
        ipvs.info()?;
        Ok(ipvs)
    };
    // While another process has the module loaded it is not there yet, and the kernel does not wait.
    let mut answer = ask();
    for _ in 0..ATTEMPTS {
        if !matches!(answer, Err(Error::Missing)) {
            break;
        }
        std::thread::sleep(PAUSE);
        answer = ask();
    }
    answer.map_err(|error| match error {
        Error::Missing => IpvsError::Missing,
        error => IpvsError::Refused(error),
    })
}

/// What a kernel of this release has to be told. Pure.
fn wanted(release: &str) -> Vec<(&'static str, u64)> {
    let mut settings = vec![("vs/conntrack", 1)];
    // From one that is not understood nothing follows: it is no kernel of old.
    if version(release).is_some_and(|version| version >= REUSE[0] && version < REUSE[1]) {
        settings.push(("vs/conn_reuse_mode", 0));
    }
    settings.extend([("vs/expire_nodest_conn", 1), ("vs/expire_quiescent_template", 1), ("ip_forward", 1)]);
    settings
}

/// `5.10.0-32-amd64`
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Makes it so, up to the first setting that cannot be had.
fn set(tree: &Tree) -> Result<Vec<Change>, IpvsError> {
    let mut changes = Vec::new();
    let release = tree.read(RELEASE).unwrap_or_default();
    for (name, value) in wanted(&release) {
        let file = format!("/proc/sys/net/ipv4/{name}");
        let failed = |source| IpvsError::Setting { file: file.clone(), value, source };
        let current = tree.number(&file).map_err(failed)?;
        if current != value {
            tree.write(&file, &value.to_string()).map_err(failed)?;
            changes.push(Change { setting: file, from: current, to: value });
        }
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory that looks like a host.
    fn host(release: &str, settings: &[(&str, &str)]) -> (tempfile::TempDir, Tree) {
        let root = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, format!("{text}\n")).unwrap();
        };
        put("proc/sys/kernel/osrelease", release);
        settings.iter().for_each(|(name, text)| put(&format!("proc/sys/net/ipv4/{name}"), text));
        let tree = Tree::new(root.path());
        (root, tree)
    }

    const FRESH: [(&str, &str); 5] = [
        ("vs/conntrack", "0"),
        ("vs/conn_reuse_mode", "1"),
        ("vs/expire_nodest_conn", "0"),
        ("vs/expire_quiescent_template", "0"),
        ("ip_forward", "1"),
    ];

    #[test]
    fn only_what_is_different_is_written_and_said() {
        let (_root, tree) = host("6.1.0-50-cloud-amd64", &FRESH);
        let changes = set(&tree).unwrap();
        let expected = ["vs/conntrack", "vs/expire_nodest_conn", "vs/expire_quiescent_template"]
            .map(|name| Change { setting: format!("/proc/sys/net/ipv4/{name}"), from: 0, to: 1 });
        assert_eq!(changes, expected);
        assert_eq!(tree.read("/proc/sys/net/ipv4/vs/conntrack").unwrap(), "1");
        assert_eq!(set(&tree).unwrap(), [], "nothing is left to do");
    }

    #[test]
    fn reuse_of_ports_by_release() {
        for (release, is_set) in [
            ("3.10.0-1160.el7", false),
            ("4.1.0", true),
            ("4.19.0-27-amd64", true),
            ("5.8.18", true),
            ("5.9.0-rc1", false),
            ("5.10.0", false),
            ("7.2-rc3", false),
            ("", false),
            ("unknown", false),
            ("99999999999.1", false),
        ] {
            let is_wanted = wanted(release).contains(&("vs/conn_reuse_mode", 0));
            assert_eq!(is_wanted, is_set, "{release}");
        }
    }

    #[test]
    fn a_setting_that_cannot_be_had_is_named_with_ways_out() {
        let (root, tree) = host("6.1.0", &FRESH);
        std::fs::remove_file(root.path().join("proc/sys/net/ipv4/vs/expire_nodest_conn")).unwrap();
        let text = set(&tree).unwrap_err().to_string();
        for part in ["/proc/sys/net/ipv4/vs/expire_nodest_conn to 1: ", "--init-only", "set mode to nftables"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn without_ipvs_both_ways_out_are_named() {
        let text = IpvsError::Missing.to_string();
        for part in ["modprobe ip_vs", "/etc/modules-load.d", "set mode to nftables"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
