//! An HTTP server that answers as a test wants it: well, badly, endlessly or never. A thread for each connection, and a
//! connection for each request.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// A question, and what may be needed to answer it.
pub struct Request {
    pub path: String,
    pub query: String,
    stopped: Arc<AtomicBool>,
}

impl Request {
    /// Whether it is about objects of a kind, as URLs spell it.
    pub fn is_about(&self, plural: &str) -> bool {
        self.path.ends_with(plural)
    }

    /// Whether the list is wanted, and not what happened since.
    pub fn wants_list(&self) -> bool {
        self.query.contains("sendInitialEvents=true")
    }

    /// Holds the connection until the server stops.
    pub fn hold(&self) -> io::Result<()> {
        while !self.stopped.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// As an API server answers that has these objects and of which nothing changes.
    pub fn serve(&self, stream: &mut TcpStream, objects: &[Value]) -> io::Result<()> {
        self.begin(stream)?;
        if self.wants_list() {
            for object in objects {
                write_event(stream, "ADDED", object)?;
            }
            self.end_list(stream)?;
        }
        self.hold()
    }

    /// The beginning of a good answer without an end.
    pub fn begin(&self, stream: &mut TcpStream) -> io::Result<()> {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    }

    /// The list is complete.
    pub fn end_list(&self, stream: &mut TcpStream) -> io::Result<()> {
        let bookmark = json!({ "kind": "Any", "apiVersion": "v1", "metadata": {
            "resourceVersion": "9", "annotations": { "k8s.io/initial-events-end": "true" } } });
        write_event(stream, "BOOKMARK", &bookmark)
    }
}

/// An event of a watch.
pub fn write_event(stream: &mut TcpStream, kind: &str, object: &Value) -> io::Result<()> {
    writeln!(stream, "{}", json!({ "type": kind, "object": object }))
}

/// A whole answer.
pub fn write_answer(stream: &mut TcpStream, status: &str, body: &str) -> io::Result<()> {
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

type Answer = dyn Fn(&Request, &mut TcpStream) -> io::Result<()> + Send + Sync;

/// The server. It stops when it is dropped.
pub struct Server {
    address: SocketAddr,
    answer: Arc<Mutex<Arc<Answer>>>,
    asked: Arc<Mutex<Vec<String>>>,
    stopped: Arc<AtomicBool>,
}

impl Server {
    /// Answers so.
    pub fn start(
        answer: impl Fn(&Request, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Server {
            address: listener.local_addr().unwrap(),
            answer: Arc::new(Mutex::new(Arc::new(answer))),
            asked: Arc::default(),
            stopped: Arc::default(),
        };
        let (answer, asked, stopped) =
            (Arc::clone(&server.answer), Arc::clone(&server.asked), Arc::clone(&server.stopped));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let (answer, asked, stopped) =
                    (Arc::clone(&answer), Arc::clone(&asked), Arc::clone(&stopped));
                // Who hangs up on a hostile server is right to.
                thread::spawn(move || drop(talk(stream, &answer, &asked, stopped)));
            }
        });
        server
    }

    /// From now on it answers so.
    pub fn becomes(
        &self,
        answer: impl Fn(&Request, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) {
        *self.answer.lock().unwrap() = Arc::new(answer);
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // The listener looks up.
        let _ = TcpStream::connect(self.address);
    }
}

fn talk(
    mut stream: TcpStream,
    answer: &Mutex<Arc<Answer>>,
    asked: &Mutex<Vec<String>>,
    stopped: Arc<AtomicBool>,
) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let target = first.split(' ').nth(1).unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    asked.lock().unwrap().push(target.to_owned());
    let answer = Arc::clone(&answer.lock().unwrap());
    answer(&Request { path: path.into(), query: query.into(), stopped }, &mut stream)
}
