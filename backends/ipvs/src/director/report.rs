//! What the director says of its work: what was written, what was refused, what could not be done at all.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use kube_verdict_ipvs_codec::Command;
use kube_verdict_table::{Backend, Family, ServicePortName};

use crate::kernel;

/// Something that the kernel refused, and that will be tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// whose virtual server it is about
    pub family: Family,
    /// its mark
    pub mark: u32,
    /// what that stands for, or stood for
    pub service: Option<Arc<ServicePortName>>,
    /// the real server; None: it is about the virtual one itself
    pub backend: Option<Backend>,
    /// what was refused
    pub command: Command,
    /// the errno
    pub errno: i32,
    /// when it will be tried again
    pub retry_in: Duration,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(service) = &self.service {
            write!(f, "Service port {service}: ")?;
        }
        write!(f, "IPVS refuses to {} ", verb(self.command))?;
        if let Some(backend) = self.backend {
            write!(f, "the real server {backend} of ")?;
        }
        let error = io::Error::from_raw_os_error(self.errno);
        write!(f, "the {} virtual server of mark {:#010x}: {error}", self.family, self.mark)?;
        f.write_str(match (self.errno, self.backend) {
            (libc::EINVAL, Some(_)) => " (is its address one that packets can be sent to?)",
            (libc::EAFNOSUPPORT, _) => " (the kernel's IPVS has no IPv6, CONFIG_IP_VS_IPV6)",
            _ => "",
        })?;
        write!(f, "; everything else is programmed, the next try is in {:?}", self.retry_in)
    }
}

fn verb(command: Command) -> &'static str {
    match command {
        Command::NewService => "make",
        Command::NewDestination => "add",
        Command::DeleteService | Command::DeleteDestination => "delete",
        _ => "change",
    }
}

/// Another scheduler than was asked for. Told once for each family and virtual server that asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Replaced {
    /// whose Service asked for it; None: the configuration, for all that ask for nothing
    pub service: Option<Arc<ServicePortName>>,
    /// what was asked for, as it was written
    pub wanted: String,
    /// what is used
    pub used: String,
    /// what is wrong with what was asked for
    pub why: String,
}

impl fmt::Display for Replaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.service {
            Some(service) => write!(f, "Service port {service}")?,
            None => f.write_str("the configuration")?,
        }
        write!(f, " asks for the scheduler {:?} and gets {}: {}", self.wanted, self.used, self.why)
    }
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// orders that the kernel carried out
    pub orders: usize,
    /// families that were read back
    pub read_back: Vec<Family>,
    /// newly refused
    pub refused: Vec<Refused>,
    /// newly replaced
    pub replaced: Vec<Replaced>,
    /// how often the kernel was found not to be as it was left, while something else was to be done: somebody else had
    /// changed what is ours, and it is mended
    pub foreign: usize,
}

impl Report {
    /// Nothing was written, and there is nothing to say.
    pub fn is_nothing(&self) -> bool {
        self.orders == 0 && self.refused.is_empty() && self.replaced.is_empty()
    }

    /// Adds what was done later.
    pub fn extend(&mut self, later: Report) {
        self.orders += later.orders;
        self.read_back.extend(later.read_back);
        self.refused.extend(later.refused);
        self.replaced.extend(later.replaced);
        self.foreign += later.foreign;
    }
}

/// Why a family could not be programmed. What was programmed before stays.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel could not be asked or told.
    #[error("IPVS, {family}: {error}; trying again later")]
    Kernel {
        /// whose virtual servers
        family: Family,
        /// what happened
        error: kernel::Error,
    },
    /// The kernel lacks the one scheduler that stands in for all others.
    #[error(
        "IPVS, {family}: the kernel has no scheduler rr, without which nothing can be programmed: modprobe ip_vs_rr"
    )]
    NoScheduler {
        /// whose virtual servers
        family: Family,
    },
    /// A mark was named that is somebody else's, or has no number.
    #[error(
        "IPVS, {family}: {mark:#010x} is no mark for a virtual server of ours, which have {marks} and a number in the \
             other bits"
    )]
    ForeignMark {
        /// whose virtual server
        family: Family,
        /// the mark
        mark: u32,
        /// ours
        marks: crate::Marks,
    },
    /// Somebody changes the same virtual servers all the time.
    #[error(
        "IPVS, {family}: our virtual servers kept changing while they were programmed: does another program \
             (`ipvsadm -C`, a second daemon with the same --ipvs-mark) work on them? Trying again later"
    )]
    Unstable {
        /// whose virtual servers
        family: Family,
    },
}

impl Error {
    /// Whose virtual servers it is about.
    pub fn family(&self) -> Family {
        match self {
            Error::Kernel { family, .. }
            | Error::NoScheduler { family }
            | Error::ForeignMark { family, .. }
            | Error::Unstable { family } => *family,
        }
    }
}
