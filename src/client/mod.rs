//! The way to an API server: from `clientConnection` to a client that goes on working while credentials rotate.
//!
//! [`connect`] finds out where the server is ([`origin`]) and gives a client. Behind it is a service of our own
//! ([`renewing`]), which reads the credentials again when their files change, keeps to `qps` and `burst`, and is
//! the one place that says when the server cannot be reached and when it can again ([`outage`]). It does not trust the
//! server with our memory or time: answers have limits ([`limit`]), and watches that end as soon as they begin are asked
//! ever more rarely (`brief`). Whoever asks
//! through it neither knows nor repeats any of that. What is asked for is not this room's business.

mod backoff;
mod brief;
mod bucket;
mod error;
pub mod limit;
mod origin;
mod outage;
mod renewing;
mod requests;
mod stamp;

pub use backoff::{Backoff, chance};
pub use bucket::Bucket;
pub use error::{ClientError, explain, printable};
pub use limit::is_excess;
pub use requests::Requests;

use crate::config;
use origin::Origin;
use renewing::Renewing;

/// A client, and what to call the server in the log.
#[derive(Clone)]
pub struct Access {
    /// asks the server
    pub client: kube::Client,
    /// its URL
    pub url: String,
}

/// Makes a client, whose requests are counted. Nothing is sent yet; a configuration that can never work is an
/// error now. To be called in the runtime that requests are to run on.
pub fn connect(settings: &config::Client, requests: Requests) -> Result<Access, ClientError> {
    let origin = Origin::of(settings);
    let connection = origin.connect()?;
    let url = connection.url.clone();
    let service = Renewing::new(origin, connection, settings, requests);
    Ok(Access { client: kube::Client::new(service, "default"), url })
}
