//! A container with a systemd in it (`scripts/systemd.sh`), and what a test does there.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::network::Network;

/// How long anything may take, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// Tries until it succeeds; what stood in the way last is told.
pub fn in_time<T>(what: &str, mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match attempt() {
            Ok(result) => return result,
            Err(why) => assert!(Instant::now() < deadline, "not in time: {what}: {why}"),
        }
        sleep(Duration::from_millis(100));
    }
}

/// One that runs, until it is dropped.
pub struct Container {
    script: Child,
    /// systemd's, as this machine counts
    pid: String,
}

impl Drop for Container {
    fn drop(&mut self) {
        // It lives as long as its standard input.
        drop(self.script.stdin.take());
        let _ = self.script.wait();
    }
}

impl Container {
    /// Boots it. What is in the directory is in its folder /job.
    pub fn boot(directory: &Path) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/systemd.sh");
        let mut child =
            Command::new(script).arg(directory).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "{script} could not start a container: see above");
        let outer = line.trim().to_owned();
        let mut container = Container { script: child, pid: String::new() };
        in_time("a container is up", || {
            let log = || fs::read_to_string(directory.join("log")).unwrap_or_default();
            let children = fs::read_to_string(format!("/proc/{outer}/task/{outer}/children"));
            container.pid = children.unwrap_or_default().trim().to_owned();
            let is_up = !container.pid.is_empty() && container.attempt("systemctl is-active basic.target").0;
            if is_up { Ok(()) } else { Err(log()) }
        });
        container
    }

    fn attempt(&self, line: &str) -> (bool, String) {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.pid, "--all", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]);
        let output = command.args(["DEBIAN_FRONTEND=noninteractive", "sh", "-c", line]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        match output.status.success() {
            true => (true, text),
            false => (false, text + &String::from_utf8_lossy(&output.stderr)),
        }
    }

    /// What a line of shell prints there; it has to succeed.
    pub fn run(&self, line: &str) -> String {
        let (is_well, text) = self.attempt(line);
        assert!(is_well, "{line}: {text}");
        text
    }

    /// It has not to.
    pub fn fails(&self, line: &str) {
        let (is_well, text) = self.attempt(line);
        assert!(!is_well, "{line}: {text}");
    }

    /// Properties of the service.
    pub fn show(&self, properties: &[&str]) -> Vec<String> {
        let value =
            |name: &&str| self.run(&format!("systemctl show -P {name} kube-verdict")).trim().to_owned();
        properties.iter().map(value).collect()
    }

    /// Its network.
    pub fn network(&self) -> Network {
        Network::open(&format!("/proc/{}/ns/net", self.pid))
    }

    /// One that `ip netns add` made there.
    pub fn named_network(&self, name: &str) -> Network {
        Network::open(&format!("/proc/{}/root/run/netns/{name}", self.pid))
    }

    fn connect(&self, address: &str) -> std::io::Result<TcpStream> {
        let address = address.parse().unwrap();
        self.network().run(|| TcpStream::connect_timeout(&address, Duration::from_secs(2)))
    }

    /// A connection that works.
    pub fn connected(&self, address: &str) -> Connection {
        let stream = in_time(address, || self.connect(address).map_err(|error| error.to_string()));
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut connection = Connection(stream);
        connection.echoes();
        connection
    }

    /// Nobody serves there.
    pub fn refused(&self, address: &str) {
        let refused = self.connect(address).map_err(|error| error.kind());
        assert!(matches!(refused, Err(ErrorKind::ConnectionRefused | ErrorKind::TimedOut)), "{refused:?}");
    }

    /// What a server of pages answers.
    pub fn get(&self, address: &str, path: &str) -> String {
        let mut stream = self.connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

/// A connection through a service.
pub struct Connection(TcpStream);

impl Connection {
    /// It still leads to the backend.
    pub fn echoes(&mut self) {
        self.0.write_all(b"hello").unwrap();
        let mut back = [0; 5];
        self.0.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"hello");
    }
}
