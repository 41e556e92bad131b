//! The daemon's way to an API server, from the connection to the batches that the loop is given, and what it logs.

use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kube_verdict::client::{self, Requests};
use kube_verdict::config;
use kube_verdict::source::kubernetes::{Part, Watches, follow};
use kube_verdict::source::{Batch, Source};
use kube_verdict_table::objects::ObjectEvent;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tracing::subscriber::DefaultGuard;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was logged, for people to read.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A source that asks a server.
pub struct Client {
    watches: Watches,
    log: Log,
    _logging: DefaultGuard,
}

impl Client {
    /// In a runtime of one thread, whose log is caught.
    pub fn of(url: &str) -> Client {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter("info,kube_client=off,kube_runtime=off")
            .with_ansi(false)
            .with_writer(move || writer.clone());
        let logging = tracing::subscriber::set_default(subscriber.finish());
        let settings = config::Client { kubeconfig: None, master: Some(url.into()), qps: 50.0, burst: 100 };
        let access = client::connect(&settings, Requests::new().unwrap()).unwrap();
        let part = Part { node_name: "n1".into(), proxy_name: None };
        let watches = follow(&access.client, &part, &Handle::current());
        Client { watches, log, _logging: logging }
    }

    pub fn log(&self) -> String {
        String::from_utf8(self.log.0.lock().unwrap().clone()).unwrap()
    }

    /// The next batch.
    pub async fn next(&mut self) -> Batch {
        match tokio::time::timeout(PATIENCE, self.watches.next()).await {
            Ok(batch) => batch.expect("a source that goes on"),
            Err(_) => panic!("nothing came; the log:\n{}", self.log()),
        }
    }

    /// No batch is there, nor comes within this time.
    pub async fn is_silent(&mut self, time: Duration) {
        if let Ok(batch) = tokio::time::timeout(time, self.watches.next()).await {
            panic!("{batch:?}; the log:\n{}", self.log());
        }
    }

    /// Waits until the log says something.
    pub async fn says(&mut self, words: &str) {
        let deadline = tokio::time::Instant::now() + PATIENCE * 3;
        while !self.log().contains(words) {
            assert!(tokio::time::Instant::now() < deadline, "{words:?} is not said:\n{}", self.log());
            // The watches have the same thread.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let longest = self.log().lines().map(str::len).max().unwrap_or_default();
        assert!(longest < 1000, "a line of {longest} bytes in the log");
    }
}

/// What a batch is about.
pub fn words(batch: &Batch) -> String {
    let mut words: Vec<String> = batch
        .events
        .iter()
        .map(|event| match event {
            ObjectEvent::Applied(object) => format!("+{}", object.metadata().name),
            ObjectEvent::Deleted(key) => format!("-{}", key.name),
        })
        .collect();
    words.sort();
    let mut text = words.join(" ");
    if batch.has_gaps {
        let _ = write!(text, " (gaps)");
    }
    text
}

/// A Service.
pub fn service(name: &str, version: u32) -> Value {
    json!({
        "kind": "Service", "apiVersion": "v1",
        "metadata": { "namespace": "default", "name": name, "resourceVersion": version.to_string() },
        "spec": { "clusterIP": "10.96.0.1", "ports": [{ "port": 80 }] },
    })
}
