//! An established TCP connection through a Service, which can be asked whether it still lives.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use crate::case::From;
use crate::echo::Answer;
use crate::pace;
use crate::plan::{self, Family};
use crate::scenario::Scenario;

/// The connection.
#[derive(Debug)]
pub struct Conversation {
    stream: TcpStream,
    backend: SocketAddr,
}

impl Conversation {
    /// Opens one from where `from` is, to a frontend of the plan.
    ///
    /// # Panics
    /// When nobody answers.
    pub fn open(scenario: &Scenario, from: From, family: Family, to: &str) -> Conversation {
        let to = plan::socket(family, to);
        let stream = scenario.topology().of(from.host()).run(|| {
            connect(from.address(family), to)
                .unwrap_or_else(|e| panic!("{from:?} cannot connect to {to}: {e}"))
        });
        stream.set_read_timeout(Some(pace::limit(Duration::from_secs(20)))).expect("a timeout");
        let mut conversation = Conversation { stream, backend: to };
        conversation.backend = conversation.listen().expect("a greeting").server;
        conversation
    }

    /// Who answers at the other end.
    pub fn backend(&self) -> SocketAddr {
        self.backend
    }

    /// Says something and waits for the answer of the same backend.
    ///
    /// # Panics
    /// When the connection is dead.
    pub fn still_lives(&mut self) {
        self.stream.write_all(b"still there?\n").expect("writing to an established connection");
        let answer = self.listen();
        let (from, to) = (self.stream.local_addr(), self.stream.peer_addr());
        let answer = answer.unwrap_or_else(|e| panic!("{from:?} -> {to:?} ({}) is dead: {e}", self.backend));
        assert_eq!(answer.server, self.backend);
    }

    /// Says something although it should be over.
    ///
    /// # Panics
    /// When the answer is not a reset: if there is one at all, or only silence.
    pub fn is_reset(mut self) {
        // The first words may still go out; what comes back is the reset.
        let outcome = self.stream.write_all(b"still there?\n").and_then(|()| self.listen());
        let from = self.stream.local_addr();
        match outcome {
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {}
            other => panic!("{from:?} -> {} should be reset, and there is {other:?}", self.backend),
        }
    }

    /// Ends it by a reset: who keeps books of connections forgets it soon.
    pub fn reset(self) {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).expect("no lingering");
    }

    fn listen(&mut self) -> io::Result<Answer> {
        let mut text = [0u8; 256];
        let length = self.stream.read(&mut text)?;
        Answer::parse(&text[..length]).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

fn connect(source: Option<IpAddr>, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    if let Some(source) = source {
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    socket.connect_timeout(&to.into(), pace::limit(Duration::from_secs(5)))?;
    Ok(socket.into())
}
