//! `nodePortAddresses`: keywords and prefixes (reference §3.3).

use kube_verdict_table::{Cidr, NodePortEntry};

use super::mode::Mode;

/// One entry, or what is wrong with it.
pub(super) fn parse(text: &str) -> Result<NodePortEntry, String> {
    match text {
        "primary" => Ok(NodePortEntry::Primary),
        "localhost" => Ok(NodePortEntry::Localhost),
        "all" => Ok(NodePortEntry::All),
        text => text.parse::<Cidr>().map(NodePortEntry::Prefix).map_err(|_| {
            format!("{text:?} is neither a prefix such as 10.0.0.0/8 nor primary, localhost or all")
        }),
    }
}

/// The entries of a list, which was validated. An absent one means what it means in the chosen mode.
pub(super) fn entries(list: &[String], mode: Mode) -> Vec<NodePortEntry> {
    if !list.is_empty() {
        return list.iter().filter_map(|text| parse(text).ok()).collect();
    }
    match mode {
        Mode::Iptables | Mode::Ipvs => vec![NodePortEntry::All],
        Mode::Default | Mode::Nftables => vec![NodePortEntry::Primary],
    }
}
