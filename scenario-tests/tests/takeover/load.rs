//! Clients that never rest: new connections one after the other, and established ones that go on talking, while
//! somebody changes the rules beneath them.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use kube_verdict_scenario_tests::conversation::Conversation;
use kube_verdict_scenario_tests::echo::Answer;
use kube_verdict_scenario_tests::prelude::*;
use kube_verdict_scenario_tests::topology::Host;
use socket2::{Domain, Socket, Type};

/// Who talks to which Service by which frontend: TCP and UDP.
const WAYS: [(From, &str, &str); 3] = [
    (From::PodB, "10.96.0.10:80", "10.96.0.11:53"),
    (From::Node, "10.96.0.10:80", "10.96.0.11:53"),
    (From::Client, "node:30080", "node:30053"),
];
/// How long an answer may take; a packet that is lost is never answered.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two connections of a client, or two words of a conversation.
const PAUSE: Duration = Duration::from_millis(2);

/// What happened.
#[derive(Debug, Default)]
struct Tally {
    stop: AtomicBool,
    new: AtomicU64,
    words: AtomicU64,
    failures: Mutex<Vec<String>>,
}

/// The clients at work.
pub struct Load {
    tally: Arc<Tally>,
    new: Vec<JoinHandle<()>>,
    established: Vec<JoinHandle<()>>,
    repeated: u64,
}

impl Load {
    /// Opens the conversations and lets everybody go.
    pub fn start(scenario: &Scenario) -> Load {
        let tally = Arc::<Tally>::default();
        let mut load = Load {
            tally: Arc::clone(&tally),
            new: vec![],
            established: vec![],
            repeated: repeated(scenario),
        };
        for (from, tcp, udp) in WAYS {
            for family in Family::BOTH {
                let netns = || scenario.topology().of(from.host()).share();
                let source = from.address(family);
                let (tcp_to, udp_to) = (plan::socket(family, tcp), plan::socket(family, udp));
                let conversation = Conversation::open(scenario, from, family, tcp);
                let talk = netns().run(|| udp_socket(source, udp_to).expect("a socket"));
                load.established.push(converse(&tally, conversation));
                load.established.push(exchange(&tally, talk));
                load.new.push(again_and_again(&tally, netns(), move || tcp_once(source, tcp_to)));
                load.new.push(again_and_again(&tally, netns(), move || udp_once(source, udp_to)));
            }
        }
        load
    }

    /// New connections so far.
    pub fn new_connections(&self) -> u64 {
        self.tally.new.load(Ordering::Relaxed)
    }

    /// Waits until everybody has opened some more.
    pub fn goes_on(&self) {
        let enough = self.new_connections() + 50 * self.new.len() as u64;
        while self.new_connections() < enough && self.tally.failures.lock().expect("failures").is_empty() {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends it. A line of figures, and what failed.
    pub fn end(self, scenario: &Scenario) -> (String, Vec<String>) {
        self.tally.stop.store(true, Ordering::Relaxed);
        let conversations = self.established.len();
        let broken = self.established.into_iter().map(JoinHandle::join).filter(Result::is_err).count();
        let died = self.new.into_iter().map(JoinHandle::join).filter(Result::is_err).count();
        let mut failures = std::mem::take(&mut *self.tally.failures.lock().expect("failures"));
        let figures = format!(
            "{} new connections, {} failed; {conversations} established ones, {broken} broken, {} words; {} SYNs repeated",
            self.tally.new.load(Ordering::Relaxed),
            failures.len(),
            self.tally.words.load(Ordering::Relaxed),
            repeated(scenario) - self.repeated,
        );
        failures.extend((0..broken).map(|_| "an established connection broke".to_owned()));
        failures.extend((0..died).map(|_| "a client died".to_owned()));
        (figures, failures)
    }
}

/// One new connection after the other.
fn again_and_again(
    tally: &Arc<Tally>,
    netns: kube_verdict_scenario_tests::netns::Netns,
    once: impl Fn() -> Result<Answer, String> + Send + 'static,
) -> JoinHandle<()> {
    let tally = Arc::clone(tally);
    std::thread::spawn(move || {
        netns.enter();
        let backends: BTreeSet<IpAddr> = Family::BOTH
            .into_iter()
            .flat_map(|family| ["pod-a", "pod-b", "pod-c"].map(|pod| plan::ip(family, pod)))
            .collect();
        while !tally.stop.load(Ordering::Relaxed) {
            let failure = match once() {
                Ok(answer) if backends.contains(&answer.server.ip()) => None,
                Ok(answer) => Some(format!("{answer:?}: who is that?")),
                Err(failure) => Some(failure),
            };
            tally.new.fetch_add(1, Ordering::Relaxed);
            tally.failures.lock().expect("failures").extend(failure);
            std::thread::sleep(PAUSE);
        }
    })
}

fn tcp_once(source: Option<IpAddr>, to: SocketAddr) -> Result<Answer, String> {
    let failed = |error: std::io::Error| format!("TCP to {to}: {error}");
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).map_err(failed)?;
    if let Some(source) = source {
        socket.bind(&SocketAddr::new(source, 0).into()).map_err(failed)?;
    }
    // No TIME_WAIT: ports are free for the next.
    socket.set_linger(Some(Duration::ZERO)).map_err(failed)?;
    socket.connect_timeout(&to.into(), PATIENCE).map_err(failed)?;
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    let mut text = [0; 256];
    let length = stream.read(&mut text).map_err(failed)?;
    Answer::parse(&text[..length]).ok_or_else(|| format!("TCP to {to}: no greeting"))
}

fn udp_socket(source: Option<IpAddr>, to: SocketAddr) -> std::io::Result<UdpSocket> {
    let any: IpAddr = if to.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    let socket = UdpSocket::bind(SocketAddr::new(source.unwrap_or(any), 0))?;
    socket.connect(to)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

fn udp_once(source: Option<IpAddr>, to: SocketAddr) -> Result<Answer, String> {
    udp_socket(source, to).and_then(|socket| ask(&socket)).map_err(|error| format!("UDP to {to}: {error}"))
}

fn ask(socket: &UdpSocket) -> std::io::Result<Answer> {
    socket.send(b"who?")?;
    let mut text = [0; 256];
    let length = socket.recv(&mut text)?;
    Answer::parse(&text[..length]).ok_or_else(|| std::io::ErrorKind::InvalidData.into())
}

fn converse(tally: &Arc<Tally>, mut conversation: Conversation) -> JoinHandle<()> {
    let tally = Arc::clone(tally);
    std::thread::spawn(move || {
        while !tally.stop.load(Ordering::Relaxed) {
            conversation.still_lives();
            tally.words.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(PAUSE);
        }
    })
}

fn exchange(tally: &Arc<Tally>, socket: UdpSocket) -> JoinHandle<()> {
    let tally = Arc::clone(tally);
    std::thread::spawn(move || {
        let first = ask(&socket).expect("an answer");
        while !tally.stop.load(Ordering::Relaxed) {
            assert_eq!(ask(&socket).expect("an answer"), first, "another backend, or another client");
            tally.words.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(PAUSE);
        }
    })
}

/// TCPSynRetrans of all namespaces: how often somebody waited a second for an answer to the first packet. (It
/// may have been the machine that made it wait.)
fn repeated(scenario: &Scenario) -> u64 {
    let of = |host| scenario.topology().of(host).run(|| fs::read_to_string("/proc/thread-self/net/netstat"));
    Host::ALL
        .into_iter()
        .map(|host| {
            let text = of(host).expect("netstat");
            let mut lines =
                text.lines().filter(|line| line.starts_with("TcpExt:")).map(str::split_whitespace);
            let (names, values) = (lines.next().expect("names"), lines.next().expect("values"));
            let found = names.zip(values).find(|(name, _)| *name == "TCPSynRetrans");
            found.and_then(|(_, value)| value.parse::<u64>().ok()).expect("TCPSynRetrans")
        })
        .sum()
}
