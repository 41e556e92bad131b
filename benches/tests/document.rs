//! docs/benchmark.md names every contender, every quantity, and every field of results.json.

use kube_verdict_bench::contender::Contender;
use kube_verdict_bench::results::{
    Absence, Entrant, FILE, Failure, Figure, Machine, Quantity, Results, SCHEMA,
};
use serde_json::Value;

const TEXT: &str = include_str!("../../docs/benchmark.md");

fn named(what: &str, name: &str) {
    assert!(TEXT.contains(&format!("`{name}`")), "docs/benchmark.md does not name the {what} `{name}`");
}

fn name(value: impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| Some(value.as_str()?.to_owned())).expect("a name")
}

#[test]
fn contenders_and_quantities() {
    for contender in Contender::ALL {
        named("contender", &name(contender));
    }
    for quantity in Quantity::ALL {
        named("quantity", &name(quantity));
        let row = TEXT
            .lines()
            .find(|line| line.starts_with('|') && line.contains(&format!("`{}`", name(quantity))));
        let group = format!("| {} |", name(quantity.group()));
        assert!(row.is_some_and(|row| row.contains(&group)), "{quantity:?} is not in the group {group}");
    }
}

/// A value with every field there is.
fn whole() -> Results {
    let contender = Contender::KubeVerdictNftables;
    let text = String::new;
    Results {
        schema: SCHEMA,
        machine: Machine::default(),
        contenders: vec![Entrant { contender, version: text() }],
        absent: vec![Absence { contender, reason: text() }],
        figures: vec![Figure {
            quantity: Quantity::FirstSync,
            contender,
            services: 1,
            endpoints: 1,
            variant: "udp".into(),
            samples: vec![1.0],
        }],
        failures: vec![Failure { contender, services: 1, what: text(), error: text() }],
        ..Results::default()
    }
}

#[test]
fn fields() {
    let (_, section) = TEXT.split_once(&format!("## {FILE}")).expect("a section about the file");
    let check = |value: &Value| {
        for field in value.as_object().into_iter().flat_map(serde_json::Map::keys) {
            assert!(
                section.contains(&format!("`{field}`")),
                "docs/benchmark.md does not name the field `{field}`"
            );
        }
    };
    let value = serde_json::to_value(whole()).expect("JSON");
    check(&value);
    for field in value.as_object().expect("an object").values() {
        check(field);
        field.as_array().into_iter().flatten().for_each(check);
    }
}
