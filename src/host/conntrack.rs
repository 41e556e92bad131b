//! Conntrack's settings (reference §16; Documentation/networking/nf_conntrack-sysctl.rst of the kernel).
//!
//! * A setting is written only when it is not as it should be, so that a daemon without the rights runs where
//!   somebody else made things right (`--init-only` is one).
//! * Timeouts are set to what is asked for, up or down. The **maximum is only ever raised**: kube-proxy raised it
//!   only, too, from 1.20 until lately, when it began to lower it. A host that tracks more has its reasons, and
//!   connections beyond a lowered maximum would fail at once.
//! * Buckets are a quarter of the maximum at least. Their number belongs to the kernel and not to a network
//!   namespace; where `/sys` is mounted read-only they stay too few, which costs time and nothing else.

use std::fmt;
use std::io::ErrorKind;

use super::tree::Tree;
use crate::config::Conntrack;

const BUCKETS: &str = "/sys/module/nf_conntrack/parameters/hashsize";
/// No more entries than these on account of the number of CPUs: 300 MiB of kernel memory.
const MOST: u64 = 1_048_576;

const MODULE: &str = "; if the kernel module nf_conntrack is not loaded, load it";

/// A setting that cannot be had.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot set {file} to {value}: {source}. It is asked for by the configuration's {field}. Run as a user who may \
     write it (or run with --init-only once, as such a user), or set {field} to 0 to leave it as it is{hint}"
)]
pub struct HostError {
    file: String,
    value: u64,
    field: &'static str,
    hint: &'static str,
    source: std::io::Error,
}

/// One setting that is different now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// its file
    pub setting: String,
    /// what it was
    pub from: u64,
    /// what it is
    pub to: u64,
}

/// There are too few buckets, and their number cannot be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadOnly {
    /// how many there are
    pub buckets: u64,
    /// how many there should be
    pub wanted: u64,
}

impl ReadOnly {
    /// The reason of the event on the Node, as kube-proxy calls it.
    pub const REASON: &'static str = "readOnlySysFS";
}

impl fmt::Display for ReadOnly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ReadOnly { buckets, wanted } = self;
        write!(
            f,
            "conntrack has {buckets} buckets and should have {wanted}, and {BUCKETS} is read-only here: looking up \
             connections may become slow; set it on the host, or mount /sys writable"
        )
    }
}

/// A file, what it should say, and the field that asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    name: &'static str,
    value: u64,
    field: &'static str,
    /// more is as good
    is_least: bool,
}

/// What the configuration asks for on a host with this many CPUs. Pure.
pub(super) fn wanted(config: &Conntrack, cpus: u64) -> Vec<Setting> {
    let mut settings = Vec::new();
    let mut set = |name, value, field| {
        if value > 0 {
            settings.push(Setting { name, value, field, is_least: name == "nf_conntrack_max" });
        }
    };
    set("nf_conntrack_max", maximum(config, cpus), "conntrack.maxPerCore");
    let seconds = [
        (
            "nf_conntrack_tcp_timeout_established",
            config.tcp_established_timeout,
            "conntrack.tcpEstablishedTimeout",
        ),
        (
            "nf_conntrack_tcp_timeout_close_wait",
            config.tcp_close_wait_timeout,
            "conntrack.tcpCloseWaitTimeout",
        ),
    ];
    for (name, timeout, field) in seconds {
        set(name, timeout.as_secs(), field);
    }
    set("nf_conntrack_tcp_be_liberal", config.tcp_be_liberal.into(), "conntrack.tcpBeLiberal");
    let seconds = [
        ("nf_conntrack_udp_timeout", config.udp_timeout, "conntrack.udpTimeout"),
        ("nf_conntrack_udp_timeout_stream", config.udp_stream_timeout, "conntrack.udpStreamTimeout"),
    ];
    for (name, timeout, field) in seconds {
        set(name, timeout.as_secs(), field);
    }
    settings
}

/// `maxPerCore` for each CPU within reason, `min` at least; nothing if `maxPerCore` is 0.
fn maximum(config: &Conntrack, cpus: u64) -> u64 {
    let scaled = u64::from(config.max_per_core).saturating_mul(cpus);
    match scaled {
        0 => 0,
        _ if scaled > MOST => MOST,
        _ => scaled.max(config.min.into()),
    }
}

/// Makes it so.
///
/// # Errors
/// At the first setting that cannot be had.
pub(super) fn apply(
    tree: &Tree,
    settings: &[Setting],
    changes: &mut Vec<Change>,
) -> Result<Option<ReadOnly>, HostError> {
    let mut read_only = None;
    for setting in settings {
        let file = format!("/proc/sys/net/netfilter/{}", setting.name);
        let failed = |file: &str, value| {
            let (file, field, hint) = (file.to_owned(), setting.field, hint(setting));
            move |source: std::io::Error| {
                let is_missing = source.kind() == ErrorKind::NotFound;
                let hint = if is_missing { MODULE } else { hint };
                HostError { file, value, field, hint, source }
            }
        };
        let current = tree.number(&file).map_err(failed(&file, setting.value))?;
        let is_good = if setting.is_least { current >= setting.value } else { current == setting.value };
        if !is_good {
            tree.write(&file, &setting.value.to_string()).map_err(failed(&file, setting.value))?;
            changes.push(Change { setting: file, from: current, to: setting.value });
        }
        if setting.is_least {
            let wanted = setting.value / 4;
            let buckets = tree.number(BUCKETS).map_err(failed(BUCKETS, wanted))?;
            if buckets < wanted {
                match tree.write(BUCKETS, &wanted.to_string()) {
                    Ok(()) => {
                        changes.push(Change { setting: BUCKETS.into(), from: buckets, to: wanted });
                    }
                    Err(error) if error.kind() == ErrorKind::ReadOnlyFilesystem => {
                        read_only = Some(ReadOnly { buckets, wanted });
                    }
                    Err(error) => return Err(failed(BUCKETS, wanted)(error)),
                }
            }
        }
    }
    Ok(read_only)
}

fn hint(setting: &Setting) -> &'static str {
    match setting.name {
        "nf_conntrack_max" => " (conntrack.min is void then)",
        "nf_conntrack_tcp_be_liberal" => " (that is, to false)",
        _ => "",
    }
}
