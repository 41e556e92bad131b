//! Clients at a given pace: so many new connections a second whatever happens, and others that keep the ones that they
//! have. What fails is counted, never excused: no attempt is repeated, and a datagram that is lost is not answered.
//! Only TCP itself sends a first packet again, which the kernel counts.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::network::Network;

/// How long an answer may take: what is lost never comes.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two words of a connection that lasts.
const PAUSE: Duration = Duration::from_millis(5);
/// Threads of each way that open new connections.
const CLIENTS: u32 = 2;
/// Failures that are told; all are counted.
const TOLD: usize = 20;

/// By which protocol.
#[derive(Clone, Copy, Debug)]
pub enum Protocol {
    /// A connection that the server greets.
    Tcp,
    /// A question and its answer.
    Udp,
}

/// From where to which frontend.
#[derive(Debug)]
pub struct Way {
    pub network: Network,
    pub protocol: Protocol,
    /// where new connections are opened
    pub new: SocketAddr,
    /// where they last
    pub lasting: SocketAddr,
}

#[derive(Debug, Default)]
struct Tally {
    stop: AtomicBool,
    opened: AtomicU64,
    failed: AtomicU64,
    words: AtomicU64,
    broken: AtomicU64,
    complaints: Mutex<Vec<String>>,
    servers: Mutex<BTreeSet<String>>,
}

impl Tally {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    fn complain(&self, counter: &AtomicU64, complaint: String) {
        counter.fetch_add(1, Ordering::Relaxed);
        let mut complaints = self.complaints.lock().unwrap();
        if complaints.len() < TOLD {
            complaints.push(complaint);
        }
    }
}

/// The clients at work.
pub struct Load {
    tally: Arc<Tally>,
    threads: Vec<JoinHandle<()>>,
    lasting: usize,
    started: Instant,
}

impl Load {
    /// Lets everybody go, `pace` new connections a second in all, evenly over the ways.
    pub fn start(ways: &[Way], pace: u32) -> Load {
        let tally = Arc::<Tally>::default();
        let clients = CLIENTS * ways.len() as u32;
        let interval = Duration::from_secs(1) * clients / pace;
        let mut threads = Vec::new();
        // Whoever lasts is there before anything happens.
        for way in ways {
            threads.push(way.network.run(|| last(&tally, way)));
        }
        for client in 0..clients {
            let way = &ways[client as usize % ways.len()];
            let first = Instant::now() + interval * client / clients;
            threads.push(again_and_again(&tally, way, first, interval));
        }
        Load { tally, threads, lasting: ways.len(), started: Instant::now() }
    }

    /// Connections that failed or broke so far.
    pub fn failures(&self) -> u64 {
        self.tally.failed.load(Ordering::Relaxed) + self.tally.broken.load(Ordering::Relaxed)
    }

    /// Who served since the last time that somebody asked.
    pub fn servers(&self) -> BTreeSet<String> {
        std::mem::take(&mut self.tally.servers.lock().unwrap())
    }

    /// Ends it.
    pub fn end(self) -> Figures {
        let time = self.started.elapsed();
        self.tally.stop.store(true, Ordering::Relaxed);
        let died = self.threads.into_iter().map(JoinHandle::join).filter(Result::is_err).count();
        assert_eq!(died, 0, "clients died");
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Figures {
            time,
            opened: count(&self.tally.opened),
            failed: count(&self.tally.failed),
            lasting: self.lasting,
            broken: count(&self.tally.broken),
            words: count(&self.tally.words),
            complaints: std::mem::take(&mut self.tally.complaints.lock().unwrap()),
        }
    }
}

/// What happened.
#[derive(Debug)]
pub struct Figures {
    time: Duration,
    opened: u64,
    pub failed: u64,
    lasting: usize,
    pub broken: u64,
    words: u64,
    pub complaints: Vec<String>,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { time, opened, failed, lasting, broken, words, .. } = self;
        let pace = *opened as f64 / time.as_secs_f64();
        write!(
            f,
            "{:.0} s: {opened} new connections, {pace:.0} a second, {failed} failed; \
             {lasting} that last, {broken} broken, {words} words",
            time.as_secs_f64()
        )
    }
}

/// New connections when they are due, not when the last one has ended: who waits makes up for it.
fn again_and_again(tally: &Arc<Tally>, way: &Way, first: Instant, interval: Duration) -> JoinHandle<()> {
    let (tally, network, protocol, to) = (Arc::clone(tally), way.network.clone(), way.protocol, way.new);
    thread::spawn(move || {
        network.enter();
        let mut due = first;
        while tally.goes_on() {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            due += interval;
            let answer = match protocol {
                Protocol::Tcp => greeted(to),
                Protocol::Udp => flow(to).and_then(|socket| ask(&socket)),
            };
            tally.opened.fetch_add(1, Ordering::Relaxed);
            match answer {
                Ok(server) => drop(tally.servers.lock().unwrap().insert(server)),
                Err(error) => tally.complain(&tally.failed, format!("{protocol:?} to {to}: {error}")),
            }
        }
    })
}

/// A connection that has to live until the end, with the same server.
fn last(tally: &Arc<Tally>, way: &Way) -> JoinHandle<()> {
    let (tally, protocol, to) = (Arc::clone(tally), way.protocol, way.lasting);
    let mut go_on: Box<dyn FnMut() -> io::Result<bool> + Send> = match protocol {
        Protocol::Tcp => {
            let mut stream = connect(to).unwrap();
            Box::new(move || {
                stream.write_all(b"hello")?;
                let mut back = [0; 5];
                stream.read_exact(&mut back)?;
                Ok(&back == b"hello")
            })
        }
        Protocol::Udp => {
            let socket = flow(to).unwrap();
            let first = ask(&socket).unwrap();
            Box::new(move || Ok(ask(&socket)? == first))
        }
    };
    thread::spawn(move || {
        while tally.goes_on() {
            match go_on() {
                Ok(true) => tally.words.fetch_add(1, Ordering::Relaxed),
                Ok(false) => {
                    return tally.complain(&tally.broken, format!("{protocol:?} to {to}: another answer"));
                }
                Err(error) => {
                    return tally.complain(&tally.broken, format!("{protocol:?} to {to} broke: {error}"));
                }
            };
            thread::sleep(PAUSE);
        }
    })
}

fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    // It ends by a reset: nothing lingers, and ports are free for the next.
    socket.set_linger(Some(Duration::ZERO))?;
    socket.connect_timeout(&to.into(), PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket.into())
}

fn greeted(to: SocketAddr) -> io::Result<String> {
    let mut greeting = String::new();
    // The server ends its side behind the greeting.
    connect(to)?.read_to_string(&mut greeting)?;
    if greeting.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(greeting) }
}

fn flow(to: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = if to.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(to)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

fn ask(socket: &UdpSocket) -> io::Result<String> {
    socket.send(b"who?")?;
    let mut text = [0; 64];
    let length = socket.recv(&mut text)?;
    Ok(String::from_utf8_lossy(&text[..length]).into_owned())
}
