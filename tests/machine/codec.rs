//! Our codec and ipvsadm, each telling what the other made. In a network namespace for each test.

use std::net::IpAddr;
use std::process::Command;

use kube_verdict_ipvs_codec::{
    Connections, Error, Family, Forwarding, Ipvs, Key, Name, Order, RealServer, Refusal, Timeouts,
    VirtualServer, flags,
};
use nix::sched::{CloneFlags, unshare};

use crate::{INSIDE, node};

const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;

/// IPVS wants a way to real servers, and does not use it before somebody comes.
const WAYS: &str = "\
link set lo up
link add ways type dummy
link set ways up
route add default dev ways
route add fd00::/16 dev ways
";

/// Runs `test` in a new network namespace.
pub fn alone(test: impl FnOnce(&mut Ipvs) + Send) {
    std::thread::scope(|scope| {
        let inside = || {
            unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
            node::run("ip -batch -", WAYS);
            test(&mut open());
        };
        scope.spawn(inside).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

/// Opens IPVS. Nobody has loaded it; Linux 5.10 does not by itself.
fn open() -> Ipvs {
    match Ipvs::open() {
        Err(Error::Missing) if std::env::var(INSIDE).as_deref() == Ok("5.10") => {
            node::run("modprobe ip_vs", "");
            Ipvs::open()
        }
        opened => opened,
    }
    .unwrap_or_else(|error| panic!("{error}"))
}

/// Runs ipvsadm; what it prints, sorted: IPVS lists in the order of a hash.
pub fn ipvsadm(words: &str) -> Vec<String> {
    let output = Command::new("ipvsadm").args(words.split_whitespace()).output().expect("running ipvsadm");
    assert!(output.status.success(), "ipvsadm {words}: {}", String::from_utf8_lossy(&output.stderr));
    let mut lines: Vec<String> =
        String::from_utf8_lossy(&output.stdout).lines().map(|line| line.trim().to_owned()).collect();
    lines.sort();
    lines
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn at(address: &str, protocol: u8, port: u16) -> Key {
    Key::Address { address: ip(address), protocol, port }
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

/// A virtual server of every kind, and its real servers.
fn all() -> Vec<(VirtualServer, Vec<RealServer>)> {
    let plain = |key| VirtualServer::new(key, name("rr"));
    vec![
        (
            VirtualServer {
                flags: flags::PERSISTENT | flags::SCHEDULER_2,
                timeout: 10800,
                client_prefix: 24,
                ..VirtualServer::new(at("10.96.0.1", TCP, 80), name("sh"))
            },
            vec![
                RealServer::new(ip("10.2.0.2"), 8080),
                RealServer {
                    weight: 0,
                    upper_threshold: 9,
                    lower_threshold: 3,
                    ..RealServer::new(ip("10.2.0.3"), 8080)
                },
            ],
        ),
        (plain(at("10.96.0.1", UDP, 53)), vec![RealServer::new(ip("10.2.0.2"), 5353)]),
        (plain(at("10.96.0.1", SCTP, 9)), vec![]),
        (
            VirtualServer { client_prefix: 64, ..plain(at("fd00::1", TCP, 80)) },
            vec![RealServer::new(ip("fd00:2::2"), 8080)],
        ),
        (
            plain(Key::Mark { family: Family::V4, mark: 0x0100_0001 }),
            vec![RealServer { forwarding: Forwarding::Route, ..RealServer::new(ip("10.2.0.2"), 0) }],
        ),
        (plain(Key::Mark { family: Family::V6, mark: 7 }), vec![]),
    ]
}

/// What makes the same with ipvsadm.
const MADE: [&str; 11] = [
    "-A -f 16777217 -s rr",
    "-A -f 7 -6 -s rr",
    "-A -t 10.96.0.1:80 -s sh -p 10800 -M 255.255.255.0 -b sh-port",
    "-A -t [fd00::1]:80 -s rr",
    "-A -u 10.96.0.1:53 -s rr",
    "-A --sctp-service 10.96.0.1:9 -s rr",
    "-a -f 16777217 -r 10.2.0.2:0 -g -w 1",
    "-a -t 10.96.0.1:80 -r 10.2.0.2:8080 -m -w 1",
    "-a -t 10.96.0.1:80 -r 10.2.0.3:8080 -m -w 0 -x 9 -y 3",
    "-a -t [fd00::1]:80 -r [fd00:2::2]:8080 -m -w 1",
    "-a -u 10.96.0.1:53 -r 10.2.0.2:5353 -m -w 1",
];

fn sorted(lines: &[&str]) -> Vec<String> {
    let mut lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    lines.sort();
    lines
}

pub fn the_family_is_found_and_says_what_it_is() {
    alone(|ipvs| {
        let info = ipvs.info().expect("information");
        assert_eq!(info.version, (1, 2, 1));
        let timeouts = Timeouts { tcp: 901, tcp_fin: 121, udp: 301 };
        ipvs.set_timeouts(timeouts).expect("setting timeouts");
        assert_eq!(ipvs.timeouts().expect("timeouts"), timeouts);
        ipvs.set_timeouts(Timeouts { udp: 302, ..Timeouts::default() }).expect("setting one");
        assert_eq!(ipvsadm("-l --timeout"), ["Timeout (tcp tcpfin udp): 901 121 302"]);
    });
}

pub fn what_we_make_ipvsadm_lists() {
    alone(|ipvs| {
        for (server, real) in all() {
            ipvs.add(&server).unwrap_or_else(|error| panic!("{server:?}: {error}"));
            for real in real {
                ipvs.add_to(&server.key, &real).unwrap_or_else(|error| panic!("{real:?}: {error}"));
            }
        }
        // It does not save thresholds.
        let saved = MADE.map(|line| line.split(" -x").next().unwrap_or(line));
        assert_eq!(ipvsadm("-Sn"), sorted(&saved));

        let (mut web, real) = all().swap_remove(0);
        (web.scheduler, web.flags, web.client_prefix) = (name("wrr"), 0, 32);
        ipvs.change(&web).expect("changing a virtual server");
        ipvs.change_in(&web.key, &RealServer { weight: 5, ..real[0] }).expect("changing a real server");
        ipvs.delete_from(&web.key, &real[1]).expect("deleting a real server");
        for (server, _) in &all()[1..] {
            ipvs.delete(&server.key).expect("deleting a virtual server");
        }
        let left = ["-A -t 10.96.0.1:80 -s wrr", "-a -t 10.96.0.1:80 -r 10.2.0.2:8080 -m -w 5"];
        assert_eq!(ipvsadm("-Sn"), sorted(&left));
        ipvs.flush().expect("flushing");
        assert_eq!(ipvsadm("-Sn"), [""; 0]);
    });
}

pub fn what_ipvsadm_makes_we_list() {
    alone(|ipvs| {
        for line in MADE.iter().filter(|line| line.starts_with("-A")) {
            ipvsadm(line);
        }
        for line in MADE.iter().filter(|line| line.starts_with("-a")) {
            ipvsadm(line);
        }
        let listed = ipvs.virtual_servers().expect("virtual servers");
        assert_eq!(listed.len(), all().len(), "{listed:#?}");
        for (server, real) in all() {
            let found = listed.iter().find(|found| found.server.key == server.key);
            let found = found.unwrap_or_else(|| panic!("{:?} is not listed", server.key));
            // ipvsadm has a mask and a time for persistent ones only.
            if server.flags & flags::PERSISTENT != 0 {
                assert_eq!(found.server, server);
            }
            assert_eq!(found.statistics, kube_verdict_ipvs_codec::Statistics::default());
            let mut listed = ipvs.real_servers(&server.key).expect("real servers");
            listed.sort_by_key(|listed| listed.server.address);
            assert_eq!(listed.iter().map(|listed| listed.server).collect::<Vec<_>>(), real);
            assert!(listed.iter().all(|listed| listed.connections == Connections::default()));
        }
    });
}

pub fn refusals_are_told_apart() {
    alone(|ipvs| {
        let web = VirtualServer::new(at("10.96.0.1", TCP, 80), name("rr"));
        let real = RealServer::new(ip("10.2.0.2"), 8080);
        let errno =
            |result: Result<(), kube_verdict_ipvs_codec::Error>| result.expect_err("a refusal").errno();
        assert_eq!(errno(ipvs.delete(&web.key)), Some(libc::ESRCH));
        assert_eq!(errno(ipvs.add_to(&web.key, &real)), Some(libc::ESRCH));
        assert_eq!(ipvs.real_servers(&web.key).expect("none").len(), 0);
        let unknown = VirtualServer { scheduler: name("none-such"), ..web };
        assert_eq!(errno(ipvs.add(&unknown)), Some(libc::ENOENT));
        ipvs.add(&web).expect("a virtual server");
        assert_eq!(errno(ipvs.add(&web)), Some(libc::EEXIST));
        assert_eq!(errno(ipvs.delete_from(&web.key, &real)), Some(libc::ENOENT));
        ipvs.add_to(&web.key, &real).expect("a real server");
        assert_eq!(errno(ipvs.add_to(&web.key, &real)), Some(libc::EEXIST));
    });
}

/// More than are sent at a time, and more refusals than a small buffer has room for.
pub fn of_many_orders_each_refusal_is_told() {
    alone(|ipvs| {
        let key = |mark| Key::Mark { family: Family::V4, mark };
        let add = |mark| Order::Add(VirtualServer::new(key(mark), name("rr")));
        let real = |mark, last| Order::AddTo(key(mark), RealServer::new([10, 2, 0, last].into(), 80));
        let orders: Vec<Order> =
            (1..=1000).flat_map(|mark| [add(mark), real(mark, 2), real(mark, 2), real(mark, 3)]).collect();
        let twice: Vec<Refusal> =
            (0..1000).map(|index| Refusal { order: 4 * index + 2, errno: libc::EEXIST }).collect();
        assert_eq!(ipvs.run(&orders).expect("orders"), twice);
        let all = ipvs.run(&orders).expect("orders");
        assert_eq!(all, (0..4000).map(|order| Refusal { order, errno: libc::EEXIST }).collect::<Vec<_>>());
        assert_eq!(ipvs.run(&[]).expect("nothing"), []);
        assert_eq!(ipvs.virtual_servers().expect("virtual servers").len(), 1000);
        assert_eq!(ipvs.real_servers(&key(1000)).expect("real servers").len(), 2);
        let all: Vec<Order> = (1..=1000).map(|mark| Order::Delete(key(mark))).collect();
        assert_eq!(ipvs.run(&all).expect("orders"), []);
        assert_eq!(ipvsadm("-Sn"), [""; 0]);
    });
}
