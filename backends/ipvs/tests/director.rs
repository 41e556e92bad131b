//! The director, one behaviour at a time, on a kernel in memory.

mod common;

use std::time::Duration;

use common::*;
use kube_verdict_ipvs::kernel::{self, memory::Call};
use kube_verdict_ipvs::{Error, Figures, Marks, Removed, remove};
use kube_verdict_ipvs_codec::{Command, Key, Order, RealServer, VirtualServer, flags};
use kube_verdict_table::{Family, Protocol};

fn commands(orders: &[Order]) -> Vec<Command> {
    orders.iter().map(Order::command).collect()
}

#[test]
fn what_is_wanted_is_made_and_a_restart_writes_nothing() {
    let wanted = [(1, tcp(&[1, 2])), (2, tcp(&[]))];
    let mut stage = Stage::with(&wanted);
    assert_eq!(stage.weights(1), Some(vec![(1, 1), (2, 1)]));
    assert_eq!(stage.weights(2), Some(vec![]));
    assert!(stage.director.serves(V4, mark(2)) && !stage.director.serves(V4, mark(3)));
    assert_eq!(stage.director.next_tend(), None);

    let mut stage = stage.restarted();
    assert_eq!(stage.director.figures(V4), None);
    let again = wanted.map(|(number, server)| (number, Some(server)));
    assert_eq!(stage.change(again, true), []);
    let figures = Figures { virtual_servers: 2, real_servers: 2, ..Figures::default() };
    assert_eq!(stage.director.figures(V4), Some(figures));
}

#[test]
fn raising_takes_nothing_away_and_lowering_does() {
    let mut stage = Stage::with(&[(1, tcp(&[1, 2])), (2, tcp(&[5]))]);
    stage.written();
    let changes = [(mark(1), Some(tcp(&[2, 3]))), (mark(2), None)];
    stage.director.raise(V4, &common::wanted(changes, false), stage.now).unwrap();
    assert_eq!(commands(&stage.written()), [Command::NewDestination]);
    assert_eq!(stage.weights(1), Some(vec![(1, 1), (2, 1), (3, 1)]));
    stage.pass(Duration::from_secs(60));
    assert_eq!(stage.director.next_tend(), None, "packets are still marked for what is not wanted");

    stage.director.lower(V4, &|_, _| false, stage.now).unwrap();
    assert_eq!(stage.weights(1), Some(vec![(1, 0), (2, 1), (3, 1)]));
    assert_eq!(stage.weights(2), Some(vec![(5, 0)]));
    let figures = stage.director.figures(V4).unwrap();
    assert_eq!((figures.draining_virtual_servers, figures.draining_real_servers), (1, 2));
    stage.tend();
    assert_eq!(stage.weights(1), Some(vec![(2, 1), (3, 1)]));
    assert_eq!(stage.weights(2), None);
    stage.tend();
    assert_eq!(stage.director.next_tend(), None);
}

#[test]
fn what_drains_goes_with_its_last_connection_or_comes_back() {
    let mut stage = Stage::with(&[(1, tcp(&[1, 2])), (2, tcp(&[1]))]);
    stage.kernel().connect(&server_key(1), backend(1), 1, 0);
    stage.kernel().connect(&server_key(1), backend(2), 0, 1);
    stage.kernel().connect(&server_key(2), backend(1), 1, 0);
    stage.change([(1, Some(tcp(&[]))), (2, None)], false);
    for _ in 0..10 {
        assert_eq!(stage.tend(), []);
    }
    assert_eq!(stage.weights(2), Some(vec![(1, 0)]), "a virtual server stays as long as a connection of its");

    // Two come back, and nothing else happens to them.
    let orders = stage.change([(1, Some(tcp(&[1]))), (2, Some(tcp(&[1])))], false);
    let back = |number| Order::ChangeIn(server_key(number), real(1, 1));
    assert_eq!(orders, [back(1), back(2)]);
    stage.kernel().connect(&server_key(1), backend(2), 0, 0);
    assert_eq!(commands(&stage.tend()), [Command::DeleteDestination]);
    assert_eq!(stage.weights(1), Some(vec![(1, 1)]));
}

#[test]
fn one_listing_for_each_virtual_server_that_drains() {
    let wanted: Vec<_> = (1..=2500).map(|number| (number, tcp(&[1, 2]))).collect();
    let mut stage = Stage::with(&wanted);
    stage.kernel().connect(&server_key(7), backend(1), 1, 0);
    stage.change((1..=2400).map(|number| (number, Some(tcp(&[3])))), false);
    let before = stage.kernel().listings;
    let mut deleted = 0;
    for _ in 0..3 {
        deleted += stage.tend().len();
    }
    assert_eq!((stage.kernel().listings - before, deleted), (2400, 4799));
    assert_eq!(stage.tend(), []);
    assert_eq!(stage.kernel().listings - before, 2401);
}

#[test]
fn a_backend_of_udp_that_does_not_serve_any_more_goes_at_once() {
    let udp = |backends: &[u8]| server("dns", Protocol::Udp, None, backends);
    let mut stage = Stage::with(&[(1, udp(&[1, 2, 3])), (2, udp(&[1, 2]))]);
    for number in [1, 2] {
        for last in [1, 2] {
            stage.kernel().connect(&server_key(number), backend(last), 0, 9);
        }
    }
    let changes = [(mark(1), Some(udp(&[3]))), (mark(2), None)];
    stage.director.raise(V4, &common::wanted(changes, false), stage.now).unwrap();
    let still_serves = |server: &kube_verdict_ipvs::Server, there: &kube_verdict_table::Backend| {
        assert_eq!(server.protocol, Protocol::Udp);
        *there == backend(2)
    };
    stage.director.lower(V4, &still_serves, stage.now).unwrap();
    assert_eq!(stage.weights(1), Some(vec![(2, 0), (3, 1)]));
    assert_eq!(stage.weights(2), Some(vec![(2, 0)]));

    // Nothing else changes, but the second does not serve any more either.
    let other = server("other", Protocol::Udp, None, &[]).service;
    assert!(!stage.director.reconsider(V4, &[&other]));
    assert!(stage.director.reconsider(V4, &[&udp(&[3]).service]));
    stage.director.lower(V4, &|_, _| false, stage.now).unwrap();
    assert_eq!((stage.weights(1), stage.weights(2)), (Some(vec![(3, 1)]), Some(vec![])));
}

#[test]
fn after_a_restart_what_drained_drains_on_and_weights_are_set_right() {
    let mut stage = Stage::with(&[(1, tcp(&[1, 2, 3])), (2, tcp(&[1]))]);
    stage.kernel().connect(&server_key(1), backend(1), 1, 0);
    stage.kernel().connect(&server_key(2), backend(1), 1, 0);
    stage.change([(1, Some(tcp(&[2, 3]))), (2, None)], false);
    for (last, weight) in [(2, 0), (3, 7)] {
        stage.kernel().intrude(&Order::ChangeIn(server_key(1), real(last, weight))).unwrap();
    }
    let mut stage = stage.restarted();
    assert_eq!(stage.director.taken(V4, stage.now).unwrap(), [mark(1), mark(2)]);
    let listings = stage.kernel().listings;
    let orders = stage.change([(1, Some(tcp(&[2, 3])))], true);
    assert_eq!(stage.kernel().listings, listings, "it is read twice");
    assert_eq!(orders, [2, 3].map(|last| Order::ChangeIn(server_key(1), real(last, 1))));
    assert_eq!(stage.tend(), []);
    for number in [1, 2] {
        stage.kernel().connect(&server_key(number), backend(1), 0, 0);
    }
    stage.tend();
    assert_eq!((stage.weights(1), stage.weights(2)), (Some(vec![(2, 1), (3, 1)]), None));
}

#[test]
fn virtual_servers_of_others_are_not_touched() {
    let mut stage = Stage::new();
    let rr = VirtualServer::new(server_key(1), kube_verdict_ipvs_codec::Name::new("rr").unwrap());
    let others = [
        Key::Address { address: [10, 96, 0, 1].into(), protocol: 6, port: 80 },
        kernel::key(V4, 77),
        kernel::key(Family::V6, mark(1)),
    ];
    for key in others {
        stage.kernel().intrude(&Order::Add(VirtualServer { key, ..rr })).unwrap();
    }
    stage.kernel().intrude(&Order::AddTo(others[1], RealServer::new([10, 9, 9, 9].into(), 0))).unwrap();
    let before = stage.kernel().contents().clone();
    stage.change([(1, Some(tcp(&[1])))], true);
    stage.change([(1, None)], false);
    stage.tend();
    stage.director.verify(stage.now).unwrap();
    assert_eq!(*stage.kernel().contents(), before);
    let error = stage.director.raise(V4, &common::wanted([(77, None)], false), stage.now).unwrap_err();
    assert!(matches!(error, Error::ForeignMark { mark: 77, marks: Marks::DEFAULT, .. }), "{error}");
}

#[test]
fn a_scheduler_that_the_kernel_lacks_is_replaced_and_told_once() {
    let asks = |name: &str, scheduler| server(name, Protocol::Tcp, scheduler, &[1]);
    let mut stage = Stage::new();
    let wanted = [
        (1, asks("a", Some("twos"))),
        (2, asks("b", Some("twos"))),
        (3, asks("c", Some("sh,sh-port"))),
        (4, asks("d", Some("rr,sh-port"))),
        (5, asks("e", None)),
    ];
    let all = || wanted.iter().map(|(number, server)| (mark(*number), Some(server.clone())));
    let report = stage.director.raise(V4, &common::wanted(all(), true), stage.now).unwrap();
    let told: Vec<String> = report.replaced.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "Service port default/a asks for the scheduler \"twos\" and gets rr: the kernel has no scheduler twos: \
             modprobe ip_vs_twos",
            "Service port default/b asks for the scheduler \"twos\" and gets rr: the kernel has no scheduler twos: \
             modprobe ip_vs_twos",
            "Service port default/d asks for the scheduler \"rr,sh-port\" and gets rr: the scheduler rr has no flag \
             \"sh-port\"; it has flag-1, flag-2, flag-3",
        ]
    );
    assert_eq!(report.refused, []);
    stage.director.lower(V4, &|_, _| false, stage.now).unwrap();
    let used = |stage: &mut Stage, number| {
        let server = stage.kernel().contents()[&server_key(number)].server;
        (server.scheduler.to_string(), server.flags)
    };
    assert_eq!(used(&mut stage, 1), ("rr".to_owned(), 0));
    assert_eq!(used(&mut stage, 3), ("sh".to_owned(), flags::SCHEDULER_1 | flags::SCHEDULER_2));
    assert_eq!(stage.director.figures(V4).unwrap().schedulers_replaced, 3);

    // A full sync tries again, on one of them, and does not tell again.
    let report = stage.director.raise(V4, &common::wanted(all(), true), stage.now).unwrap();
    assert_eq!((report.replaced, report.orders), (vec![], 0));
    stage.kernel().schedulers.insert("twos".into());
    let report = stage.director.raise(V4, &common::wanted(all(), true), stage.now).unwrap();
    assert_eq!((report.replaced, report.orders), (vec![], 2));
    assert_eq!(used(&mut stage, 2), ("twos".to_owned(), 0));
    assert_eq!(stage.director.figures(V4).unwrap().schedulers_replaced, 1);
}

#[test]
fn a_missing_scheduler_is_looked_for_once() {
    let mut stage = Stage::new();
    let tries = std::rc::Rc::new(std::cell::Cell::new(0));
    let counted = tries.clone();
    stage.kernel().refuse = Some(Box::new(move |order| {
        if matches!(order, Order::Add(server) if server.scheduler.as_str() == "nq") {
            counted.set(counted.get() + 1);
        }
        None
    }));
    let wanted = (1..50).map(|number| (number, Some(server("a", Protocol::Tcp, Some("nq"), &[1, 2]))));
    stage.change(wanted, true);
    assert_eq!(tries.get(), 1);
    assert_eq!(stage.weights(49), Some(vec![(1, 1), (2, 1)]));
}

#[test]
fn without_rr_or_without_ipvs_it_is_said_what_to_do() {
    let mut stage = Stage::new();
    stage.kernel().schedulers.clear();
    let wanted = || [(mark(1), Some(tcp(&[1])))];
    let error = stage.director.raise(V4, &common::wanted(wanted(), true), stage.now).unwrap_err().to_string();
    assert!(error.contains("modprobe ip_vs_rr"), "{error}");
    stage.kernel().is_missing = true;
    let error = stage.director.raise(V4, &common::wanted(wanted(), true), stage.now).unwrap_err();
    assert!(matches!(error, Error::Kernel { error: kernel::Error::Missing, .. }));
    let said = error.to_string();
    assert!(said.contains("modprobe ip_vs") && said.contains("mode: nftables"), "{said}");
    // It is tried again, less and less often.
    let first = stage.director.next_tend().unwrap() - stage.now;
    stage.now += first;
    stage.director.tend(stage.now).unwrap_err();
    assert!(stage.director.next_tend().unwrap() - stage.now > first);
    stage.kernel().is_missing = false;
    stage.kernel().schedulers.insert("rr".into());
    stage.tend();
    assert_eq!(stage.weights(1), Some(vec![(1, 1)]));
}

#[test]
fn what_the_kernel_refuses_stops_nothing_else() {
    let mut stage = Stage::new();
    stage.kernel().refuse = Some(Box::new(|order| match order {
        Order::Add(server) if server.key == server_key(2) => Some(libc::ENOMEM),
        _ => None,
    }));
    // 10.2.0.0's multicast brother.
    let mut odd = tcp(&[1, 2]);
    let impossible = kube_verdict_table::Backend { ip: [224, 0, 0, 1].into(), port: 80 };
    odd.backends = odd.backends.iter().copied().chain([impossible]).collect();
    let wanted = [(mark(1), Some(odd)), (mark(2), Some(tcp(&[1]))), (mark(3), Some(tcp(&[3])))];
    let report = stage.director.raise(V4, &common::wanted(wanted, true), stage.now).unwrap();
    let mut said: Vec<String> = report.refused.iter().map(ToString::to_string).collect();
    said.sort();
    assert_eq!(
        said,
        [
            "Service port default/web: IPVS refuses to add the real server 224.0.0.1:80 of the IPv4 virtual server of \
             mark 0x4b000001: Invalid argument (os error 22) (is its address one that packets can be sent to?); \
             everything else is programmed, the next try is in 1s",
            "Service port default/web: IPVS refuses to make the IPv4 virtual server of mark 0x4b000002: Cannot \
             allocate memory (os error 12); everything else is programmed, the next try is in 1s",
        ]
    );
    assert_eq!(stage.weights(1), Some(vec![(1, 1), (2, 1)]));
    assert_eq!(stage.weights(3), Some(vec![(3, 1)]));
    assert!(!stage.director.serves(V4, mark(2)) && stage.director.serves(V4, mark(1)));
    stage.director.lower(V4, &|_, _| false, stage.now).unwrap();

    // Nobody asks again before it is time; then what has become possible is done, and the rest waits longer.
    stage.director.raise(V4, &common::wanted([(mark(3), Some(tcp(&[4])))], false), stage.now).unwrap();
    assert_eq!(stage.director.next_tend(), Some(stage.now + Duration::from_secs(1)));
    stage.kernel().refuse = None;
    stage.now += Duration::from_secs(1);
    let report = stage.director.tend(stage.now).unwrap();
    assert_eq!(report.refused.len(), 1);
    assert_eq!(report.refused[0].retry_in, Duration::from_secs(2));
    assert!(stage.director.serves(V4, mark(2)));
}

#[test]
fn what_others_break_is_mended() {
    let mut stage = Stage::with(&[(1, tcp(&[1, 2])), (2, tcp(&[3]))]);
    assert_eq!(stage.director.verify(stage.now).unwrap().orders, 0);
    stage.kernel().flush();
    assert_eq!(stage.director.verify(stage.now).unwrap().orders, 5);
    // A change that stumbles over it mends everything.
    stage.kernel().flush();
    stage.written();
    let change = common::wanted([(mark(1), Some(tcp(&[1, 2, 4])))], false);
    assert_eq!(stage.director.raise(V4, &change, stage.now).unwrap().foreign, 1);
    assert_eq!(stage.director.lower(V4, &|_, _| false, stage.now).unwrap().foreign, 0);
    assert_eq!(stage.weights(1), Some(vec![(1, 1), (2, 1), (4, 1)]));
    assert_eq!(stage.weights(2), Some(vec![(3, 1)]));
    // Another's real server among ours gets nothing and goes; another's way of balancing is set right.
    stage.kernel().intrude(&Order::AddTo(server_key(2), real(9, 1))).unwrap();
    let name = kube_verdict_ipvs_codec::Name::new("wlc").unwrap();
    let change = VirtualServer { flags: flags::PERSISTENT, ..VirtualServer::new(server_key(2), name) };
    stage.kernel().intrude(&Order::Change(change)).unwrap();
    stage.director.verify(stage.now).unwrap();
    assert_eq!(stage.weights(2), Some(vec![(3, 1), (9, 0)]));
    let server = stage.kernel().contents()[&server_key(2)].server;
    assert_eq!((server.scheduler.as_str(), server.flags), ("rr", 0));
    stage.tend();
    assert_eq!(stage.weights(2), Some(vec![(3, 1)]));
    // What drains is missed, too.
    stage.kernel().connect(&server_key(2), backend(3), 1, 0);
    stage.change([(2, Some(tcp(&[4])))], false);
    stage.kernel().flush();
    stage.now = stage.now.max(stage.director.next_tend().unwrap());
    assert_eq!(stage.director.tend(stage.now).unwrap().foreign, 1);
    assert_eq!(stage.weights(2), Some(vec![(4, 1)]));
}

#[test]
fn a_lost_answer_leads_to_reading_back() {
    let mut stage = Stage::with(&[(1, tcp(&[1]))]);
    stage.kernel().fault = Some(Box::new(|call| matches!(call, Call::Run(_)).then_some(1)));
    let change = [(mark(1), Some(tcp(&[2, 3, 4])))];
    stage.director.raise(V4, &common::wanted(change, false), stage.now).unwrap_err();
    assert_eq!(stage.weights(1), Some(vec![(1, 1), (2, 1)]));
    stage.kernel().fault = None;
    stage.now = stage.director.next_tend().unwrap();
    let report = stage.director.tend(stage.now).unwrap();
    assert_eq!((report.read_back, report.orders), (vec![V4], 2));
    // Packets may still be marked as before: nothing is taken away.
    assert_eq!(stage.weights(1), Some(vec![(1, 1), (2, 1), (3, 1), (4, 1)]));
}

#[test]
fn what_is_not_known_any_more_is_read_before_it_is_looked_at() {
    let mut stage = Stage::with(&[(1, tcp(&[1, 2]))]);
    stage.change([(1, Some(tcp(&[2])))], false);
    stage.director.distrust(V4);
    assert_eq!(stage.tend(), [Order::DeleteFrom(server_key(1), real(1, 0))]);
    stage.tend();
    assert_eq!(stage.director.next_tend(), None);
}

#[test]
fn all_of_it_can_be_removed_at_once() {
    let mut stage = Stage::with(&[(1, tcp(&[1, 2])), (2, tcp(&[]))]);
    let name = kube_verdict_ipvs_codec::Name::new("rr").unwrap();
    for key in [kernel::key(V4, 77), kernel::key(Family::V6, mark(7))] {
        stage.kernel().intrude(&Order::Add(VirtualServer::new(key, name))).unwrap();
    }
    stage.kernel().connect(&server_key(1), backend(1), 2, 1);
    let removed = remove(stage.kernel(), Marks::DEFAULT).unwrap();
    assert_eq!(removed, Removed { servers: 3, connections: 3 });
    let left: Vec<Key> = stage.kernel().contents().keys().copied().collect();
    assert_eq!(left, [kernel::key(V4, 77)]);
}
