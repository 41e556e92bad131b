//! The daemon as a process, on a directory of manifests: start, changes of one endpoint as the kernel shows them, memory,
//! restart. What of the kernel is looked at differs by mode.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kube_verdict_nftables::{Kernel, Netlink};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::manifests;
use super::stats::{memory, row, tail};
use crate::Error;

/// The node's name.
pub const NODE: &str = "node-0";

/// What the daemon logs when the kernel is as the manifests say.
const IN_STEP: &str = "the kernel is as the manifests say";
/// How long a change may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two changes, so that the next finds the daemon at rest.
const REST: Duration = Duration::from_millis(5);

/// What is served, and how the daemon is started.
pub struct Scene<'a> {
    /// the daemon
    pub binary: &'a Path,
    /// the manifests
    pub directory: &'a Path,
    /// more words for the daemon's command line
    pub words: &'a [&'a str],
    /// number of Services
    pub services: u32,
    /// endpoints of each
    pub endpoints: u32,
    /// number of changes
    pub changes: u32,
}

/// Looks at the kernel.
pub trait Witness {
    /// Before a change of a Service, to this version.
    ///
    /// # Errors
    /// The kernel cannot be read.
    fn before(&mut self, service: u32, version: u32) -> Result<(), Error>;

    /// Whether the change has arrived.
    ///
    /// # Errors
    /// The kernel cannot be read.
    fn arrived(&mut self) -> Result<bool, Error>;
}

/// Sees that something was committed to nftables.
pub struct Generation {
    netlink: Netlink,
    before: u32,
}

impl Generation {
    /// Sees what happens in this namespace.
    ///
    /// # Errors
    /// There is no socket to be had.
    pub fn new() -> Result<Self, Error> {
        Ok(Generation { netlink: Netlink::open()?, before: 0 })
    }
}

impl Witness for Generation {
    fn before(&mut self, _: u32, _: u32) -> Result<(), Error> {
        self.before = self.netlink.generation()?;
        Ok(())
    }

    fn arrived(&mut self) -> Result<bool, Error> {
        Ok(self.netlink.generation()? != self.before)
    }
}

impl Scene<'_> {
    /// Prints the rows. The witness is asked for when the daemon is in step.
    pub fn measure<W: Witness>(&self, witness: impl FnOnce() -> Result<W, Error>) -> Result<(), Error> {
        let Started { mut daemon, started, programmed } = self.start()?;
        row("process start -> in step", &[started]);
        row("of that, from the table to the kernel's last answer", &[programmed]);
        let resident = memory(&daemon, "VmRSS")?;
        let mut witness = witness()?;
        let changes = 0..self.changes;
        let times =
            changes.map(|change| self.one_change(change, &mut witness)).collect::<Result<Vec<_>, _>>()?;
        tail("file replaced -> the kernel has it, one endpoint", &times);
        let (after, peak) = (memory(&daemon, "VmRSS")?, memory(&daemon, "VmHWM")?);
        println!(
            "| resident memory after the start, after {} changes, peak | {resident} | {after} | {peak} |",
            self.changes
        );
        stop(&mut daemon)?;
        let before = Netlink::open()?.generation()?;
        let Started { mut daemon, started, programmed } = self.start()?;
        row("restart with nothing changed -> in step", &[started]);
        row("of that, reading back and comparing", &[programmed]);
        let batches = Netlink::open()?.generation()?.wrapping_sub(before);
        println!("| batches written by that restart | {batches} | | |");
        stop(&mut daemon)
    }

    /// Starts the daemon and waits until the kernel is as the manifests say.
    fn start(&self) -> Result<Started, Error> {
        let start = Instant::now();
        let mut daemon = Command::new(self.binary)
            .arg("--manifests")
            .arg(self.directory)
            .args(["--hostname-override", NODE])
            .args(self.words)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut log = BufReader::new(daemon.stderr.take().ok_or("no log")?);
        let mut line = String::new();
        while !line.contains(IN_STEP) {
            line.clear();
            if log.read_line(&mut line)? == 0 {
                return Err(format!("the daemon ended with {}", daemon.wait()?).into());
            }
        }
        let started = start.elapsed();
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        let programmed = line.split("milliseconds=").nth(1).and_then(|rest| rest.split_whitespace().next());
        let programmed = Duration::from_millis(programmed.ok_or("no milliseconds")?.parse()?);
        Ok(Started { daemon, started, programmed })
    }

    /// Replaces one Service's file by rename and waits until the kernel has what is new in it.
    fn one_change(&self, change: u32, witness: &mut impl Witness) -> Result<Duration, Error> {
        let (service, version) = (change.wrapping_mul(7919) % self.services, 1 + change / self.services);
        let temporary = self.directory.join(".next");
        std::fs::write(&temporary, manifests::manifest(service, self.endpoints, version))?;
        witness.before(service, version)?;
        let start = Instant::now();
        std::fs::rename(&temporary, manifests::path(self.directory, service))?;
        while !witness.arrived()? {
            if start.elapsed() > PATIENCE {
                return Err(format!("the change of service-{service} never came").into());
            }
            std::thread::yield_now();
        }
        let time = start.elapsed();
        std::thread::sleep(REST);
        Ok(time)
    }
}

/// A daemon that is in step.
struct Started {
    /// the process
    daemon: Child,
    /// since its start
    started: Duration,
    /// of that, from the table to the kernel's last answer, as it says itself
    programmed: Duration,
}

/// Ends it; its rules stay.
fn stop(daemon: &mut Child) -> Result<(), Error> {
    kill(Pid::from_raw(daemon.id().cast_signed()), Signal::SIGTERM)?;
    daemon.wait()?;
    Ok(())
}
