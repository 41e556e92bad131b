//! Tests of `slices`: interpretation and merging (reference §1.3).

use super::*;
use crate::objects::Leaf;
use crate::objects::Object;
use crate::slice::SliceEndpoint;
use crate::testing::{object, slice};
use serde_json::json;

fn stored(object: Object) -> (Box<str>, Slice) {
    let Object::EndpointSlice(slice) = object else { panic!() };
    (slice.metadata.name.clone(), Slice::new(slice, "n1").unwrap())
}

/// What `10.0.0.x:port` looks like after merging, flags as letters.
fn merged(slices: impl IntoIterator<Item = Object>) -> Vec<String> {
    let mut all = Slices::default();
    for (name, slice) in slices.into_iter().map(stored) {
        all.insert(name, slice);
    }
    let show = |m: &Merged<'_>| {
        let letters = [
            (flag::READY, 'r'),
            (flag::SERVING, 's'),
            (flag::TERMINATING, 't'),
            (flag::LOCAL, 'l'),
            (flag::NO_NODE, '?'),
            (flag::NODE_HINTED, 'h'),
            (flag::HINTS_HERE, 'H'),
        ];
        let letters: String = letters.into_iter().filter(|(bit, _)| m.has(*bit)).map(|(_, c)| c).collect();
        format!("{} {letters} {}", m.backend, m.zone_hints.join(",")).trim_end().to_owned()
    };
    merge(&all, Family::V4, "", Protocol::Tcp).iter().map(show).collect()
}

#[test]
fn an_endpoint_takes_24_bytes() {
    assert_eq!(size_of::<SliceEndpoint>(), 24);
}

#[test]
fn conditions_place_and_hints() {
    let one = slice(
        "a",
        "web",
        &[
            "10.0.0.2 node=n1 zones=x,y nodes=n2",
            "10.0.0.1 unready",
            "10.0.0.3 node=n2 terminating zones=x,y nodes=n2,n1",
            "10.0.0.4 node=n2 zones=y",
        ],
    );
    let expected =
        ["10.0.0.1:8080 s?", "10.0.0.2:8080 rslh x,y", "10.0.0.3:8080 rsthH x,y", "10.0.0.4:8080 rs y"];
    assert_eq!(merged([one]), expected);
}

#[test]
fn slices_unite_with_their_own_port_numbers() {
    let mut other = slice("b", "web", &["10.0.0.1 node=n2"]);
    let Object::EndpointSlice(b) = &mut other else { panic!() };
    b.ports[0].port = Some(Leaf::Valid(9090));
    assert_eq!(
        merged([slice("a", "web", &["10.0.0.1 node=n2"]), other]),
        ["10.0.0.1:8080 rs", "10.0.0.1:9090 rs"]
    );
}

#[test]
fn a_terminating_duplicate_only_fills_a_gap() {
    let live = || slice("b", "web", &["10.0.0.1 node=n2 unready"]);
    let dying = || slice("a", "web", &["10.0.0.1 node=n1 terminating"]);
    assert_eq!(merged([live(), dying()]), ["10.0.0.1:8080 s"]);
    assert_eq!(merged([dying()]), ["10.0.0.1:8080 rstl"]);
    let dying_too = slice("0", "web", &["10.0.0.1 node=n2 unready terminating"]);
    assert_eq!(merged([dying(), dying_too]), ["10.0.0.1:8080 rstl"], "the ready one of two");
}

#[test]
fn of_two_live_duplicates_the_ready_one_then_the_first_by_name_wins() {
    let ready = |name| slice(name, "web", &["10.0.0.1 node=n2"]);
    let unready = |name| slice(name, "web", &["10.0.0.1 node=n1 unready"]);
    assert_eq!(merged([ready("a"), unready("b")]), ["10.0.0.1:8080 rs"]);
    assert_eq!(merged([ready("b"), unready("a")]), ["10.0.0.1:8080 rs"]);
    let here = slice("b", "web", &["10.0.0.1 node=n1"]);
    assert_eq!(merged([here, ready("a")]), ["10.0.0.1:8080 rs"]);
}

#[test]
fn only_the_right_port_name_protocol_and_family_join() {
    let document = |address_type: &str, address: &str, ports: serde_json::Value| {
        object(json!({
            "kind": "EndpointSlice", "metadata": {"name": address}, "addressType": address_type,
            "endpoints": [{"addresses": [address], "nodeName": "n2"}, {"addresses": []}, {"addresses": ["x"]}],
            "ports": ports
        }))
    };
    let slices = [
        document(
            "IPv4",
            "10.0.0.1",
            json!([{"port": 1}, {"name": "b", "port": 2}, {"protocol": "UDP", "port": 3}]),
        ),
        document("IPv6", "fd00::1", json!([{"port": 4}])),
        document("IPv4", "fd00::2", json!([{"port": 5}])),
        document(
            "IPv4",
            "10.0.0.2",
            json!([{"port": null}, {"port": 0}, {"port": 65536}, {"protocol": "x", "port": 6}]),
        ),
    ];
    assert_eq!(merged(slices), ["10.0.0.1:1 rs"]);
}

#[test]
fn names_of_other_nodes_make_no_difference() {
    let on = |node: &str| stored(slice("a", "web", &[&format!("10.0.0.1 node={node} nodes={node}")])).1;
    assert_eq!(on("n2"), on("n3"));
    assert_ne!(on("n2"), on("n1"));
}

#[test]
fn fqdn_slices_mean_nothing() {
    let fqdn = json!({"kind": "EndpointSlice", "metadata": {"name": "a"}, "addressType": "FQDN"});
    let Object::EndpointSlice(fqdn) = object(fqdn) else { panic!() };
    assert_eq!(Slice::new(fqdn, "n1"), None);
}
