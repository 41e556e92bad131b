//! HTTP/1 for short questions and short answers: hyper, one connection a question, and limits on everything.
//!
//! Who connects and then dawdles hinders nobody: a connection has some seconds in all, and when there are too
//! many the oldest is closed, so that a prompt client is always served. Bodies of requests are not read.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

/// How long a client may take to ask.
const HEADER: Duration = Duration::from_secs(5);
/// How long a connection may take from beginning to end.
const WHOLE: Duration = Duration::from_secs(15);
/// How much of a request's head is read.
const HEAD_BYTES: usize = 16 << 10;
/// How long to wait when the process has no file descriptors left.
const EXHAUSTED: Duration = Duration::from_secs(1);

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

impl Answer {
    /// Go's headers for JSON that is not to be taken for anything else.
    pub(super) fn json(status: u16, body: String) -> Self {
        Answer { status, headers: nosniff("application/json"), body }
    }

    pub(super) fn text(status: u16, body: String) -> Self {
        Answer { status, headers: nosniff("text/plain; charset=utf-8"), body }
    }

    pub(super) fn not_found() -> Self {
        Answer::text(404, "404 page not found\n".into())
    }
}

fn nosniff(content_type: &str) -> Vec<(&'static str, String)> {
    vec![("Content-Type", content_type.into()), ("X-Content-Type-Options", "nosniff".into())]
}

/// Who answers, to any method. Must not wait for anything.
pub(super) trait Respond: Send + Sync + 'static {
    /// The path is without the query.
    fn respond(&self, path: &str) -> Answer;
}

/// The connections that are open, of one listener or of many.
pub(super) struct Connections {
    most: usize,
    /// oldest first; those that ended are swept out when there seem to be too many
    open: Mutex<VecDeque<AbortHandle>>,
}

impl Connections {
    pub(super) fn at_most(most: usize) -> Arc<Self> {
        Arc::new(Connections { most, open: Mutex::new(VecDeque::new()) })
    }

    fn add(&self, connection: AbortHandle) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= self.most {
            open.retain(|connection| !connection.is_finished());
        }
        if open.len() >= self.most
            && let Some(oldest) = open.pop_front()
        {
            oldest.abort();
        }
        open.push_back(connection);
    }
}

/// Answers everybody who connects, for ever; returns when the listener is of no more use.
pub(super) async fn serve(
    listener: TcpListener,
    responder: Arc<impl Respond>,
    connections: Arc<Connections>,
) -> io::Error {
    let mut is_said = false;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                is_said = false;
                let talk = tokio::spawn(talk(stream, Arc::clone(&responder)));
                connections.add(talk.abort_handle());
            }
            Err(error) if is_passing(&error) => {}
            Err(error) if is_exhaustion(&error) => {
                if !std::mem::replace(&mut is_said, true) {
                    tracing::error!(
                        "cannot accept connections: {error}; trying again (raise the limit of open files)"
                    );
                }
                sleep(EXHAUSTED).await;
            }
            Err(error) => return error,
        }
    }
}

/// The connection failed, not the listener (accept(2)).
fn is_passing(error: &io::Error) -> bool {
    let passing = [
        libc::ECONNABORTED,
        libc::EINTR,
        libc::EPROTO,
        libc::ENETDOWN,
        libc::ENOPROTOOPT,
        libc::EHOSTDOWN,
        libc::ENONET,
        libc::EHOSTUNREACH,
        libc::EOPNOTSUPP,
        libc::ENETUNREACH,
        libc::EPERM,
    ];
    error.raw_os_error().is_some_and(|errno| passing.contains(&errno))
}

fn is_exhaustion(error: &io::Error) -> bool {
    let exhausted = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
    error.raw_os_error().is_some_and(|errno| exhausted.contains(&errno))
}

async fn talk(stream: TcpStream, responder: Arc<impl Respond>) {
    let service = service_fn(|request: Request<Incoming>| {
        let answer = answer(&request, &*responder);
        async move { Ok::<_, Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER)
        .max_buf_size(HEAD_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // What goes wrong with one client is that client's.
    let _ = timeout(WHOLE, connection).await;
}

fn answer(request: &Request<Incoming>, responder: &impl Respond) -> Response<Full<Bytes>> {
    let Answer { status, headers, body } = responder.respond(request.uri().path());
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Instant;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    struct Echo;

    impl Respond for Echo {
        fn respond(&self, path: &str) -> Answer {
            Answer::text(200, format!("you asked for {path}"))
        }
    }

    async fn start(most: usize) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, Arc::new(Echo), Connections::at_most(most)));
        address
    }

    async fn ask(address: SocketAddr, question: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(question.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn every_connection_is_for_one_question() {
        let address = start(8).await;
        let text = ask(address, "PUT /a/b?c=d HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").await;
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
        assert!(text.contains("\r\nconnection: close\r\n"), "{text}");
        assert!(text.ends_with("\r\n\r\nyou asked for /a/b"), "{text}");
    }

    #[tokio::test]
    async fn nonsense_and_huge_heads_are_turned_away() {
        let address = start(8).await;
        assert!(ask(address, "\0\0\0\0\r\n\r\n").await.starts_with("HTTP/1.1 400"));
        let huge = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(HEAD_BYTES * 2));
        let mut stream = TcpStream::connect(address).await.unwrap();
        let _ = stream.write_all(huge.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP/1.1 200"));
    }

    #[tokio::test]
    async fn those_who_dawdle_make_room_for_those_who_ask() {
        let address = start(4).await;
        let begun = Instant::now();
        let mut dawdlers = Vec::new();
        for _ in 0..20 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET / HT").await.unwrap();
            dawdlers.push(stream);
        }
        let text = ask(address, "GET /now HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(text.ends_with("you asked for /now"), "{text}");
        assert!(begun.elapsed() < HEADER, "it was answered before the dawdlers' time was over");
        // The first one was closed in favour of later ones.
        let mut rest = Vec::new();
        let _ = dawdlers[0].read_to_end(&mut rest).await;
        assert!(rest.is_empty());
    }
}
