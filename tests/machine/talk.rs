//! Servers in network namespaces, and conversations with them.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, setns};
use socket2::{Domain, SockRef, Socket, Type};

/// How long an answer may take; one that is lost never comes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Moves the calling thread into a network namespace that `ip netns add` made.
pub fn enter(netns: &str) {
    let file = File::open(format!("/run/netns/{netns}")).expect("a network namespace");
    setns(file, CloneFlags::CLONE_NEWNET).expect("entering it");
}

/// Runs `work` in a network namespace, on a thread of its own.
pub fn within<T: Send>(netns: &str, work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let entered = || {
            enter(netns);
            work()
        };
        scope.spawn(entered).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Has a server in a namespace answer every line with the namespace's name and the client's address, in both
/// families, for as long as the program runs.
pub fn serve(netns: &'static str, port: u16) {
    let listener = within(netns, || TcpListener::bind(("::", port)).expect("listening"));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(netns, stream));
        }
    });
}

fn answer(name: &str, stream: TcpStream) -> Option<()> {
    let peer = stream.peer_addr().ok()?.ip().to_canonical();
    let mut writer = stream.try_clone().ok()?;
    for line in BufReader::new(stream).lines() {
        writeln!(writer, "{name} {peer} {}", line.ok()?).ok()?;
    }
    Some(())
}

/// A port that nobody has used before. IPVS cannot tell the answers of two connections apart that come from one port, go
/// to two addresses, and get the same real server; a client chooses its ports by address.
fn own_port(to: &SocketAddr) -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(11_000);
    let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    SocketAddr::new(any, NEXT.fetch_add(1, Ordering::Relaxed))
}

fn connect(to: &SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(*to), Type::STREAM, None)?;
    socket.bind(&own_port(to).into())?;
    socket.connect_timeout(&(*to).into(), PATIENCE)?;
    Ok(socket.into())
}

/// A connection that is open.
#[derive(Debug)]
pub struct Talk {
    stream: TcpStream,
    answers: BufReader<TcpStream>,
    words: usize,
}

impl Talk {
    /// Opens one from a namespace.
    pub fn open(netns: &str, to: &str) -> Talk {
        within(netns, || Talk::open_here(to))
    }

    /// Opens one from the thread's own namespace.
    pub fn open_here(to: &str) -> Talk {
        let to: SocketAddr = to.parse().expect("an address and a port");
        let stream = connect(&to).unwrap_or_else(|error| panic!("cannot connect to {to}: {error}"));
        stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
        let answers = BufReader::new(stream.try_clone().expect("the same socket"));
        Talk { stream, answers, words: 0 }
    }

    /// Says something; who answered, and whom it sees as the client.
    pub fn go_on(&mut self) -> (String, IpAddr) {
        self.words += 1;
        let said = writeln!(self.stream, "{}", self.words);
        said.unwrap_or_else(|error| panic!("{:?} does not send: {error}", self.stream));
        let mut answer = String::new();
        let heard = self.answers.read_line(&mut answer);
        heard.unwrap_or_else(|error| panic!("{:?} has no answer: {error}", self.stream));
        let mut words = answer.split_whitespace();
        let mut word = || words.next().unwrap_or_else(|| panic!("half an answer: {answer:?}")).to_owned();
        let (name, peer, echo) = (word(), word(), word());
        assert_eq!(echo, self.words.to_string());
        (name, peer.parse().expect("an address"))
    }

    /// Says something, and waits for an answer or for what becomes of it.
    pub fn say(&mut self) -> std::io::Result<String> {
        writeln!(self.stream, "anybody there")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        Ok(answer)
    }

    /// Ends it by a reset: it leaves nothing in TIME_WAIT.
    pub fn reset(self) {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).expect("no lingering");
    }
}

/// Has a server in a namespace answer every datagram with the namespace's name, in both families.
pub fn serve_datagrams(netns: &'static str, port: u16) {
    let socket = within(netns, || UdpSocket::bind(("::", port)).expect("a socket"));
    thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
            let words = format!("{netns} {}", String::from_utf8_lossy(&buffer[..length]));
            let _ = socket.send_to(words.as_bytes(), peer);
        }
    });
}

/// Datagrams from one port to another.
#[derive(Debug)]
pub struct Flow {
    socket: UdpSocket,
    words: usize,
}

impl Flow {
    /// Begins one from a namespace.
    pub fn begin(netns: &str, to: &str) -> Flow {
        within(netns, || Flow::begin_here(to))
    }

    /// Begins one from the thread's own namespace.
    pub fn begin_here(to: &str) -> Flow {
        let to: SocketAddr = to.parse().expect("an address and a port");
        let socket = UdpSocket::bind(own_port(&to)).expect("a socket");
        socket.connect(to).unwrap_or_else(|error| panic!("to {to}: {error}"));
        socket.set_read_timeout(Some(PATIENCE)).expect("a time limit");
        Flow { socket, words: 0 }
    }

    /// Says something; who answered.
    pub fn go_on(&mut self) -> String {
        self.words += 1;
        let word = self.words.to_string();
        self.socket.send(word.as_bytes()).expect("sending");
        let mut buffer = [0; 64];
        let length = self.socket.recv(&mut buffer).expect("an answer");
        let answer = String::from_utf8_lossy(&buffer[..length]).into_owned();
        let (name, echo) = answer.split_once(' ').unwrap_or_else(|| panic!("half an answer: {answer:?}"));
        assert_eq!(echo, word);
        name.to_owned()
    }
}
