//! What goes along with batches that lead to virtual servers: told before each what has to be there, and after it
//! that the rest may go.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use common::{MARKS, WITH_IPVS, any_change, empty_table, random, service, slices};
use kube_verdict_nftables::kernel::memory::MemoryKernel;
use kube_verdict_nftables::layout::Element;
use kube_verdict_nftables::{Companion, Nftables, Want, Wanted};
use kube_verdict_table::{Backend, Family, PerFamily, ServiceTable};

/// The virtual servers of a family.
type Servers = BTreeMap<u32, Vec<Backend>>;

/// Does what it is told, and notes the order.
#[derive(Clone, Default)]
struct Follower(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// what is there
    servers: PerFamily<Servers>,
    /// what is there once nothing is left over
    wanted: PerFamily<Servers>,
    raised: usize,
    lowered: usize,
}

impl Companion for Follower {
    fn taken(&mut self, family: Family, _: Instant) -> Vec<u32> {
        self.0.lock().unwrap().servers[family].keys().copied().collect()
    }

    fn raise(&mut self, family: Family, wanted: &Wanted, _: Instant) {
        let state = &mut *self.0.lock().unwrap();
        state.raised += 1;
        if wanted.is_all {
            state.wanted[family].retain(|mark, _| wanted.servers.contains_key(mark));
        }
        for (mark, want) in &wanted.servers {
            match want {
                Want::Server(server) => {
                    state.wanted[family].insert(*mark, server.backends.to_vec());
                    state.servers[family].entry(*mark).or_default().extend(server.backends.iter());
                }
                Want::AsItIs => {}
                Want::Gone => drop(state.wanted[family].remove(mark)),
            }
        }
    }

    fn lower(&mut self, family: Family, _: &ServiceTable, _: Instant) {
        let state = &mut *self.0.lock().unwrap();
        state.lowered += 1;
        state.servers[family] = state.wanted[family].clone();
    }
}

fn ours() -> (Nftables<MemoryKernel, Follower>, Follower) {
    let follower = Follower::default();
    (Nftables::with_companion(MemoryKernel::new(), WITH_IPVS, follower.clone()), follower)
}

/// The marks that packets can get, and the backends of each as the table has them.
fn marks(ours: &mut Nftables<MemoryKernel, Follower>, table: &ServiceTable, family: Family) -> Servers {
    let elements = ours.kernel_mut().contents(family).map_or(vec![], |state| state.elements);
    let mut marks = Servers::new();
    for element in elements {
        let Element::Mark(frontend, scope, mark) = element else { continue };
        let is_outside = scope == kube_verdict_nftables::layout::Scope::Local;
        let fate = table.fate(&frontend).unwrap();
        let (_, selection) = fate.scoped_selections().find(|(outside, _)| *outside == is_outside).unwrap();
        let backends = selection.backends.to_vec();
        assert_eq!(marks.insert(mark, backends.clone()).unwrap_or(backends.clone()), backends, "{frontend}");
        assert!(MARKS.number(mark).is_some());
    }
    marks
}

#[test]
fn at_any_time_there_are_servers_for_all_marks_and_in_the_end_no_others() {
    let mut table = empty_table();
    let (mut ours, follower) = ours();
    ours.sync(&table, Instant::now()).unwrap();
    let mut next = random();
    for step in 0..600 {
        let update = any_change(&mut table, &mut next, 8);
        // Whatever becomes real leads to servers that are there.
        let there = Arc::clone(&follower.0);
        ours.kernel_mut().fault = Some(Box::new({
            let mut fails = step % 7 == 3;
            move |batch| {
                for op in &batch.ops {
                    if let kube_verdict_nftables::batch::Op::Add(Element::Mark(_, _, mark)) = op {
                        assert!(there.lock().unwrap().servers[batch.family].contains_key(mark));
                    }
                }
                std::mem::take(&mut fails).then_some(kube_verdict_nftables::kernel::CommitError::Lost)
            }
        }));
        if step % 11 == 5 {
            // As a new process would.
            ours.distrust(Family::V4);
            ours.distrust(Family::V6);
        }
        ours.apply(&table, &update.change, Instant::now()).unwrap();
        for family in Family::BOTH {
            assert_eq!(
                follower.0.lock().unwrap().servers[family],
                marks(&mut ours, &table, family),
                "step {step}"
            );
        }
    }
    assert!(follower.0.lock().unwrap().lowered > 100);
}

#[test]
fn a_service_port_keeps_its_marks_over_a_restart() {
    let mut table = empty_table();
    let (mut before, _) = ours();
    for n in 1..6 {
        table.update([service(n, 3)]);
        table.update(slices(n, &[1, 2, 3]));
        before.sync(&table, Instant::now()).unwrap();
    }
    // The numbers are not the ones that a new table would be given.
    table.update([service(0, 3)]);
    table.update(slices(0, &[1, 2]));
    before.sync(&table, Instant::now()).unwrap();
    let old = marks(&mut before, &table, Family::V4);
    let kernel = std::mem::take(before.kernel_mut());
    let mut after = Nftables::with_companion(kernel, WITH_IPVS, Follower::default());
    let report = after.sync(&table, Instant::now()).unwrap();
    assert_eq!((report.batches, marks(&mut after, &table, Family::V4)), (0, old));
}

#[test]
fn changed_endpoints_change_servers_and_no_elements() {
    let mut table = empty_table();
    table.update([service(1, 0)]);
    table.update(slices(1, &[1, 2]));
    let (mut ours, follower) = ours();
    ours.sync(&table, Instant::now()).unwrap();
    let change = table.update(slices(1, &[1, 2, 3])).change;
    let report = ours.apply(&table, &change, Instant::now()).unwrap();
    // 3 on this node or not: only hairpins are elements of endpoints.
    assert!(report.elements <= 6, "{report:?}");
    let state = follower.0.lock().unwrap();
    let different: BTreeSet<usize> = state.servers.v4.values().map(Vec::len).collect();
    assert_eq!(different, BTreeSet::from([3]));
}

#[test]
fn a_mark_whose_virtual_server_still_drains_is_not_given_to_another() {
    let mut table = empty_table();
    let (mut ours, follower) = ours();
    let draining = MARKS.mark(2).unwrap();
    follower.0.lock().unwrap().servers.v4.insert(draining, vec![]);
    table.update([service(1, 0)]);
    table.update(slices(1, &[1, 2]));
    ours.sync(&table, Instant::now()).unwrap();
    let (v4, v6) = (marks(&mut ours, &table, Family::V4), marks(&mut ours, &table, Family::V6));
    assert!(!v4.contains_key(&draining) && v6.contains_key(&draining));
}

#[test]
fn service_ports_keep_their_marks_when_somebody_removes_all_rules() {
    let mut table = empty_table();
    let (mut ours, _) = ours();
    for n in [3, 1, 2] {
        table.update([service(n, 3)]);
        table.update(slices(n, &[1, 2, 3]));
        ours.sync(&table, Instant::now()).unwrap();
    }
    let of_services = |ours: &mut Nftables<MemoryKernel, Follower>| {
        let elements = ours.kernel_mut().contents(Family::V4).unwrap().elements;
        let marks = elements.into_iter().filter(|element| matches!(element, Element::Mark(..)));
        marks.collect::<BTreeSet<Element>>()
    };
    let before = of_services(&mut ours);
    ours.kernel_mut().flush();
    ours.sync(&table, Instant::now()).unwrap();
    assert_eq!(of_services(&mut ours), before);
}

#[test]
fn however_often_a_batch_fails_the_same_virtual_servers_are_asked_for() {
    use kube_verdict_nftables::kernel::CommitError;

    let mut table = empty_table();
    for n in 1..=3 {
        table.update([service(n, 0)]);
        table.update(slices(n, &[1, 2]));
    }
    let (mut ours, follower) = ours();
    let mut seen = BTreeSet::new();
    for attempt in 0..12 {
        // Somebody else is faster, an answer is lost, or nothing is taken at all.
        let mut errors =
            vec![CommitError::Io(std::io::Error::from_raw_os_error(libc::EPERM)), CommitError::Lost];
        errors.extend((0..attempt % 3).map(|_| CommitError::Stale));
        ours.kernel_mut().fault = Some(Box::new(move |_| errors.pop()));
        let _ = ours.sync(&table, Instant::now());
        seen.insert(follower.0.lock().unwrap().servers.v4.keys().copied().collect::<Vec<u32>>());
    }
    assert_eq!(seen.len(), 1, "{seen:x?}");
    ours.kernel_mut().fault = None;
    ours.sync(&table, Instant::now()).unwrap();
    assert_eq!(
        marks(&mut ours, &table, Family::V4).keys().copied().collect::<Vec<u32>>(),
        *seen.first().unwrap()
    );
}
