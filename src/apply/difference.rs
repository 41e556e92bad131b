//! What two rulesets of ours do differently, frontend by frontend. Pure. Where in a map a backend stands is no
//! difference; which backends there are is, and so is the behaviour, which is the chain that an element leads to.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use kube_verdict_nftables::layout::{Element, Scope};
use kube_verdict_table::Frontend;
use serde_json::{Value, json};

/// What a ruleset does with a frontend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// with where they are used, if that is only for sources outside
    backends: BTreeSet<String>,
    behaviour: BTreeSet<String>,
}

/// Every frontend of a ruleset.
pub fn served(elements: &[Element]) -> BTreeMap<Frontend, Served> {
    let mut all: BTreeMap<Frontend, Served> = BTreeMap::new();
    for element in elements {
        let Some(frontend) = element.frontend() else { continue };
        let served = all.entry(frontend).or_default();
        let (words, text) = match element {
            Element::Slot(_, Scope::Cluster, _, backend) => (&mut served.backends, backend.to_string()),
            Element::Slot(_, Scope::Local, _, backend) => {
                (&mut served.backends, format!("{backend} (from outside)"))
            }
            Element::Frontend(_, verdict) => (&mut served.behaviour, format!("{verdict:?}")),
            Element::Inside(_, verdict) => (&mut served.behaviour, format!("inside: {verdict:?}")),
            Element::BySource(_, verdict) => (&mut served.behaviour, format!("allowed: {verdict:?}")),
            Element::SourceRange(_, prefix) => (&mut served.behaviour, format!("source range {prefix}")),
            _ => continue,
        };
        words.insert(text);
    }
    all
}

/// What becomes of one frontend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrontendDifference {
    frontend: Frontend,
    /// `added`, `removed` or `changed`
    what: &'static str,
    /// the Service port, if the new ruleset has it
    service: Option<String>,
    added: Vec<String>,
    removed: Vec<String>,
}

/// What becomes of all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// by frontend
    pub frontends: Vec<FrontendDifference>,
}

impl Difference {
    /// From what there is to what there is to be. `keeps` says that what only the first has stays; `service` whose a
    /// frontend will be.
    pub fn between(
        before: &BTreeMap<Frontend, Served>,
        after: &BTreeMap<Frontend, Served>,
        keeps: bool,
        service: impl Fn(&Frontend) -> Option<String>,
    ) -> Self {
        let nothing = Served::default();
        let all: BTreeSet<&Frontend> = before.keys().chain(after.keys()).collect();
        let difference = |frontend: &Frontend| {
            let what = match (before.get(frontend), after.get(frontend)) {
                (None, _) => "added",
                (Some(_), None) if keeps => return None,
                (Some(_), None) => "removed",
                (Some(before), Some(after)) if before == after => return None,
                (Some(_), Some(_)) => "changed",
            };
            let old = &before.get(frontend).unwrap_or(&nothing).backends;
            let new = &after.get(frontend).unwrap_or(&nothing).backends;
            Some(FrontendDifference {
                frontend: *frontend,
                what,
                service: service(frontend),
                added: new.difference(old).cloned().collect(),
                removed: old.difference(new).cloned().collect(),
            })
        };
        Difference { frontends: all.into_iter().filter_map(difference).collect() }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.frontends.is_empty()
    }

    /// For people: a line for each frontend and each backend, with a sign as in any unified difference.
    pub fn text(&self, is_coloured: bool) -> String {
        let mut text = String::new();
        let mut line = |sign: char, indent: &str, words: &str| {
            let (colour, end) = match sign {
                '+' if is_coloured => ("\x1b[32m", "\x1b[0m"),
                '-' if is_coloured => ("\x1b[31m", "\x1b[0m"),
                _ => ("", ""),
            };
            // Writing to text cannot fail.
            let _ = writeln!(text, "{colour}{sign} {indent}{words}{end}");
        };
        for difference in &self.frontends {
            let FrontendDifference { frontend, what, service, added, removed } = difference;
            let sign = match *what {
                "added" => '+',
                "removed" => '-',
                _ => ' ',
            };
            let owner = service.as_ref().map(|service| format!(" of {service}")).unwrap_or_default();
            let only = added.is_empty() && removed.is_empty();
            let note = match (*what, only) {
                ("changed", true) => ": the same backends, used otherwise",
                ("added", true) => ": without backends",
                _ => "",
            };
            line(sign, "", &format!("{frontend}{owner}{note}"));
            removed.iter().for_each(|backend| line('-', "  ", backend));
            added.iter().for_each(|backend| line('+', "  ", backend));
        }
        let count = |what| self.frontends.iter().filter(|difference| difference.what == what).count();
        let (added, removed, changed) = (count("added"), count("removed"), count("changed"));
        text + &format!("frontends: {added} added, {removed} removed, {changed} changed\n")
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let one = |difference: &FrontendDifference| {
            let FrontendDifference { frontend, what, service, added, removed } = difference;
            json!({
                "frontend": frontend.to_string(), "change": what, "service": service,
                "backendsAdded": added, "backendsRemoved": removed,
            })
        };
        self.frontends.iter().map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use kube_verdict_nftables::layout::Verdict;
    use kube_verdict_table::{Backend, Protocol};

    use super::*;

    fn frontend(port: u16) -> Frontend {
        Frontend::Address { ip: "10.96.0.1".parse().unwrap(), protocol: Protocol::Tcp, port }
    }

    fn ruleset(frontends: &[(u16, &[u16])]) -> BTreeMap<Frontend, Served> {
        let elements: Vec<Element> = frontends
            .iter()
            .flat_map(|(port, backends)| {
                let slot = |(slot, port_of): (usize, &u16)| {
                    let backend = Backend { ip: "10.0.0.1".parse().unwrap(), port: *port_of };
                    Element::Slot(frontend(*port), Scope::Cluster, slot as u32, backend)
                };
                let verdict = Element::Frontend(frontend(*port), Verdict::Drop);
                backends.iter().enumerate().map(slot).chain([verdict]).collect::<Vec<_>>()
            })
            .collect();
        served(&elements)
    }

    #[test]
    fn what_is_said() {
        let before = ruleset(&[(80, &[1, 2]), (81, &[1]), (82, &[1]), (83, &[1, 2])]);
        let after = ruleset(&[(79, &[]), (80, &[3, 2]), (82, &[1]), (83, &[2, 1])]);
        let difference =
            Difference::between(&before, &after, false, |f| (f.port() == 80).then(|| "d/web".into()));
        assert_eq!(
            difference.text(false),
            "+ 10.96.0.1:79/TCP: without backends\n  10.96.0.1:80/TCP of d/web\n-   10.0.0.1:1\n+   10.0.0.1:3\n\
             - 10.96.0.1:81/TCP\n-   10.0.0.1:1\nfrontends: 1 added, 1 removed, 1 changed\n"
        );
        assert!(difference.text(true).contains("\x1b[32m+   10.0.0.1:3\x1b[0m\n"));
        assert_eq!(
            difference.json()[1],
            json!({"frontend": "10.96.0.1:80/TCP", "change": "changed", "service": "d/web",
                   "backendsAdded": ["10.0.0.1:3"], "backendsRemoved": ["10.0.0.1:1"]})
        );
        assert_eq!(Difference::between(&before, &after, true, |_| None).frontends.len(), 2);
        assert!(Difference::between(&after, &after, false, |_| None).is_empty());
    }
}
