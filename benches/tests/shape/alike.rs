//! The same objects to the real kube-proxy and to the generator: word for word the same rules, names and all, first and
//! after each change.

use kube_verdict_bench::shape::iptables::{self, Iptables};
use kube_verdict_bench::shape::nftables::Nftables;
use kube_verdict_bench::workload::{Change, Size, World};
use kube_verdict_scenario_tests::peer::Mode;

use crate::peer::Peer;
use crate::text;

/// Every kind of change, of a Service with several endpoints and of one with one.
fn changes(world: &World) -> [Change; 4] {
    let (probe, service) = (world.probes().start, world.unborn());
    [
        Change::Replace { service: 0, endpoint: 1 },
        Change::Replace { service: probe, endpoint: 0 },
        Change::Create { service },
        Change::Delete { service: 1 },
    ]
}

#[test]
fn iptables() {
    let mut world = World::new(Size { services: 3, endpoints: 3 });
    let mut peer = Peer::start(Mode::IptablesLegacy, &world);
    let mut shape = Iptables::default();
    let ours = shape.sync(&world, None, true);
    peer.writes("at the start", |theirs| text::iptables(theirs) == text::iptables(&ours), &ours);
    for change in changes(&world) {
        world.apply(change);
        peer.tell(&world, change);
        let ours = shape.sync(&world, Some(&[change.service()].into()), true);
        peer.writes(&format!("{change:?}"), |theirs| text::iptables(theirs) == text::iptables(&ours), &ours);
    }
}

#[test]
fn iptables_in_a_large_cluster() {
    let mut world = World::new(Size { services: 101, endpoints: 10 });
    assert!(iptables::is_large(&world));
    let mut peer = Peer::start(Mode::IptablesLegacy, &world);
    let mut shape = Iptables::default();
    let ours = shape.sync(&world, None, true);
    peer.writes("at the start", |theirs| text::iptables(theirs) == text::iptables(&ours), &ours);
    let change = Change::Replace { service: 7, endpoint: 9 };
    world.apply(change);
    peer.tell(&world, change);
    let ours = shape.sync(&world, Some(&[change.service()].into()), false);
    peer.writes("a change", |theirs| text::iptables(theirs) == text::iptables(&ours), &ours);
}

#[test]
fn nftables() {
    let mut world = World::new(Size { services: 3, endpoints: 3 });
    let mut peer = Peer::start(Mode::Nftables, &world);
    let mut shape = Nftables::default();
    let ours = shape.sync(&world, None);
    peer.writes("at the start", |theirs| text::nftables(theirs) == text::nftables(&ours), &ours);
    for change in changes(&world) {
        world.apply(change);
        peer.tell(&world, change);
        let ours = shape.sync(&world, Some(&[change.service()].into()));
        peer.writes(&format!("{change:?}"), |theirs| text::nftables(theirs) == text::nftables(&ours), &ours);
    }
}

/// The chain of a Service that is gone is deleted a while later, before the next sync.
#[test]
fn a_stale_chain_is_deleted() {
    let mut world = World::new(Size { services: 3, endpoints: 3 });
    let mut peer = Peer::start(Mode::Nftables, &world);
    let mut shape = Nftables::default();
    shape.sync(&world, None);
    let gone = Change::Delete { service: 1 };
    peer.writes("at the start", |theirs| theirs.contains("service-000001"), "");
    world.apply(gone);
    peer.tell(&world, gone);
    let ours = shape.sync(&world, Some(&[1].into()));
    peer.writes("a deletion", |theirs| text::nftables(theirs) == text::nftables(&ours), &ours);
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let next = Change::Replace { service: 0, endpoint: 0 };
    world.apply(next);
    peer.tell(&world, next);
    let ours = shape.deletion().expect("a chain is stale");
    peer.writes("its chain", |theirs| text::nftables(theirs) == text::nftables(&ours), &ours);
}
