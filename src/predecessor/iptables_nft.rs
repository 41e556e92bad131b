//! What kube-proxy's iptables or IPVS mode left in nf_tables, through the `iptables-nft` programs: the tables
//! that those call `nat`, `filter` and `mangle`. All of a family goes in one transaction; base chains stay, and
//! the rules of others keep their places and counters.

use kube_verdict_nftables::kernel::CommitError;
use kube_verdict_nftables::{ForeignTable, Netlink, Removal};
use kube_verdict_table::Family;

use super::names::{doomed, is_kube_proxys};
use super::report::{Place, Report, Variant};

/// Where kube-proxy has chains.
pub(super) const TABLES: [&str; 3] = ["nat", "filter", "mangle"];

/// How often it is tried anew after others changed the ruleset between reading and removing.
const ATTEMPTS: usize = 10;

/// Removes it.
pub fn retire(netlink: &mut Netlink, report: &mut Report) {
    for family in Family::BOTH {
        if let Err(why) = retire_family(netlink, family, report) {
            report.failed(format!("kube-proxy's chains in nf_tables ({family:?})"), why);
        }
    }
}

fn retire_family(netlink: &mut Netlink, family: Family, report: &mut Report) -> Result<(), String> {
    for attempt in 1.. {
        let mut removals = Vec::new();
        let mut places = Vec::new();
        for table in TABLES {
            let state = netlink
                .read_foreign(family, table, |chain| !is_kube_proxys(chain))
                .map_err(|error| error.to_string())?;
            let (chains, rules) = plan(table, &state, &mut removals);
            places.push((Place { variant: Variant::NfTables, family, table }, chains, rules));
        }
        match netlink.remove(family, &removals) {
            Ok(()) => {
                places.into_iter().for_each(|(place, chains, rules)| report.chains(place, chains, rules));
                return Ok(());
            }
            // Somebody (another kube-proxy?) removed a rule, or made another jump, since we looked.
            Err(CommitError::Refused(refusals))
                if attempt < ATTEMPTS
                    && refusals.iter().all(|r| matches!(r.errno, libc::ENOENT | libc::EBUSY)) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(())
}

/// What is to be removed from a table: the jumps of others to kube-proxy's chains, then the rules of these,
/// then, with nothing jumping to them any more, the chains. Returns the numbers of chains and of jumps.
fn plan(table: &str, state: &ForeignTable, removals: &mut Vec<Removal>) -> (usize, usize) {
    let names = state.chains.iter().map(String::as_str);
    let doomed = doomed(names, state.jumps.iter().map(|jump| (jump.chain.as_str(), jump.target.as_str())));
    let table = || table.to_owned();
    let jumps =
        state.jumps.iter().filter(|jump| doomed.contains(&jump.target) && !doomed.contains(&jump.chain));
    let before = removals.len();
    removals.extend(jumps.map(|jump| Removal::Rule {
        table: table(),
        chain: jump.chain.clone(),
        handle: jump.handle,
    }));
    let rules = removals.len() - before;
    removals.extend(doomed.iter().map(|chain| Removal::Rules { table: table(), chain: chain.clone() }));
    removals.extend(doomed.iter().map(|chain| Removal::Chain { table: table(), chain: chain.clone() }));
    (doomed.len(), rules)
}

#[cfg(test)]
mod tests {
    use kube_verdict_nftables::ForeignRule;

    use super::*;

    fn jump(chain: &str, handle: u64, target: &str) -> ForeignRule {
        ForeignRule { chain: chain.to_owned(), handle, target: target.to_owned() }
    }

    #[test]
    fn jumps_of_others_go_first_and_chains_last() {
        let state = ForeignTable {
            chains: ["PREROUTING", "DOCKER", "KUBE-SERVICES", "KUBE-NODEPORTS"].map(str::to_owned).into(),
            jumps: vec![
                jump("PREROUTING", 7, "KUBE-SERVICES"),
                jump("PREROUTING", 8, "DOCKER"),
                jump("KUBE-SERVICES", 9, "KUBE-NODEPORTS"),
            ],
        };
        let mut removals = Vec::new();
        assert_eq!(plan("nat", &state, &mut removals), (2, 1));
        let (table, rules, chain) = (
            || "nat".to_owned(),
            |chain: &str| Removal::Rules { table: "nat".to_owned(), chain: chain.to_owned() },
            |chain: &str| Removal::Chain { table: "nat".to_owned(), chain: chain.to_owned() },
        );
        let expected = [
            Removal::Rule { table: table(), chain: "PREROUTING".to_owned(), handle: 7 },
            rules("KUBE-NODEPORTS"),
            rules("KUBE-SERVICES"),
            chain("KUBE-NODEPORTS"),
            chain("KUBE-SERVICES"),
        ];
        assert_eq!(removals, expected);
    }

    #[test]
    fn nothing_of_kube_proxys_is_nothing_to_do() {
        let state = ForeignTable {
            chains: ["INPUT", "KUBE-FIREWALL"].map(str::to_owned).into(),
            jumps: vec![jump("INPUT", 3, "KUBE-FIREWALL")],
        };
        let mut removals = Vec::new();
        assert_eq!(plan("filter", &state, &mut removals), (0, 0));
        assert!(removals.is_empty());
    }
}
