//! The daemon as a process: start, changes of one endpoint, memory, restart.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kube_verdict_nftables::layout::TABLE;
use kube_verdict_nftables::{Kernel, Netlink};
use kube_verdict_table::Family;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::manifests;
use crate::stats::{memory, row, tail};

/// The node's name.
pub const NODE: &str = "node-0";

/// What the daemon logs when the kernel is as the manifests say.
const IN_STEP: &str = "the kernel is as the manifests say";

/// Prints the rows.
pub fn measure(
    binary: &Path,
    directory: &Path,
    services: u32,
    endpoints: u32,
    changes: u32,
) -> Result<(), Box<dyn Error>> {
    let mut netlink = Netlink::open()?;
    for family in Family::BOTH {
        netlink.delete_table(family, TABLE)?;
    }
    let Started { mut daemon, started, .. } = start(binary, directory, &[])?;
    row("process start -> in step", &[started]);
    let resident = memory(&daemon, "VmRSS")?;
    let times = (0..changes)
        .map(|change| one_change(&mut netlink, directory, change, services, endpoints))
        .collect::<Result<Vec<_>, _>>()?;
    tail("file replaced -> committed, one endpoint", &times);
    let (after, peak) = (memory(&daemon, "VmRSS")?, memory(&daemon, "VmHWM")?);
    println!(
        "| resident memory after the start, after {changes} changes, peak | {resident} | {after} | {peak} |"
    );
    stop(&mut daemon)?;
    let before = netlink.generation()?;
    let Started { mut daemon, started: restarted, .. } = start(binary, directory, &[])?;
    row("restart with nothing changed -> in step", &[restarted]);
    let batches = netlink.generation()?.wrapping_sub(before);
    println!("| batches written by that restart | {batches} | | |");
    stop(&mut daemon)
}

/// A daemon that is in step.
pub struct Started {
    /// the process
    pub daemon: Child,
    /// since its start
    pub started: Duration,
    /// of that, from the table to the kernel's last answer, as it says itself
    pub programmed: Duration,
}

/// Starts the daemon, with more words on its command line, and waits until the kernel is as the manifests say.
pub fn start(binary: &Path, directory: &Path, words: &[&str]) -> Result<Started, Box<dyn Error>> {
    let start = Instant::now();
    let mut daemon = Command::new(binary)
        .arg("--manifests")
        .arg(directory)
        .args(["--hostname-override", NODE])
        .args(words)
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
    let time = start.elapsed();
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    let programmed = line.split("milliseconds=").nth(1).and_then(|rest| rest.split_whitespace().next());
    let programmed = Duration::from_millis(programmed.ok_or("no milliseconds")?.parse()?);
    Ok(Started { daemon, started: time, programmed })
}

/// Ends it; its rules stay.
pub fn stop(daemon: &mut Child) -> Result<(), Box<dyn Error>> {
    kill(Pid::from_raw(daemon.id().cast_signed()), Signal::SIGTERM)?;
    daemon.wait()?;
    Ok(())
}

/// Replaces one Service's file by rename and waits for the kernel's next generation.
fn one_change(
    netlink: &mut Netlink,
    directory: &Path,
    change: u32,
    services: u32,
    endpoints: u32,
) -> Result<Duration, Box<dyn Error>> {
    let service = change.wrapping_mul(7919) % services;
    let temporary = directory.join(".next");
    std::fs::write(&temporary, manifests::manifest(service, endpoints, 1 + change / services))?;
    let before = netlink.generation()?;
    let start = Instant::now();
    std::fs::rename(&temporary, manifests::path(directory, service))?;
    while netlink.generation()? == before {
        if start.elapsed() > Duration::from_secs(10) {
            return Err(format!("the change of service-{service} never came").into());
        }
        std::thread::yield_now();
    }
    let time = start.elapsed();
    // A quiet moment, so that the next change finds the daemon at rest.
    std::thread::sleep(Duration::from_millis(2));
    Ok(time)
}
