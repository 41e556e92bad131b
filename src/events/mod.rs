//! Kubernetes Events: what a person who looks at an object with `kubectl describe` should know of this node's
//! proxy. Best effort: told to nobody when there is no cluster, never waited for, few; what matters is in the log
//! as well.
//!
//! Names are kube-proxy's, so that whoever looks for its events finds ours (reference §10.1 step 9, §13.2). What
//! every node of a cluster would say of one object at the same time, as of two Services with the same address, is
//! left to the log. A scheduler of IPVS that a Service asks for and does not get is told although many nodes may: not
//! all nodes have the same kernel, and who may annotate a Service may not read a node's log.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube_verdict_table::objects::{Kind, ObjectKey};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::client::{Bucket, explain};

/// The name that events bear.
const CONTROLLER: &str = "kube-proxy";
/// Events that wait to be told. Beyond that they are dropped.
const WAITING: usize = 64;
/// How many events go out at once, and then how many a second.
const BURST: u32 = 10;
const PER_SECOND: f64 = 1.0;

/// How long an ending process waits for its last events.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Where events go. Clones lead to the same place.
#[derive(Clone, Debug, Default)]
pub struct Events {
    sender: Option<mpsc::Sender<Letter>>,
}

/// What the task is given.
enum Letter {
    /// to be told of an object; boxed because it is large and channels keep room
    Event(Box<(ObjectReference, Event)>),
    /// everything before this was told, or lost
    End(oneshot::Sender<()>),
}

impl Events {
    /// Nowhere: there is no cluster.
    pub fn none() -> Self {
        Events::default()
    }

    /// To an API server, by a task on a runtime.
    pub fn to(client: Client, node_name: &str, runtime: &Handle) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        let reporter = Reporter { controller: CONTROLLER.into(), instance: Some(node_name.into()) };
        runtime.spawn(tell(Recorder::new(client, reporter), receiver));
        Events { sender: Some(sender) }
    }

    /// Something that is as it should be.
    pub fn say(&self, object: &ObjectKey, reason: &str, action: &str, message: impl Into<String>) {
        self.put(EventType::Normal, object, reason, action, message.into());
    }

    /// Something that somebody should look at.
    pub fn warn(&self, object: &ObjectKey, reason: &str, action: &str, message: impl Into<String>) {
        self.put(EventType::Warning, object, reason, action, message.into());
    }

    /// Waits until what was said is told, for a moment: for a process that is about to end.
    pub async fn settle(&self) {
        let Some(sender) = &self.sender else { return };
        let (done, told) = oneshot::channel();
        let telling = async {
            if sender.send(Letter::End(done)).await.is_ok() {
                let _ = told.await;
            }
        };
        let _ = tokio::time::timeout(LAST_WORDS, telling).await;
    }

    fn put(&self, type_: EventType, object: &ObjectKey, reason: &str, action: &str, message: String) {
        let Some(sender) = &self.sender else { return };
        let (reason, action, note) = (reason.to_owned(), action.to_owned(), Some(message));
        let event = Event { type_, reason, note, action, secondary: None };
        if sender.try_send(Letter::Event(Box::new((reference(object), event)))).is_err() {
            tracing::debug!("an Event about {object} is dropped: too many wait");
        }
    }
}

/// A Node, to be named in an event.
pub fn node(name: &str) -> ObjectKey {
    ObjectKey { kind: Kind::Node, namespace: "".into(), name: name.into() }
}

fn reference(object: &ObjectKey) -> ObjectReference {
    let group = object.kind.api_group();
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    ObjectReference {
        api_version: Some(if group.is_empty() { "v1".into() } else { format!("{group}/v1") }),
        kind: Some(object.kind.name().into()),
        namespace: text(&object.namespace),
        name: text(&object.name),
        // kubectl finds a Node's events by this, which is its name for every component that speaks of nodes.
        uid: text(&object.name).filter(|_| object.kind == Kind::Node),
        ..ObjectReference::default()
    }
}

async fn tell(recorder: Recorder, mut letters: mpsc::Receiver<Letter>) {
    let mut bucket = Bucket::new(PER_SECOND, BURST, Instant::now());
    while let Some(letter) = letters.recv().await {
        let (object, event) = match letter {
            Letter::Event(letter) => *letter,
            Letter::End(done) => {
                let _ = done.send(());
                continue;
            }
        };
        tokio::time::sleep(bucket.take(Instant::now())).await;
        if let Err(error) = recorder.publish(&event, &object).await {
            tracing::debug!("the Event {} is lost: {}", event.reason, explain(&error));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_referred_to_by_its_name_alone() {
        let node = reference(&node("n1"));
        assert_eq!(
            (node.name.as_deref(), node.uid.as_deref(), node.namespace),
            (Some("n1"), Some("n1"), None)
        );
        let key = ObjectKey { kind: Kind::Service, namespace: "default".into(), name: "web".into() };
        let service = reference(&key);
        assert_eq!((service.api_version.as_deref(), service.uid), (Some("v1"), None));
        assert_eq!(service.namespace.as_deref(), Some("default"));
    }

    #[tokio::test(start_paused = true)]
    async fn last_words_are_not_waited_for_without_end() {
        let (sender, _receiver) = mpsc::channel(1);
        Events { sender: Some(sender) }.settle().await;
        Events::none().settle().await;
    }

    #[tokio::test]
    async fn saying_something_never_waits() {
        let (sender, mut receiver) = mpsc::channel(2);
        let events = Events { sender: Some(sender) };
        for _ in 0..5 {
            events.warn(&node("n1"), "Reason", "Action", "words");
        }
        drop(events);
        let mut told = 0;
        while receiver.recv().await.is_some() {
            told += 1;
        }
        assert_eq!(told, 2);
        Events::none().say(&node("n1"), "Reason", "Action", "words");
    }
}
