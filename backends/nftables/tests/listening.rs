//! What the machine's own nf_tables tells of others, each test in a network namespace of its own. Needs root and
//! nft.

#![allow(clippy::unwrap_used)]

mod common;

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use common::machine::{in_namespace, nft};
use common::{OPTIONS, empty_table, service, slices};
use kube_verdict_nftables::kernel::Note;
use kube_verdict_nftables::{Heard, Kernel, Netlink, Nftables};
use kube_verdict_table::ServiceTable;

/// A backend that listens, in sync with a few services.
fn listening() -> (Nftables<Netlink>, ServiceTable) {
    let mut table = empty_table();
    for n in 1..=20 {
        table.update([service(n, u32::from(n))]);
        table.update(slices(n, &[1, 2, 3]));
    }
    let mut netlink = Netlink::open().unwrap();
    netlink.listen().unwrap();
    let mut ours = Nftables::new(netlink, OPTIONS);
    ours.sync(&table, Instant::now()).unwrap();
    assert!(ours.listen().is_nothing(), "our own batches are not told");
    (ours, table)
}

/// What is heard next is one change by nft; afterwards everything is as it was.
fn is_heard_and_mended(ours: &mut Nftables<Netlink>, table: &ServiceTable, words: &[&str]) {
    nft(words, "");
    let Heard { changes, author, has_gaps } = ours.listen();
    assert_eq!((changes, has_gaps), (1, false), "{words:?}");
    let author = author.unwrap();
    assert_eq!(author.name, "nft");
    assert!(author.pid > 0);
    let report = ours.verify(table, Instant::now()).unwrap().unwrap();
    assert!(report.operations > 0, "{words:?}");
    assert!(ours.listen().is_nothing(), "{words:?}");
    assert!(ours.verify(table, Instant::now()).is_none(), "{words:?}");
}

#[test]
fn whatever_is_done_to_our_tables_is_heard_with_who_did_it() {
    in_namespace(|| {
        let (mut ours, table) = listening();
        for words in [
            "flush chain ip kube-verdict prerouting",
            "delete element ip kube-verdict services { 10.96.0.1 . tcp . 80 }",
            "add element ip6 kube-verdict cluster-ips { fd00:96::ffff }",
            "flush map ip kube-verdict endpoints",
            "add rule ip kube-verdict dispatch counter drop",
            "add chain ip6 kube-verdict intruder",
            "delete table ip kube-verdict",
            "flush ruleset",
            "add table ip kube-verdict; delete table ip kube-verdict; add table ip kube-verdict",
        ] {
            is_heard_and_mended(&mut ours, &table, &[words]);
        }
    });
}

#[test]
fn what_is_done_elsewhere_is_of_no_interest() {
    in_namespace(|| {
        let (mut ours, mut table) = listening();
        for n in 1..=20 {
            // The last is a table of our name, but of a family that we do not use.
            nft(
                &["add table ip other; add set ip other s { type ipv4_addr; }; add table inet kube-verdict"],
                "",
            );
            nft(&["add element ip other s { 192.0.2.1, 192.0.2.2 }"], "");
            let change = table.update(slices(n, &[4, 5])).change;
            ours.apply(&table, &change, Instant::now()).unwrap();
            assert!(ours.listen().is_nothing());
            nft(&["delete table ip other; delete table inet kube-verdict"], "");
        }
        assert!(ours.listen().is_nothing());
        assert!(ours.verify(&table, Instant::now()).is_none(), "a comparison without need");
    });
}

#[test]
fn too_much_to_keep_is_a_reason_to_look_once() {
    in_namespace(|| {
        let (mut ours, table) = listening();
        let mut ruleset = String::from("add table ip other\nadd set ip other s { type ipv4_addr; }\n");
        ruleset.push_str("add element ip other s { 10.0.0.1");
        for n in 2..200_000u32 {
            write!(ruleset, ", 10.{}.{}.{}", n >> 16, n >> 8 & 255, n & 255).unwrap();
        }
        ruleset.push_str(" }\n");
        nft(&["-f", "-"], &ruleset);
        nft(&["flush chain ip kube-verdict prerouting"], "");
        let heard = ours.listen();
        assert!(heard.has_gaps, "{heard:?}");
        let report = ours.verify(&table, Instant::now()).unwrap().unwrap();
        assert!(report.operations > 0);
        assert!(ours.listen().is_nothing());
        // Heard again, as before.
        is_heard_and_mended(&mut ours, &table, &["flush chain ip kube-verdict output"]);
    });
}

#[test]
fn nothing_is_overlooked_while_both_write() {
    in_namespace(|| {
        let (mut ours, mut table) = listening();
        let stop = Arc::new(AtomicBool::new(false));
        let noise = Arc::clone(&stop);
        let other = std::thread::spawn(move || {
            let mut n = 0u32;
            while !noise.load(Ordering::Relaxed) {
                n += 1;
                nft(&["-f", "-"], "add table ip other; delete table ip other; add table ip other");
                if n.is_multiple_of(5) {
                    // Not there when it was just removed, and not there again yet.
                    nft(&["-f", "-"], "add chain ip kube-verdict intruder");
                }
            }
        });
        let mut mended = 0;
        for round in 0..200u32 {
            let n = 1 + (round % 20) as u16;
            let change = table.update(slices(n, &[1 + (round % 7) as u8])).change;
            ours.apply(&table, &change, Instant::now()).unwrap();
            if !ours.listen().is_nothing()
                && let Some(report) = ours.verify(&table, Instant::now())
            {
                mended += report.unwrap().operations;
            }
        }
        stop.store(true, Ordering::Relaxed);
        other.join().unwrap();
        if !ours.listen().is_nothing() {
            ours.verify(&table, Instant::now()).map(Result::unwrap);
        }
        assert!(mended > 0, "nobody met nobody");
        let fresh = Nftables::new(Netlink::open().unwrap(), OPTIONS).sync(&table, Instant::now()).unwrap();
        assert_eq!(fresh.elements, 0, "{fresh:?}");
        assert!(!nft(&["list table ip kube-verdict"], "").contains("intruder"));
    });
}

#[test]
fn one_that_does_not_listen_hears_nothing() {
    in_namespace(|| {
        let mut deaf = Netlink::open().unwrap();
        let mut other = Netlink::open().unwrap();
        other.listen().unwrap();
        nft(&["add table ip kube-verdict"], "");
        assert_eq!((deaf.listens(), deaf.hear()), (false, None));
        assert!(other.listens());
        assert!(matches!(other.hear(), Some(Note::Transaction { is_about_us: true, .. })));
        assert_eq!(other.hear(), None);
    });
}
