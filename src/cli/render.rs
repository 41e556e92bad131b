//! `kube-verdict render`: the ruleset as text. Needs no root, touches no kernel table.

use super::arguments::Sources;
use super::{Failure, table};
use crate::daemon;

/// Prints the ruleset.
pub(super) fn run(sources: &Sources) -> Result<(), Failure> {
    let effective = table::configuration(sources)?;
    daemon::has_backend(&effective)?;
    let options = kube_verdict_nftables::Options::slots(effective.masquerade_mark);
    let table = table::build(sources, effective)?;
    let text = kube_verdict_nftables::render(&table, options);
    super::print(&text)
}
