//! `kube-verdict explain`: what happens to a packet and why, computed from the table alone.

use kube_verdict_table::Packet;

use super::arguments::{Output, Question, Sources};
use super::{Failure, table};

/// Prints the answer.
pub(super) fn run(sources: &Sources, question: &Question) -> Result<(), Failure> {
    super::print(&(answer(sources, question)? + "\n"))
}

fn answer(sources: &Sources, question: &Question) -> Result<String, Failure> {
    let table = table::build(sources, table::configuration(sources)?)?;
    let explanation = table.explain(&Packet {
        from: question.from.map(|ip| ip.to_canonical()),
        in_interface: question.in_interface.clone(),
        to: question.to.ip,
        port: question.to.port,
        protocol: question.to.protocol,
    });
    Ok(match question.output {
        Output::Text => explanation.to_string(),
        Output::Json => serde_json::to_string_pretty(&explanation)?,
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::{Value, json};

    use super::*;
    use crate::cli::arguments::{Arguments, Command};
    use crate::source::manifests::Directory;
    use crate::source::{Problem, Severity};

    const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/examples");

    fn ask(more: &str) -> String {
        ask_with("", more)
    }

    fn ask_with(flags: &str, more: &str) -> String {
        let line = format!(
            "kube-verdict {flags} explain --manifests {EXAMPLES} --hostname-override this-machine {more}"
        );
        let line = line.replace("  ", " ");
        let arguments = Arguments::try_parse_from(line.split(' ')).unwrap();
        let Some(Command::Explain(question)) = &arguments.command else { panic!() };
        answer(&arguments.sources, question).unwrap()
    }

    #[test]
    fn the_examples_are_without_fault() {
        let batch = Directory::open(EXAMPLES).unwrap().load();
        let faults: Vec<&Problem> = batch.problems.iter().filter(|p| p.severity > Severity::Info).collect();
        assert!(faults.is_empty(), "{faults:#?}");
        assert_eq!(batch.events.len(), 9);
    }

    #[test]
    fn the_json_is_a_contract() {
        let mut answer: Value = serde_json::from_str(&ask("--to [fd00:96::53]:53/udp -o json")).unwrap();
        let because = answer.as_object_mut().unwrap().remove("because").unwrap();
        assert!(because.as_array().is_some_and(|list| !list.is_empty()));
        let frontend = answer.as_object_mut().unwrap().remove("frontend").unwrap();
        assert!(frontend.is_string());
        let expected = json!({
            "verdict": "dnat", "backends": ["[2001:db8::21]:53", "[2001:db8::22]:53"], "scheduler": null,
            "masquerade": false, "service": "default/dns:dns"
        });
        assert_eq!(answer, expected);
    }

    #[test]
    fn in_ipvs_mode_the_scheduler_is_named() {
        let flags = "--proxy-mode=ipvs --ipvs-scheduler=lc";
        let answer: Value = serde_json::from_str(&ask_with(flags, "--to 10.96.0.10:80 -o json")).unwrap();
        assert_eq!((&answer["verdict"], &answer["scheduler"]), (&json!("dnat"), &json!("lc")));
        let text = ask_with(flags, "--to 10.96.0.10:80");
        assert!(text.contains("\nscheduler lc\n"), "{text}");
    }

    #[test]
    fn people_get_sentences() {
        let text = ask("--to 10.96.0.10:80 --from 203.0.113.9");
        assert!(text.contains("default/web:http") && text.contains("192.0.2.11:8080"), "{text}");
        assert!(ask("--to 10.96.0.99:80").starts_with("verdict   "));
    }
}
