//! The director of virtual servers and the kernel's IPVS, with ipvsadm as the witness.

use std::net::IpAddr;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use kube_verdict_ipvs::{Director, Marks, Netlink, Report, Scheduler, Server, Want, Wanted};
use kube_verdict_table::{Backend, Family, Protocol, ServicePortName};

use crate::codec::{alone, ipvsadm};
use crate::node::{self, NODE, run_there};
use crate::talk::{Talk, within};

/// How long draining may take after the last connection: IPVS remembers a reset for ten seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// How many virtual servers [`many_virtual_servers`] has.
pub const SERVERS: &str = "KUBE_VERDICT_VIRTUAL_SERVERS";
/// And how many real ones has each.
const REAL: u32 = 10;

const CLIENT: &str = "client";
const VIP: &str = "10.96.0.77:80";

/// Has packets to the virtual address come to IPVS with the mark of number 1.
const STEERING: &str = "\
table ip steering {
  chain prerouting {
    type filter hook prerouting priority mangle
    ip daddr 10.96.0.77 tcp dport 80 meta mark set 0x4b000001
  }
  chain output {
    type route hook output priority mangle
    meta mark & 0xff000000 == 0x4b000000 meta mark set 0
  }
  chain forward {
    type filter hook forward priority filter
    ct state new counter
  }
}
";

/// Has the node take packets with such marks for its own.
const ROUTES: &str = "\
rule add fwmark 0x4b000000/0xff000000 lookup 4711
route add local default dev lo table 4711
";

fn mark(number: u32) -> u32 {
    Marks::DEFAULT.mark(number).expect("a number")
}

fn server(scheduler: Option<&str>, backends: &[(&str, u16)]) -> Server {
    let service = ServicePortName { namespace: "default".into(), name: "web".into(), port: "".into() };
    let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
    let mut backends: Vec<Backend> =
        backends.iter().map(|(address, port)| Backend { ip: ip(address), port: *port }).collect();
    backends.sort_unstable();
    Server {
        service: Arc::new(service),
        protocol: Protocol::Tcp,
        scheduler: scheduler.map(Into::into),
        backends: backends.into(),
    }
}

/// What is wanted of marks; None: nothing any more.
fn want(servers: impl IntoIterator<Item = (u32, Option<Server>)>, is_all: bool) -> Wanted {
    let want = |server: Option<Server>| server.map_or(Want::Gone, Want::Server);
    Wanted { servers: servers.into_iter().map(|(mark, server)| (mark, want(server))).collect(), is_all }
}

fn new() -> Director<Netlink> {
    let netlink = Netlink::open().unwrap_or_else(|error| panic!("{error}"));
    Director::new(netlink, Marks::DEFAULT, "rr".parse::<Scheduler>().expect("a scheduler"))
}

/// Both phases, in both families.
fn change(
    director: &mut Director<Netlink>,
    servers: &[(Family, u32, Option<Server>)],
    complete: bool,
    now: Instant,
) -> Report {
    let mut report = Report::default();
    for family in Family::BOTH {
        let of_family = servers.iter().filter(|(of, ..)| *of == family);
        let of_family = of_family.map(|(_, number, server)| (mark(*number), server.clone()));
        report.extend(director.raise(family, &want(of_family, complete), now).expect("raising"));
        report.extend(director.lower(family, &|_, _| false, now).expect("lowering"));
    }
    report
}

fn ours(lines: Vec<String>) -> Vec<String> {
    // 0x4b000000
    lines.into_iter().filter(|line| line.contains(" -f 12582")).collect()
}

pub fn what_is_wanted_is_there() {
    alone(|_| {
        let foreign =
            ["-A -f 77 -s wlc", "-A -t 10.96.0.1:80 -s wrr", "-a -t 10.96.0.1:80 -r 10.2.0.9:80 -m -w 3"];
        foreign.iter().for_each(|line| drop(ipvsadm(line)));
        let (v4, v6) = (Family::V4, Family::V6);
        let wanted = [
            (v4, 1, Some(server(None, &[("10.2.0.2", 8080), ("10.2.0.3", 8080)]))),
            (v4, 2, Some(server(Some("sh,sh-port"), &[("10.2.0.2", 53)]))),
            (v6, 1, Some(server(Some("wlc"), &[("fd00:2::2", 8080)]))),
            (v6, 3, Some(server(None, &[]))),
        ];
        let made = [
            "-A -f 1258291201 -6 -s wlc",
            "-A -f 1258291201 -s rr",
            "-A -f 1258291202 -s sh -b sh-fallback,sh-port",
            "-A -f 1258291203 -6 -s rr",
            "-a -f 1258291201 -6 -r [fd00:2::2]:8080 -m -w 1",
            "-a -f 1258291201 -r 10.2.0.2:8080 -m -w 1",
            "-a -f 1258291201 -r 10.2.0.3:8080 -m -w 1",
            "-a -f 1258291202 -r 10.2.0.2:53 -m -w 1",
        ];
        let now = Instant::now();
        let mut director = new();
        let report = change(&mut director, &wanted, true, now);
        assert_eq!((report.orders, report.refused, report.replaced), (8, vec![], vec![]));
        assert_eq!(ours(ipvsadm("-Sn")), made);
        assert_eq!(change(&mut director, &wanted, true, now).orders, 0);

        let mut director = new();
        assert_eq!(change(&mut director, &wanted, true, now).orders, 0);
        for line in
            ["-D -f 1258291202", "-e -f 1258291201 -r 10.2.0.2:8080 -g -w 1", "-A -f 1258291300 -s rr"]
        {
            ipvsadm(line);
        }
        director.verify(now).expect("verifying");
        director.tend(director.next_tend().expect("something drains")).expect("tending");
        assert_eq!(ours(ipvsadm("-Sn")), made);

        change(&mut director, &[], true, now);
        while let Some(next) = director.next_tend() {
            director.tend(next).expect("tending");
        }
        assert_eq!(ipvsadm("-Sn"), foreign);
    });
}

pub fn schedulers_are_changed_and_replaced() {
    alone(|_| {
        let now = Instant::now();
        let mut director = new();
        let asks = |scheduler| [(Family::V4, 1, Some(server(Some(scheduler), &[("10.2.0.2", 80)])))];
        for (scheduler, listed) in [
            ("lc", "-s lc"),
            ("mh,mh-port,mh-fallback", "-s mh -b mh-fallback,mh-port"),
            ("none-such", "-s rr"),
        ] {
            let report = change(&mut director, &asks(scheduler), false, now);
            assert_eq!(report.refused, []);
            assert_eq!(report.replaced.len(), usize::from(scheduler == "none-such"), "{:?}", report.replaced);
            let expected =
                [format!("-A -f 1258291201 {listed}"), "-a -f 1258291201 -r 10.2.0.2:80 -m -w 1".to_owned()];
            assert_eq!(ipvsadm("-Sn"), expected);
        }
    });
}

pub fn what_is_refused_stops_nothing_else() {
    alone(|_| {
        let mut director = new();
        let backends = [("10.2.0.2", 80), ("224.0.0.1", 80), ("255.255.255.255", 80), ("0.0.0.0", 80)];
        let report =
            change(&mut director, &[(Family::V4, 1, Some(server(None, &backends)))], true, Instant::now());
        let refused: Vec<_> =
            report.refused.iter().map(|refused| (refused.backend.map(|b| b.ip), refused.errno)).collect();
        let ip = |text: &str| text.parse::<IpAddr>().ok();
        assert_eq!(
            refused,
            ["0.0.0.0", "224.0.0.1", "255.255.255.255"].map(|address| (ip(address), libc::EINVAL))
        );
        assert_eq!(ipvsadm("-Sn"), ["-A -f 1258291201 -s rr", "-a -f 1258291201 -r 10.2.0.2:80 -m -w 1"]);
    });
}

pub fn connections_go_on_until_they_end() {
    node::set();
    run_there("nft -f -", STEERING);
    run_there("ip -batch -", ROUTES);
    let foreign = within(NODE, || ipvsadm("-Sn"));
    let servers = || ours(within(NODE, || ipvsadm("-Sn")));
    let (a, b) = (("10.2.1.2", 8080), ("10.2.2.2", 8080));
    let wanted = |backends: &[(&str, u16)]| [(Family::V4, 1, Some(server(None, backends)))];
    let mut director = within(NODE, new);
    let mut now = Instant::now();
    change(&mut director, &wanted(&[a, b]), true, now);

    let [mut to_a, mut to_b] = [(); 2].map(|()| Talk::open(CLIENT, VIP));
    if to_a.go_on().0 == "pod-b" {
        std::mem::swap(&mut to_a, &mut to_b);
    }
    assert_eq!((to_a.go_on().0.as_str(), to_b.go_on().0.as_str()), ("pod-a", "pod-b"));

    change(&mut director, &wanted(&[b]), false, now);
    let draining = [
        "-A -f 1258291201 -s rr",
        "-a -f 1258291201 -r 10.2.1.2:8080 -m -w 0",
        "-a -f 1258291201 -r 10.2.2.2:8080 -m -w 1",
    ];
    for _ in 0..3 {
        let mut talk = Talk::open(CLIENT, VIP);
        assert_eq!(talk.go_on().0, "pod-b");
        talk.reset();
        assert_eq!(to_a.go_on().0, "pod-a");
        now = director.next_tend().expect("something drains");
        director.tend(now).expect("tending");
        assert_eq!(servers(), draining);
    }

    // Another daemon finds what drains, and goes on.
    let mut director = within(NODE, new);
    assert_eq!(change(&mut director, &wanted(&[b]), true, now).orders, 0);
    assert_eq!(to_a.go_on().0, "pod-a");
    to_a.reset();
    drain(&mut director);
    assert_eq!(servers(), ["-A -f 1258291201 -s rr", "-a -f 1258291201 -r 10.2.2.2:8080 -m -w 1"]);

    // The whole virtual server, as well.
    change(&mut director, &[(Family::V4, 1, None)], false, now);
    director.tend(director.next_tend().expect("something drains")).expect("tending");
    assert_eq!(to_b.go_on().0, "pod-b");
    assert_eq!(servers(), ["-A -f 1258291201 -s rr", "-a -f 1258291201 -r 10.2.2.2:8080 -m -w 0"]);
    to_b.reset();
    drain(&mut director);
    assert_eq!(within(NODE, || ipvsadm("-Sn")), foreign);
    run_there("nft delete table ip steering", "");
}

/// Until nothing drains any more.
fn drain(director: &mut Director<Netlink>) {
    let deadline = Instant::now() + PATIENCE;
    while let Some(next) = director.next_tend() {
        assert!(Instant::now() < deadline, "it drains although nothing is established any more");
        sleep(Duration::from_millis(500));
        director.tend(next).expect("tending");
    }
}

/// With ten real servers each; how long everything took is printed, beside ipvsadm. Each way has a namespace of its own:
/// what is deleted the kernel remembers for two minutes, and looks through for every real server that is added.
pub fn many_virtual_servers() {
    let servers: u32 = std::env::var(SERVERS).ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    let real = |number: u32, index: u32| {
        let [_, high, low, _] = (number << 8).to_be_bytes();
        format!("10.{}.{high}.{low}", 100 + index)
    };
    let mut wanted = Vec::new();
    let mut lines = String::new();
    for number in 1..=servers {
        let addresses: Vec<String> = (0..REAL).map(|index| real(number, index)).collect();
        let mark = mark(number);
        lines += &format!("-A -f {mark} -s rr\n");
        for address in &addresses {
            lines += &format!("-a -f {mark} -r {address}:8080 -m -w 1\n");
        }
        let ports: Vec<(&str, u16)> = addresses.iter().map(|address| (address.as_str(), 8080)).collect();
        wanted.push((mark, Some(server(None, &ports))));
    }
    let mut saved = Vec::new();
    alone(|_| {
        timed("ipvsadm -R", || node::run("ipvsadm -R", &lines));
        saved = ipvsadm("-Sn");
    });
    alone(|_| {
        let (v4, now) = (Family::V4, Instant::now());
        let mut director = new();
        let report =
            timed("programmed", || director.raise(v4, &want(wanted.clone(), true), now).expect("raising"));
        assert_eq!(report.orders as u32, servers * (1 + REAL));
        timed("looked through for what to lower", || {
            director.lower(v4, &|_, _| false, now).expect("lowering")
        });
        assert_eq!(ipvsadm("-Sn"), saved);

        let mut director = new();
        let report =
            timed("read back", || director.raise(v4, &want(wanted.clone(), true), now).expect("raising"));
        assert_eq!(report.orders, 0);
        director.lower(v4, &|_, _| false, now).expect("lowering");

        // Every virtual server loses a real one.
        let less = |server: &Option<Server>| {
            server.clone().map(|server| Server { backends: server.backends[1..].into(), ..server })
        };
        let changed: Vec<_> = wanted.iter().map(|(mark, server)| (*mark, less(server))).collect();
        let mut lose = |changed: Vec<_>| {
            director.raise(v4, &want(changed, false), now).expect("raising");
            director.lower(v4, &|_, _| false, now).expect("lowering")
        };
        timed("a real server lowered", || lose(vec![changed[0].clone()]));
        timed("one of each lowered", || lose(changed));
        assert_eq!(director.figures(v4).expect("figures").draining_real_servers as u32, servers);
        timed("looked at, and deleted", || {
            while let Some(next) = director.next_tend() {
                director.tend(next).expect("tending");
            }
        });
        assert_eq!(ipvsadm("-Sn").len() as u32, servers * REAL);
    });
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = work();
    println!("  {what}: {:.4} s", start.elapsed().as_secs_f64());
    done
}
