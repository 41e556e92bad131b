//! The service behind the client: every request goes through here.
//!
//! Before a request it looks whether the files that the client was made of are still the same, at most once a
//! second; if not, a new client takes the old one's place. So a rotated token, certificate or authority works
//! from the next request on, and a watch goes on with it where it was. Watches that are open keep their
//! connection until the server ends it, as it does every few minutes. A file that became unusable is said once;
//! the old client stays in use.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::{Method, Request, Response, StatusCode};
use kube::Client;
use kube::client::Body;
use tower_service::Service;

use super::bucket::Bucket;
use super::error::explain;
use super::origin::{Connection, Origin};
use super::outage::Outage;
use super::requests::Requests;
use super::stamp::Stamp;
use crate::config;

/// How often files are looked at, at most.
const LOOK: Duration = Duration::from_secs(1);

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
        let shared = Shared { origin, client, url, stamp, looked_at, bucket, outage, requests };
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

    /// Counts an answer, and says what is new about the server.
    fn note(&mut self, method: &Method, answer: &Result<Response<Body>, kube::Error>, now: Instant) {
        let code = answer.as_ref().ok().map(|response| response.status().as_u16());
        let host = self.url.split("://").last().unwrap_or_default().trim_end_matches('/');
        self.requests.count(code, host, method.as_str());
        let trouble = match answer {
            Ok(response) => trouble(response.status()),
            Err(error) => Some(reason(error)),
        };
        let url = &self.url;
        match trouble {
            Some(reason) => match self.outage.failed(&reason, now) {
                Some(Duration::ZERO) => {
                    tracing::warn!(
                        "the API server {url} is of no use: {reason}; what is programmed stays; trying again"
                    );
                }
                Some(since) => {
                    tracing::warn!(
                        "the API server {url} is of no use for {} s now: {reason}",
                        since.as_secs()
                    );
                }
                None => {}
            },
            None => {
                if let Some(after) = self.outage.succeeded(now) {
                    tracing::info!("the API server {url} answers again, after {} s", after.as_secs());
                }
            }
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
        StatusCode::TOO_MANY_REQUESTS => Some("it is busy (429 Too Many Requests)".into()),
        status if status.is_server_error() => Some(format!("it says {status}")),
        _ => None,
    }
}

impl Service<Request<Body>> for Renewing {
    type Response = Response<Body>;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let wait = this.lock().bucket.take(Instant::now());
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            let client = this.lock().client(Instant::now());
            let method = request.method().clone();
            let answer = client.send(request).await;
            this.lock().note(&method, &answer, Instant::now());
            answer.map_err(Into::into)
        })
    }
}
