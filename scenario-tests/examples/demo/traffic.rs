//! Who connects to what: real TCP connections, each with a port and a socket of its own, to servers that answer
//! with who they are and whom they see.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kube_verdict_scenario_tests::echo::Answer;
use kube_verdict_scenario_tests::netns::Netns;
use socket2::{Domain, Socket, Type};

const PATIENCE: Duration = Duration::from_secs(2);

/// One connection, opened in the namespace of the calling thread, and the answer that it got.
pub fn connect(source: Option<IpAddr>, to: SocketAddr, patience: Duration) -> io::Result<Answer> {
    let mut socket = open(source, to, patience)?;
    listen(&mut socket)
}

fn open(source: Option<IpAddr>, to: SocketAddr, patience: Duration) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    if let Some(source) = source {
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    // Closing with a reset leaves no socket behind, so that ports do not run out.
    socket.set_linger(Some(Duration::ZERO))?;
    socket.set_read_timeout(Some(patience))?;
    socket.connect_timeout(&to.into(), patience)?;
    Ok(socket)
}

fn listen(socket: &mut Socket) -> io::Result<Answer> {
    let mut text = [0; 256];
    let length = socket.read(&mut text)?;
    Answer::parse(&text[..length]).ok_or_else(|| io::Error::other("the connection was closed"))
}

/// The answers to `count` connections from a place, one after the other.
pub fn connections(
    place: &Netns,
    source: Option<IpAddr>,
    to: SocketAddr,
    count: usize,
) -> Result<Vec<Answer>, String> {
    let answers = place.run(|| (0..count).map(|_| connect(source, to, PATIENCE)).collect::<io::Result<_>>());
    answers.map_err(|error| format!("a connection to {to} failed: {error}"))
}

/// How many answers came from each server.
pub fn tally(answers: &[Answer]) -> BTreeMap<SocketAddr, usize> {
    let mut tally = BTreeMap::new();
    for answer in answers {
        *tally.entry(answer.server).or_default() += 1;
    }
    tally
}

/// A tally in one line.
pub fn in_words(tally: &BTreeMap<SocketAddr, usize>) -> String {
    let parts: Vec<String> = tally.iter().map(|(server, count)| format!("{count} × {server}")).collect();
    parts.join("   ")
}

/// A connection of a stream of them.
pub struct Connection {
    pub started: Instant,
    pub answer: Answer,
}

/// One connection after the other from a place until `done`, while `meanwhile` happens.
pub fn during<T>(
    place: &Netns,
    to: SocketAddr,
    meanwhile: impl FnOnce() -> T,
) -> Result<(Vec<Connection>, T), String> {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let stream = scope.spawn(|| place.run(|| stream(to, &done)));
        let result = meanwhile();
        done.store(true, Ordering::Relaxed);
        let connections = stream.join().map_err(|_| "the client broke".to_owned())?;
        let connections = connections.map_err(|error| format!("a connection to {to} failed: {error}"))?;
        Ok((connections, result))
    })
}

fn stream(to: SocketAddr, done: &AtomicBool) -> io::Result<Vec<Connection>> {
    let mut connections = Vec::new();
    while !done.load(Ordering::Relaxed) {
        let started = Instant::now();
        connections.push(Connection { started, answer: connect(None, to, PATIENCE)? });
    }
    Ok(connections)
}

/// A connection that stays open.
pub struct Conversation {
    socket: Socket,
    server: SocketAddr,
}

impl Conversation {
    /// One with a certain server, among those that a service spreads over.
    pub fn with(place: &Netns, to: SocketAddr, server: SocketAddr) -> Result<Conversation, String> {
        let one = || {
            let mut socket = place.run(|| open(None, to, PATIENCE))?;
            Ok((listen(&mut socket)?, socket))
        };
        for _ in 0..1000 {
            let (answer, socket) =
                one().map_err(|error: io::Error| format!("connecting to {to}: {error}"))?;
            if answer.server == server {
                return Ok(Conversation { socket, server });
            }
        }
        Err(format!("of 1000 connections to {to} none went to {server}"))
    }

    /// Says something, and is answered by the same server.
    pub fn still_lives(&mut self) -> Result<(), String> {
        let answer = self.socket.write_all(b"still there?").and_then(|()| listen(&mut self.socket));
        match answer {
            Ok(answer) if answer.server == self.server => Ok(()),
            Ok(answer) => Err(format!("the open connection is answered by {}", answer.server)),
            Err(error) => Err(format!("the open connection to {} broke: {error}", self.server)),
        }
    }
}
