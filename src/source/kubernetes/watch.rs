//! One kind: its list and its changes, for ever. kube's watcher resumes where a connection broke off and lists
//! anew when the server forgot that point (410); what a list means is worked out by [`super::known`]; pauses after
//! failures are by [`Backoff`].
//!
//! Lists are streamed (KEP-3157). A server that refuses that is asked for pages from then on.
//!
//! Of what cannot be read nothing follows: an event is passed over, and a list in which there was one removes nothing.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use kube::core::Status;
use kube::runtime::watcher::{self, Event, InitialListStrategy, watcher};
use kube::{Api, Client};
use kube_verdict_table::objects::Kind;
use tokio::time::timeout_at;

use super::inbox::{Feeding, Inbox};
use super::known::Known;
use super::watched::{Selectors, Slim, Watched, take_why};
use crate::client::{Backoff, explain, is_excess, printable};

/// How long to wait before asking again for a kind that the server does not have or does not show, if we can do
/// without; and before listing anew what could not be read as a whole.
const ANOTHER_DAY: Duration = Duration::from_secs(600);
/// A server that forgets where a watch was a second time within this does so often.
const OFTEN: Duration = Duration::from_secs(60);

/// After so many events in a row that cannot be read the rest of an answer is not worth reading.
const UNREADABLE: u32 = 100;

/// Watches a kind until the runtime ends.
pub(super) async fn watch<T: Watched>(client: Client, selectors: Selectors, inbox: Arc<Inbox>) {
    let _feeding = Feeding(Arc::clone(&inbox));
    let mut watch = Watch {
        known: Known::new(T::KIND),
        inbox,
        backoff: Backoff::default(),
        said: Vec::new(),
        unreadable: 0,
        expired_at: None,
        anew_at: None,
    };
    let api: Api<Slim<T>> = Api::all(client);
    let mut config = selectors.watch().streaming_lists();
    loop {
        match watch.follow(api.clone(), config.clone()).await {
            Ended::NoStreaming => {
                tracing::info!("the API server does not stream lists of {}: asking for pages", T::PLURAL);
                config.initial_list_strategy = InitialListStrategy::ListWatch;
            }
            Ended::Gaps => tracing::debug!("listing {} anew, as not all could be read", T::PLURAL),
            Ended::Unexpectedly => return,
        }
    }
}

/// So many different things are said of one kind before it is well again.
const SAID: usize = 8;

/// Why a watch ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// the server refused to stream the list
    NoStreaming,
    /// not all could be read, and it is time for another list
    Gaps,
    /// kube's watcher ended, which it does not
    Unexpectedly,
}

struct Watch {
    known: Known,
    inbox: Arc<Inbox>,
    backoff: Backoff,
    /// what was logged since all was well
    said: Vec<String>,
    /// events in a row that could not be read
    unreadable: u32,
    /// when the server last had forgotten where the watch was
    expired_at: Option<Instant>,
    /// when to list anew, because the last list had gaps
    anew_at: Option<Instant>,
}

impl Watch {
    async fn follow<T: Watched>(&mut self, api: Api<Slim<T>>, config: watcher::Config) -> Ended {
        let is_streaming = config.initial_list_strategy == InitialListStrategy::StreamingList;
        let mut events = pin!(watcher(api, config));
        self.anew_at = None;
        loop {
            let next = match self.anew_at {
                Some(at) => match timeout_at(at.into(), events.next()).await {
                    Ok(next) => next,
                    Err(_) => return Ended::Gaps,
                },
                None => events.next().await,
            };
            let pause = match next {
                None => return Ended::Unexpectedly,
                Some(Ok(event)) => self.absorb(event, T::KIND),
                Some(Err(error)) => {
                    let trouble = Trouble::of(&error);
                    if is_streaming && trouble.is_about_streams() {
                        return Ended::NoStreaming;
                    }
                    self.unreadable += u32::from(is_event(&error));
                    self.complain::<T>(&error, trouble)
                }
            };
            if self.unreadable >= UNREADABLE {
                self.unreadable = 0;
                tokio::time::sleep(self.backoff.pause(Instant::now())).await;
                return Ended::Gaps;
            }
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
    }

    /// Takes it in. How long to wait before the next.
    fn absorb<T: Watched>(&mut self, event: Event<Slim<T>>, kind: Kind) -> Duration {
        match event {
            Event::Init => {
                if self.known.list_begins() {
                    if self.is_news("broke off") {
                        tracing::warn!(
                            "the API server's list of {kind}s broke off before its end; trying again, ever more rarely"
                        );
                    }
                    return self.backoff.pause(Instant::now());
                }
            }
            Event::InitApply(slim) => {
                let (object, version) = slim.into_parts();
                self.known.listed(object, &version);
            }
            Event::InitDone => {
                let (events, has_gaps) = self.known.list_ends();
                tracing::debug!(%kind, changes = events.len(), has_gaps, "the API server's list is complete");
                self.inbox.put_list(kind, events, has_gaps);
                self.anew_at = has_gaps.then(|| Instant::now() + ANOTHER_DAY);
                if !has_gaps {
                    self.is_well(kind);
                }
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
        Duration::ZERO
    }

    fn is_well(&mut self, kind: Kind) {
        self.backoff.reset();
        self.unreadable = 0;
        if self.anew_at.is_none() && !std::mem::take(&mut self.said).is_empty() {
            tracing::info!("{kind}s can be watched again");
        }
    }

    /// Says what the server refuses, once; that it cannot be reached is said elsewhere, for all kinds together.
    /// How long to wait.
    fn complain<T: Watched>(&mut self, error: &watcher::Error, trouble: Trouble) -> Duration {
        let now = Instant::now();
        if matches!(error, watcher::Error::InitialListFailed(_)) {
            self.known.list_failed();
        }
        match trouble {
            Trouble::Elsewhere => {
                tracing::debug!("watching {}: {}", T::PLURAL, explain(error));
                self.backoff.pause(now)
            }
            Trouble::Expired => {
                tracing::debug!("the API server forgot where the watch of {} was: listing anew", T::PLURAL);
                // One that forgets all the time is not to send its lists all the time.
                let before = self.expired_at.replace(now);
                match before.is_some_and(|at| now < at + OFTEN) {
                    true => self.backoff.pause(now),
                    false => Duration::ZERO,
                }
            }
            Trouble::Unreadable(what) => {
                let has_gaps = self.known.unreadable();
                if self.is_news(&what) {
                    let kept = if has_gaps {
                        "nothing that the list does not name is taken for deleted"
                    } else {
                        "it stays as it was"
                    };
                    tracing::error!(
                        "an answer about {} cannot be read: {what}: it is passed over, and {kept}",
                        T::PLURAL
                    );
                }
                // An event stands alone: what follows may be as it should.
                if is_event(error) { Duration::ZERO } else { self.backoff.pause(now) }
            }
            Trouble::Refused(403 | 404, message) if T::KIND == Kind::ServiceCidr => {
                if self.is_news(&message) {
                    tracing::info!(
                        "ServiceCIDRs cannot be watched ({message}): unallocated service addresses are not told from \
                         others"
                    );
                }
                ANOTHER_DAY
            }
            Trouble::Refused(_, message) => {
                if self.is_news(&message) {
                    tracing::error!(
                        "{} cannot be watched: {message}; trying again (the ClusterRole system:node-proxier has the \
                         rights)",
                        T::PLURAL
                    );
                }
                self.backoff.pause(now)
            }
        }
    }

    fn is_news(&mut self, message: &str) -> bool {
        let is_news = self.said.len() < SAID && self.said.iter().all(|said| said != message);
        self.said.extend(is_news.then(|| message.to_owned()));
        is_news
    }
}

/// What an error is about.
#[derive(Debug, PartialEq, Eq)]
enum Trouble {
    /// the server or the way to it, and said elsewhere
    Elsewhere,
    /// the server does not know any more where the watch was
    Expired,
    /// what was asked for
    Refused(u16, String),
    /// the answer is not one of this API
    Unreadable(String),
}

impl Trouble {
    fn of(error: &watcher::Error) -> Self {
        use watcher::Error::{
            InitialListFailed, NoResourceVersion, WatchError, WatchFailed, WatchStartFailed,
        };
        let (InitialListFailed(cause) | WatchStartFailed(cause) | WatchFailed(cause)) = error else {
            return match error {
                WatchError(status) => Trouble::of_status(status),
                NoResourceVersion => Trouble::Unreadable("objects have no resourceVersion".into()),
                other => Trouble::Unreadable(explain(other)),
            };
        };
        match cause {
            _ if is_event(error) => {
                let why = match cause {
                    kube::Error::SerdeError(error) => Some(error.to_string()),
                    _ => None,
                };
                let why = take_why().or(why).unwrap_or_else(|| "it is no event".into());
                Trouble::Unreadable(printable(&format!("it is not as the API describes it: {why}")))
            }
            kube::Error::Api(status) => Trouble::of_status(status),
            kube::Error::SerdeError(error) => {
                Trouble::Unreadable(printable(&format!("it is not as the API describes it: {error}")))
            }
            kube::Error::FromUtf8(_) => Trouble::Unreadable("it is no text".into()),
            kube::Error::ReadEvents(error) if error.kind() == io::ErrorKind::InvalidData => {
                Trouble::Unreadable("it is no text".into())
            }
            other if is_excess(other) => Trouble::Unreadable(explain(other)),
            _ => Trouble::Elsewhere,
        }
    }

    /// Whether the server says that it knows no streamed lists.
    fn is_about_streams(&self) -> bool {
        matches!(self, Trouble::Refused(400 | 405 | 406 | 422, _))
    }

    fn of_status(status: &Status) -> Self {
        let is_ours = (400..500).contains(&status.code) && !matches!(status.code, 401 | 408 | 429);
        match status.code {
            410 => Trouble::Expired,
            code if is_ours => Trouble::Refused(code, printable(&status.message)),
            _ => Trouble::Elsewhere,
        }
    }
}

/// Whether an error is about one event of a watch, behind which others may follow. To kube's client one that cannot be
/// decoded is a refusal without words.
fn is_event(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::WatchFailed(kube::Error::SerdeError(_)) => true,
        watcher::Error::WatchFailed(kube::Error::Api(status)) => status.code == 0,
        _ => false,
    }
}
