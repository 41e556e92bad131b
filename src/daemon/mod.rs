//! The daemon: what is started in which order (reference §10.1), on which threads, and how it ends (§10.2).
//!
//! The loop has a thread of its own, on which nothing else runs: it waits for news, or for the kernel, never for
//! both. Whatever speaks to the outside, watches and servers, runs on a second, small runtime ([`outside`]).
//!
//! Between a source and the loop is what keeps the table on disk, and begins with it if it has to ([`crate::warm`]).
//!
//! In order: the host is set up as the configuration asks; the way to the objects is opened, and a configuration
//! that can never work ends the process; then everything is read ([`first`]); then the kernel is made equal to
//! it; then, in a cluster, what kube-proxy left goes ([`crate::predecessor`]); from there on the loop follows the
//! news. It ends at once when it is told to, or when the configuration file says something else, and the rules
//! stay. The service manager, if there is one, is told of all of this ([`supervisor`]).

mod alarm;
mod attendants;
pub(crate) mod first;
mod ipvs;
mod life;
mod outside;
mod reload;
mod schedulers;
mod stop;
mod supervisor;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kube_verdict_nftables::Netlink;
use prometheus::core::Collector;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::client::{self, Requests};
use crate::config::{Loaded, State};
use crate::events::Events;
use crate::node::{self, Reliance};
use crate::probe::{ProbeMetrics, Probed, Unprobed};
use crate::source::kubernetes::{self, Part};
use crate::source::manifests::{Directory, Follower, follow, follow_when_there};
use crate::source::{Batch, Source};
use crate::warm::{self, Origin, Warm, WarmMetrics};
use life::Life;
use supervisor::Supervisor;

/// Why the daemon ended, in words that are enough by themselves.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Runs until it is told to stop, or cannot go on. Without a directory of manifests objects come from the API
/// server that `clientConnection` leads to.
pub fn run(manifests: Option<PathBuf>, netlink: Netlink, loaded: Loaded) -> Result<(), Failure> {
    let outside = outside::start()?;
    let inside = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let supervisor = Supervisor::new();
    let result =
        inside.block_on(serve(manifests, netlink, loaded, supervisor.clone(), outside.handle().clone()));
    supervisor.stopping(&result);
    // Whoever still speaks to somebody is not waited for.
    outside.shutdown_background();
    result
}

/// Until it is told to stop, or the configuration file says something else.
async fn serve(
    manifests: Option<PathBuf>,
    netlink: Netlink,
    loaded: Loaded,
    supervisor: Supervisor,
    outside: Handle,
) -> Result<(), Failure> {
    let effective = loaded.effective.clone();
    let stop = std::pin::pin!(stop::requested()?);
    match manifests {
        Some(path) => {
            let name = node::name::name(effective.hostname_override.as_deref())?;
            tracing::info!("serving node {name:?} from {}", path.display());
            supervisor.waiting("reading the manifests");
            let origin = Origin { node: name.clone(), source: format!("the directory {}", place(&path)) };
            let (follower, batches) = open(path, effective.state.as_ref(), &origin)?;
            let follower = Arc::new(follower);
            reload::on_hangup(Arc::clone(&follower), supervisor.clone())?;
            let metrics = ProbeMetrics::new()?;
            let mut collectors = Vec::from(metrics.collectors());
            let probed = Probed::new(batches, outside.clone(), metrics, move || follower.recall());
            let (reliance, events) = (Reliance::Optional, Events::none());
            let source = keep(probed, effective.state, origin, reliance, &mut collectors)?;
            let in_sync = "the kernel is as the manifests say";
            Life { netlink, loaded, name, reliance, outside, events, collectors, supervisor, in_sync }
                .live(source, stop)
                .await
        }
        None => {
            let requests = Requests::new()?;
            let access = {
                let _entered = outside.enter();
                client::connect(&effective.client, requests.clone())?
            };
            let name = node::name::name(effective.hostname_override.as_deref())?;
            tracing::info!("serving node {name:?} from the API server {}", access.url);
            supervisor.waiting("waiting for the API server");
            let events = Events::to(access.client.clone(), &name, &outside);
            let part = Part { node_name: name.clone(), proxy_name: effective.service_proxy_name.clone() };
            let watches = Unprobed::new(kubernetes::follow(&access.client, &part, &outside));
            let (reliance, mut collectors) = (Reliance::Required, vec![requests.collector()]);
            let whose = effective.service_proxy_name.as_deref().unwrap_or("everybody");
            let source = format!("the API server {}, for {whose}", access.url);
            let origin = Origin { node: name.clone(), source };
            let source = keep(watches, effective.state, origin, reliance, &mut collectors)?;
            let in_sync = "the kernel is as the API says";
            Life { netlink, loaded, name, reliance, outside, events, collectors, supervisor, in_sync }
                .live(source, stop)
                .await
        }
    }
}

/// Follows a directory. One that cannot be read is waited for if what it said is on disk.
fn open(
    path: PathBuf,
    state: Option<&State>,
    origin: &Origin,
) -> Result<(Follower, mpsc::Receiver<Batch>), Failure> {
    let error = match Directory::open(&path) {
        Ok(directory) => return Ok(follow(directory)?),
        Err(error) => error,
    };
    match state.map(|state| warm::read(state, origin)) {
        Some(Ok(Some(_))) => {}
        Some(Err(refused)) => return Err(format!("{error} (and the table that was kept: {refused})").into()),
        Some(Ok(None)) | None => return Err(error.into()),
    }
    tracing::error!("{error}; it is looked for every second");
    Ok(follow_when_there(path)?)
}

/// A path as it can be found again, from whatever directory it was meant.
fn place(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

/// Has what a source says kept, if it is to be.
fn keep<S: Source>(
    source: S,
    state: Option<State>,
    origin: Origin,
    reliance: Reliance,
    collectors: &mut Vec<Box<dyn Collector>>,
) -> Result<Warm<S>, Failure> {
    let Some(state) = state else { return Ok(Warm::off(source)) };
    let metrics = WarmMetrics::new()?;
    collectors.extend(metrics.collectors());
    Ok(Warm::new(source, state, origin, reliance, metrics))
}
