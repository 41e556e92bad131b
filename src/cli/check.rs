//! `kube-verdict check`: what is wrong with a directory of manifests. Needs no root, asks nothing of the kernel.

use std::process::ExitCode;

use super::arguments::{Checks, Output, Sources};
use super::{Failure, table};
use crate::check::{self, check};
use crate::node::{Interfaces, Reliance, ThisNode, name};
use crate::source::Severity;
use crate::source::manifests::Directory;

/// Prints what there is to say. Fails if there are errors, or, strictly, warnings.
pub(super) fn run(sources: &Sources, asked: &Checks) -> Result<ExitCode, Failure> {
    let Some(path) = asked.directory.as_ref().or(sources.manifests()) else {
        return Err("which directory? write `kube-verdict check DIR`".into());
    };
    let effective = table::configuration_of(sources, true)?;
    let node_name = name::name(effective.hostname_override.as_deref())?;
    // Of no machine in particular: the answer is the same wherever it is asked.
    let mut this = ThisNode::new(node_name, effective, Interfaces::default(), Reliance::Optional);
    let checked = check(&mut Directory::open(path)?, |events| {
        this.observe(events);
        Ok::<_, Failure>((this.settings()?, this.state()))
    })?;
    super::print(&match asked.output {
        Output::Text => check::text(&checked),
        Output::Json => serde_json::to_string_pretty(&check::json(&checked))? + "\n",
    })?;
    let fails = |severity| checked.count(severity) > 0;
    let has_failed = fails(Severity::Error) || asked.strict && fails(Severity::Warning);
    Ok(if has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
