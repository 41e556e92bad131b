//! The Kubernetes API as a source of objects (reference §1.1).
//!
//! Four watches ([`watch`]) run on a runtime of their own and put what changed into one inbox ([`inbox`]), which
//! the loop empties at its own pace. The first batch is everything: it comes when the lists of Services,
//! EndpointSlices and the Node are complete. When a watch is lost, what is known stays known; when it has to begin
//! anew, the new list is one batch of differences ([`known`]). Of the objects nothing is kept here but their names.
//!
//! How the server is reached is the business of [`crate::client`].

pub(crate) mod inbox;
pub(crate) mod known;
mod list;
mod watch;
mod watched;

use std::sync::Arc;

use kube::Client;
use kube_verdict_table::objects::{EndpointSlice, Node, Service, ServiceCidr};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::{Batch, Source};
use inbox::Inbox;
pub use list::{ListError, list};
use watch::watch;
pub use watched::Part;
use watched::{Selectors, Watched};

/// The watches. They end with this value.
#[derive(Debug)]
pub struct Watches {
    inbox: Arc<Inbox>,
    _tasks: JoinSet<()>,
}

/// Watches what a node wants to know, on a runtime.
pub fn follow(client: &Client, part: &Part, runtime: &Handle) -> Watches {
    let inbox = Arc::new(Inbox::default());
    let mut tasks = JoinSet::new();
    begin::<Node>(client, part, &inbox, &mut tasks, runtime);
    begin::<Service>(client, part, &inbox, &mut tasks, runtime);
    begin::<EndpointSlice>(client, part, &inbox, &mut tasks, runtime);
    // Beside another proxy an address that is none of ours may be the other's: not to be dropped.
    if part.proxy_name.is_none() {
        begin::<ServiceCidr>(client, part, &inbox, &mut tasks, runtime);
    }
    Watches { inbox, _tasks: tasks }
}

fn begin<T: Watched>(
    client: &Client,
    part: &Part,
    inbox: &Arc<Inbox>,
    tasks: &mut JoinSet<()>,
    runtime: &Handle,
) {
    let selectors = Selectors::of(T::KIND, part);
    tasks.spawn_on(watch::<T>(client.clone(), selectors, Arc::clone(inbox)), runtime);
}

impl Source for Watches {
    async fn next(&mut self) -> Option<Batch> {
        self.inbox.take().await
    }

    fn try_next(&mut self) -> Option<Batch> {
        self.inbox.try_take()
    }
}
