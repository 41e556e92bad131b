//! The service behind the client: every request goes through here.
//!
//! Before a request it looks whether the files that the client was made of are still the same, at most once a
//! second; if not, a new client takes the old one's place. So a rotated token, certificate or authority works
//! from the next request on, and a watch goes on with it where it was. Watches that are open keep their
//! connection until the server ends it, as it does every few minutes. A file that became unusable is said once;
//! the old client stays in use.
//!
//! An answer is waited for so long, and handed on within its limits ([`super::limit`]).

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::{Method, Request, Response, StatusCode, Uri};
use kube::Client;
use kube::client::Body;
use tokio::time::timeout;
use tower_service::Service;

use super::brief::{Briefs, News};
use super::bucket::Bucket;
use super::error::{explain, printable};
use super::limit::{EVENT_BYTES, HEAD_TIME, Limited, Sort, TooLong, Watcher};
use super::origin::{Connection, Origin};
use super::outage::Outage;
use super::requests::Requests;
use super::stamp::Stamp;
use crate::config;

/// How often files are looked at, at most.
const LOOK: Duration = Duration::from_secs(1);
/// An answer that does not begin within this time is worth a word.
const SLOW: Duration = Duration::from_secs(15);
/// How many lines events that are too long may make at once, and then a second.
const LINES: u32 = 5;
const LINES_PER_SECOND: f64 = 1.0 / 60.0;

/// What a request goes through.
#[derive(Clone)]
pub(super) struct Renewing {
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    origin: Origin,
    client: Client,
    url: String,
    /// the files as they were when the client was made, or when they were found unusable
    stamp: Stamp,
    looked_at: Instant,
    bucket: Bucket,
    outage: Outage,
    briefs: Briefs,
    /// how often events are told of that are too long
    lines: Bucket,
    requests: Requests,
}

impl Renewing {
    pub(super) fn new(
        origin: Origin,
        connection: Connection,
        settings: &config::Client,
        requests: Requests,
    ) -> Self {
        let Connection { client, url, stamp } = connection;
        let looked_at = Instant::now();
        let bucket = Bucket::new(settings.qps, settings.burst, looked_at);
        let outage = Outage::default();
        let briefs = Briefs::default();
        let lines = Bucket::new(LINES_PER_SECOND, LINES, looked_at);
        let shared =
            Shared { origin, client, url, stamp, looked_at, bucket, outage, briefs, lines, requests };
        Renewing { shared: Arc::new(Mutex::new(shared)) }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// The client to use now.
    fn client(&mut self, now: Instant) -> Client {
        if now >= self.looked_at + LOOK {
            self.looked_at = now;
            self.renew();
        }
        self.client.clone()
    }

    fn renew(&mut self) {
        let stamp = self.stamp.renewed();
        if stamp == self.stamp {
            return;
        }
        self.stamp = stamp;
        match self.origin.connect() {
            Ok(Connection { client, url, stamp }) => {
                tracing::info!(
                    "the API server's address or our credentials changed: using {url} with the new ones"
                );
                (self.client, self.url, self.stamp) = (client, url, stamp);
            }
            Err(error) => tracing::error!("{error}; going on with what was there before"),
        }
    }

    /// How long a request has to wait for its turn.
    fn wait(&mut self, is_watch: bool, path: &str, now: Instant) -> Duration {
        let rest = if is_watch { self.briefs.wait(path, now) } else { Duration::ZERO };
        self.bucket.take(now).max(rest)
    }

    /// Counts an answer, and says what is new about the server.
    fn note(&mut self, method: &Method, answer: Result<StatusCode, String>, now: Instant) {
        let code = answer.as_ref().ok().map(StatusCode::as_u16);
        let host = self.url.split("://").last().unwrap_or_default().trim_end_matches('/');
        self.requests.count(code, host, method.as_str());
        match answer.map_or_else(Some, trouble) {
            Some(reason) => self.say(&reason, now),
            None => {
                if let Some(after) = self.outage.succeeded(now) {
                    let url = &self.url;
                    tracing::info!("the API server {url} answers again, after {} s", after.as_secs());
                }
            }
        }
    }

    /// The server is of no use: says it, if that is news.
    fn say(&mut self, reason: &str, now: Instant) {
        let url = &self.url;
        match self.outage.failed(reason, now) {
            Some(Duration::ZERO) => {
                tracing::warn!(
                    "the API server {url} is of no use: {reason}; what is programmed stays; trying again"
                );
            }
            Some(since) => {
                tracing::warn!("the API server {url} is of no use for {} s now: {reason}", since.as_secs());
            }
            None => {}
        }
    }
}

/// Why there was no answer; what the client calls it says nothing.
fn reason(error: &kube::Error) -> String {
    match error {
        kube::Error::Service(error) => explain(&**error),
        kube::Error::HyperError(error) => explain(error),
        other => explain(other),
    }
}

/// What answers mean that the server, or the way to it, has a problem of its own: whoever asked has none.
fn trouble(status: StatusCode) -> Option<String> {
    match status {
        StatusCode::UNAUTHORIZED => Some("it does not accept our credentials (401 Unauthorized)".into()),
        status if status.is_redirection() => Some(format!("it says {status} and sends us elsewhere")),
        StatusCode::TOO_MANY_REQUESTS => Some("it is busy (429 Too Many Requests)".into()),
        status if status.is_server_error() => Some(format!("it says {status}")),
        _ => None,
    }
}

impl Service<Request<Body>> for Renewing {
    type Response = Response<Limited<Body, Report>>;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let (is_watch, path) = (is_watch(request.uri()), request.uri().path().to_owned());
            let wait = this.lock().wait(is_watch, &path, Instant::now());
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            let client = this.lock().client(Instant::now());
            let method = request.method().clone();
            let answer = this.patiently(client.send(request)).await;
            let now = Instant::now();
            this.lock().note(&method, answer.as_ref().map(Response::status).map_err(reason), now);
            let answer = answer?;
            let sort = match answer.status() {
                status if status.is_client_error() || status.is_server_error() => Sort::Refusal(status),
                _ if is_watch => Sort::Watch,
                _ => Sort::Whole,
            };
            let report = Report { shared: this.shared, path, began: now, is_watch: sort == Sort::Watch };
            Ok(answer.map(|body| Limited::new(body, sort, report)))
        })
    }
}

/// Whether a request asks for a watch.
fn is_watch(uri: &Uri) -> bool {
    let mut parameters = uri.query().unwrap_or_default().split('&');
    parameters.any(|parameter| matches!(parameter, "watch=true" | "watch=1"))
}

impl Renewing {
    /// Waits for the beginning of an answer: with a word when that takes long, and not for ever.
    async fn patiently(
        &self,
        answer: impl Future<Output = Result<Response<Body>, kube::Error>>,
    ) -> Result<Response<Body>, kube::Error> {
        let mut answer = std::pin::pin!(answer);
        if let Ok(answer) = timeout(SLOW, &mut answer).await {
            return answer;
        }
        self.lock().say(&format!("it takes more than {} s to answer", SLOW.as_secs()), Instant::now());
        let late = || {
            let message = format!("it did not answer within {} s", HEAD_TIME.as_secs());
            Err(kube::Error::Service(io::Error::new(io::ErrorKind::TimedOut, message).into()))
        };
        timeout(HEAD_TIME - SLOW, answer).await.unwrap_or_else(|_| late())
    }
}

/// What is to be known of an answer's body.
pub(super) struct Report {
    shared: Arc<Mutex<Shared>>,
    path: String,
    began: Instant,
    is_watch: bool,
}

impl Watcher for Report {
    fn too_long(&mut self, line: TooLong) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        // Who sends one may send many.
        if shared.lines.take(Instant::now()).is_zero() {
            tracing::error!(
                "the API server {} sends an event of more than {} MiB at {}: it is passed over, and what is programmed of \
                 its object stays; it begins {}",
                shared.url,
                EVENT_BYTES >> 20,
                self.path,
                printable(&line.beginning)
            );
        }
    }

    fn ended(&mut self) {
        if !self.is_watch {
            return;
        }
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let news = shared.briefs.ended(&self.path, self.began, Instant::now());
        let (url, path) = (&shared.url, &self.path);
        match news {
            Some(News::Bad) => tracing::warn!(
                "the API server {url} ends watches of {path} as soon as they begin: does something on the way to it not \
                 let streams through? What is programmed stays; trying again, ever more rarely"
            ),
            Some(News::Good) => tracing::info!("watches of {path} last again"),
            None => {}
        }
    }
}
