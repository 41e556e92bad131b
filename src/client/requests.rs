//! How many requests were made and what they came to, under the name that Kubernetes' components give it.

use prometheus::Opts;
use prometheus::core::{AtomicU64, Collector, GenericCounterVec};

/// The counter of a client's requests.
#[derive(Clone, Debug)]
pub struct Requests(GenericCounterVec<AtomicU64>);

impl Requests {
    /// At nothing. An error is a mistake in this programme.
    pub fn new() -> prometheus::Result<Self> {
        let total = Opts::new(
            "rest_client_requests_total",
            "[ALPHA] Number of HTTP requests, partitioned by status code, method, and host.",
        );
        Ok(Requests(GenericCounterVec::new(total, &["code", "host", "method"])?))
    }

    /// To be registered.
    pub fn collector(&self) -> Box<dyn Collector> {
        Box::new(self.0.clone())
    }

    /// Counts one; without a code there was no answer.
    pub(super) fn count(&self, code: Option<u16>, host: &str, method: &str) {
        let code = code.map_or_else(|| "<error>".to_owned(), |code| code.to_string());
        self.0.with_label_values(&[&code, host, method]).inc();
    }
}
