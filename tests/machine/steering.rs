//! What brings packets to IPVS: the host's part (IPVS is there, its sysctls are set), and policy routing, with packets
//! of a client, of the node itself, and with those settings of the host that ask where a packet's source is.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Stdio};
use std::time::Duration;

use kube_verdict::config;
use kube_verdict::host::ipvs::{IpvsError, prepare};
use kube_verdict::steering::Steering;
use kube_verdict_ipvs_codec::Ipvs;
use kube_verdict_nftables::layout::Marks;
use kube_verdict_table::Family;
use socket2::SockRef;

use crate::node::{link, run};
use crate::talk::{Talk, serve, within};

/// How long a packet may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A node between a client and a pod.
const NODE: &str = "router";
const CLIENT: &str = "outside";
const POD: &str = "inside";

const VIPS: [&str; 2] = ["10.96.0.1:80", "[fd00:10:96::1]:80"];
const CLIENTS: [&str; 2] = ["192.0.2.2:5300", "[2001:db8::2]:5300"];

/// What the backend's rules come to, for one address; how many marked packets came in; and firewalld's check of
/// sources. FAMILY, VIP
const RULES: &str = "\
table FAMILY steering {
	chain back { type filter hook output priority -151; meta mark & 0xff000000 == 0x4b000000 meta mark set 0; }
	chain in { type filter hook prerouting priority -100; FAMILY daddr VIP meta mark set 0x4b000001; }
	chain out { type filter hook output priority -100; FAMILY daddr VIP meta mark set 0x4b000001; }
	chain count { type filter hook input priority -150; meta mark & 0xff000000 == 0x4b000000 counter; }
	chain strict {
		type filter hook prerouting priority -90
		meta l4proto tcp fib saddr . mark . iif oif missing counter drop
	}
}
";

const SERVERS: &str = "\
-A -f 1258291201 -s rr
-a -f 1258291201 -r 10.2.1.2:8080 -m
-A -f 1258291201 -6 -s rr
-a -f 1258291201 -6 -r [fd00:2:1::2]:8080 -m
";

/// Nothing is asked for but a timeout of UDP.
fn settings(udp_timeout: u64) -> config::Ipvs {
    config::Ipvs {
        scheduler: "rr".into(),
        tcp_timeout: Duration::ZERO,
        tcp_fin_timeout: Duration::ZERO,
        udp_timeout: Duration::from_secs(udp_timeout),
        marks: Marks::default(),
    }
}

fn add_netns(name: &str) {
    let _ = Command::new("ip").args(["netns", "delete", name]).stderr(Stdio::null()).status();
    run(&format!("ip netns add {name}"), "");
    within(name, || run("ip link set lo up", ""));
}

fn set_sysctls(settings: &[(&str, &str)]) {
    within(NODE, || {
        for (name, value) in settings {
            fs::write(format!("/proc/sys/net/{name}"), value).unwrap_or_else(|e| panic!("{name}: {e}"));
        }
    });
}

/// Links and addresses, and marks that lead to IPVS.
fn set() {
    [NODE, CLIENT, POD].into_iter().for_each(add_netns);
    link(NODE, CLIENT, POD);
    within(NODE, || {
        run("ip -batch -", "route add default via 192.0.2.2\nroute add default via 2001:db8::2\n");
        for (family, vip) in [("ip", "10.96.0.1"), ("ip6", "fd00:10:96::1")] {
            run("nft -f -", &RULES.replace("FAMILY", family).replace("VIP", vip));
        }
        prepare(&settings(0)).expect("IPVS");
        run("ipvsadm -R", SERVERS);
    });
    set_sysctls(&[("ipv6/conf/all/forwarding", "1")]);
    serve(POD, 8080);
}

/// Marked packets that came in so far, of both families.
fn delivered() -> Vec<u64> {
    let count = |family| {
        let listed = within(NODE, || run(&format!("nft list chain {family} steering count"), ""));
        let mut words = listed.split_whitespace().skip_while(|word| *word != "packets");
        words.nth(1).and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{listed}"))
    };
    ["ip", "ip6"].map(count).to_vec()
}

/// A client reaches the service, and so does the node, which needs no route for it.
fn everybody_is_served(case: &str) {
    for (index, vip) in VIPS.iter().enumerate() {
        let before = delivered()[index];
        let mut talk = Talk::open(CLIENT, vip);
        assert_eq!(talk.go_on().0, POD, "{case}");
        assert!(delivered()[index] > before, "{case}: it did not come in by its mark");
        let before = delivered()[index];
        assert_eq!(Talk::open(NODE, vip).go_on().0, POD, "{case}");
        assert_eq!(delivered()[index], before, "{case}: the node's own packets took a detour");
    }
}

/// What the node sends with such a mark leaves it.
fn marked_packets_of_the_node_leave() {
    // Otherwise they would lose the mark. They are routed with it before, as encapsulated ones are.
    within(NODE, || run("nft flush chain ip steering back; flush chain ip6 steering back", ""));
    for to in CLIENTS {
        let to: SocketAddr = to.parse().expect("an address");
        let there = within(CLIENT, || UdpSocket::bind(to).expect("a socket"));
        there.set_read_timeout(Some(PATIENCE)).expect("a time limit");
        within(NODE, || {
            let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = UdpSocket::bind(any).expect("a socket");
            SockRef::from(&socket).set_mark(Marks::default().value() | 5).expect("a mark");
            socket.send_to(b"marked", to).expect("sending");
        });
        let mut buffer = [0; 16];
        let length = there.recv(&mut buffer).unwrap_or_else(|error| panic!("{to}: {error}"));
        assert_eq!(&buffer[..length], b"marked");
    }
}

pub fn ipvs_is_there_or_missed() {
    let kernel = std::env::var(crate::INSIDE).expect("the kernel's series");
    add_netns("fresh");
    let is_loaded = || fs::exists("/proc/net/ip_vs").unwrap_or(false);
    if kernel == "5.10" && !is_loaded() {
        let error = within("fresh", || prepare(&settings(0))).expect_err("IPVS is not loaded");
        assert!(matches!(error, IpvsError::Missing), "{error}");
        run("modprobe ip_vs", "");
    }
    within("fresh", || {
        let changes = prepare(&settings(77)).expect("IPVS");
        let names: Vec<&str> = changes.iter().map(|change| change.setting.as_str()).collect();
        let expected =
            ["vs/conntrack", "vs/expire_nodest_conn", "vs/expire_quiescent_template", "ip_forward"]
                .map(|name| format!("/proc/sys/net/ipv4/{name}"));
        assert_eq!(names, expected);
        for file in &expected {
            assert_eq!(fs::read_to_string(file).expect("a sysctl").trim(), "1", "{file}");
        }
        assert_eq!(Ipvs::open().and_then(|mut ipvs| ipvs.timeouts()).expect("timeouts").udp, 77);
        assert_eq!(prepare(&settings(0)).expect("IPVS"), [], "nothing is left to do");
    });
}

pub fn marked_packets_come_in() {
    run("modprobe -a ip_vs veth", "");
    set();
    let steering = Steering::new(Marks::default(), Family::BOTH);
    assert_eq!(within(NODE, || steering.ensure()).expect("policy routing").added.len(), 8);
    assert!(within(NODE, || steering.ensure()).expect("policy routing").is_nothing());
    let devices = ["all", "default", "to-outside", "to-inside", "lo"];
    for (rp_filter, src_valid_mark) in [("0", "0"), ("1", "0"), ("2", "1"), ("1", "1"), ("0", "1")] {
        for device in devices {
            set_sysctls(&[
                (&format!("ipv4/conf/{device}/rp_filter"), rp_filter),
                (&format!("ipv4/conf/{device}/src_valid_mark"), src_valid_mark),
            ]);
        }
        everybody_is_served(&format!("rp_filter={rp_filter} src_valid_mark={src_valid_mark}"));
    }
    // What it is all for, and that these tests would see it fail: by the second rule alone.
    within(NODE, || run("ip rule del pref 5", ""));
    let lost = within(CLIENT, || {
        std::net::TcpStream::connect_timeout(&VIPS[0].parse().expect("an address"), Duration::from_secs(2))
    });
    assert!(lost.is_err(), "with src_valid_mark=1 the other two do as well");
    assert!(within(NODE, || steering.verify()).expect("policy routing"));
    everybody_is_served("mended");
    marked_packets_of_the_node_leave();
    let said = within(NODE, || run("./kube-verdict cleanup --only kube-verdict", ""));
    assert_eq!(said.matches("removed the IPv").count(), 8, "{said}");
    let rules = within(NODE, || run("ip rule", "") + &run("ip -6 rule", ""));
    assert!(!rules.contains("fwmark"), "{rules}");
}
