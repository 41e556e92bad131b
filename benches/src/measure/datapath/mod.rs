//! What packets and connections cost on their way through the node, at the first, the middle and the last Service: in the
//! order of [`Contestant::order`](crate::contender::Contestant::order) if there is one, else by number.
//!
//! * **First packets**: UDP datagrams from ever new ports, each timed by itself, in the sender's system call: the kernel
//!   walks the whole way there in it, from the client through the node to the endpoint's socket, where they end.
//! * **Connections**: opened, answered and ended one after the other; UDP questions from new ports.
//! * **Throughput** of one established connection, after which the order of rules does not ask any more.
//!
//! All of it happens on one core, the stage's. What is sent before the kernel's caches are warm does not count, and
//! connection tracking forgets every measurement before the next. IPVS' own table of connections cannot be emptied, and
//! fills up by some ten thousand.

mod connections;
mod first_packet;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use super::percentile::percentile;
use super::rest::settle;
use super::{Turn, together};
use crate::Error;
use crate::results::Quantity;
use crate::stage::{ClientThread, forget_flows, send_for};
use crate::workload::{Protocol, Service};

/// Flows in one measurement. Three such measurements must not fill up anybody's tables.
const FLOWS: u16 = 5000;
/// The limit of connection tracking, of every namespace.
const LIMIT: &str = "/proc/sys/net/netfilter/nf_conntrack_max";
/// A machine that has much else to do delivers packets later than in the sender's system call, and loses those that do not
/// fit into a queue (net.core.netdev_max_backlog): then they are sent again, as often at most.
const TRIES: u32 = 3;
/// What the budget is divided by: measurements that take as long as they may.
const PARTS: u32 = 10;
/// Throughput is measured for as long at least.
const SHORTEST: Duration = Duration::from_millis(500);

/// A Service that is measured.
struct Target {
    /// `udp, last Service`
    name: String,
    protocol: Protocol,
    to: SocketAddrV4,
    endpoints: Vec<Ipv4Addr>,
}

/// All of them. What fails does not keep the others from being measured.
///
/// # Errors
/// Packets that do not arrive where they should; a Service that is not reached.
pub fn measure(turn: &mut Turn<'_>) -> Result<(), Error> {
    settle(turn)?;
    let flows = flows();
    let client = ClientThread::start(turn.stage);
    let mut troubles = Vec::new();
    let udp = targets(turn, Protocol::Udp)?;
    let tcp = targets(turn, Protocol::Tcp)?;
    let mut failed = [0.0; 2];
    for target in &udp {
        let result = first_packets(turn, &client, target, flows);
        troubles.extend(result.err().map(|error| format!("first packets, {}: {error}", target.name)));
    }
    for target in tcp.iter().chain(&udp) {
        match new_connections(turn, &client, target, flows) {
            Ok(lost) => failed[usize::from(target.protocol == Protocol::Udp)] += lost,
            Err(error) => troubles.push(format!("connections, {}: {error}", target.name)),
        }
    }
    if let Some(target) = tcp.last() {
        let result = throughput(turn, &client, target);
        troubles.extend(result.err().map(|error| format!("throughput, {}: {error}", target.name)));
    }
    turn.record(Quantity::ConnectionsFailed, "tcp", failed[0]);
    turn.record(Quantity::ConnectionsFailed, "udp", failed[1]);
    forget_flows(turn.stage)?;
    together(troubles)
}

/// The first, the middle and the last Service of a protocol; three times the same one if there is only one. Probes are
/// left out: like should be measured with like.
fn targets(turn: &Turn<'_>, protocol: Protocol) -> Result<Vec<Target>, Error> {
    let regular = turn.world.size().regular();
    let order = turn.contestant.order()?.unwrap_or_else(|| (0..regular).collect());
    let services = order.into_iter().filter(|number| *number < regular);
    let services = services.filter_map(|number| turn.world.service(number));
    let services: Vec<Service> = services.filter(|service| service.protocol == protocol).collect();
    let last = services.len().checked_sub(1).ok_or("no Service is served")?;
    let places = [("first", 0), ("middle", last / 2), ("last", last)];
    let targets = places.map(|(place, number)| {
        let service = &services[number];
        let name = format!("{}, {place} Service", protocol.as_str().to_lowercase());
        let to = turn.contestant.frontend(service);
        Target { name, protocol, to, endpoints: service.endpoints.clone() }
    });
    Ok(targets.into())
}

/// How many flows there may be: no more than half of the kernel's limit.
fn flows() -> u16 {
    let limit = std::fs::read_to_string(LIMIT).ok().and_then(|text| text.trim().parse::<u64>().ok());
    // 0 is no limit.
    let limit = limit.filter(|limit| *limit > 0).unwrap_or(u64::MAX);
    u16::try_from(limit / 2).unwrap_or(FLOWS).min(FLOWS)
}

fn first_packets(
    turn: &mut Turn<'_>,
    client: &ClientThread,
    target: &Target,
    flows: u16,
) -> Result<(), Error> {
    let (to, time) = (target.to, turn.effort.budget / PARTS);
    let mut arrived = Ok(());
    for _ in 0..TRIES {
        forget_flows(turn.stage)?;
        let before = turn.stage.unanswered()?;
        let sent = client.begin(move || first_packet::send(to, flows, time)).wait()??;
        arrived = first_packet::arrived(turn.stage, before, sent.count);
        if arrived.is_ok() {
            for (quantity, hundredths) in [(Quantity::FirstPacketP50, 50), (Quantity::FirstPacketP99, 99)] {
                if let Some(time) = percentile(&sent.times, hundredths) {
                    turn.record(quantity, &target.name, time);
                }
            }
            break;
        }
    }
    arrived
}

/// Returns how many failed.
fn new_connections(
    turn: &mut Turn<'_>,
    client: &ClientThread,
    target: &Target,
    flows: u16,
) -> Result<f64, Error> {
    forget_flows(turn.stage)?;
    let (protocol, to, endpoints) = (target.protocol, target.to, target.endpoints.clone());
    let time = turn.effort.budget / PARTS;
    let made = client.begin(move || connections::make(protocol, to, &endpoints, flows, time)).wait()?;
    if made.answered > 0 {
        turn.record(Quantity::Connections, &target.name, f64::from(made.answered) / made.took.as_secs_f64());
    }
    Ok(f64::from(made.failed))
}

fn throughput(turn: &mut Turn<'_>, client: &ClientThread, target: &Target) -> Result<(), Error> {
    let (to, patience) = (target.to, turn.effort.patience);
    let time = (turn.effort.budget / PARTS).max(SHORTEST);
    client.begin(move || send_for(to, time / 5, patience)).wait()??;
    let (bytes, took) = client.begin(move || send_for(to, time, patience)).wait()??;
    turn.record(Quantity::Throughput, "", bytes as f64 * 8.0 / took.as_secs_f64());
    Ok(())
}
