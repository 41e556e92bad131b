//! The kernel's listing of our table as text, taken apart: which elements each map and set has, which rules
//! each chain. So that two tables can be compared, and the way from one to the other be written as a batch.

use std::collections::{BTreeMap, BTreeSet};

use crate::netlink::{Data, Element};

/// A table as listed by nft, without what changes by itself (counters, expiry) or means nothing (order of
/// elements).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// header lines and elements of each set and map, by name
    pub sets: BTreeMap<String, Elements>,
    /// the lines of each chain, by name
    pub chains: BTreeMap<String, Vec<String>>,
}

/// A set or map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Elements {
    /// its declaration
    pub declaration: Vec<String>,
    /// key and data of each element; the data of a plain set is empty
    pub elements: BTreeMap<String, String>,
}

impl Listing {
    /// Reads what `nft list table` printed.
    ///
    /// # Panics
    /// On a listing that is none.
    pub fn parse(text: &str) -> Listing {
        let mut listing = Listing::default();
        let mut lines = text.lines().map(str::trim);
        while let Some(line) = lines.next() {
            let Some((kind, name)) = line.strip_suffix('{').and_then(|l| l.trim().split_once(' ')) else {
                continue;
            };
            match kind {
                "chain" => {
                    let rules = lines.by_ref().take_while(|line| *line != "}").map(str::to_owned).collect();
                    listing.chains.insert(name.to_owned(), rules);
                }
                "set" | "map" => {
                    listing.sets.insert(name.to_owned(), Elements::parse(&mut lines));
                }
                _ => {}
            }
        }
        listing
    }

    /// The backends of each frontend in a map of slots, whatever their order.
    pub fn backends(&self, map: &str) -> BTreeMap<String, Vec<String>> {
        let mut backends: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (key, data) in self.sets.get(map).into_iter().flat_map(|set| &set.elements) {
            let (frontend, slot) = key.rsplit_once(" . ").expect("a slot at the end of the key");
            assert!(slot.parse::<u32>().is_ok(), "{key}: not a slot");
            backends.entry(frontend.to_owned()).or_default().push(data.clone());
        }
        for list in backends.values_mut() {
            list.sort();
        }
        backends
    }

    /// What two tables must have in common to mean the same: slots may be in another order, the numbers that
    /// stand for service ports be others, and what the packet path wrote is its own business.
    pub fn meaning(&self) -> Meaning {
        let mut meaning = Meaning::default();
        let numbered = self.with_stable_numbers();
        for (name, set) in &numbered.sets {
            let dynamic = set.declaration.iter().any(|line| line.contains("dynamic"));
            meaning.declarations.insert(name.clone(), set.declaration.clone());
            if name.ends_with("endpoints") && !name.starts_with("sticky") {
                meaning.backends.insert(name.clone(), self.backends(name));
            } else if !dynamic {
                meaning.elements.insert(name.clone(), set.elements.clone());
            }
        }
        meaning.chains.clone_from(&self.chains);
        meaning
    }

    /// Affinity knows service ports by numbers, and IPVS knows virtual servers by marks; here each is called by the
    /// first of its frontends instead.
    fn with_stable_numbers(&self) -> Listing {
        let mut listing = self.clone();
        listing.rename_numbers(|set| set.ends_with("marks"));
        let first = listing.rename_numbers(|set| ["affinity-services", "affinity-nodeports"].contains(&set));
        let stable = |number: &String| first.get(number).unwrap_or(number).clone();
        if let Some(timeouts) = listing.sets.get_mut("affinity-timeouts") {
            let elements = std::mem::take(&mut timeouts.elements);
            timeouts.elements =
                elements.into_iter().map(|(number, verdict)| (stable(&number), verdict)).collect();
        }
        listing
    }

    /// Calls the numbers of some maps by the first frontend that has each; the new names.
    fn rename_numbers(&mut self, is_numbered: impl Fn(&str) -> bool) -> BTreeMap<String, String> {
        let mut first: BTreeMap<String, String> = BTreeMap::new();
        for (_, set) in self.sets.iter_mut().filter(|(name, _)| is_numbered(name)) {
            for (frontend, number) in &mut set.elements {
                *number = first.entry(number.clone()).or_insert_with(|| frontend.clone()).clone();
            }
        }
        first
    }
}

/// See [`Listing::meaning`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meaning {
    declarations: BTreeMap<String, Vec<String>>,
    backends: BTreeMap<String, BTreeMap<String, Vec<String>>>,
    elements: BTreeMap<String, BTreeMap<String, String>>,
    chains: BTreeMap<String, Vec<String>>,
}

impl Meaning {
    /// Where two tables differ, in words. Empty: nowhere.
    pub fn differences(&self, other: &Meaning) -> Vec<String> {
        let mut out = Vec::new();
        compare("declaration of", &self.declarations, &other.declarations, &mut out);
        compare("rules of", &self.chains, &other.chains, &mut out);
        compare("map", &self.backends, &other.backends, &mut out);
        compare("set", &self.elements, &other.elements, &mut out);
        out
    }
}

fn compare<V: PartialEq + std::fmt::Debug>(
    what: &str,
    one: &BTreeMap<String, V>,
    other: &BTreeMap<String, V>,
    out: &mut Vec<String>,
) {
    let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    for name in names {
        if one.get(name) != other.get(name) {
            out.push(format!("{what} {name}:\n    {:?}\n    {:?}", one.get(name), other.get(name)));
        }
    }
}

impl Elements {
    fn parse<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Elements {
        let mut set = Elements::default();
        let mut text = String::new();
        let mut within = false;
        for line in lines {
            if let Some(first) = line.strip_prefix("elements = {") {
                within = true;
                text.push_str(first);
            } else if within {
                text.push(' ');
                text.push_str(line);
            } else if line == "}" {
                break;
            } else {
                set.declaration.push(line.to_owned());
            }
            if within && line.ends_with('}') {
                within = false;
            }
        }
        let text = text.trim().trim_end_matches('}');
        for element in text.split(',').map(str::trim).filter(|element| !element.is_empty()) {
            let (key, data) = element.split_once(" : ").unwrap_or((element, ""));
            set.elements.insert(without_state(key), without_state(data));
        }
        set
    }
}

/// Without counters and expiry.
fn without_state(text: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        match word {
            "counter" => {}
            "packets" | "bytes" | "expires" | "timeout" => {
                words.next();
            }
            word => kept.push(word),
        }
    }
    kept.join(" ")
}

/// The elements that only `one` of two listings has, in these maps, as the kernel wants them.
pub fn elements_only_in(one: &Listing, other: &Listing, maps: &[&str]) -> Vec<Element> {
    let mut found = Vec::new();
    for map in maps {
        let none = Elements::default();
        let set = one.sets.get(*map).unwrap_or(&none);
        let there = other.sets.get(*map).unwrap_or(&none);
        for (key, data) in &set.elements {
            if there.elements.get(key) != Some(data) {
                let key = register(key);
                let data = match data.strip_prefix("goto ") {
                    Some(chain) => Data::Goto(chain.to_owned()),
                    None if data == "drop" => Data::Drop,
                    None => Data::Value(register(data)),
                };
                found.push(Element { map: (*map).to_owned(), key, data });
            }
        }
    }
    found
}

/// `5fe1:7a44`: how nft prints a packet's priority, a traffic control handle.
fn packet_priority(text: &str) -> Option<u32> {
    let (major, minor) = text.split_once(':')?;
    let half = |text: &str| if text.is_empty() { Some(0) } else { u32::from_str_radix(text, 16).ok() };
    Some(half(major)? << 16 | half(minor)?)
}

/// A concatenation as it stands in registers: every field padded to four bytes. Ports come third in a
/// frontend's key or second in a backend; other numbers are the host's.
fn register(text: &str) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::new();
    let mut port_seen = false;
    for field in text.split(" . ") {
        if let Ok(ip) = field.parse::<std::net::IpAddr>() {
            match ip {
                std::net::IpAddr::V4(ip) => out.extend(ip.octets()),
                std::net::IpAddr::V6(ip) => out.extend(ip.octets()),
            }
        } else if let Some(protocol) = ["tcp", "udp", "sctp"].iter().position(|p| *p == field) {
            out.extend([[6u8, 17, 132][protocol], 0, 0, 0]);
        } else if let Some(number) = packet_priority(field) {
            out.extend(number.to_ne_bytes());
        } else {
            let number: u32 = field.parse().unwrap_or_else(|_| panic!("{text:?}: what is {field:?}?"));
            if port_seen {
                out.extend(number.to_ne_bytes());
            } else {
                let port = u16::try_from(number).unwrap_or_else(|_| panic!("{text:?}: not a port"));
                out.extend(port.to_be_bytes());
                out.extend([0, 0]);
                port_seen = true;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "table ip kube-verdict {
\tmap endpoints {
\t\ttypeof ip daddr . meta l4proto . th dport . numgen random mod 65536 : ip daddr . th dport
\t\telements = { 10.96.0.1 . tcp . 80 . 1 : 10.2.0.3 . 8080,
\t\t\t     10.96.0.1 . tcp . 80 . 0 : 10.2.0.2 . 8080 }
\t}

\tmap services {
\t\ttypeof ip daddr . meta l4proto . th dport : verdict
\t\tcounter
\t\telements = { 10.96.0.1 . tcp . 80 counter packets 3 bytes 180 : goto pick-2 }
\t}

\tchain pick-2 {
\t\tdrop
\t}
}
";

    #[test]
    fn listings_are_taken_apart() {
        let listing = Listing::parse(TEXT);
        let backends = listing.backends("endpoints");
        assert_eq!(backends["10.96.0.1 . tcp . 80"], ["10.2.0.2 . 8080", "10.2.0.3 . 8080"]);
        assert_eq!(listing.sets["services"].elements["10.96.0.1 . tcp . 80"], "goto pick-2");
        assert_eq!(listing.sets["services"].declaration.len(), 2);
        assert_eq!(listing.chains["pick-2"], ["drop"]);
    }

    #[test]
    fn elements_become_registers() {
        let element = &elements_only_in(&Listing::parse(TEXT), &Listing::default(), &["endpoints"])[1];
        let slot = 1u32.to_ne_bytes();
        assert_eq!(element.key, [&[10, 96, 0, 1, 6, 0, 0, 0, 0, 80, 0, 0][..], &slot].concat());
        assert_eq!(element.data, Data::Value(vec![10, 2, 0, 3, 0x1f, 0x90, 0, 0]));
    }

    #[test]
    fn the_order_of_slots_means_nothing() {
        let swapped =
            TEXT.replace("80 . 1", "80 . 9").replace("80 . 0", "80 . 1").replace("80 . 9", "80 . 0");
        let (one, other) = (Listing::parse(TEXT).meaning(), Listing::parse(&swapped).meaning());
        assert_eq!(one.differences(&other), Vec::<String>::new());
        let changed = Listing::parse(&TEXT.replace("10.2.0.3", "10.2.0.4")).meaning();
        assert_eq!(one.differences(&changed).len(), 1);
    }
}
