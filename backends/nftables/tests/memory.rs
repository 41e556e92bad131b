//! The backend on the kernel in memory: refusals, lost answers, foreign changes.
#![allow(clippy::unwrap_used)]

mod common;

use std::io;
use std::time::{Duration, Instant};

use common::{OPTIONS, empty_table, service, service_cidr, slices};
use kube_verdict_nftables::kernel::memory::MemoryKernel;
use kube_verdict_nftables::kernel::{CommitError, TableState, Tenure};
use kube_verdict_nftables::layout::{Chain, Element, Entry, Over, Scope, Set, Space, Verdict};
use kube_verdict_nftables::{Culprit, Error, Kernel, Nftables, Options};
use kube_verdict_table::{Backend, Family, Frontend, Protocol, ServiceTable};
use proptest::prelude::*;

type Ours = Nftables<MemoryKernel>;

fn backend() -> Ours {
    Nftables::new(MemoryKernel::new(), OPTIONS)
}

fn some_services() -> ServiceTable {
    let mut table = empty_table();
    table.update([service_cidr(&["10.96.0.0/16"])]);
    for n in 1..=8u16 {
        table.update([service(n, u32::from(n) * 5)]);
        table.update(slices(n, &[1, 2, 3, n as u8]));
    }
    table
}

/// What a kernel that never saw anything else would hold, whatever stands in which slot.
fn ideal(table: &ServiceTable) -> [Option<TableState>; 2] {
    let mut fresh = backend();
    fresh.sync(table, Instant::now()).unwrap();
    contents(&mut fresh)
}

/// The contents of both families without what is allowed to differ: which backend is in which slot, and which
/// number a service port has.
fn contents(backend: &mut Ours) -> [Option<TableState>; 2] {
    Family::BOTH.map(|family| {
        let mut state = backend.kernel_mut().contents(family)?;
        let mut slots: Vec<(Frontend, Scope, Vec<Backend>)> = Vec::new();
        for element in &state.elements {
            if let Element::Slot(frontend, scope, slot, backend) = element {
                match slots.iter_mut().find(|(of, of_scope, _)| (of, of_scope) == (frontend, scope)) {
                    Some((.., backends)) => {
                        assert_eq!(*slot as usize, backends.len(), "slots have no gaps");
                        backends.push(*backend);
                    }
                    None => slots.push((*frontend, *scope, vec![*backend])),
                }
            }
        }
        state.elements.retain(|element| {
            !matches!(element, Element::Slot(..) | Element::AffinityId(..) | Element::AffinityTimeout(..))
        });
        for (frontend, scope, mut backends) in slots {
            backends.sort_unstable();
            let slots =
                (0u32..).zip(backends).map(|(slot, backend)| Element::Slot(frontend, scope, slot, backend));
            state.elements.extend(slots);
        }
        state.elements.sort_unstable();
        Some(state)
    })
}

fn cluster_ip(n: u8) -> Frontend {
    Frontend::Address { ip: [10, 96, 0, n].into(), protocol: Protocol::Tcp, port: 80 }
}

#[test]
fn a_refused_element_costs_only_its_frontend() {
    let table = some_services();
    let mut ours = backend();
    let bad = cluster_ip(3);
    ours.kernel_mut().refuse = Some(Box::new(move |element| {
        (element.frontend() == Some(bad) && matches!(element, Element::Slot(..))).then_some(libc::ENOMEM)
    }));
    let start = Instant::now();
    let report = ours.sync(&table, start).unwrap();
    assert_eq!(report.refused.len(), 1, "{:?}", report.refused);
    let refused = &report.refused[0];
    assert_eq!(refused.culprit, Culprit::Frontend(bad));
    assert!(refused.to_string().contains("test/s3:web"), "{refused}");
    let [v4, _] = Family::BOTH.map(|family| ours.kernel_mut().contents(family).unwrap());
    assert!(v4.elements.iter().all(|element| element.frontend() != Some(bad)));
    assert!(v4.elements.iter().any(|element| element.frontend() == Some(cluster_ip(4))));

    // Still refused at the next try, which then comes later; accepted at last.
    let due = ours.next_retry().unwrap();
    assert_eq!(due - start, Duration::from_secs(1));
    let report = ours.sync(&table, due).unwrap();
    assert_eq!(report.refused[0].retry_in, Duration::from_secs(2));
    ours.kernel_mut().refuse = None;
    ours.sync(&table, ours.next_retry().unwrap()).unwrap();
    assert_eq!(ours.next_retry(), None);
    assert_eq!(contents(&mut ours), ideal(&table));
}

#[test]
fn what_one_family_refuses_is_not_forgotten_when_the_other_is_compared() {
    let mut table = some_services();
    let mut ours = backend();
    let is_bad = |element: &Element| {
        element.frontend().is_some_and(|frontend| frontend.family() == Family::V6 && frontend.port() == 53)
    };
    ours.kernel_mut().refuse = Some(Box::new(move |element| is_bad(element).then_some(libc::ENOSPC)));
    let start = Instant::now();
    let report = ours.sync(&table, start).unwrap();
    // Each once, and for as long as the first time takes, however many elements it has.
    assert_eq!(report.refused.len(), ours.quarantined());
    assert!(report.refused.iter().all(|refused| refused.retry_in == Duration::from_secs(1)));
    ours.kernel_mut().refuse = None;
    // The time has come to try again, and IPv4 alone is compared for a change of its own.
    let due = ours.next_retry().unwrap();
    ours.distrust(Family::V4);
    let change = table.update([slices(2, &[7]).into_iter().next().unwrap()]).change;
    let report = ours.apply(&table, &change, due).unwrap();
    assert_eq!(report.synced, [Family::V4]);
    assert_eq!(ours.next_retry(), Some(due));
    ours.sync(&table, due).unwrap();
    assert_eq!(ours.quarantined(), 0);
    assert!(contents(&mut ours) == ideal(&table));
}

#[test]
fn what_is_too_large_goes_in_parts() {
    let table = some_services();
    let mut ours = backend();
    ours.kernel_mut().largest = Some(260);
    let report = ours.sync(&table, Instant::now()).unwrap();
    assert_eq!((report.batches, report.refused.len()), (2, 0));
    assert!(ours.kernel_mut().committed.len() > 4, "{:?}", ours.kernel_mut().committed);
    assert!(ours.kernel_mut().committed.iter().all(|operations| *operations <= 260));
    assert!(contents(&mut ours) == ideal(&table));
    // Nothing of it looks as if somebody else had been there.
    assert!(ours.verify(&table, Instant::now()).is_none());
    // Of what the kernel refuses in any part, it is known whose it is.
    let mut ours = backend();
    ours.kernel_mut().largest = Some(260);
    let bad = cluster_ip(7);
    ours.kernel_mut().refuse =
        Some(Box::new(move |element| (element.frontend() == Some(bad)).then_some(libc::ENOMEM)));
    let report = ours.sync(&table, Instant::now()).unwrap();
    let culprits: Vec<Culprit> = report.refused.iter().map(|refused| refused.culprit).collect();
    assert_eq!(culprits, [Culprit::Frontend(bad)]);
}

#[test]
fn a_quarantined_frontend_keeps_what_it_had_until_it_changes() {
    let mut table = some_services();
    let mut ours = backend();
    let now = Instant::now();
    ours.sync(&table, now).unwrap();
    let bad = cluster_ip(8);
    let new = Backend { ip: [10, 100, 8, 9].into(), port: 8080 };
    ours.kernel_mut().refuse = Some(Box::new(move |element| {
        matches!(element, Element::Slot(frontend, _, _, backend) if *frontend == bad && *backend == new)
            .then_some(libc::EINVAL)
    }));
    let change = table.update(slices(8, &[1, 2, 9])).change;
    let report = ours.apply(&table, &change, now).unwrap();
    assert_eq!(report.refused.len(), 1, "{:?}", report.refused);
    let state = ours.kernel_mut().contents(Family::V4).unwrap();
    let slots = |of: Frontend| {
        let of_frontend =
            move |element: &&Element| matches!(element, Element::Slot(frontend, ..) if *frontend == of);
        state.elements.iter().filter(of_frontend).count()
    };
    assert_eq!(slots(bad), 4, "what it had");
    // Other services go on changing at their own cost, and the culprit's next change is tried at once.
    let change = table.update(slices(5, &[1])).change;
    assert!(ours.apply(&table, &change, now).unwrap().synced.is_empty());
    let change = table.update(slices(8, &[1, 2])).change;
    assert!(ours.apply(&table, &change, now).unwrap().refused.is_empty());
    ours.collect_garbage();
    assert_eq!(contents(&mut ours), ideal(&table));
}

#[test]
fn refused_rules_say_which_feature_is_missing() {
    struct Lacking(MemoryKernel);
    impl Kernel for Lacking {
        fn commit(&mut self, batch: &kube_verdict_nftables::batch::Batch) -> Result<(), CommitError> {
            use kube_verdict_nftables::batch::Op;
            let fib = |op: &Op| matches!(op, Op::AddRule(Chain::Dispatch, rule) if format!("{rule:?}").contains("DestinationIsLocal"));
            match batch.ops.iter().position(fib) {
                Some(op) => {
                    let refusal = kube_verdict_nftables::kernel::Refusal { op, errno: libc::ENOENT };
                    Err(CommitError::Refused(vec![refusal]))
                }
                None => self.0.commit(batch),
            }
        }
        fn read(
            &mut self,
            family: Family,
        ) -> Result<kube_verdict_nftables::kernel::Snapshot, kube_verdict_nftables::kernel::ReadError>
        {
            self.0.read(family)
        }
        fn generation(&mut self) -> Result<u32, kube_verdict_nftables::kernel::ReadError> {
            self.0.generation()
        }
    }
    let mut ours = Nftables::new(Lacking(MemoryKernel::new()), OPTIONS);
    let errors = ours.sync(&some_services(), Instant::now()).unwrap_err();
    assert!(matches!(errors[0], Error::Unsupported { .. }));
    assert!(errors[0].to_string().contains("CONFIG_NFT_FIB_IPV4"), "{}", errors[0]);
}

#[test]
fn foreign_changes_and_lost_answers_are_mended() {
    let mut table = some_services();
    let mut ours = backend();
    let now = Instant::now();
    ours.sync(&table, now).unwrap();
    let gone = ours.kernel_mut().contents(Family::V4).unwrap().elements[5];
    ours.kernel_mut().snatch(&gone);
    let stray = Frontend::Address { ip: [10, 96, 7, 7].into(), protocol: Protocol::Udp, port: 7 };
    ours.kernel_mut().intrude(Element::Frontend(stray, Verdict::Drop));
    ours.kernel_mut().flush_chain(Family::V4, Chain::Dispatch);
    ours.sync(&table, now).unwrap();
    assert_eq!(contents(&mut ours), ideal(&table));

    ours.kernel_mut().flush();
    let change = table.update(slices(2, &[7])).change;
    ours.apply(&table, &change, now).unwrap();
    assert_eq!(contents(&mut ours), ideal(&table));

    // The kernel's answers: lost once, stale thrice, readings disturbed.
    let mut answers = vec![CommitError::Stale, CommitError::Stale, CommitError::Stale, CommitError::Lost];
    ours.kernel_mut().fault = Some(Box::new(move |_| answers.pop()));
    let change = table.update(slices(2, &[8])).change;
    ours.apply(&table, &change, now).unwrap();
    assert_eq!(contents(&mut ours), ideal(&table));

    // Not programmable at all: an error, nothing lost, and the next step mends it.
    ours.kernel_mut().fault =
        Some(Box::new(|_| Some(CommitError::Io(io::Error::from_raw_os_error(libc::EPERM)))));
    let before = contents(&mut ours);
    let change = table.update(slices(2, &[9])).change;
    let errors = ours.apply(&table, &change, now).unwrap_err();
    assert!(errors[0].to_string().contains("CAP_NET_ADMIN"), "{}", errors[0]);
    assert_eq!(contents(&mut ours), before);
    ours.kernel_mut().fault = None;
    ours.sync(&table, now).unwrap();
    assert_eq!(contents(&mut ours), ideal(&table));

    ours.kernel_mut().unstable_reads = 1;
    ours.distrust(Family::V4);
    assert!(matches!(ours.sync(&table, now).unwrap_err()[0], Error::Read { .. }));
}

#[test]
fn what_the_table_does_not_know_is_kept_on_request() {
    let full = some_services();
    let mut ours = backend();
    let now = Instant::now();
    ours.sync(&full, now).unwrap();
    // A table that lacks half of the services, affinity and all, and has one with another timeout.
    let mut half = empty_table();
    half.update([service_cidr(&["10.96.0.0/16"])]);
    for n in 1..=4u16 {
        half.update([service(n, u32::from(n) * 5)]);
        half.update(slices(n, &[1, 2, 3, n as u8]));
    }
    half.update([service(2, 10 | 8 | 16)]);
    let before = contents(&mut ours);
    ours.keep_unknown(true);
    let report = ours.sync(&half, now).unwrap();
    assert!(report.refused.is_empty(), "{:?}", report.refused);
    let unknown = |state: &[Option<TableState>; 2]| {
        let states = state.iter().flatten().flat_map(|state| state.elements.clone());
        let of_half =
            |element: &Element| element.frontend().is_some_and(|frontend| half.fate(&frontend).is_none());
        states.filter(of_half).collect::<Vec<_>>()
    };
    let after = contents(&mut ours);
    assert!(!unknown(&before).is_empty());
    assert_eq!(unknown(&before), unknown(&after));
    // Complete again: back to what there was; and with nothing to keep, what is unknown goes.
    ours.sync(&full, now).unwrap();
    assert_eq!(contents(&mut ours), ideal(&full));
    assert!(ours.keep_unknown(false));
    ours.verify(&half, now).unwrap().unwrap();
    assert_eq!(contents(&mut ours), ideal(&half));
}

#[test]
fn verifying_reads_only_after_someone_else_was_there() {
    let mut table = some_services();
    let mut ours = backend();
    let now = Instant::now();
    ours.sync(&table, now).unwrap();
    assert!(ours.verify(&table, now).is_none());
    for endpoint in 20..30 {
        let change = table.update(slices(2, &[endpoint])).change;
        ours.apply(&table, &change, now).unwrap();
    }
    ours.collect_garbage();
    assert!(ours.verify(&table, now).is_none(), "our own batches are expected");
    let gone = ours.kernel_mut().contents(Family::V4).unwrap().elements[5];
    ours.kernel_mut().snatch(&gone);
    let report = ours.verify(&table, now).unwrap().unwrap();
    assert_eq!(report.elements, 1);
    assert!(ours.verify(&table, now).is_none());
}

#[test]
fn one_endpoint_costs_a_handful_of_elements() {
    let mut table = empty_table();
    table.update([service(1, 0)]);
    table.update(slices(1, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]));
    let mut ours = backend();
    ours.sync(&table, Instant::now()).unwrap();
    // Ten frontends share the endpoints: five of each family (three ports, and NodePort).
    let replaced = table.update(slices(1, &[1, 2, 3, 44, 5, 6, 7, 8, 9, 10])).change;
    let frontends = replaced.frontends.len();
    let report = ours.apply(&table, &replaced, Instant::now()).unwrap();
    let hairpins = replaced.hairpins.added.len() + replaced.hairpins.removed.len();
    assert_eq!(report.elements, 2 * frontends + hairpins, "one slot taken out and put in a frontend");
}

#[derive(Clone, Debug)]
enum Step {
    Service(u16, u32),
    Endpoints(u16, Vec<u8>),
    Cidrs(bool),
    Snatch(usize),
    Intrude(u8),
    FlushChain,
    Flush,
    Restart,
    Garbage,
    Lose,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..6u16, 0..32u32).prop_map(|(n, twist)| Step::Service(n, twist)),
        8 => (1..6u16, proptest::collection::btree_set(1..9u8, 0..6))
            .prop_map(|(n, endpoints)| Step::Endpoints(n, endpoints.into_iter().collect())),
        1 => any::<bool>().prop_map(Step::Cidrs),
        1 => any::<usize>().prop_map(Step::Snatch),
        1 => any::<u8>().prop_map(Step::Intrude),
        1 => Just(Step::FlushChain),
        1 => Just(Step::Flush),
        1 => Just(Step::Restart),
        2 => Just(Step::Garbage),
        1 => Just(Step::Lose),
    ]
}

/// How many elements each set has, as the backend says.
fn held(ours: &Ours) -> Vec<(Family, Set, usize)> {
    let of = |family| {
        ours.figures(family)
            .held
            .into_iter()
            .flat_map(move |held| held.iter().map(move |(set, n)| (family, set, n)))
    };
    Family::BOTH.into_iter().flat_map(of).filter(|(.., n)| *n > 0).collect()
}

/// The same, counted in the kernel.
fn counted(ours: &mut Ours) -> Vec<(Family, Set, usize)> {
    let mut counts = std::collections::BTreeMap::new();
    for family in Family::BOTH {
        for element in ours.kernel_mut().contents(family).map_or(vec![], |state| state.elements) {
            *counts.entry((family, element.set())).or_insert(0) += 1;
        }
    }
    counts.into_iter().map(|((family, set), n)| (family, set, n)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    /// Whatever happens to the table and to the kernel, after the next sync the kernel is what a fresh one
    /// would be; and without foreign changes after every single step.
    #[test]
    fn the_kernel_follows_the_table(steps in proptest::collection::vec(step(), 1..40)) {
        let mut table = empty_table();
        let mut ours = backend();
        let now = Instant::now();
        ours.sync(&table, now).unwrap();
        let mut disturbed = false;
        for step in steps {
            let mut events = Vec::new();
            match step {
                Step::Service(n, twist) => events.push(service(n, twist)),
                Step::Endpoints(n, endpoints) => events.extend(slices(n, &endpoints)),
                Step::Cidrs(both) => {
                    let cidrs = ["10.96.0.0/16", "fd00:96::/108"];
                    events.push(service_cidr(&cidrs[..if both { 2 } else { 1 }]));
                }
                Step::Snatch(index) => {
                    let elements = ours.kernel_mut().contents(Family::V4).map_or(vec![], |state| state.elements);
                    if !elements.is_empty() {
                        ours.kernel_mut().snatch(&elements[index % elements.len()]);
                        disturbed = true;
                    }
                }
                Step::Intrude(n) => {
                    let chain = Chain::Spread { space: Space::Address, entry: Entry::Pick, sticky: false, over: Over::Slots(1) };
                    let there = ours.kernel_mut().contents(Family::V4);
                    if there.is_some_and(|state| state.chains.contains_key(&chain.to_string())) {
                        ours.kernel_mut().intrude(Element::Frontend(cluster_ip(n), Verdict::Goto(chain)));
                        disturbed = true;
                    }
                }
                Step::FlushChain => {
                    ours.kernel_mut().flush_chain(Family::V4, Chain::Postrouting);
                    disturbed = true;
                }
                Step::Flush => {
                    ours.kernel_mut().flush();
                    disturbed = true;
                }
                Step::Restart => {
                    let mut kernel = std::mem::take(ours.kernel_mut());
                    kernel.fault = None;
                    ours = Nftables::new(kernel, OPTIONS);
                    ours.sync(&table, now).unwrap();
                    disturbed = false;
                }
                Step::Garbage => drop(ours.collect_garbage()),
                Step::Lose => {
                    let mut once = Some(CommitError::Lost);
                    ours.kernel_mut().fault = Some(Box::new(move |_| once.take()));
                    disturbed = true;
                }
            }
            let change = table.update(events).change;
            ours.apply(&table, &change, now).unwrap();
            if !disturbed {
                prop_assert_eq!(held(&ours), counted(&mut ours));
                ours.collect_garbage();
                prop_assert_eq!(contents(&mut ours), ideal(&table));
            }
        }
        ours.kernel_mut().fault = None;
        Family::BOTH.iter().for_each(|family| ours.distrust(*family));
        ours.sync(&table, now).unwrap();
        prop_assert_eq!(contents(&mut ours), ideal(&table));
        prop_assert_eq!(held(&ours), counted(&mut ours));
        let quiet = ours.sync(&table, now).unwrap();
        prop_assert_eq!(quiet.operations, 0);
    }
}

/// How many operations a sync of what is there already takes, and whose the table is then.
fn synced(kernel: MemoryKernel, own: bool, table: &ServiceTable) -> (Ours, usize) {
    let mut ours = Nftables::new(kernel, Options { own, ..OPTIONS });
    let report = ours.sync(table, Instant::now()).unwrap();
    (ours, report.operations)
}

fn tenure(ours: &Ours) -> Tenure {
    ours.kernel().contents(Family::V4).unwrap().tenure
}

#[test]
fn a_table_is_owned_taken_over_and_left_alone_as_asked() {
    let table = some_services();
    let (ours, _) = synced(MemoryKernel::new(), true, &table);
    assert_eq!(tenure(&ours), Tenure::Ours);
    let orphaned = |ours: Ours| {
        let mut kernel = ours.into_kernel();
        Family::BOTH.into_iter().for_each(|family| kernel.pass_on(family, Tenure::Orphan));
        kernel
    };
    // Its owner is gone: taking it over is all that there is to do.
    let (ours, operations) = synced(orphaned(ours), true, &table);
    assert_eq!((tenure(&ours), operations), (Tenure::Ours, 2));
    // Or nothing is, without the wish.
    let (ours, operations) = synced(orphaned(ours), false, &table);
    assert_eq!((tenure(&ours), operations), (Tenure::Orphan, 0));
    // One that never had an owner is made anew, and has all that it had, known or not.
    let (mut ours, _) = synced(MemoryKernel::new(), false, &table);
    let before = contents(&mut ours);
    let mut fewer = empty_table();
    fewer.update([service_cidr(&["10.96.0.0/16"])]);
    let mut owner = Nftables::new(ours.into_kernel(), Options { own: true, ..OPTIONS });
    owner.keep_unknown(true);
    owner.sync(&fewer, Instant::now()).unwrap();
    assert_eq!(tenure(&owner), Tenure::Ours);
    let services = |state: &Option<TableState>| {
        let elements = &state.as_ref().unwrap().elements;
        elements.iter().filter(|element| matches!(element, Element::Frontend(..))).count()
    };
    assert_eq!(services(&contents(&mut owner)[0]), services(&before[0]));
}

#[test]
fn what_is_anothers_is_no_elements_fault() {
    let table = some_services();
    let (ours, _) = synced(MemoryKernel::new(), true, &table);
    let mut kernel = ours.into_kernel();
    kernel.pass_on(Family::V4, Tenure::Others);
    kernel.snatch(&Element::ClusterIp("10.96.0.1".parse().unwrap()));
    let mut ours = Nftables::new(kernel, OPTIONS);
    let errors = ours.sync(&table, Instant::now()).unwrap_err();
    assert_eq!((errors.len(), ours.quarantined()), (1, 0));
    assert!(errors[0].to_string().contains("another process owns our table"), "{}", errors[0]);
}

#[test]
fn another_layout_is_replaced_and_nothing_is_believed_of_it() {
    let table = some_services();
    let foreign = Element::ClusterIp("192.0.2.99".parse().unwrap());
    for comment in ["kube-verdict layout 99; in other words", "kube-verdict layout 0;", "somebody's"] {
        let (ours, _) = synced(MemoryKernel::new(), false, &table);
        let mut kernel = ours.into_kernel();
        kernel.intrude(foreign);
        Family::BOTH.into_iter().for_each(|family| kernel.relabel(family, comment));
        let batches = kernel.committed.len();
        let mut ours = Nftables::new(kernel, OPTIONS);
        // Not even what it knows and we do not: who knows what that is.
        ours.keep_unknown(true);
        ours.sync(&table, Instant::now()).unwrap();
        assert_eq!(contents(&mut ours), ideal(&table), "{comment}");
        assert_eq!(ours.kernel().committed.len(), batches + 2 * 3, "a bridge, the table, and no bridge");
        assert!(Family::BOTH.into_iter().all(|family| !ours.kernel().has_bridge(family)));
        let report = ours.sync(&table, Instant::now()).unwrap();
        assert_eq!(report.operations, 0);
    }
}

#[test]
fn other_words_in_the_comment_are_no_other_layout() {
    let table = some_services();
    let (ours, _) = synced(MemoryKernel::new(), false, &table);
    let mut kernel = ours.into_kernel();
    let comment = kube_verdict_nftables::layout::comment().replace("not to be edited", "in other words");
    Family::BOTH.into_iter().for_each(|family| kernel.relabel(family, &comment));
    let (_, operations) = synced(kernel, false, &table);
    assert_eq!(operations, 0);
}

#[test]
fn a_replacement_that_is_interrupted_anywhere_is_finished_by_the_next() {
    let table = some_services();
    for after in 0..6 {
        let (ours, _) = synced(MemoryKernel::new(), false, &table);
        let mut kernel = ours.into_kernel();
        Family::BOTH.into_iter().for_each(|family| kernel.relabel(family, "kube-verdict layout 99;"));
        let mut left = after;
        kernel.fault = Some(Box::new(move |_| {
            let is_over = left == 0;
            left -= i32::from(!is_over);
            is_over.then(|| CommitError::Io(io::ErrorKind::Interrupted.into()))
        }));
        let mut ours = Nftables::new(kernel, OPTIONS);
        let _ = ours.sync(&table, Instant::now());
        let mut kernel = ours.into_kernel();
        kernel.fault = None;
        let (mut ours, _) = synced(kernel, false, &table);
        assert_eq!(contents(&mut ours), ideal(&table), "after {after} batches");
        assert!(Family::BOTH.into_iter().all(|family| !ours.kernel().has_bridge(family)), "{after}");
    }
}
