//! What was found and removed, and what could not be.

use std::fmt;

use kube_verdict_table::Family;

/// Which of the kernel's two homes of iptables rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// ip_tables and ip6_tables, as `iptables-legacy` uses them
    Legacy,
    /// nf_tables, as `iptables-nft` uses it
    NfTables,
}

/// An iptables table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// where it lives
    pub variant: Variant,
    /// its family
    pub family: Family,
    /// its name
    pub table: &'static str,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let programme = match (self.family, self.variant) {
            (Family::V4, Variant::Legacy) => "iptables-legacy",
            (Family::V6, Variant::Legacy) => "ip6tables-legacy",
            (Family::V4, Variant::NfTables) => "iptables-nft",
            (Family::V6, Variant::NfTables) => "ip6tables-nft",
        };
        write!(f, "{programme} table {}", self.table)
    }
}

/// One thing that was kube-proxy's and is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removed {
    /// a table of nftables mode
    Table(Family),
    /// chains of iptables or IPVS mode
    Chains {
        /// whence
        place: Place,
        /// how many chains
        chains: usize,
        /// how many rules in chains that stay, which jumped to them
        jumps: usize,
    },
    /// ipsets of IPVS mode, so many
    Sets(usize),
    /// virtual servers of IPVS mode
    VirtualServers {
        /// how many
        servers: usize,
        /// connections that went with them
        connections: u64,
    },
    /// the device of IPVS mode, with the addresses that it had
    Device(&'static str),
}

impl fmt::Display for Removed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Removed::Table(Family::V4) => f.write_str("kube-proxy's table ip kube-proxy"),
            Removed::Table(Family::V6) => f.write_str("kube-proxy's table ip6 kube-proxy"),
            Removed::Chains { place, chains, jumps } => {
                write!(f, "kube-proxy's {chains} chains, and {jumps} jumps to them, from {place}")
            }
            Removed::Sets(sets) => write!(f, "kube-proxy's {sets} ipsets"),
            Removed::VirtualServers { servers, connections: 0 } => {
                write!(f, "kube-proxy's {servers} virtual servers without connections from IPVS")
            }
            Removed::VirtualServers { servers, connections } => {
                write!(
                    f,
                    "kube-proxy's {servers} virtual servers from IPVS, which ended {connections} connections"
                )
            }
            Removed::Device(device) => write!(f, "kube-proxy's device {device}"),
        }
    }
}

/// Everything that was found. What failed did not stop the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// what is gone
    pub removed: Vec<Removed>,
    /// what was found and is not removed, and why; sentences
    pub left: Vec<String>,
    /// what could not be removed, and why; sentences
    pub failures: Vec<String>,
}

impl Report {
    /// Writes it to the log.
    pub fn log(&self) {
        self.removed.iter().for_each(|removed| tracing::info!("removed {removed}"));
        self.left.iter().for_each(|left| tracing::warn!("{left}"));
        for failure in &self.failures {
            tracing::error!(
                "{failure}; our own rules go before it, `kube-verdict cleanup --only kube-proxy` tries again"
            );
        }
    }

    pub(super) fn chains(&mut self, place: Place, chains: usize, jumps: usize) {
        if chains + jumps > 0 {
            self.removed.push(Removed::Chains { place, chains, jumps });
        }
    }

    pub(super) fn failed(&mut self, what: impl fmt::Display, why: impl fmt::Display) {
        self.failures.push(format!("cannot remove {what}: {why}"));
    }
}
