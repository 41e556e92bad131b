//! A client of health checks and metrics, as plain as those of load balancers: one question, one answer, and
//! HTTP/1.0, so that no body comes in chunks.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::netns::Netns;
use crate::pace;

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// the status code
    pub status: u16,
    /// names in lower case
    pub headers: Vec<(String, String)>,
    /// the rest
    pub body: String,
}

impl Response {
    /// A header by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn parse(text: &str) -> Option<Response> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        Some(Response { status, headers: lines.filter_map(header).collect(), body: body.to_owned() })
    }
}

/// Asks once, from a namespace.
///
/// # Errors
/// Why there was no answer.
pub fn get(netns: &Netns, address: SocketAddr, path: &str) -> io::Result<Response> {
    let text = netns.run(|| {
        let mut stream = TcpStream::connect_timeout(&address, pace::limit(PATIENCE))?;
        stream.set_read_timeout(Some(pace::limit(PATIENCE)))?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok::<_, io::Error>(text)
    })?;
    Response::parse(&text).ok_or_else(|| io::Error::other(format!("not HTTP: {text:?}")))
}

/// Asks again and again until the answer is as wanted.
///
/// # Panics
/// When it does not become so in time.
pub fn becomes(
    netns: &Netns,
    address: SocketAddr,
    path: &str,
    wanted: impl Fn(&Response) -> bool,
) -> Response {
    let deadline = Instant::now() + pace::limit(PATIENCE);
    loop {
        let answer = get(netns, address, path);
        match answer {
            Ok(answer) if wanted(&answer) => return answer,
            other => assert!(Instant::now() < deadline, "{address}{path} says {other:?}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until nobody listens at an address.
///
/// # Panics
/// When somebody still does after a while.
pub fn closes(netns: &Netns, address: SocketAddr) {
    let deadline = Instant::now() + pace::limit(PATIENCE);
    while get(netns, address, "/").is_ok() {
        assert!(Instant::now() < deadline, "{address} still answers");
        std::thread::sleep(Duration::from_millis(20));
    }
}
