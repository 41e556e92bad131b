//! Tests of `select`: the rows of reference §2.

use std::net::{IpAddr, Ipv4Addr};

use super::*;

/// Reads `ready local fallback here elsewhere zones=a,b`.
fn candidate(number: u8, text: &str) -> Candidate<'static> {
    let has = |word: &str| text.split(' ').any(|w| w == word);
    let zones = text.split(' ').find_map(|w| w.strip_prefix("zones="));
    let zones: Vec<Box<str>> = zones.into_iter().flat_map(|zones| zones.split(',')).map(Box::from).collect();
    Candidate {
        backend: Backend { ip: IpAddr::V4(Ipv4Addr::new(10, 0, 0, number)), port: 80 },
        ready: has("ready"),
        fallback: has("fallback"),
        local: has("local"),
        node_hint: match (has("here"), has("elsewhere")) {
            (true, _) => NodeHint::Here,
            (_, true) => NodeHint::Elsewhere,
            _ => NodeHint::Absent,
        },
        zone_hints: Vec::leak(zones),
    }
}

/// `1 2` for the last octets, with what was special in front.
fn show(selection: Option<Selection>) -> String {
    let Some(Selection { backends, choice }) = selection else { return "none".into() };
    let mut words: Vec<String> = Vec::new();
    match choice.topology {
        Topology::Everywhere => {}
        Topology::SameNode => words.push("node:".into()),
        Topology::SameZone => words.push("zone:".into()),
    }
    if choice.terminating {
        words.push("terminating:".into());
    }
    words.extend(backends.iter().map(|b| b.ip.to_string().replace("10.0.0.", "")));
    words.join(" ")
}

fn picks(endpoints: &[&str], zone: Option<&str>, cluster: bool, local: bool) -> (String, String, bool) {
    let candidates: Vec<_> = (1..).zip(endpoints).map(|(i, text)| candidate(i, text)).collect();
    let Picks { cluster, local, any } = pick(&candidates, zone, Uses { cluster, local });
    assert!(cluster.as_ref().is_none_or(|s| s.choice.policy == Policy::Cluster));
    assert!(local.as_ref().is_none_or(|s| s.choice.policy == Policy::Local));
    (show(cluster), show(local), any)
}

#[test]
fn cluster_endpoints_and_their_hints() {
    let rows: &[(&str, &[&str], Option<&str>, &str)] = &[
        ("ready ones", &["ready", "", "ready local"], None, "1 3"),
        ("nothing", &[], None, "none"),
        ("none usable", &["", "local"], None, "none"),
        ("terminating stand in", &["fallback", "", "fallback"], None, "terminating: 1 3"),
        ("one ready is enough to keep them out", &["fallback", "ready"], None, "2"),
        ("same zone", &["ready zones=a", "ready zones=b", "ready zones=b,a"], Some("a"), "zone: 1 3"),
        ("no endpoint for the zone", &["ready zones=a", "ready zones=b"], Some("c"), "1 2"),
        ("one ready without a hint", &["ready zones=a", "ready"], Some("a"), "1 2"),
        (
            "an unready one without a hint has no vote",
            &["ready zones=a", "", "fallback"],
            Some("a"),
            "zone: 1",
        ),
        ("an unready one's hint is none", &["ready zones=b", "zones=a"], Some("a"), "1"),
        ("the node has no zone", &["ready zones=a"], None, "1"),
        ("the node's zone is empty", &["ready zones="], Some(""), "1"),
        ("same node", &["ready here", "ready elsewhere"], None, "node: 1"),
        ("no endpoint for the node", &["ready elsewhere", "ready elsewhere"], None, "1 2"),
        ("one without a hint for nodes", &["ready here", "ready"], None, "1 2"),
        ("node before zone", &["ready here zones=b", "ready elsewhere zones=a"], Some("a"), "node: 1"),
        (
            "node fails, zone holds",
            &["ready elsewhere zones=a", "ready elsewhere zones=b"],
            Some("a"),
            "zone: 1",
        ),
        ("some lack node hints, zone holds", &["ready here zones=b", "ready zones=a"], Some("a"), "zone: 2"),
        (
            "hints do not narrow the terminating",
            &["fallback zones=a", "fallback zones=b"],
            Some("a"),
            "terminating: 1 2",
        ),
    ];
    for (name, endpoints, zone, expected) in rows {
        assert_eq!(picks(endpoints, *zone, true, false).0, *expected, "{name}");
    }
}

#[test]
fn local_endpoints_know_no_hints() {
    let rows: &[(&str, &[&str], &str)] = &[
        ("local ready ones", &["ready local", "ready", "local"], "1"),
        ("hints for others do not matter", &["ready local elsewhere zones=b", "ready here zones=a"], "1"),
        (
            "local terminating stand in, though others are ready",
            &["fallback local", "ready"],
            "terminating: 1",
        ),
        ("terminating elsewhere do not", &["fallback", "ready"], "none"),
    ];
    for (name, endpoints, expected) in rows {
        assert_eq!(picks(endpoints, Some("a"), true, true).1, *expected, "{name}");
    }
}

#[test]
fn the_lists_fall_back_independently() {
    assert_eq!(
        picks(&["fallback local", "ready"], None, true, true),
        ("2".into(), "terminating: 1".into(), true)
    );
}

#[test]
fn a_list_that_is_not_used_is_not_made() {
    assert_eq!(picks(&["ready local"], None, false, true), ("none".into(), "1".into(), true));
    assert_eq!(picks(&["ready local"], None, true, false), ("1".into(), "none".into(), true));
}

#[test]
fn any_separates_drop_from_reject() {
    let any = |endpoints: &[&str], cluster, local| picks(endpoints, None, cluster, local).2;
    assert!(any(&["ready"], false, true), "ready elsewhere");
    assert!(any(&["fallback"], false, true), "terminating elsewhere");
    assert!(!any(&["", "local"], false, true), "nothing usable");
    assert!(!any(&[], true, true), "nothing at all");
    assert!(!any(&["local"], true, false), "serving only counts when terminating");
}
