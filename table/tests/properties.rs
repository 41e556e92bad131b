//! What holds for any objects: a change takes one table to the other, the order and batching of events do
//! not show, a packet fares as the reference says, and the table keeps its promises to backends. The last
//! test looks at what the generators make, so that none of this passes for want of cases.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use kube_verdict_table::objects::{Object, ObjectEvent};
use kube_verdict_table::{
    Backend, Change, Family, Fate, Flows, Frontend, FrontendKind, Masquerade, NodeState, Packet, Protocol,
    Route, ServicePortName, ServiceTable, Settings, Target, Topology, Update, Verdict,
};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use support::generate::{Objects, ip, node, object, objects, settings};
use support::model::Model;
use support::oracle::World;

fn fresh(settings: &Settings, node: &NodeState, objects: &Objects) -> ServiceTable {
    let mut table = ServiceTable::new(settings.clone(), node.clone());
    table.update(objects.values().cloned().map(ObjectEvent::Applied));
    table
}

/// The events that take one set of objects to another, resyncs included.
fn journey(from: &Objects, to: &Objects) -> Vec<ObjectEvent> {
    let gone = from.keys().filter(|key| !to.contains_key(key)).cloned().map(ObjectEvent::Deleted);
    gone.chain(to.values().cloned().map(ObjectEvent::Applied)).collect()
}

/// Feeds events in batches cut at random.
fn feed(table: &mut ServiceTable, mut events: Vec<ObjectEvent>, cuts: &[Index]) -> Vec<Update> {
    let mut updates = Vec::new();
    for cut in cuts {
        let rest = events.split_off(cut.index(events.len() + 1));
        updates.push(table.update(events));
        events = rest;
    }
    updates.push(table.update(events));
    updates
}

fn cuts() -> impl Strategy<Value = Vec<Index>> {
    proptest::collection::vec(any::<Index>(), 0..4)
}

/// The change without one of its elements, if it has any.
fn without_one(change: &Change, which: Index) -> Option<Change> {
    let mut less = change.clone();
    let sizes = [
        change.frontends.len(),
        change.cluster_ips.added.len(),
        change.cluster_ips.removed.len(),
        change.hairpins.added.len(),
        change.hairpins.removed.len(),
        change.service_cidrs.iter().len(),
    ];
    let total: usize = sizes.iter().sum();
    if total == 0 {
        return None;
    }
    let mut i = which.index(total);
    let part = sizes.iter().position(|size| {
        if i < *size {
            true
        } else {
            i -= size;
            false
        }
    })?;
    match part {
        0 => drop(less.frontends.remove(i)),
        1 => drop(less.cluster_ips.added.remove(i)),
        2 => drop(less.cluster_ips.removed.remove(i)),
        3 => drop(less.hairpins.added.remove(i)),
        4 => drop(less.hairpins.removed.remove(i)),
        _ => less.service_cidrs = None,
    }
    Some(less)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_change_takes_one_table_to_the_other(
        settings in settings(), node in node(), a in objects(), b in objects(), cuts in cuts(), which in any::<Index>()
    ) {
        let mut table = fresh(&settings, &node, &a);
        let mut model = Model::of(&table);
        let expected = Model::of(&fresh(&settings, &node, &b));

        // In one step, and no element of it is superfluous.
        let mut at_once = fresh(&settings, &node, &a);
        let change = at_once.update(journey(&a, &b)).change;
        let mut jumped = model.clone();
        jumped.apply(&change);
        prop_assert_eq!(&jumped, &expected);
        prop_assert_eq!(change.is_empty(), model == expected);
        if let Some(less) = without_one(&change, which) {
            let mut short = model.clone();
            short.apply(&less);
            prop_assert_ne!(&short, &expected);
        }

        // In several.
        for update in feed(&mut table, journey(&a, &b), &cuts) {
            model.apply(&update.change);
        }
        prop_assert_eq!(&model, &expected);
        prop_assert_eq!(&Model::of(&table), &expected);
    }

    #[test]
    fn order_and_batching_do_not_show(
        settings in settings(), node in node(), to in objects(), detours in proptest::collection::vec(object(), 0..12),
        order in Just(()).prop_perturb(|(), mut rng| rng.random::<u64>()), cuts in cuts()
    ) {
        // Detours first: other versions of the same objects, and objects that go again.
        let by_key: Objects = detours.iter().map(|object| (object.key(), object.clone())).collect();
        let mut events: Vec<ObjectEvent> = detours.into_iter().map(ObjectEvent::Applied).collect();
        let mut last = journey(&by_key, &to);
        shuffle(&mut last, order);
        events.extend(last);
        let mut table = ServiceTable::new(settings.clone(), node.clone());
        feed(&mut table, events, &cuts);
        let expected = fresh(&settings, &node, &to);
        prop_assert_eq!(table.everything(), expected.everything());
        prop_assert_eq!(table.health_checks(), expected.health_checks());
        for frontend in expected.frontends().map(|(frontend, _)| frontend) {
            let rivals = |table: &ServiceTable| table.rivals(frontend).cloned().collect::<Vec<_>>();
            prop_assert_eq!(rivals(&table), rivals(&expected));
        }
    }

    #[test]
    fn a_resync_is_free(settings in settings(), node in node(), objects in objects()) {
        let mut table = fresh(&settings, &node, &objects);
        let update = table.update(journey(&objects, &objects));
        prop_assert!(update.change.is_empty());
        prop_assert_eq!((update.walked.services, update.walked.endpoints, update.notices.len()), (0, 0, 0));
    }

    #[test]
    fn the_node_may_change(settings in settings(), a in node(), b in node(), objects in objects()) {
        let mut table = fresh(&settings, &a, &objects);
        let mut model = Model::of(&table);
        model.apply(&table.set_node(b.clone()).change);
        prop_assert_eq!(model, Model::of(&fresh(&settings, &b, &objects)));
    }

    #[test]
    fn packets_fare_as_the_reference_says(
        settings in settings(), node in node(), objects in objects(), packets in proptest::collection::vec(packet(), 40)
    ) {
        let table = fresh(&settings, &node, &objects);
        let world = World { objects: &objects, settings: &settings, node: &node };
        for packet in packets {
            let (expected, said) = (world.expect(&packet), table.explain(&packet));
            prop_assert_eq!(said.verdict, expected.verdict, "{:?}\n{}", packet, said);
            prop_assert_eq!(&said.backends, &expected.backends, "{:?}\n{}", packet, said);
            let owner = said.service.as_ref().map(|service| format!("{}/{}", service.namespace, service.name));
            prop_assert_eq!(owner, expected.service, "{:?}\n{}", packet, said);
            let only_itself = said.backends.iter().all(|backend| Some(backend.ip) == packet.from);
            let hairpin = said.verdict == Verdict::Dnat && only_itself && said.masquerade;
            prop_assert!(said.masquerade == expected.masquerade || hairpin, "{:?}\n{}", packet, said);
        }
    }

    #[test]
    fn flows_are_concerned_when_where_they_are_right_changes(
        settings in settings(), nodes in (node(), node()), a in objects(), b in objects(),
        few in 1..16usize
    ) {
        let b = a_few_replaced(&a, &b, few);
        let mut table = fresh(&settings, &nodes.0, &a);
        let before = right_places(&table.udp_flows());
        let update = table.update_all(Some(nodes.1.clone()), journey(&a, &b));
        let after = right_places(&table.udp_flows());
        let udp = table.frontends().filter(|(frontend, _)| frontend.protocol() == Protocol::Udp);
        prop_assert_eq!(udp.count(), after.len());
        let world = World { objects: &b, settings: &settings, node: &nodes.1 };
        for (frontend, (service, serving)) in &after {
            prop_assert_eq!(serving, &world.flows_stay_at(service, frontend.family()), "{}", frontend);
        }
        let addresses = |node: &NodeState, family| node.node_port_addresses[family].clone();
        let is_moved = |frontend: &Frontend| {
            let family = frontend.family();
            matches!(frontend, Frontend::NodePort { .. })
                && addresses(&nodes.0, family) != addresses(&nodes.1, family)
        };
        let expected: BTreeMap<_, _> = after
            .into_iter()
            .filter(|(frontend, right)| before.get(frontend) != Some(right) || is_moved(frontend))
            .collect();
        prop_assert_eq!(right_places(&update.flows), expected);
    }

    #[test]
    fn promises_to_backends(settings in settings(), node in node(), objects in objects()) {
        let table = fresh(&settings, &node, &objects);
        let mut in_use: BTreeSet<(Protocol, Backend)> = BTreeSet::new();
        let mut addresses = BTreeSet::new();
        for (frontend, fate) in table.frontends().flat_map(|(f, fate)| {
            std::iter::once((f, fate)).chain(table.rivals(f).map(move |rival| (f, rival)))
        }) {
            for selection in fate.selections() {
                prop_assert!(!selection.backends.is_empty());
                prop_assert!(selection.backends.is_sorted_by(|a, b| a < b), "sorted, each once");
                prop_assert!(selection.backends.iter().all(|b| Family::of(b.ip) == frontend.family()));
                in_use.extend(selection.backends.iter().map(|backend| (frontend.protocol(), *backend)));
            }
            check_fate(frontend, fate)?;
            if let Frontend::Address { ip, .. } = frontend {
                addresses.insert(*ip);
                prop_assert!(fate.kind != FrontendKind::ClusterIp || table.is_cluster_ip(*ip));
            }
        }
        prop_assert!(table.hairpins().all(|hairpin| in_use.contains(&hairpin)), "a hairpin that nobody uses");
        prop_assert!(table.cluster_ips().all(|ip| addresses.contains(&ip)));
    }
}

/// Most of `a`, with the first objects of `b` put over it or, every other time, taken away.
fn a_few_replaced(a: &Objects, b: &Objects, few: usize) -> Objects {
    let mut mixed = a.clone();
    for (i, (key, object)) in b.iter().take(few).enumerate() {
        if i % 2 == 1 && mixed.remove(key).is_some() {
            continue;
        }
        mixed.insert(key.clone(), object.clone());
    }
    mixed
}

/// Each frontend of some flows, its service port and its serving endpoints.
fn right_places(flows: &[Flows]) -> BTreeMap<Frontend, (ServicePortName, Vec<Backend>)> {
    let mut places = BTreeMap::new();
    for flows in flows {
        for frontend in &flows.frontends {
            let place = ((*flows.service).clone(), flows.serving.to_vec());
            assert!(places.insert(*frontend, place).is_none(), "{frontend} is there twice");
        }
    }
    places
}

fn check_fate(frontend: &Frontend, fate: &Fate) -> Result<(), TestCaseError> {
    let is_node_port = matches!(frontend, Frontend::NodePort { .. });
    prop_assert_eq!(is_node_port, fate.kind == FrontendKind::NodePort);
    if let Some(sources) = &fate.sources {
        prop_assert_eq!(fate.kind, FrontendKind::LoadBalancer);
        prop_assert!(!sources.is_empty() && sources.is_sorted());
        prop_assert!(sources.iter().all(|range| range.family() == frontend.family() && range.length() > 0));
    }
    if let Route::ByOrigin { inside, outside } = &fate.route {
        prop_assert_ne!(fate.kind, FrontendKind::ClusterIp);
        prop_assert_eq!(fate.masquerade, Masquerade::Never);
        prop_assert_ne!(inside, &Target::Drop);
        prop_assert_eq!(*inside == Target::Reject, *outside == Target::Reject);
    } else if fate.kind != FrontendKind::ClusterIp {
        prop_assert_eq!(fate.masquerade, Masquerade::Always);
        prop_assert_ne!(&fate.route, &Route::Everyone(Target::Drop));
    }
    Ok(())
}

/// A packet to and from addresses of the universe, and some others.
fn packet() -> impl Strategy<Value = Packet> {
    let from = ["10.0.0.1", "10.0.0.3", "10.0.0.8", "192.168.0.1", "127.0.0.1", "203.0.113.1", "10.96.0.1"];
    let from6 = ["fd00::1", "fd00::8", "fd00:1::1", "::1", "2001:db8::1", "fd00:96::1"];
    let to = [
        "10.96.0.1",
        "10.96.0.2",
        "10.96.0.3",
        "10.96.0.4",
        "10.96.0.5",
        "10.96.9.9",
        "192.168.0.1",
        "127.0.0.1",
    ];
    let to6 = ["fd00:96::1", "fd00:96::2", "fd00:96::3", "fd00:96::9", "fd00:1::1"];
    let pair = prop_oneof![
        2 => (select(from.to_vec()), select(to.to_vec())),
        1 => (select(from6.to_vec()), select(to6.to_vec())),
    ];
    let interface = select(vec![None, Some("cni0"), Some("veth7"), Some("eth0")]);
    let port = prop_oneof![6 => select(vec![80, 81]), 2 => select(vec![30080, 30081]), 1 => Just(22)];
    let protocol = select(vec![Protocol::Tcp, Protocol::Tcp, Protocol::Udp]);
    (pair, any::<bool>(), interface, port, protocol).prop_map(
        |((from, to), known, interface, port, protocol)| Packet {
            from: known.then(|| ip(from)),
            in_interface: interface.map(str::to_owned),
            to: ip(to),
            port,
            protocol,
        },
    )
}

fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut state = seed | 1;
    for i in (1..items.len()).rev() {
        // xorshift64: any permutation will do
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let j = state % (i as u64 + 1);
        items.swap(i, j as usize);
    }
}

/// The features that a table and some packets to it show.
fn features(table: &ServiceTable, packets: &[Packet]) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    for (frontend, fate) in table.frontends() {
        seen.insert(format!("{:?} {}", fate.kind, frontend.family()));
        seen.insert(format!("{:?}", fate.masquerade));
        seen.extend(fate.sources.iter().map(|_| "sources".to_owned()));
        seen.extend(fate.affinity.iter().map(|_| "affinity".to_owned()));
        seen.extend(table.rivals(frontend).map(|_| "rival".to_owned()));
        seen.insert(
            match &fate.route {
                Route::Everyone(Target::Backends(_)) => "everyone",
                Route::Everyone(Target::Reject) => "everyone rejected",
                Route::Everyone(Target::Drop) => "everyone dropped",
                Route::ByOrigin { outside: Target::Backends(_), .. } => "by origin",
                Route::ByOrigin { outside: Target::Reject, .. } => "by origin, rejected",
                Route::ByOrigin { outside: Target::Drop, .. } => "outsiders dropped",
            }
            .to_owned(),
        );
        for selection in fate.selections() {
            let choice = selection.choice;
            if choice.topology != Topology::Everywhere || choice.terminating {
                seen.insert(format!(
                    "{:?} {:?} terminating={}",
                    choice.policy, choice.topology, choice.terminating
                ));
            }
            seen.extend((selection.backends.len() > 1).then(|| "several backends".to_owned()));
        }
    }
    seen.extend(table.hairpins().map(|_| "hairpin".to_owned()));
    seen.extend(
        table.health_checks().iter().filter(|h| h.local_endpoints.v4 > Some(0)).map(|_| "health".to_owned()),
    );
    for packet in packets {
        let said = table.explain(packet);
        seen.insert(format!(
            "{} masquerade={} claimed={}",
            said.verdict,
            said.masquerade,
            said.service.is_some()
        ));
    }
    seen
}

#[test]
fn the_generators_reach_every_feature() {
    const SAMPLES: usize = 400;
    let mut runner = TestRunner::deterministic();
    let mut seen: std::collections::BTreeMap<String, usize> = Default::default();
    let (mut changed, mut moved, mut spared) = (0, 0, 0);
    let strategy = (settings(), node(), objects(), objects(), proptest::collection::vec(packet(), 40));
    for _ in 0..SAMPLES {
        let (settings, node, a, b, packets) = strategy.new_tree(&mut runner).unwrap().current();
        let mut table = fresh(&settings, &node, &a);
        for feature in features(&table, &packets) {
            *seen.entry(feature).or_default() += 1;
        }
        let mut other = fresh(&settings, &node, &a);
        let before = right_places(&other.udp_flows());
        let flows = right_places(&other.update(journey(&a, &a_few_replaced(&a, &b, 15))).flows);
        let owner = |place: Option<&(ServicePortName, Vec<Backend>)>| place.map(|(owner, _)| owner.clone());
        moved += usize::from(flows.iter().any(|(f, place)| owner(before.get(f)) == owner(Some(place))));
        spared += usize::from(before.keys().any(|frontend| !flows.contains_key(frontend)));
        let change = table.update(journey(&a, &b)).change;
        let replaced = change.frontends.iter().any(|changed| changed.fate.is_some());
        let removed = change.frontends.iter().any(|changed| changed.fate.is_none());
        changed += usize::from(replaced && removed);
    }
    assert!(moved > SAMPLES / 40, "a frontend's serving endpoints changed in only {moved} of {SAMPLES}");
    assert!(spared > SAMPLES / 4, "only {spared} of {SAMPLES} updates left flows alone");
    assert!(changed > SAMPLES / 2, "only {changed} of {SAMPLES} pairs of tables differ both ways");
    let expected = [
        "ClusterIp IPv4",
        "ClusterIp IPv6",
        "LoadBalancer IPv4",
        "LoadBalancer IPv6",
        "ExternalIp IPv4",
        "ExternalIp IPv6",
        "NodePort IPv4",
        "NodePort IPv6",
        "Never",
        "UnlessLocalPod",
        "Always",
        "sources",
        "affinity",
        "rival",
        "everyone",
        "everyone rejected",
        "everyone dropped",
        "by origin",
        "by origin, rejected",
        "outsiders dropped",
        "Cluster SameNode terminating=false",
        "Cluster SameZone terminating=false",
        "Cluster Everywhere terminating=true",
        "Local Everywhere terminating=true",
        "several backends",
        "hairpin",
        "health",
        "dnat masquerade=true claimed=true",
        "dnat masquerade=false claimed=true",
        "reject masquerade=false claimed=true",
        "reject masquerade=false claimed=false",
        "drop masquerade=false claimed=true",
        "drop masquerade=false claimed=false",
        "pass masquerade=false claimed=false",
    ];
    for feature in expected {
        let times = seen.get(feature).copied().unwrap_or_default();
        assert!(times >= 5, "{feature:?} came up {times} times in {SAMPLES}: {seen:#?}");
    }
}

#[test]
fn the_oracle_does_not_always_agree_with_a_wrong_table() {
    // The same packets against the table of another node: if this passed unnoticed, agreement means nothing.
    let mut runner = TestRunner::deterministic();
    let strategy = (settings(), node(), objects(), proptest::collection::vec(packet(), 40));
    let mut disagreements = 0;
    for _ in 0..300 {
        let (settings, node, objects, packets) = strategy.new_tree(&mut runner).unwrap().current();
        let elsewhere = Settings { node_name: "n2".into(), ..settings.clone() };
        let table = fresh(&elsewhere, &node, &objects);
        let world = World { objects: &objects, settings: &settings, node: &node };
        disagreements +=
            packets.iter().filter(|p| world.expect(p).backends != table.explain(p).backends).count();
    }
    assert!(disagreements > 50, "only {disagreements}");
}

#[test]
fn objects_of_the_universe_are_mostly_valid() {
    // Else the table would be tested on what it never sees.
    let mut runner = TestRunner::deterministic();
    let object = |runner: &mut TestRunner| object().new_tree(runner).unwrap().current();
    let objects: Vec<Object> = (0..500).map(|_| object(&mut runner)).collect();
    let valid = objects.iter().filter(|object| object.validate().is_empty()).count();
    assert!(valid > 150, "only {valid} of 500");
}
