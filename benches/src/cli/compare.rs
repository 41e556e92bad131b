//! `compare`: what became slower or faster from one run to another, beyond the noise of both.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::Error;
use crate::report;
use crate::results::{Change, Difference, Key, Pair, Results, Spread};

/// Options of `compare`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The earlier run: its folder, or its results.json
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The later one
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// How it is told
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
    /// Exit with 2 if something became slower, or failed that did not fail before
    #[arg(long)]
    fail_on_slower: bool,
}

/// How it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// for people
    Text,
    /// for programs
    Json,
}

/// Says it.
///
/// # Errors
/// There are no results.
pub fn main(arguments: &Arguments) -> Result<ExitCode, Error> {
    let (old, new) = (Results::load(&arguments.old)?, Results::load(&arguments.new)?);
    let difference = Difference::between(&old, &new);
    match arguments.output {
        Format::Text => print!("{}", text(&difference)),
        Format::Json => println!("{:#}", value(&difference)),
    }
    let worse = difference.of(Change::Slower).next().is_some() || !difference.failures.is_empty();
    Ok(if arguments.fail_on_slower && worse { ExitCode::from(2) } else { ExitCode::SUCCESS })
}

fn text(difference: &Difference) -> String {
    let mut text = String::new();
    match difference.machine.is_empty() {
        true => text.push_str("Both ran on the same machine, as far as can be seen.\n"),
        false => {
            text.push_str("They ran on different machines, which may be all the difference:\n");
            for (name, old, new) in &difference.machine {
                let _ = writeln!(text, "  {name}: {old} -> {new}");
            }
        }
    }
    for (change, title) in [(Change::Slower, "Slower"), (Change::Faster, "Faster")] {
        let pairs: Vec<&Pair> = difference.of(change).collect();
        if pairs.is_empty() {
            let _ = writeln!(text, "\n{title}: nothing.");
            continue;
        }
        let _ = writeln!(
            text,
            "\n{title}, or otherwise {}:",
            if change == Change::Slower { "worse" } else { "better" }
        );
        for pair in pairs {
            let unit = pair.key.quantity.unit();
            let said = |spread: &Spread| {
                format!(
                    "{} ({}..{})",
                    report::human(unit, spread.median),
                    report::human(unit, spread.low),
                    report::human(unit, spread.high)
                )
            };
            let _ = writeln!(
                text,
                "  {}: {} -> {}, {}",
                of(&pair.key),
                said(&pair.old),
                said(&pair.new),
                report::ratio(pair.new.median / pair.old.median)
            );
        }
    }
    let _ =
        writeln!(text, "\nNo difference beyond the noise: {} figures.", difference.of(Change::Same).count());
    for (title, keys) in [("Only in the first", &difference.gone), ("Only in the second", &difference.added)]
    {
        if !keys.is_empty() {
            let _ = writeln!(text, "\n{title}:");
            for key in keys {
                let _ = writeln!(text, "  {}", of(key));
            }
        }
    }
    if !difference.failures.is_empty() {
        text.push_str("\nFailed in the second, and not in the first:\n");
        for (contender, services, what) in &difference.failures {
            let _ = writeln!(text, "  {}, {} Services: {what}", contender.label(), report::count(*services));
        }
    }
    text
}

/// A figure in words.
fn of(key: &Key) -> String {
    let services = match key.size.services {
        0 => String::new(),
        1 => ", 1 Service".to_owned(),
        services => format!(", {} Services", report::count(services)),
    };
    let variant = if key.variant.is_empty() { String::new() } else { format!(" ({})", key.variant) };
    format!("{}{services}: {}{variant}", key.contender.label(), key.quantity.title())
}

fn value(difference: &Difference) -> Value {
    let spread = |spread: &Spread| json!({ "median": spread.median, "low": spread.low, "high": spread.high, "samples": spread.count });
    let key = |key: &Key| {
        json!({
            "quantity": key.quantity, "contender": key.contender, "variant": key.variant,
            "services": key.size.services, "endpoints": key.size.endpoints,
        })
    };
    let pair = |pair: &Pair| {
        let mut value = key(&pair.key);
        value["change"] = json!(pair.change);
        value["old"] = spread(&pair.old);
        value["new"] = spread(&pair.new);
        value["ratio"] = json!(pair.new.median / pair.old.median);
        value
    };
    json!({
        "figures": difference.pairs.iter().map(pair).collect::<Vec<_>>(),
        "only_in_old": difference.gone.iter().map(key).collect::<Vec<_>>(),
        "only_in_new": difference.added.iter().map(key).collect::<Vec<_>>(),
        "new_failures": (difference.failures.iter())
            .map(|(contender, services, what)| json!({ "contender": contender, "services": services, "what": what }))
            .collect::<Vec<_>>(),
        "machine": (difference.machine.iter())
            .map(|(name, old, new)| json!({ "what": name, "old": old, "new": new }))
            .collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contender::Contender;
    use crate::results::Quantity;
    use crate::workload::Size;

    fn difference() -> Difference {
        let spread = |median: f64| Spread { median, low: median * 0.9, high: median * 1.1, count: 3 };
        let size = Size { services: 1000, endpoints: 10 };
        let contender = Contender::KubeVerdictNftables;
        let key = Key { quantity: Quantity::ChangeP50, contender, size, variant: String::new() };
        let slower = Pair { key, old: spread(0.004), new: spread(0.008), change: Change::Slower };
        Difference {
            pairs: vec![slower],
            failures: vec![(contender, 1000, "churn".into())],
            ..Default::default()
        }
    }

    #[test]
    fn what_became_slower_is_told_in_words_and_in_json() {
        let text = text(&difference());
        assert!(text.contains("the same machine"), "{text}");
        let line = "kube-verdict nftables, 1,000 Services: one endpoint replaced until a client notices, p50: \
                    4 ms (3.60 ms..4.40 ms) -> 8 ms (7.20 ms..8.80 ms), 2 ×";
        assert!(text.contains(line), "{text}");
        assert!(text.contains("Faster: nothing.") && text.contains("1,000 Services: churn"), "{text}");
        let value = value(&difference());
        assert_eq!(value["figures"][0]["change"], "slower");
        assert_eq!(value["figures"][0]["quantity"], "change-p50");
        assert_eq!(value["new_failures"][0]["contender"], "kube-verdict-nftables");
    }
}
