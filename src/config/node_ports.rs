//! `nodePortAddresses`: keywords and prefixes (reference §3.3).

use kube_verdict_table::NodePortEntry;

/// The entries of a list, which was validated. An empty one is everywhere.
pub(super) fn entries(list: &[String]) -> Vec<NodePortEntry> {
    if list.is_empty() {
        return vec![NodePortEntry::All];
    }
    list.iter().filter_map(|text| text.parse().ok()).collect()
}
