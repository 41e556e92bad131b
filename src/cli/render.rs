//! `kube-verdict render`: the ruleset as text. Needs no root, touches no kernel table.

use super::arguments::Sources;
use super::{Failure, table};

/// Prints the ruleset.
pub(super) fn run(sources: &Sources) -> Result<(), Failure> {
    let effective = table::configuration(sources)?;
    let options = effective.nftables();
    let table = table::build(sources, effective)?;
    let text = kube_verdict_nftables::render(&table, options);
    super::print(&text)
}
