//! What a connection's first packet costs on its way through a router: UDP packets from ever new source ports
//! go from a client through the router's namespace towards a server, and the sender's time for each is the
//! time of the whole path, which the kernel walks in the sender's system call.
//!
//! Contenders and the floors beneath them take turns, each in a router of its own, in rounds.

use std::error::Error;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kube_verdict::source::manifests::Directory;
use kube_verdict_nftables::{Netlink, Nftables, Options};
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, sendto, socket,
};

use crate::manifests;
use crate::stats::human;

/// First packets in a turn: as many as there are source ports to choose from.
const PACKETS: u16 = 50_000;
/// Timed together: the clock is not to be seen in the result.
const CHUNK: u16 = 500;
const BACKEND: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);

/// What a packet meets in the router.
enum Contender {
    /// routing and nothing else
    Routing,
    /// connection tracking without NAT
    Conntrack,
    /// one rule that translates the destination
    StaticDnat,
    /// our table with so many services
    KubeVerdict(u32),
}

impl Contender {
    fn name(&self) -> String {
        match self {
            Contender::Routing => "floor: routing".into(),
            Contender::Conntrack => "floor: connection tracking".into(),
            Contender::StaticDnat => "floor: one static DNAT rule".into(),
            Contender::KubeVerdict(services) => format!("kube-verdict, {services} services"),
        }
    }

    /// Makes the router so. Runs in its namespace.
    fn set_up(&self) -> Result<(), Box<dyn Error>> {
        match self {
            Contender::Routing => Ok(()),
            Contender::Conntrack => {
                nft("table ip t { chain c { type filter hook forward priority 0; ct state new accept; }; }")
            }
            Contender::StaticDnat => nft(
                "table ip t { chain c { type nat hook prerouting priority -100; ip daddr 10.96.0.1 udp dport 80 \
                 dnat to 10.0.2.2:8080; }; }",
            ),
            Contender::KubeVerdict(services) => programme(*services),
        }
    }

    /// The port at which packets reach the server.
    fn port(&self) -> u16 {
        match self {
            Contender::Routing | Contender::Conntrack => 80,
            _ => 8080,
        }
    }

    fn target(&self) -> Ipv4Addr {
        match self {
            Contender::Routing | Contender::Conntrack => BACKEND,
            _ => Ipv4Addr::new(10, 96, 0, 1),
        }
    }
}

/// Prints the rows.
pub fn measure(rounds: u32, sizes: &[u32]) -> Result<(), Box<dyn Error>> {
    let mut contenders = vec![Contender::Routing, Contender::Conntrack, Contender::StaticDnat];
    contenders.extend(sizes.iter().map(|services| Contender::KubeVerdict(*services)));
    let mut times: Vec<Vec<Duration>> = contenders.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for (contender, times) in contenders.iter().zip(&mut times) {
            times.extend(turn(contender)?);
        }
    }
    println!();
    println!("| first packet, UDP through a router | p50 | p10 | p90 | over static DNAT |");
    println!("|---|---|---|---|---|");
    let at = |times: &mut Vec<Duration>, part: usize| {
        times.sort_unstable();
        times[(times.len() - 1) * part / 100]
    };
    let floor = at(&mut times[2], 50);
    for (contender, times) in contenders.iter().zip(&mut times) {
        let [p50, p10, p90] = [50, 10, 90].map(|part| at(times, part));
        let ratio = p50.as_secs_f64() / floor.as_secs_f64();
        println!(
            "| {} | {} | {} | {} | {ratio:.2} × |",
            contender.name(),
            human(p50),
            human(p10),
            human(p90)
        );
    }
    Ok(())
}

/// One contender's turn on a thread of its own, so that its namespaces end with it.
fn turn(contender: &Contender) -> Result<Vec<Duration>, Box<dyn Error>> {
    let names = ["client", "router", "server"].map(|name| format!("kvb-{}-{name}", std::process::id()));
    let result = std::thread::scope(|scope| {
        let work = || played(contender, &names).map_err(|error| error.to_string());
        scope.spawn(work).join().unwrap_or_else(|_| Err("the turn's thread ended".into()))
    });
    for name in &names {
        let _ = Command::new("ip").args(["netns", "del", name]).stderr(Stdio::null()).status();
    }
    Ok(result?)
}

fn played(contender: &Contender, names: &[String; 3]) -> Result<Vec<Duration>, Box<dyn Error>> {
    let [client, router, server] = names;
    let script = format!(
        "set -e
         for n in {client} {router} {server}; do ip netns add $n; ip -n $n link set lo up; done
         ip link add c netns {client} type veth peer name c netns {router}
         ip link add s netns {server} type veth peer name s netns {router}
         ip -n {client} addr add 10.0.1.2/24 dev c; ip -n {client} link set c up
         ip -n {router} addr add 10.0.1.1/24 dev c; ip -n {router} link set c up
         ip -n {router} addr add 10.0.2.1/24 dev s; ip -n {router} link set s up
         ip -n {server} addr add 10.0.2.2/24 dev s; ip -n {server} link set s up
         ip -n {client} route add default via 10.0.1.1
         mac() {{ ip -n $1 -o link show $2 | sed 's/.*ether \\([^ ]*\\).*/\\1/'; }}
         ip -n {client} neigh replace 10.0.1.1 lladdr $(mac {router} c) dev c
         ip -n {router} neigh replace 10.0.2.2 lladdr $(mac {server} s) dev s
         ip netns exec {router} sysctl -qw net.ipv4.ip_forward=1
         ip netns exec {server} nft 'table ip t {{ chain c {{ type filter hook prerouting priority -300; udp dport {port} counter drop; }}; }}'",
        port = contender.port()
    );
    let status = Command::new("sh").args(["-c", &script]).status()?;
    if !status.success() {
        return Err("cannot lay the cables (iproute2, nftables)".into());
    }
    enter(router)?;
    contender.set_up()?;
    enter(client)?;
    let times = send(contender.target())?;
    enter(server)?;
    arrived()?;
    Ok(times)
}

/// Makes sure that what was timed is what was meant: the packets came to the server, at the right port.
fn arrived() -> Result<(), Box<dyn Error>> {
    let listing = Command::new("nft").args(["list", "chain", "ip", "t", "c"]).output()?.stdout;
    let listing = String::from_utf8(listing)?;
    let count = listing.split("packets ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or_default();
    match count.parse::<u16>() {
        Ok(count) if count > PACKETS / 100 * 99 => Ok(()),
        _ => Err(format!("of {PACKETS} packets the server saw {count:?}").into()),
    }
}

fn enter(name: &str) -> Result<(), Box<dyn Error>> {
    let namespace = std::fs::File::open(format!("/run/netns/{name}"))?;
    Ok(setns(namespace, CloneFlags::CLONE_NEWNET)?)
}

fn nft(ruleset: &str) -> Result<(), Box<dyn Error>> {
    let mut nft = Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn()?;
    nft.stdin.take().ok_or("no pipe")?.write_all(ruleset.as_bytes())?;
    if nft.wait()?.success() { Ok(()) } else { Err("nft does not take the floor's rules".into()) }
}

/// Programmes services, the first of which is the one that packets go to.
fn programme(services: u32) -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let mut text = String::new();
    for service in 0..services {
        text += &manifests::manifest(service, 1, 0)
            .replace("    port: 80\n", "    protocol: UDP\n    port: 80\n")
            .replace("port: 8080\n  protocol: TCP", "port: 8080\n  protocol: UDP");
        text += "---\n";
        if service % 1000 == 999 || service + 1 == services {
            std::fs::write(directory.path().join(format!("{service}.yaml")), std::mem::take(&mut text))?;
        }
    }
    let first = directory.path().join(format!("{}.yaml", 999.min(services - 1)));
    let text = std::fs::read_to_string(&first)?.replacen(
        "addresses: [10.128.0.0]",
        &format!("addresses: [{BACKEND}]"),
        1,
    );
    std::fs::write(&first, text)?;
    let batch = Directory::open(directory.path())?.load();
    if batch.has_errors() {
        return Err(format!("{:?}", batch.problems).into());
    }
    let mut table = crate::floor::empty_table();
    table.update(batch.events);
    let mut backend = Nftables::new(Netlink::open()?, Options::slots(0x4000));
    backend.sync(&table, Instant::now()).map_err(|errors| format!("{errors:?}"))?;
    Ok(())
}

/// Sends first packets; the time of each, averaged over chunks.
fn send(target: Ipv4Addr) -> Result<Vec<Duration>, Box<dyn Error>> {
    let socket = socket(AddressFamily::Inet, SockType::Raw, SockFlag::empty(), SockProtocol::Raw)?;
    let to = SockaddrIn::from(SocketAddrV4::new(target, 0));
    let mut packet = packet(target);
    let mut times = Vec::new();
    let mut start = Instant::now();
    for port in 1..=PACKETS {
        packet[20..22].copy_from_slice(&port.to_be_bytes());
        sendto(std::os::fd::AsRawFd::as_raw_fd(&socket), &packet, &to, MsgFlags::empty())?;
        if port % CHUNK == 0 {
            let now = Instant::now();
            times.push((now - start) / u32::from(CHUNK));
            start = now;
        }
    }
    Ok(times)
}

/// An IPv4 packet with an empty UDP datagram to port 80; the kernel fills in the header's checksum and source.
fn packet(target: Ipv4Addr) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0];
    packet.extend([10, 0, 1, 2]);
    packet.extend(target.octets());
    packet.extend([0, 0, 0, 80, 0, 8, 0, 0]);
    packet
}
