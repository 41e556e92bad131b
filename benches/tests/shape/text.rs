//! What is handed to the programs, made comparable: order counts within a chain, but not between chains, nor among the
//! Services of the chain that dispatches to them.

use std::collections::BTreeMap;

/// Lines by what they are about.
pub type Canon = BTreeMap<String, Vec<String>>;

/// Input of `iptables-restore`. The API server's own Service has no part in it, nor have counters in `nfacct`.
pub fn iptables(input: &str) -> Canon {
    let mut canon = Canon::new();
    let mut table = "";
    for line in input.lines().filter(|line| !line.is_empty() && !line.contains("default/kubernetes")) {
        if line.starts_with('*') {
            table = line;
        }
        let line = line.replace(" -m nfacct --nfacct-name ct_state_invalid_dropped_pkts", "");
        let chain = match line.strip_prefix("-A ").and_then(|rest| rest.split(' ').next()) {
            // Of this chain the last rule counts as such.
            Some("KUBE-SERVICES") if !line.contains("must be the last") => "dispatch",
            Some(chain) => chain,
            None => "declarations",
        };
        canon.entry(format!("{table} {chain}")).or_default().push(line.clone());
    }
    sort(&mut canon, &["dispatch", "declarations"]);
    canon
}

/// Input of `nft -f`. The API server's own Service has no part in it.
pub fn nftables(input: &str) -> Canon {
    let mut canon = Canon::new();
    for line in input.lines().filter(|line| !line.is_empty() && !line.contains("10.96.0.1 ")) {
        let words: Vec<&str> = line.split(' ').collect();
        let about = match words[..] {
            [verb, "element", ..] => format!("{verb} elements"),
            [_, "rule" | "chain", _, _, chain, ..] => chain.to_owned(),
            _ => "objects".to_owned(),
        };
        canon.entry(about).or_default().push(line.to_owned());
    }
    sort(&mut canon, &["elements"]);
    canon
}

fn sort(canon: &mut Canon, unordered: &[&str]) {
    for (about, lines) in canon.iter_mut() {
        if unordered.iter().any(|end| about.ends_with(end)) {
            lines.sort_unstable();
        }
    }
}
