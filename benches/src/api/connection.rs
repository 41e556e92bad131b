//! One connection: HTTP/1.1, question after question, until a watch or the other side ends it. Every answer is sent as
//! soon as it is there; a reader who does not read keeps his own thread waiting and nobody else.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::feed::{Feed, News};
use super::objects::Object;
use super::request::{self, Encoding, Refusal, Request, Watch};

/// How much of a request's head is read.
const HEAD: u64 = 16 << 10;
/// How large an Event may be.
const BODY: usize = 64 << 10;
/// How much of a watch is gathered before it is sent.
const CHUNK: usize = 256 << 10;
/// How long a quiet watch stays without a bookmark, if they are wanted; a real server's is about this.
const QUIET: Duration = Duration::from_secs(60);

/// A question as it came.
#[derive(Debug)]
struct Head {
    method: String,
    target: String,
    accept: String,
    content_type: String,
    length: usize,
}

/// Answers until the end of the connection.
pub fn serve(stream: TcpStream, feed: &Feed) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut output = stream.try_clone()?;
    let mut input = BufReader::new(stream);
    while let Some(head) = read_head(&mut input)? {
        let mut body = vec![0; head.length];
        input.read_exact(&mut body)?;
        let encoding = Encoding::of(&head.accept);
        let answer = match request::parse(&head.method, &head.target) {
            Ok(Request::List(kind)) => {
                let (objects, revision) = feed.look(|store| (store.list(kind), store.revision()));
                let list = encoding.list(kind, objects.iter().map(Arc::as_ref), revision);
                response(200, encoding.content_type(), &list)
            }
            Ok(Request::Get(kind, name)) => match feed.look(|store| store.get(kind, &name)) {
                Some(object) => response(200, encoding.content_type(), &encoding.object(&object)),
                None => refused(&Refusal { status: 404, message: format!("there is no {name:?}") }),
            },
            Ok(Request::Event) => response(201, &head.content_type, &body),
            Ok(Request::Watch(watch)) => {
                follow(&watch, encoding, feed, &mut output)?;
                continue;
            }
            Err(refusal) => {
                // A server may well not have a kind; what it does have, a real one would have told of.
                if refusal.status != 404 {
                    feed.refuse(|| format!("{} {}: {}", head.method, head.target, refusal.message));
                }
                refused(&refusal)
            }
        };
        output.write_all(&answer)?;
    }
    Ok(())
}

/// None: the connection is at its end.
fn read_head(input: &mut BufReader<TcpStream>) -> io::Result<Option<Head>> {
    let mut text = Vec::new();
    let mut limited = input.take(HEAD);
    while !text.ends_with(b"\r\n\r\n") {
        if limited.read_until(b'\n', &mut text)? == 0 {
            return if text.is_empty() { Ok(None) } else { Err(malformed("its head has no end")) };
        }
    }
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    request.parse(&text).map_err(|error| malformed(&error.to_string()))?;
    let header = |name: &str| {
        let found = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.map(|header| String::from_utf8_lossy(header.value).into_owned()).unwrap_or_default()
    };
    let length = match &*header("content-length") {
        "" => 0,
        length => length.parse().map_err(|_| malformed("its length is no number"))?,
    };
    if length > BODY || !header("transfer-encoding").is_empty() {
        return Err(malformed("its body is too large, or of unknown length"));
    }
    let (accept, content_type) = (header("accept"), header("content-type"));
    let method = request.method.unwrap_or_default().to_owned();
    let target = request.path.unwrap_or_default().to_owned();
    Ok(Some(Head { method, target, accept, content_type, length }))
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("a request cannot be read: {what}"))
}

fn response(status: u16, content_type: &str, body: &[u8]) -> Vec<u8> {
    let reason = if status < 300 { "OK" } else { "Refused" };
    let head = format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// A Status, always in JSON.
fn refused(refusal: &Refusal) -> Vec<u8> {
    response(refusal.status, Encoding::Json.content_type(), status(refusal).as_bytes())
}

fn status(refusal: &Refusal) -> String {
    let reason = match refusal.status {
        404 => "NotFound",
        405 => "MethodNotAllowed",
        410 => "Expired",
        _ => "BadRequest",
    };
    serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": refusal.message, "reason": reason, "code": refusal.status,
    })
    .to_string()
}

/// A watch, until its time is over or the server ends.
fn follow(watch: &Watch, encoding: Encoding, feed: &Feed, output: &mut impl Write) -> io::Result<()> {
    let ends = Instant::now() + watch.timeout;
    let kind = watch.kind;
    if let Some(revision) = watch.since
        && feed.look(|store| store.since(kind, revision).is_err())
    {
        return output.write_all(&refused(&gone()));
    }
    let mut frames = Frames { output, gathered: Vec::with_capacity(CHUNK) };
    frames.head(encoding)?;
    let mut revision = match watch.since {
        Some(revision) => revision,
        None => {
            let (objects, revision) = feed.look(|store| (store.list(kind), store.revision()));
            for object in &objects {
                frames.event(encoding, "ADDED", object)?;
            }
            if watch.marks_end {
                encoding.bookmark(kind, revision, true, &mut frames.gathered);
            }
            frames.send()?;
            revision
        }
    };
    loop {
        let until = ends.min(Instant::now() + QUIET);
        match feed.wait(kind, revision, until) {
            News::Events(events, known) => {
                for event in &events {
                    frames.event(encoding, event.verb.as_str(), &event.object)?;
                }
                revision = known;
            }
            News::Nothing(known) => {
                revision = known;
                if watch.bookmarks {
                    encoding.bookmark(kind, revision, false, &mut frames.gathered);
                }
            }
            // Ends the watch; the next one is told why.
            News::Gone | News::Closed => return frames.end(),
        }
        frames.send()?;
        if Instant::now() >= ends {
            return frames.end();
        }
    }
}

fn gone() -> Refusal {
    Refusal { status: 410, message: "too old resource version".to_owned() }
}

/// A watch's frames on their way, in HTTP's chunks.
struct Frames<'a, W: Write> {
    output: &'a mut W,
    gathered: Vec<u8>,
}

impl<W: Write> Frames<'_, W> {
    fn head(&mut self, encoding: Encoding) -> io::Result<()> {
        let content_type = encoding.watch_content_type();
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n");
        self.output.write_all(head.as_bytes())
    }

    fn event(&mut self, encoding: Encoding, verb: &str, object: &Object) -> io::Result<()> {
        encoding.event(verb, object, &mut self.gathered);
        if self.gathered.len() >= CHUNK { self.send() } else { Ok(()) }
    }

    /// Sends what is gathered, as one segment where it is small.
    fn send(&mut self) -> io::Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let head = format!("{:x}\r\n", self.gathered.len());
        let chunk = [head.as_bytes(), &self.gathered, b"\r\n"].concat();
        self.gathered.clear();
        self.output.write_all(&chunk)
    }

    fn end(&mut self) -> io::Result<()> {
        self.send()?;
        self.output.write_all(b"0\r\n\r\n")
    }
}
