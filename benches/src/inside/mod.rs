//! What kube-verdict's parts cost, each measured in its own place: what no client sees. Figures of ours alone, for who
//! works on it; `docs/figures.md` quotes them. Everything happens in a network namespace of this process's own.

mod changes;
mod cluster;
mod conntrack;
mod daemon;
mod floor;
mod ipvs;
mod manifests;
mod stats;

use std::path::Path;

use clap::{Args, Subcommand};

use daemon::{Generation, Scene};

use crate::Error;

/// What is measured.
#[derive(Clone, Debug, Subcommand)]
pub enum Part {
    /// A directory of manifests: parsing, programming next to the raw batch, changes, the process, its memory
    Manifests {
        /// how much of it
        #[command(flatten)]
        size: Size,
        /// Rounds of programming the whole table, alternating with the floor
        #[arg(long, default_value_t = 7)]
        rounds: u32,
        /// Endpoint changes a second in the stream
        #[arg(long, default_value_t = 2000)]
        rate: u32,
    },
    /// The same in IPVS mode, next to ipvsadm; needs a kernel with IPVS
    Ipvs {
        /// how much of it
        #[command(flatten)]
        size: Size,
    },
    /// A real etcd and kube-apiserver (built first if need be), next to the real kube-proxy
    Cluster {
        /// how much of it
        #[command(flatten)]
        size: Size,
    },
    /// The clean-up of UDP flows, with many flows of others in conntrack
    Conntrack {
        /// Number of flows of others
        #[arg(long, default_value_t = 100_000)]
        flows: u32,
        /// Rounds of each clean-up
        #[arg(long, default_value_t = 7)]
        rounds: u32,
        /// Number of endpoint changes to measure beside
        #[arg(long, default_value_t = 1000)]
        changes: u32,
    },
}

/// How much of it.
#[derive(Clone, Copy, Debug, Args)]
pub struct Size {
    /// Number of Services, one port each
    #[arg(long, default_value_t = 10_000)]
    services: u32,
    /// Number of endpoints of each Service
    #[arg(long, default_value_t = 10)]
    endpoints: u32,
    /// Number of endpoint changes to measure
    #[arg(long, default_value_t = 1000)]
    changes: u32,
}

/// Prints a table.
///
/// # Errors
/// Something that is needed is not there, or the kernel refuses.
pub fn measure(part: &Part, binary: &Path) -> Result<(), Error> {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET)
        .map_err(|error| format!("a network namespace of one's own needs root: {error}"))?;
    println!("| | median | min | max |");
    println!("|---|---|---|---|");
    match part {
        Part::Conntrack { flows, rounds, changes } => conntrack::measure(*flows, *rounds, *changes),
        Part::Cluster { size } => {
            cluster::measure(binary, size.services, size.endpoints, size.changes.min(100))
        }
        Part::Ipvs { size } => {
            let directory = tempfile::tempdir()?;
            ipvs::measure(&size.scene(binary, directory.path())?)
        }
        Part::Manifests { size, rounds, rate } => {
            let directory = tempfile::tempdir()?;
            let scene = size.scene(binary, directory.path())?;
            floor::measure(directory.path(), *rounds)?;
            changes::measure(directory.path(), size.services, size.endpoints, size.changes, *rate)?;
            crate::parts::empty(&mut kube_verdict_nftables::Netlink::open()?)?;
            scene.measure(Generation::new)
        }
    }
}

impl Size {
    /// Writes the manifests.
    fn scene<'a>(self, binary: &'a Path, directory: &'a Path) -> std::io::Result<Scene<'a>> {
        let Size { services, endpoints, changes } = self;
        manifests::write_all(directory, services, endpoints)?;
        Ok(Scene { binary, directory, words: &[], services, endpoints, changes })
    }
}
