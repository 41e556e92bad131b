//! The first input: everything, and a node that is known well enough. Nothing is programmed before (reference §9,
//! initial gate; §10.1 step 7).

use std::collections::HashSet;
use std::time::Duration;

use kube_verdict_table::objects::{ObjectEvent, ObjectKey};
use tokio::time::{Instant, timeout_at};

use super::Failure;
use crate::feed::Feed;
use crate::reconcile::{Input, News};
use crate::source::Source;

/// How long the cluster may take to tell of this node, once it tells of anything.
const PATIENCE: Duration = Duration::from_secs(300);

/// So many events are no reason to see which of them are about the same object.
const MORE: usize = 1000;

/// Of the events about one object only the last counts.
fn keep_the_last(events: &mut Vec<ObjectEvent>) {
    let mut seen = HashSet::new();
    let mut kept: Vec<ObjectEvent> = events.drain(..).rev().filter(|event| seen.insert(key(event))).collect();
    kept.reverse();
    *events = kept;
}

fn key(event: &ObjectEvent) -> ObjectKey {
    match event {
        ObjectEvent::Applied(object) => object.key(),
        ObjectEvent::Deleted(key) => key.clone(),
    }
}

/// Waits for it. An API server that does not answer is waited for without end: only what it answers may be a
/// reason to give up.
pub(crate) async fn input<S: Source>(feed: &mut Feed<S>) -> Result<Input, Failure> {
    let mut input = next(feed).await?;
    // A cluster whose table was kept has told nothing yet.
    while input.kept.is_some() && feed.node().missing().is_some() {
        add(&mut input, next(feed).await?);
    }
    let deadline = Instant::now() + PATIENCE;
    let mut said = None;
    // While it is waited for, what changes may change again and again.
    let mut distinct = input.events.len();
    while let Some(missing) = feed.node().missing() {
        if said.as_ref() != Some(&missing) {
            tracing::warn!("{missing}; waiting for it for {} minutes", PATIENCE.as_secs() / 60);
            said = Some(missing.clone());
        }
        let Ok(more) = timeout_at(deadline, next(feed)).await else {
            return Err(
                format!("{missing}; after {} minutes this is given up", PATIENCE.as_secs() / 60).into()
            );
        };
        add(&mut input, more?);
        if input.events.len() >= 2 * distinct + MORE {
            keep_the_last(&mut input.events);
            distinct = input.events.len();
        }
    }
    if input.has_gaps {
        tracing::warn!(
            "until everything can be read, services that only the kernel knows of stay as they are"
        );
    }
    if let Some(message) = feed.node().other_nodes(&input.events) {
        tracing::warn!("{message}");
    }
    Ok(input)
}

fn add(input: &mut Input, more: Input) {
    let Input { events, node, has_gaps, kept } = more;
    input.events.extend(events);
    input.node = node.or(input.node.take());
    (input.has_gaps, input.kept) = (has_gaps, kept);
}

async fn next<S: Source>(feed: &mut Feed<S>) -> Result<Input, Failure> {
    match feed.next().await {
        Some(input) => Ok(input),
        None => Err(feed.ended().into()),
    }
}

#[cfg(test)]
mod tests {
    use kube_verdict_table::objects::Object;
    use serde_json::json;
    use tokio::sync::{mpsc, watch};

    use super::*;
    use crate::config;
    use crate::node::{Interfaces, Reliance, ThisNode};
    use crate::source::Batch;

    fn node(address: &str) -> Batch {
        let value = json!({
            "metadata": { "name": "n1" },
            "status": { "addresses": [{ "type": "InternalIP", "address": address }] },
        });
        let object = Object::Node(serde_json::from_value(value).unwrap());
        Batch { events: vec![ObjectEvent::Applied(object)], ..Batch::default() }
    }

    /// What comes of batches that come some seconds apart, and when.
    async fn waited(batches: Vec<(u64, Batch)>) -> (Result<Input, Failure>, Duration) {
        let (sender, receiver) = mpsc::channel(1);
        let (addresses, interfaces) = watch::channel(Interfaces::default());
        let this = ThisNode::new(
            "n1".into(),
            config::defaults().effective,
            Interfaces::default(),
            Reliance::Required,
        );
        let mut feed = Feed::new(receiver, interfaces, this);
        let start = Instant::now();
        let sending = tokio::spawn(async move {
            // News of the interfaces are none before there is anything else.
            addresses.send_replace(Interfaces::default());
            for (seconds, batch) in batches {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                let _ = sender.send(batch).await;
            }
            std::future::pending::<()>().await;
        });
        let result = input(&mut feed).await;
        sending.abort();
        (result, start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_is_there_is_not_waited_for() {
        let (input, took) = waited(vec![(7000, node("10.0.0.1"))]).await;
        assert_eq!((input.unwrap().events.len(), took), (1, Duration::from_secs(7000)));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_comes_late_is_in_the_first_input() {
        let (input, took) = waited(vec![(0, Batch::default()), (9, node("")), (9, node("10.0.0.1"))]).await;
        let input = input.unwrap();
        assert_eq!((input.events.len(), took), (2, Duration::from_secs(18)));
        assert!(input.node.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn what_changes_while_it_is_waited_for_takes_no_more_room_than_there_are_objects() {
        let service = |n: u32| {
            let value = json!({ "metadata": { "name": "busy", "namespace": n.to_string() } });
            Batch {
                events: vec![ObjectEvent::Applied(Object::Service(serde_json::from_value(value).unwrap()))],
                ..Batch::default()
            }
        };
        let busy = (0..20_000).map(|n| (0, service(n % 10)));
        let batches = std::iter::once((0, Batch::default())).chain(busy).chain([(1, node("10.0.0.1"))]);
        let (input, _) = waited(batches.collect()).await;
        let events = input.unwrap().events;
        assert!(events.len() < 10 + 2 * MORE, "{}", events.len());
        let last =
            events.iter().rev().find(|event| matches!(event, ObjectEvent::Applied(Object::Service(_))));
        assert_eq!(last, service(9).events.first(), "the last word is the last");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_never_comes_is_given_up_with_its_name() {
        let (input, took) = waited(vec![(0, Batch::default()), (200, node(""))]).await;
        let message = input.unwrap_err().to_string();
        assert!(message.contains("Node \"n1\" has neither an InternalIP"), "{message}");
        assert_eq!(took, PATIENCE);
    }
}
