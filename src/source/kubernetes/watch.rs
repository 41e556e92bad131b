//! One kind: its list and its changes, for ever. kube's watcher resumes where a connection broke off and lists
//! anew when the server forgot that point (410); what a list means is worked out by [`super::known`]; pauses after
//! failures are by [`super::backoff`].
//!
//! Lists are streamed (KEP-3157). A server that refuses that is asked for pages from then on.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use kube::runtime::watcher::{self, Event, InitialListStrategy, watcher};
use kube::{Api, Client};
use kube_verdict_table::objects::Kind;

use super::backoff::Backoff;
use super::inbox::{Feeding, Inbox};
use super::known::Known;
use super::watched::{Selectors, Slim, Watched};
use crate::client::explain;

/// How long to wait before asking again for a kind that the server does not have or does not show, if we can do
/// without.
const ANOTHER_DAY: Duration = Duration::from_secs(600);

/// Watches a kind until the runtime ends.
pub(super) async fn watch<T: Watched>(client: Client, selectors: Selectors, inbox: Arc<Inbox>) {
    let _feeding = Feeding(Arc::clone(&inbox));
    let mut watch = Watch { known: Known::new(T::KIND), inbox, backoff: Backoff::default(), said: None };
    let api: Api<Slim<T>> = Api::all(client);
    let mut config = selectors.watch().streaming_lists();
    while watch.follow(api.clone(), config.clone()).await == Ended::NoStreaming {
        tracing::info!("the API server does not stream lists of {}: asking for pages", T::PLURAL);
        config.initial_list_strategy = InitialListStrategy::ListWatch;
    }
}

/// Why a watch ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// the server refused to stream the list
    NoStreaming,
    /// kube's watcher ended, which it does not
    Unexpectedly,
}

struct Watch {
    known: Known,
    inbox: Arc<Inbox>,
    backoff: Backoff,
    /// the last refusal that was logged
    said: Option<String>,
}

impl Watch {
    async fn follow<T: Watched>(&mut self, api: Api<Slim<T>>, config: watcher::Config) -> Ended {
        let is_streaming = config.initial_list_strategy == InitialListStrategy::StreamingList;
        let mut events = pin!(watcher(api, config));
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => self.absorb(event, T::KIND),
                Err(error) if is_streaming && is_refusal(&error) => return Ended::NoStreaming,
                Err(error) => {
                    let pause = self.complain::<T>(&error);
                    tokio::time::sleep(pause).await;
                }
            }
        }
        Ended::Unexpectedly
    }

    fn absorb<T: Watched>(&mut self, event: Event<Slim<T>>, kind: Kind) {
        match event {
            Event::Init => self.known.list_begins(),
            Event::InitApply(slim) => {
                let (object, version) = slim.into_parts();
                self.known.listed(object, &version);
            }
            Event::InitDone => {
                let events = self.known.list_ends();
                tracing::debug!(%kind, changes = events.len(), "the API server's list is complete");
                self.inbox.put_list(kind, events);
                self.is_well(kind);
            }
            Event::Apply(slim) => {
                let (object, version) = slim.into_parts();
                self.known.applied(object, &version).into_iter().for_each(|event| self.inbox.put(event));
                self.is_well(kind);
            }
            Event::Delete(slim) => {
                let (object, _) = slim.into_parts();
                self.known.deleted(&object).into_iter().for_each(|event| self.inbox.put(event));
                self.is_well(kind);
            }
        }
    }

    fn is_well(&mut self, kind: Kind) {
        self.backoff.reset();
        if self.said.take().is_some() {
            tracing::info!("{kind}s can be watched again");
        }
    }

    /// Says what the server refuses, once; that it cannot be reached is said elsewhere, for all kinds together.
    /// How long to wait.
    fn complain<T: Watched>(&mut self, error: &watcher::Error) -> Duration {
        let pause = self.backoff.pause(Instant::now());
        let Some((code, message)) = refusal(error) else {
            tracing::debug!("watching {}: {}", T::PLURAL, explain(error));
            return pause;
        };
        if code == 410 {
            tracing::debug!("the API server forgot where the watch of {} was: listing anew", T::PLURAL);
            return Duration::ZERO;
        }
        let is_news = self.said.as_ref() != Some(&message);
        self.said = Some(message.clone());
        if T::KIND == Kind::ServiceCidr && matches!(code, 403 | 404) {
            if is_news {
                tracing::info!(
                    "ServiceCIDRs cannot be watched ({message}): unallocated service addresses are not told from \
                     others"
                );
            }
            return ANOTHER_DAY;
        }
        if is_news {
            tracing::error!(
                "{} cannot be watched: {message}; trying again (the ClusterRole system:node-proxier has the rights)",
                T::PLURAL
            );
        }
        pause
    }
}

/// What the server answered, if it is about what was asked for and not about the server.
fn refusal(error: &watcher::Error) -> Option<(u16, String)> {
    use watcher::Error::{InitialListFailed, WatchError, WatchFailed, WatchStartFailed};
    let status = match error {
        InitialListFailed(kube::Error::Api(status))
        | WatchStartFailed(kube::Error::Api(status))
        | WatchFailed(kube::Error::Api(status))
        | WatchError(status) => status,
        WatchFailed(kube::Error::SerdeError(error)) => {
            return Some((0, format!("an object is not as the API describes it: {error}")));
        }
        _ => return None,
    };
    let is_ours = (400..500).contains(&status.code) && !matches!(status.code, 401 | 408 | 429);
    is_ours.then(|| (status.code, status.message.clone()))
}

/// Whether the server says that it knows no streamed lists.
fn is_refusal(error: &watcher::Error) -> bool {
    refusal(error).is_some_and(|(code, _)| matches!(code, 400 | 405 | 406 | 422))
}
