//! The kernel's own conntrack, in network namespaces made for it.

use std::collections::BTreeSet;

use kube_verdict_table::Family;
use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST};

use super::super::entry::address_family;
use super::super::{Tuple, entry};
use super::*;

/// Runs in a namespace of its own, if there may be one.
fn in_namespace(test: fn()) {
    let run = move || {
        // SAFETY: no memory is involved, and no other thread is concerned.
        #[allow(unsafe_code)]
        let entered = unsafe { libc::unshare(libc::CLONE_NEWNET) };
        if entered == 0 { test() } else { eprintln!("skipped: needs the right to make a network namespace") }
    };
    std::thread::spawn(run).join().unwrap();
}

fn flow(n: u16, to: &str, at: &str, zone: Option<u16>) -> Entry {
    let to: std::net::SocketAddr = to.parse().unwrap();
    let client = if to.is_ipv4() { format!("203.0.113.1:{n}") } else { format!("[2001:db8::1]:{n}") };
    let client = client.parse().unwrap();
    Entry {
        original: Tuple { source: client, destination: to, zone: None },
        reply: Tuple { source: at.parse().unwrap(), destination: client, zone: None },
        zone,
        id: 0,
    }
}

/// Puts a flow into conntrack, in UDP or another protocol.
fn create(flow: &Entry, protocol: u8) {
    let mut writer = Writer::default();
    let flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
    writer.message(NEW, flags, 0, address_family(flow.family()), |message| {
        message.nest(entry::TUPLE_ORIGINAL, |tuple| flow.original.encode(tuple));
        message.nest(entry::TUPLE_REPLY, |tuple| flow.reply.encode(tuple));
        if let Some(zone) = flow.zone {
            message.put(entry::ZONE, &zone.to_be_bytes());
        }
        message.put(7, &300u32.to_be_bytes()); // CTA_TIMEOUT
    });
    // CTA_PROTO_NUM of both tuples
    let udp = [5, 0, 1, 0, 17, 0, 0, 0];
    for at in 0..writer.bytes.len() - udp.len() {
        if writer.bytes[at..].starts_with(&udp) {
            writer.bytes[at + 4] = protocol;
        }
    }
    let mut exchange = Exchange::open().unwrap();
    exchange.send(&writer.bytes).unwrap();
    let codes: Vec<i32> = messages(exchange.receive().unwrap()).map(|message| code(&message)).collect();
    assert_eq!(codes, [0], "{flow:?}");
}

fn all(family: Family) -> Filter {
    Filter { family, address: None, port: None }
}

/// What a dump shows, without ids: to whom and at whom.
fn dumped(kernel: &mut Netlink, filter: &Filter) -> BTreeSet<String> {
    let mut shown = BTreeSet::new();
    let mut each = |e: &Entry| {
        shown.insert(format!("{} {}", e.original.destination, e.reply.source));
    };
    assert!(kernel.dump(filter, &mut each).unwrap());
    shown
}

fn entries(filter: &Filter) -> Vec<Entry> {
    let mut shown = Vec::new();
    Netlink::default().dump(filter, &mut |entry| shown.push(*entry)).unwrap();
    shown
}

fn populate() {
    create(&flow(1, "10.96.0.1:53", "10.0.0.1:5353", None), 17);
    create(&flow(2, "10.96.0.1:54", "10.0.0.1:5353", None), 17);
    create(&flow(3, "10.96.0.2:53", "10.0.0.1:5353", None), 17);
    create(&flow(1, "10.96.0.1:53", "10.0.0.2:5353", Some(7)), 17);
    create(&flow(1, "10.96.0.1:53", "10.0.0.1:5353", None), 6);
    create(&flow(1, "[fd00:96::1]:53", "[fd00::1]:5353", None), 17);
}

#[test]
fn nothing_is_there_at_first() {
    in_namespace(|| assert_eq!(entries(&all(Family::V4)), []));
}

#[test]
fn the_kernel_filters() {
    in_namespace(|| {
        populate();
        let address = |text: &str| text.parse().ok();
        let rows = [
            (all(Family::V4), 4),
            (Filter { port: Some(53), ..all(Family::V4) }, 3),
            (Filter { address: address("10.96.0.1"), port: Some(53), ..all(Family::V4) }, 2),
            (Filter { address: address("10.96.0.2"), ..all(Family::V4) }, 1),
            (all(Family::V6), 1),
            (Filter { address: address("fd00:96::1"), port: Some(53), ..all(Family::V6) }, 1),
            (Filter { port: Some(54), ..all(Family::V6) }, 0),
        ];
        for (filter, expected) in rows {
            let mut kernel = Netlink::default();
            assert_eq!(entries(&filter).len(), expected, "{filter:?}");
            dumped(&mut kernel, &filter);
            assert!(!kernel.unfiltered, "the kernel refused {filter:?}");
        }
        let everything = dumped(&mut Netlink::unfiltered(), &all(Family::V4));
        assert_eq!(everything, dumped(&mut Netlink::default(), &all(Family::V4)), "TCP is not shown");
    });
}

#[test]
fn deletes_what_it_is_told_and_nothing_else() {
    in_namespace(|| {
        populate();
        let of_zone = |zone| move |entry: &&Entry| entry.zone == zone;
        let port_53 = Filter { address: "10.96.0.1".parse().ok(), port: Some(53), ..all(Family::V4) };
        let before = entries(&port_53);
        let in_zone: Vec<Entry> = before.iter().filter(of_zone(Some(7))).copied().collect();
        assert_eq!(Netlink::default().delete(&in_zone).unwrap(), 1);
        assert_eq!(entries(&port_53), before.iter().filter(of_zone(None)).copied().collect::<Vec<_>>());
        assert_eq!(Netlink::default().delete(&in_zone).unwrap(), 0, "it is gone already");

        // Another flow of the same addresses is another flow.
        let first = entries(&port_53);
        assert_eq!(Netlink::default().delete(&first).unwrap(), 1);
        // The kernel makes an id out of where an entry is: others take that place first.
        for n in 0..4 {
            create(&flow(1, &format!("10.96.0.9:{}", 60 + n), &format!("10.0.0.9:{}", 60 + n), None), 17);
        }
        create(&flow(1, "10.96.0.1:53", "10.0.0.9:5353", None), 17);
        assert_eq!(Netlink::default().delete(&first).unwrap(), 0);
        assert_eq!(entries(&port_53).len(), 1);

        assert_eq!(Netlink::default().delete(&entries(&all(Family::V6))).unwrap(), 1);
        assert_eq!(entries(&all(Family::V4)).len(), 7);
        assert_eq!(connections(), 8, "TCP is as it was");
    });
}

#[test]
fn deletes_many() {
    in_namespace(|| {
        let count = DELETIONS as u16 * 3 + 5;
        (1..=count).for_each(|n| create(&flow(n, "10.96.0.1:53", "10.0.0.1:5353", None), 17));
        let all = entries(&all(Family::V4));
        assert_eq!(Netlink::default().delete(&all).unwrap(), usize::from(count));
        assert_eq!(connections(), 0);
    });
}

/// How many entries of IPv4 there are, in whatever protocol.
fn connections() -> usize {
    let mut writer = Writer::default();
    all(Family::V4).ask(&mut writer, 1, true);
    let mut exchange = Exchange::open().unwrap();
    exchange.send(&writer.bytes).unwrap();
    let mut count = 0;
    loop {
        for message in messages(exchange.receive().unwrap()) {
            match message.message_type() {
                NLMSG_DONE => return count,
                _ => count += 1,
            }
        }
    }
}
