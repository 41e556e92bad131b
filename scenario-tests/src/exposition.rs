//! Prometheus' text format, read strictly: what its own checker would complain of is an error here
//! (https://prometheus.io/docs/instrumenting/exposition_formats/).

use std::collections::{BTreeMap, BTreeSet};

/// A metric with all its samples.
#[derive(Clone, Debug, Default)]
pub struct Family {
    /// `counter`, `gauge`, `histogram`, `summary`, `untyped`
    pub kind: String,
    /// what it says of itself
    pub help: String,
    /// in order
    pub samples: Vec<Sample>,
}

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// with `_bucket`, `_sum` and `_count`
    pub name: String,
    /// labels and their values
    pub labels: BTreeMap<String, String>,
    /// the number
    pub value: f64,
}

impl Family {
    /// The names of labels that any sample has, `le` and `quantile` aside.
    pub fn labels(&self) -> BTreeSet<String> {
        let names = self.samples.iter().flat_map(|sample| sample.labels.keys().cloned());
        names.filter(|name| name != "le" && name != "quantile").collect()
    }

    /// The values that a label takes.
    pub fn values(&self, label: &str) -> BTreeSet<String> {
        self.samples.iter().filter_map(|sample| sample.labels.get(label).cloned()).collect()
    }
}

/// Everything that a text says, by metric.
pub type Exposition = BTreeMap<String, Family>;

/// Reads a text.
///
/// # Errors
/// The first line that is wrong, and why.
pub fn parse(text: &str) -> Result<Exposition, String> {
    if !text.ends_with('\n') {
        return Err("the last line does not end".into());
    }
    let mut families = Exposition::new();
    let mut current: Option<String> = None;
    for (number, line) in text.lines().enumerate() {
        let wrong = |why: &str| format!("line {}: {why}: {line}", number + 1);
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').ok_or_else(|| wrong("no help"))?;
            if families.contains_key(name) {
                return Err(wrong("its metric stands twice, or in pieces"));
            }
            families.insert(name.into(), Family { help: help.into(), ..Family::default() });
            current = Some(name.into());
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').ok_or_else(|| wrong("no type"))?;
            let family = families.get_mut(name).ok_or_else(|| wrong("there is no help before it"))?;
            if current.as_deref() != Some(name) || !family.kind.is_empty() || !family.samples.is_empty() {
                return Err(wrong("not where it belongs"));
            }
            family.kind = kind.into();
        } else {
            let sample = sample(line).map_err(|why| wrong(&why))?;
            let name = current.clone().ok_or_else(|| wrong("no metric before it"))?;
            let family = families.get_mut(&name).ok_or_else(|| wrong("no metric before it"))?;
            let suffixes: &[&str] = match family.kind.as_str() {
                "histogram" => &["_bucket", "_sum", "_count"],
                "summary" => &["", "_sum", "_count"],
                _ => &[""],
            };
            if !suffixes.iter().any(|suffix| sample.name == format!("{name}{suffix}")) {
                return Err(wrong(&format!("not a sample of {name}")));
            }
            let is_same = |s: &Sample| s.name == sample.name && s.labels == sample.labels;
            if family.samples.iter().any(is_same) {
                return Err(wrong("stands twice"));
            }
            family.samples.push(sample);
        }
    }
    Ok(families)
}

/// `name{label="value",…} 12`
fn sample(line: &str) -> Result<Sample, String> {
    let end = line.find(['{', ' ']).ok_or("no value")?;
    let (name, mut rest) = line.split_at(end);
    let is_name = |text: &str| {
        let mut chars = text.chars();
        chars.next().is_some_and(|c| c.is_ascii_alphabetic() || "_:".contains(c))
            && chars.all(|c| c.is_ascii_alphanumeric() || "_:".contains(c))
    };
    if !is_name(name) {
        return Err("not a name".into());
    }
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"").ok_or("a label without a value")?;
            let (value, after) = quoted(after)?;
            if !is_name(label) || labels.insert(label.to_owned(), value).is_some() {
                return Err(format!("label {label:?} is no name, or stands twice"));
            }
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        rest = &rest[1..];
    }
    let value = rest.strip_prefix(' ').ok_or("no value")?;
    let value = match value {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        number => number.parse().map_err(|_| format!("{number:?} is not a number"))?,
    };
    Ok(Sample { name: name.into(), labels, value })
}

/// A value up to its closing quote, and what follows.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => value.push(match chars.next() {
                Some((_, 'n')) => '\n',
                Some((_, c @ ('\\' | '"'))) => c,
                other => return Err(format!("{other:?} is not to be escaped")),
            }),
            c => value.push(c),
        }
    }
    Err("a value without an end".into())
}

/// What Prometheus' checker would say of well-formed text: names, units, help. `as_they_are` are names that
/// others chose.
pub fn lint(exposition: &Exposition, as_they_are: &[&str]) -> Vec<String> {
    let mut complaints = Vec::new();
    for (name, family) in exposition {
        let mut say = |what: &str| complaints.push(format!("{name}: {what}"));
        let is_counter = family.kind == "counter";
        if !["counter", "gauge", "histogram", "summary"].contains(&family.kind.as_str()) {
            say("has no type");
        }
        if family.help.is_empty() {
            say("has no help");
        }
        if is_counter != name.ends_with("_total") && !as_they_are.contains(&name.as_str()) {
            say("counters, and nothing else, end in _total");
        }
        if ["_bucket", "_sum", "_count", "_info_total"].iter().any(|suffix| name.ends_with(suffix)) {
            say("has the suffix of something else");
        }
        if ["_milliseconds", "_ms", "_microseconds", "_minutes", "_kilobytes"]
            .iter()
            .any(|u| name.contains(u))
        {
            say("is not in a base unit");
        }
        if is_counter && family.samples.iter().any(|sample| sample.value < 0.0) {
            say("counts backwards");
        }
        if family.kind == "histogram" {
            histogram(name, family, &mut say);
        }
    }
    complaints
}

/// Buckets rise up to +Inf, which is the count.
fn histogram(name: &str, family: &Family, say: &mut dyn FnMut(&str)) {
    let mut series: BTreeMap<BTreeMap<String, String>, Vec<(f64, f64)>> = BTreeMap::new();
    for sample in family.samples.iter().filter(|sample| sample.name == format!("{name}_bucket")) {
        let mut labels = sample.labels.clone();
        let bound = match labels.remove("le").as_deref() {
            Some("+Inf") => f64::INFINITY,
            Some(text) => text.parse().unwrap_or(f64::NAN),
            None => f64::NAN,
        };
        series.entry(labels).or_default().push((bound, sample.value));
    }
    let of = |suffix: &str, labels: &BTreeMap<String, String>| {
        let name = format!("{name}{suffix}");
        family.samples.iter().find(|s| s.name == name && s.labels == *labels).map(|s| s.value)
    };
    for (labels, buckets) in &series {
        if !buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1) {
            say("its buckets do not rise");
        }
        let last = buckets.last().map(|(bound, count)| (*bound, Some(*count)));
        if last != Some((f64::INFINITY, of("_count", labels))) || of("_sum", labels).is_none() {
            say("lacks +Inf, a count or a sum");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_well_formed_is_read() {
        let text = "# HELP a_total b\n# TYPE a_total counter\na_total{x=\"1 \\\"2\\\\\\n}\",y=\"\"} 3\na_total 4.5e1\n";
        let read = parse(text).unwrap();
        let family = &read["a_total"];
        assert_eq!(family.samples[0].labels["x"], "1 \"2\\\n}");
        assert_eq!(family.samples[1].value, 45.0);
        assert_eq!(family.labels().into_iter().collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(lint(&read, &[]), Vec::<String>::new());
    }

    #[test]
    fn what_is_not_is_refused() {
        for (text, why) in [
            ("a 1\n", "no metric before it"),
            ("# HELP a b\n# TYPE a gauge\na 1", "does not end"),
            ("# HELP a b\n# TYPE a gauge\na 1\na 2\n", "stands twice"),
            ("# HELP a b\n# TYPE a gauge\nb 1\n", "not a sample of a"),
            ("# HELP a b\n# TYPE a gauge\n# HELP a b\n", "in pieces"),
            ("# HELP a b\n# TYPE a gauge\na{x=\"\\t\"} 1\n", "not to be escaped"),
            ("# HELP a b\n# TYPE a gauge\na{x=\"1\",x=\"2\"} 1\n", "stands twice"),
            ("# HELP a b\n# TYPE a gauge\na one\n", "not a number"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(why), "{text:?}: {error}");
        }
    }

    #[test]
    fn bad_habits_are_named() {
        let histogram = "# HELP h_seconds x\n# TYPE h_seconds histogram\nh_seconds_bucket{le=\"1\"} 2\n\
                         h_seconds_bucket{le=\"+Inf\"} 1\nh_seconds_sum 3\nh_seconds_count 2\n";
        let complaints = lint(&parse(histogram).unwrap(), &[]);
        assert_eq!(complaints.len(), 2, "{complaints:?}");
        let others = "# HELP a_total x\n# TYPE a_total gauge\na_total 1\n# HELP b x\n# TYPE b counter\nb 1\n";
        assert_eq!(lint(&parse(others).unwrap(), &["a_total"]).len(), 1);
    }
}
