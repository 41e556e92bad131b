//! A UDP flow: datagrams from one port to one frontend, which conntrack takes for one connection for as long as
//! they go on.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::case::From;
use crate::echo::Answer;
use crate::pace;
use crate::plan::{self, Family};
use crate::probe::{next_port, source_towards};
use crate::scenario::Scenario;

/// How long an answer may take before it is taken for silence; it is there within a millisecond.
const SILENCE: Duration = Duration::from_millis(300);
/// The same, where there must be one.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a flow may take to fare otherwise before a test fails; usually it is milliseconds.
const CHANGING: Duration = Duration::from_secs(20);

/// What became of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// an answer of this backend
    From(SocketAddr),
    /// an ICMP error
    Refused,
    /// nothing
    Silence,
}

/// The flow.
#[derive(Debug)]
pub struct Flow {
    socket: UdpSocket,
    name: String,
}

impl Flow {
    /// Opens one, from where `from` is to an address of the plan; nothing is sent yet.
    ///
    /// # Panics
    /// When the source port is in use.
    pub fn open(scenario: &Scenario, from: From, family: Family, to: &str) -> Flow {
        let to = plan::socket(family, to);
        let socket = scenario.topology().of(from.host()).run(|| {
            let source = from.address(family).map_or_else(|| source_towards(to.ip()), Ok).expect("a route");
            let socket = UdpSocket::bind((source, next_port())).expect("a free port");
            socket.connect(to).expect("a route");
            socket
        });
        Flow { socket, name: format!("{from:?} -> {to}") }
    }

    /// Sends a datagram and waits for what comes of it.
    ///
    /// # Panics
    /// When it cannot be sent for another reason than the rules.
    pub fn ask(&self) -> Heard {
        self.ask_for(pace::limit(SILENCE))
    }

    fn ask_for(&self, patience: Duration) -> Heard {
        self.socket.set_read_timeout(Some(patience)).expect("a timeout");
        self.forget_the_past();
        if let Err(error) = self.socket.send(b"who are you?") {
            let by_rules = matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::PermissionDenied);
            assert!(by_rules, "{}: {error}", self.name);
            return Heard::Refused;
        }
        let mut text = [0; 256];
        match self.socket.recv(&mut text) {
            Ok(length) => Heard::From(Answer::parse(&text[..length]).expect("an answer").server),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Heard::Refused,
            Err(_) => Heard::Silence,
        }
    }

    /// Goes on asking until it hears `expected`, within seconds.
    ///
    /// # Panics
    /// When it does not.
    pub fn comes_to(&self, scenario: &Scenario, expected: Heard) {
        let deadline = Instant::now() + pace::limit(CHANGING);
        loop {
            let heard = self.ask();
            if heard == expected {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{} hears {heard:?} and not {expected:?}\n{}",
                self.name,
                scenario.files().log()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Asks once.
    ///
    /// # Panics
    /// When it does not hear `expected`.
    pub fn hears(&self, expected: Heard) {
        assert_eq!(self.ask_for(pace::limit(PATIENCE)), expected, "{}", self.name);
    }

    /// Late answers to earlier datagrams, and errors about them, are none to the next.
    fn forget_the_past(&self) {
        self.socket.set_nonblocking(true).expect("nonblocking");
        let mut text = [0; 256];
        while !matches!(self.socket.recv(&mut text), Err(error) if error.kind() == ErrorKind::WouldBlock) {}
        self.socket.set_nonblocking(false).expect("blocking");
    }
}
