//! `kube-verdict apply`: programmes the kernel once, by a directory of manifests, and says before what will change.
//!
//! It is the daemon's first sync and nothing else: nobody looks after the rules then, and endpoints are not asked
//! whether they are well. Exit codes beside the usual: 3, there are changes and they were not made.

use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Instant;

use kube_verdict_nftables::layout::Element;
use kube_verdict_nftables::{Kernel, Nftables, Options, elements};
use kube_verdict_table::Family;
use serde_json::json;

use super::arguments::{Applying, Output, Sources};
use super::{Failure, kernel, table};
use crate::apply::{Difference, running, served};
use crate::host;

/// Changes that were not made.
const UNMADE: u8 = 3;

/// Shows the difference and, unless it is only to be shown, makes it.
pub(super) fn run(sources: &Sources, asked: &Applying) -> Result<ExitCode, Failure> {
    if sources.manifests().is_none() {
        return Err("which directory? write `kube-verdict apply --manifests DIR`".into());
    }
    let effective = table::configuration(sources)?;
    if effective.ipvs.is_some() {
        return Err("apply programmes nftables alone, and the mode is ipvs: run the daemon".into());
    }
    let (table, has_gaps) = table::build_all(sources, effective.clone())?;
    let mut netlink = kernel::open()?;
    let options = effective.nftables();
    let (mut before, mut after): (Vec<Element>, Vec<Element>) = (Vec::new(), Vec::new());
    for family in Family::BOTH {
        before.extend(netlink.read(family)?.table.into_iter().flat_map(|found| found.elements));
        after.extend(elements(&table, family, options));
    }
    let service = |frontend: &_| table.fate(frontend).map(|fate| fate.service.to_string());
    let difference = Difference::between(&served(&before), &served(&after), has_gaps, service);
    let daemon = running();
    if let Some(daemon) = &daemon {
        tracing::warn!(
            "{daemon} serves this network namespace, and will undo what its own objects do not say"
        );
    }
    if has_gaps {
        tracing::warn!("not everything could be read: what only the kernel serves stays as it is");
    }
    let is_for_people = asked.output == Output::Text;
    if is_for_people {
        super::print(&difference.text(std::io::stdout().is_terminal()))?;
    }
    let may = !asked.dry_run && (asked.yes || difference.is_empty() || agreed()?);
    let mut operations = None;
    if may {
        host::prepare(&effective)?;
        // This process is gone in a moment, and nobody's tables are what it leaves.
        let options = Options { own: false, ..options };
        let mut backend = Nftables::new(netlink, options);
        backend.keep_unknown(has_gaps);
        let report = backend
            .sync(&table, Instant::now())
            .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
        if !report.refused.is_empty() {
            let refused: Vec<String> = report.refused.iter().map(ToString::to_string).collect();
            return Err(refused.join("; ").into());
        }
        operations = Some(report.operations);
    }
    if is_for_people {
        super::print(&match operations {
            Some(operations) => format!("done: {operations} operations written\n"),
            None => "nothing was written\n".into(),
        })?;
    } else {
        let answer = json!({
            "applied": operations.is_some(), "operations": operations, "frontends": difference.json(),
            "daemon": daemon.map(|daemon| daemon.to_string()),
        });
        super::print(&(serde_json::to_string_pretty(&answer)? + "\n"))?;
    }
    let is_unmade = operations.is_none() && !difference.is_empty();
    Ok(if is_unmade { ExitCode::from(UNMADE) } else { ExitCode::SUCCESS })
}

/// Asks whoever sits there.
fn agreed() -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err("nobody is there to ask: write --yes to programme this, or --dry-run to see it".into());
    }
    let mut question = std::io::stderr().lock();
    write!(question, "Programme this? [y/N] ")?;
    question.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
