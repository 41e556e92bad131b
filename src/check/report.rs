//! What was found, for people and for programs. The JSON is a contract: fields may be added, none goes.

use std::fmt::Write;

use serde_json::{Value, json};

use super::Checked;
use crate::source::{Problem, Severity};

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    }
}

/// A line for each finding, as compilers write them (`web.yaml:12:5: error: …`), and one that sums up.
pub fn text(checked: &Checked) -> String {
    let mut text = String::new();
    for finding in &checked.findings {
        let Problem { severity, path, at, object, field, message } = finding;
        let at = at.map(|at| format!(":{at}")).unwrap_or_default();
        let object = object.as_ref().map(|object| format!("{object}: ")).unwrap_or_default();
        let field = if field.is_empty() { String::new() } else { format!("{field}: ") };
        // Writing to text cannot fail.
        let _ = writeln!(text, "{}{at}: {}: {object}{field}{message}", path.display(), word(*severity));
    }
    let sum = [
        counted(checked.count(Severity::Error), "error"),
        counted(checked.count(Severity::Warning), "warning"),
        counted(checked.objects, "object") + " in effect",
    ];
    text + &sum.join(", ") + "\n"
}

fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// The same as an object: how many there are, and each.
pub fn json(checked: &Checked) -> Value {
    let finding = |finding: &Problem| {
        json!({
            "severity": word(finding.severity),
            "file": finding.path.to_string_lossy(),
            "line": finding.at.map(|at| at.line),
            "column": finding.at.map(|at| at.column),
            "object": finding.object.as_ref().map(ToString::to_string),
            "field": Some(&finding.field).filter(|field| !field.is_empty()),
            "message": finding.message,
        })
    };
    json!({
        "errors": checked.count(Severity::Error),
        "warnings": checked.count(Severity::Warning),
        "objects": checked.objects,
        "findings": checked.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}
