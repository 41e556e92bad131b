//! The backend against the machine's own nf_tables, each test in a network namespace of its own. Needs root
//! and nft.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use common::machine::{in_namespace, nft};
use common::{
    BESIDE_IPVS, OPTIONS, WITH_IPVS, any_change, empty_table, random, service, service_cidr, slices,
};
use kube_verdict_nftables::batch::{Batch, Op};
use kube_verdict_nftables::kernel::{CommitError, ReadError, Snapshot};
use kube_verdict_nftables::layout::{Chain, Element, Entry, Over, Space, Verdict};
use kube_verdict_nftables::{Kernel, Netlink, Nftables, Options, render};
use kube_verdict_table::{Family, Frontend, Protocol, ServiceTable};

/// Everybody who may choose backends.
const ALL: [Options; 3] = [OPTIONS, WITH_IPVS, BESIDE_IPVS];

fn backend() -> Nftables<Netlink> {
    backend_with(OPTIONS)
}

fn backend_with(options: Options) -> Nftables<Netlink> {
    Nftables::new(Netlink::open().unwrap(), options)
}

/// Every combination of policies, affinity and source ranges, with no, one, two and five endpoints.
fn everything() -> ServiceTable {
    let mut table = empty_table();
    table.update([service_cidr(&["10.96.0.0/16", "fd00:96::/108"])]);
    for twist in 0..32u32 {
        let endpoints: &[u8] = [&[][..], &[1], &[2, 3], &[1, 2, 3, 4, 5]][(twist % 4) as usize];
        for (copy, endpoints) in [endpoints, &[1, 3], &[2, 4, 6]].into_iter().enumerate() {
            let n = (twist as u16) * 3 + copy as u16 + 1;
            table.update([service(n, twist)]);
            table.update(slices(n, endpoints));
        }
    }
    table
}

#[test]
fn a_second_sync_writes_nothing() {
    for options in ALL {
        in_namespace(move || {
            let table = everything();
            let first = backend_with(options).sync(&table, Instant::now()).unwrap();
            assert_eq!((first.batches, first.refused.len()), (2, 0));
            assert!(first.elements > 1000, "{first:?}");
            let second = backend_with(options).sync(&table, Instant::now()).unwrap();
            assert_eq!(second.batches, 0, "{second:?}");
        });
    }
}

#[test]
fn nft_lists_what_we_wrote_and_loads_it_back() {
    for options in ALL {
        in_namespace(move || {
            let table = everything();
            backend_with(options).sync(&table, Instant::now()).unwrap();
            let listing = nft(&["list", "ruleset"], "");
            nft(&["flush", "ruleset"], "");
            nft(&["-f", "-"], &listing);
            let reloaded = nft(&["list", "ruleset"], "");
            let sorted = |text: &str| {
                let mut words: Vec<String> = text
                    .replace(['{', '}'], " ")
                    .split([',', '\n'])
                    .map(|word| word.trim().to_owned())
                    .collect();
                words.sort_unstable();
                words
            };
            assert_eq!(sorted(&listing), sorted(&reloaded));
        });
    }
}

#[test]
fn what_render_says_is_what_we_would_write() {
    for options in ALL {
        in_namespace(move || {
            let table = everything();
            nft(&["-f", "-"], &render(&table, options));
            let report = backend_with(options).sync(&table, Instant::now()).unwrap();
            // Two kinds of chains get other bytecode from nft: check-source a meaningless byteorder expression
            // (3 operations a family), and in IPv6 the four recall chains other registers for the client's hash.
            assert_eq!(report.elements, 0, "{report:?}");
            assert!(report.operations <= 2 * 3 + 4 * 6, "{report:?}");
            // Loading it again replaces everything in one transaction.
            nft(&["-f", "-"], &render(&table, options));
        });
    }
}

#[test]
fn one_balancer_takes_over_from_another_in_one_batch_a_family() {
    for (before, after) in [(OPTIONS, WITH_IPVS), (WITH_IPVS, BESIDE_IPVS), (BESIDE_IPVS, OPTIONS)] {
        in_namespace(move || {
            let table = everything();
            backend_with(before).sync(&table, Instant::now()).unwrap();
            let mut ours = backend_with(after);
            let taken_over = ours.sync(&table, Instant::now()).unwrap();
            // Sets and chains that are no longer used may follow in a second one.
            assert!(taken_over.refused.is_empty() && taken_over.batches <= 4, "{taken_over:?}");
            let fresh = backend_with(after).sync(&table, Instant::now()).unwrap();
            assert_eq!(fresh.operations, 0, "{fresh:?}");
        });
    }
}

#[test]
fn the_kernel_says_which_of_many_elements_it_refuses() {
    in_namespace(|| {
        let mut ours = backend();
        ours.sync(&empty_table(), Instant::now()).unwrap();
        let element = |n: u16, chain| {
            let ip = [10, 96, 0, 1].into();
            let frontend = Frontend::Address { ip, protocol: Protocol::Tcp, port: n };
            Op::Add(Element::Frontend(frontend, Verdict::Goto(chain)))
        };
        let absent =
            Chain::Spread { space: Space::Address, entry: Entry::Pick, sticky: false, over: Over::Slots(77) };
        let bad = [0u16, 150, 255, 256, 700];
        let ops = (0..1000)
            .map(|n| element(n, if bad.contains(&n) { absent } else { Chain::NoEndpoints }))
            .collect();
        let mut batch = Batch { ops, ..Batch::new(Family::V4) };
        // Of each message the kernel names the first; mending what it names gets through at last.
        let mut blamed = Vec::new();
        loop {
            match ours.kernel_mut().commit(&batch) {
                Ok(()) => break,
                Err(CommitError::Refused(refusals)) => {
                    assert!(!refusals.is_empty());
                    for refusal in refusals {
                        assert_eq!(refusal.errno, libc::ENOENT);
                        blamed.push(refusal.op as u16);
                        batch.ops[refusal.op] = element(refusal.op as u16, Chain::NoEndpoints);
                    }
                }
                Err(error) => panic!("{error}"),
            }
        }
        blamed.sort_unstable();
        assert_eq!(blamed, bad);
    });
}

#[test]
fn a_batch_for_another_generation_is_stale() {
    in_namespace(|| {
        let mut ours = backend();
        ours.sync(&empty_table(), Instant::now()).unwrap();
        let generation = ours.kernel_mut().generation().unwrap();
        nft(&["add", "table", "ip", "another"], "");
        let ops = vec![Op::Add(Element::ClusterIp([10, 96, 0, 1].into()))];
        let batch = Batch { ops, generation: Some(generation), ..Batch::new(Family::V4) };
        assert!(matches!(ours.kernel_mut().commit(&batch), Err(CommitError::Stale)));
        let batch = Batch { generation: Some(ours.kernel_mut().generation().unwrap()), ..batch };
        ours.kernel_mut().commit(&batch).unwrap();
    });
}

#[test]
fn others_may_change_the_ruleset_while_we_read_and_write() {
    in_namespace(|| {
        let mut table = everything();
        let mut ours = backend();
        let stop = Arc::new(AtomicBool::new(false));
        let noise = Arc::clone(&stop);
        // A new thread is in its parent's network namespace.
        let other = std::thread::spawn(move || {
            let mut batches = 0;
            while !noise.load(Ordering::Relaxed) {
                nft(&["-f", "-"], "add table ip noise; delete table ip noise; add table ip noise");
                batches += 1;
            }
            batches
        });
        for n in 1..6 {
            ours.distrust(Family::V4);
            let change = table.update(slices(n, &[7, 8, 9])).change;
            let report = ours.apply(&table, &change, Instant::now()).unwrap();
            assert!(report.refused.is_empty(), "{report:?}");
        }
        stop.store(true, Ordering::Relaxed);
        assert!(other.join().unwrap() > 5);
        let fresh = backend().sync(&table, Instant::now()).unwrap();
        assert!(fresh.elements == 0, "{fresh:?}");
    });
}

#[test]
fn changes_leave_what_a_fresh_sync_would_write() {
    for options in [OPTIONS, WITH_IPVS] {
        in_namespace(move || {
            let mut table = empty_table();
            let mut ours = backend_with(options);
            ours.sync(&table, Instant::now()).unwrap();
            let mut next = random();
            for step in 0..400 {
                let update = any_change(&mut table, &mut next, 12);
                let report = ours.apply(&table, &update.change, Instant::now()).unwrap();
                assert!(report.refused.is_empty() && report.synced.is_empty(), "step {step}: {report:?}");
                if step % 10 == 0 {
                    ours.collect_garbage();
                    let fresh = backend_with(options).sync(&table, Instant::now()).unwrap();
                    assert_eq!(fresh.operations, 0, "step {step}: {fresh:?}");
                }
            }
        });
    }
}

/// Set in the process that has no rights in the initial namespace.
const WITHOUT_RIGHTS: &str = "KUBE_VERDICT_TEST_WITHOUT_RIGHTS";

/// The kernel, and what it said to each batch.
struct Noting(Netlink, Vec<Option<i32>>);

impl Kernel for Noting {
    fn commit(&mut self, batch: &Batch) -> Result<(), CommitError> {
        let result = self.0.commit(batch);
        self.1.push(match &result {
            Err(CommitError::Io(error)) => error.raw_os_error(),
            _ => None,
        });
        result
    }

    fn read(&mut self, family: Family) -> Result<Snapshot, ReadError> {
        self.0.read(family)
    }

    fn generation(&mut self) -> Result<u32, ReadError> {
        self.0.generation()
    }
}

/// Without CAP_NET_ADMIN in the initial namespace, as in a container with namespaces of its own, a socket's buffer
/// grows to net.core.wmem_max and no further.
#[test]
fn what_the_socket_cannot_take_at_once_goes_in_parts() {
    if std::env::var_os(WITHOUT_RIGHTS).is_none() {
        let name = "what_the_socket_cannot_take_at_once_goes_in_parts";
        let mut again = std::process::Command::new("unshare");
        again.args(["--user", "--map-root-user", "--net"]).arg(std::env::current_exe().unwrap());
        again.args(["--exact", name, "--nocapture"]).env(WITHOUT_RIGHTS, "1");
        let output = again.output().expect("unshare of util-linux");
        let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let most =
        std::fs::read_to_string("/proc/sys/net/core/wmem_max").unwrap().trim().parse::<usize>().unwrap();
    let mut table = empty_table();
    // A Service has more than 5 kB in each family, and the kernel doubles what is asked for.
    for n in 1..=u16::try_from(2 * most / 5000).unwrap().max(100) {
        table.update([service(n, u32::from(n))]);
        table.update(slices(n, &[1, 2, 3, 4, 5, 6]));
    }
    let mut ours = Nftables::new(Noting(Netlink::open().unwrap(), vec![]), OPTIONS);
    let report = ours.sync(&table, Instant::now()).unwrap();
    assert_eq!((report.batches, report.refused.len()), (2, 0));
    let said = &ours.kernel_mut().1;
    assert!(
        said.contains(&Some(libc::EMSGSIZE)) && said.iter().filter(|errno| errno.is_none()).count() > 2,
        "{said:?}"
    );
    let mut again = Nftables::new(Netlink::open().unwrap(), OPTIONS);
    assert_eq!(again.sync(&table, Instant::now()).unwrap().operations, 0);
}
