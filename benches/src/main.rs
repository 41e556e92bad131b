//! Measures what kube-verdict costs, next to the floor that nobody can go below: the same netlink batch,
//! built before, sent in the same run.
//!
//! Everything happens in a network namespace of this process's own. Figures are printed, never judged.

mod changes;
mod cluster;
mod conntrack;
mod daemon;
mod datapath;
mod floor;
mod ipvs;
mod manifests;
mod stats;

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;

/// Measure programming, changes, restarts and memory with a directory of manifests.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Number of Services, one port each
    #[arg(long, default_value_t = 10_000)]
    services: u32,
    /// Number of endpoints of each Service
    #[arg(long, default_value_t = 10)]
    endpoints: u32,
    /// Number of endpoint changes to measure
    #[arg(long, default_value_t = 1000)]
    changes: u32,
    /// Rounds of programming the whole table, alternating with the floor
    #[arg(long, default_value_t = 7)]
    rounds: u32,
    /// Endpoint changes a second in the stream
    #[arg(long, default_value_t = 2000)]
    rate: u32,
    /// Numbers of services at which a first packet is timed; none: not at all
    #[arg(long, value_delimiter = ',', default_value = "1,1000,10000,30000")]
    datapath: Vec<u32>,
    /// Measure with a real API server instead, next to the real kube-proxy (built first if need be)
    #[arg(long)]
    cluster: bool,
    /// Measure the daemon in IPVS mode next to ipvsadm, and nothing else; needs a kernel with IPVS
    #[arg(long)]
    ipvs: bool,
    /// Measure the clean-up of UDP flows with so many flows of others in conntrack, and nothing else
    #[arg(long)]
    conntrack: Option<u32>,
    /// The daemon; built beside this program unless named
    #[arg(long)]
    daemon: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET)
        .map_err(|error| format!("a network namespace of one's own needs root (CAP_SYS_ADMIN): {error}"))?;
    let binary = match &arguments.daemon {
        Some(path) => path.clone(),
        None => std::env::current_exe()?.with_file_name("kube-verdict"),
    };
    if !binary.exists() {
        return Err(format!("{} is not there: cargo build --release", binary.display()).into());
    }
    println!("{} Services × {} endpoints, {}", arguments.services, arguments.endpoints, machine());
    println!();
    println!("| | median | min | max |");
    println!("|---|---|---|---|");
    let Arguments { services, endpoints, changes, rate, .. } = &arguments;
    let (services, endpoints, changes, rate) = (*services, *endpoints, *changes, *rate);
    if let Some(others) = arguments.conntrack {
        return conntrack::measure(others, arguments.rounds, changes);
    }
    if arguments.cluster {
        return cluster::measure(&binary, services, endpoints, changes.min(100));
    }
    let directory = tempfile::tempdir()?;
    manifests::write_all(directory.path(), services, endpoints)?;
    if arguments.ipvs {
        return ipvs::measure(&binary, directory.path(), services, endpoints, changes);
    }
    floor::measure(directory.path(), arguments.rounds)?;
    changes::measure(directory.path(), services, endpoints, changes, rate)?;
    daemon::measure(&binary, directory.path(), services, endpoints, changes)?;
    if !arguments.datapath.is_empty() {
        datapath::measure(arguments.rounds, &arguments.datapath)?;
    }
    Ok(())
}

/// What it ran on.
fn machine() -> String {
    let first = |path: &str, key: &str| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default().to_owned();
        line.rsplit(": ").next().unwrap_or_default().to_owned()
    };
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("Linux {}, {} cores of {}", kernel.trim(), cores, first("/proc/cpuinfo", "model name"))
}
