//! `nodePortAddresses`: keywords and prefixes (reference §3.3).

use kube_verdict_table::NodePortEntry;

use super::mode::Mode;

/// The entries of a list, which was validated. An absent one means what it means in the chosen mode.
pub(super) fn entries(list: &[String], mode: Mode) -> Vec<NodePortEntry> {
    if !list.is_empty() {
        return list.iter().filter_map(|text| text.parse().ok()).collect();
    }
    match mode {
        Mode::Iptables | Mode::Ipvs => vec![NodePortEntry::All],
        Mode::Default | Mode::Nftables => vec![NodePortEntry::Primary],
    }
}
