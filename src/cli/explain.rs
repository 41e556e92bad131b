//! `kube-verdict explain`: what happens to a packet and why, computed from the table alone.

use std::io::Write;

use kube_verdict_table::Packet;

use super::arguments::{Output, Question, Sources};
use super::{Failure, table};

/// Prints the answer.
pub(super) fn run(sources: &Sources, question: &Question) -> Result<(), Failure> {
    sources.manifests();
    let table = table::build(sources, table::configuration(sources)?)?;
    let explanation = table.explain(&Packet {
        from: question.from.map(|ip| ip.to_canonical()),
        in_interface: question.in_interface.clone(),
        to: question.to.ip,
        port: question.to.port,
        protocol: question.to.protocol,
    });
    let text = match question.output {
        Output::Text => explanation.to_string(),
        Output::Json => serde_json::to_string_pretty(&explanation)?,
    };
    writeln!(std::io::stdout().lock(), "{text}")?;
    Ok(())
}
