//! What kube-proxy's iptables or IPVS mode left in ip_tables and ip6_tables, through the `iptables-legacy`
//! programs. A table is replaced as a whole; the rules of others keep their places, and their counters are
//! added again.
//!
//! `blob` and `edit` are about bytes alone; `socket` asks the kernel. A table that is not in use is not touched:
//! asking for it would make it.

mod blob;
mod edit;
mod layout;
mod lock;
mod socket;
#[cfg(test)]
mod tests;

use std::{fs, io};

use kube_verdict_table::Family;

use self::socket::Tables;
use super::iptables_nft::TABLES;
use super::report::{Place, Report, Variant};

/// How often it is tried anew when the table changed between reading and replacing.
const ATTEMPTS: usize = 10;

/// Removes it.
pub fn retire(report: &mut Report) {
    let used = Family::BOTH.map(|family| (family, in_use(family)));
    if used.iter().all(|(_, tables)| tables.is_empty()) {
        return;
    }
    let _lock = match lock::take() {
        Ok(lock) => lock,
        Err(why) => return report.failed("kube-proxy's chains in ip_tables", why),
    };
    for (family, tables) in used {
        for table in tables {
            let place = Place { variant: Variant::Legacy, family, table };
            match retire_table(family, table) {
                Ok((chains, jumps)) => report.chains(place, chains, jumps),
                Err(why) => report.failed(format!("kube-proxy's chains in {place}"), why),
            }
        }
    }
}

/// The tables that somebody uses in this network namespace, of those that interest us.
fn in_use(family: Family) -> Vec<&'static str> {
    let path = match family {
        Family::V4 => "/proc/thread-self/net/ip_tables_names",
        Family::V6 => "/proc/thread-self/net/ip6_tables_names",
    };
    // No such file: the kernel has no ip_tables, or nobody has loaded it.
    let names = fs::read_to_string(path).unwrap_or_default();
    TABLES.into_iter().filter(|table| names.lines().any(|name| name == *table)).collect()
}

fn retire_table(family: Family, table: &str) -> Result<(usize, usize), String> {
    let tables = Tables::open(family).map_err(|error| format!("cannot open a socket: {error}"))?;
    for _ in 0..ATTEMPTS {
        match try_retire(&tables, family, table) {
            Err(Trouble::Io(error)) if error.raw_os_error() == Some(libc::EAGAIN) => {}
            result => return result.map_err(|trouble| trouble.to_string()),
        }
    }
    Err("it kept changing while it was read".to_owned())
}

#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the table cannot be understood: {0}")]
    Malformed(#[from] blob::Malformed),
}

fn try_retire(tables: &Tables, family: Family, table: &str) -> Result<(usize, usize), Trouble> {
    let (info, bytes) = tables.read(table)?;
    let Some(edited) = edit::without_kube_proxy(family, &info, &bytes)? else { return Ok((0, 0)) };
    let counters = tables.replace(table, &edited, info.entries)?;
    // The new table counts from zero. What the old one had counted when it went is added.
    let kept = edited.kept.iter().filter_map(|old| counters.chunks_exact(layout::COUNTERS).nth(*old));
    tables.add_counters(table, &kept.flatten().copied().collect::<Vec<u8>>())?;
    Ok((edited.chains, edited.jumps))
}
