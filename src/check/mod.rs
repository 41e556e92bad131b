//! What a person should know of a directory of manifests before it counts: all that the daemon would log about it, and
//! what only shows when objects are seen together ([`lint`]). Reads files, and neither asks the kernel nor tells it
//! anything. Decoding and validating are the source's, and contested frontends are the table's to say; there is no
//! second opinion here.

mod lint;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use kube_verdict_table::objects::{ObjectEvent, ObjectKey};
use kube_verdict_table::{NodeState, Notice, ServiceTable, Settings};

use crate::document::Position;
use crate::source::manifests::{Directory, Places, locate};
use crate::source::{Batch, Problem, Severity};
use lint::Lint;
pub use report::{json, text};

/// What was found.
#[derive(Debug)]
pub struct Checked {
    /// in the order of files and lines
    pub findings: Vec<Problem>,
    /// how many objects there are for a proxy
    pub objects: usize,
}

impl Checked {
    /// How many findings are of a severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }
}

/// Reads a directory. The node is what its objects ([`ObjectEvent`]) and the configuration make it.
///
/// # Errors
/// Those of `node`.
pub fn check<E>(
    directory: &mut Directory,
    node: impl FnOnce(&[ObjectEvent]) -> Result<(Settings, NodeState), E>,
) -> Result<Checked, E> {
    let (Batch { events, problems, .. }, places) = directory.survey();
    let (settings, state) = node(&events)?;
    let troubled = problems.iter().filter(|problem| problem.severity == Severity::Error);
    let troubled: BTreeSet<ObjectKey> = troubled.filter_map(|problem| problem.object.clone()).collect();
    let mut lints = lint::lint(&events, |key| places.contains_key(key), &troubled);
    let objects = events.len();
    let notices = ServiceTable::new(settings, state).update(events).notices;
    lints.extend(notices.into_iter().filter_map(|notice| of_notice(notice, &places)));

    let mut findings = problems;
    let said = |lint: &Lint| {
        findings.iter().any(|known| known.object.as_ref() == Some(&lint.object) && known.field == lint.field)
    };
    lints.retain(|lint| !said(lint));
    findings.extend(placed(lints, &places));
    findings.sort_by(|a, b| (&a.path, a.at).cmp(&(&b.path, b.at)));
    Ok(Checked { findings, objects })
}

/// The table names objects as people do.
fn of_notice(Notice { object, field, message }: Notice, places: &Places) -> Option<Lint> {
    let key = places.keys().find(|key| key.to_string() == object)?;
    Some(Lint { object: key.clone(), field, message })
}

/// Findings with their places, each file read once more for all of its.
fn placed(lints: Vec<Lint>, places: &Places) -> Vec<Problem> {
    let mut by_file: BTreeMap<&PathBuf, Vec<(Position, Lint)>> = BTreeMap::new();
    for lint in lints {
        if let Some((path, at)) = places.get(&lint.object) {
            by_file.entry(path).or_default().push((*at, lint));
        }
    }
    let of_file = |(path, lints): (&PathBuf, Vec<(Position, Lint)>)| {
        let fields: Vec<(Position, &str)> =
            lints.iter().map(|(at, lint)| (*at, as_written(&lint.field))).collect();
        let exact = locate(path, &fields);
        let problem = |((_, lint), at): ((Position, Lint), Position)| Problem {
            severity: Severity::Warning,
            path: path.clone(),
            at: Some(at),
            object: Some(lint.object),
            field: lint.field,
            message: lint.message,
        };
        lints.into_iter().zip(exact).map(problem).collect::<Vec<_>>()
    };
    by_file.into_iter().flat_map(of_file).collect()
}

/// What a person is likely to have written for a field that the table names as an API server would.
fn as_written(field: &str) -> &str {
    if field == "spec.clusterIPs" { "spec.clusterIP" } else { field }
}

#[cfg(test)]
mod tests;
