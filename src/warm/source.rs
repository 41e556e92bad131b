//! A source between a source and the loop: it hands on a table that was kept when the first batch is late, and keeps
//! what goes by.
//!
//! A source that is complete in time is not interfered with. When a kept table was handed on, the source's first
//! complete batch brings its own objects, and takes back what it does not have: that is one change. A source with gaps
//! takes nothing back before it has none any more.

use std::collections::HashSet;
use std::io;
use std::time::{Duration, SystemTime};

use kube_verdict_nftables::Netlink;
use kube_verdict_nftables::layout::TABLE;
use kube_verdict_table::Family;
use kube_verdict_table::objects::{Object, ObjectEvent, ObjectKey};
use tokio::time::{Instant, sleep_until};

use super::file::hours;
use super::keeper::Keeper;
use super::{Kept, Origin, WarmMetrics};
use crate::config::State;
use crate::node::{Interfaces, Reliance};
use crate::source::{Batch, Source};

/// How long the source has to become complete before a kept table is looked for; and then the time from one look to
/// the next. An API server that is there tells everything within a second, and health checks of manifests are waited
/// for three.
const GRACE: Duration = Duration::from_secs(5);

/// What has to be known of the node before a kept table is used.
pub trait Scene: Send {
    /// Whether the kernel has rules of ours, of an earlier run.
    fn has_rules(&mut self) -> io::Result<bool>;

    /// Why the kept objects are not this node's, as it is now.
    fn objection(&mut self, objects: &[Object]) -> Option<String>;
}

/// This node.
impl Scene for Reliance {
    fn has_rules(&mut self) -> io::Result<bool> {
        let mut netlink = Netlink::open()?;
        for family in Family::BOTH {
            if netlink.has_table(family, TABLE).map_err(io::Error::other)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn objection(&mut self, objects: &[Object]) -> Option<String> {
        if *self == Reliance::Optional {
            return None;
        }
        let node = objects.iter().find_map(|object| match object {
            Object::Node(node) => Some(node),
            _ => None,
        });
        let ips = node.map(|node| node.ips()).unwrap_or_default();
        if ips.is_empty() {
            return Some("it does not know the node's addresses".into());
        }
        // With another address the node would have to begin anew as soon as its Node object is known.
        let local = Interfaces::read().ok()?.addresses();
        let is_here = ips.iter().any(|ip| local.contains(ip));
        (!is_here).then(|| format!("the node had the address {} then, which no interface has now", ips[0]))
    }
}

/// The source.
pub struct Warm<S> {
    inner: S,
    stage: Stage,
    warmth: Option<Warmth>,
}

enum Stage {
    /// for the first batch, until this moment
    Waiting(Instant),
    /// a kept table was handed on; of it these objects were not heard of since
    Kept { written: SystemTime, left: HashSet<ObjectKey> },
    /// the source has spoken
    Live,
}

/// What it takes to be one.
struct Warmth {
    state: State,
    origin: Origin,
    scene: Box<dyn Scene>,
    keeper: Option<Keeper>,
    metrics: WarmMetrics,
    /// why no kept table is used
    said: Option<Unused>,
}

/// Why no kept table is used.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Unused {
    /// nothing is wrong
    NotNeeded(String),
    /// there is one that is no good
    Refused(String),
}

impl<S: Source> Warm<S> {
    /// Nothing is kept.
    pub fn off(inner: S) -> Self {
        Warm { inner, stage: Stage::Live, warmth: None }
    }

    /// Keeps what goes by, and begins with what was kept if it has to.
    pub fn new(
        inner: S,
        state: State,
        origin: Origin,
        scene: impl Scene + 'static,
        metrics: WarmMetrics,
    ) -> Self {
        let keeper = Keeper::start(super::file(&state), origin.clone(), metrics.clone());
        let complain =
            |error: io::Error| tracing::error!("the table is not kept: no thread can be had: {error}");
        let keeper = keeper.map_err(complain).ok();
        let scene = Box::new(scene);
        let warmth = Some(Warmth { state, origin, scene, keeper, metrics, said: None });
        Warm { inner, stage: Stage::Waiting(Instant::now() + GRACE), warmth }
    }

    /// The source said something.
    fn absorb(&mut self, mut batch: Batch) -> Batch {
        let Some(warmth) = &mut self.warmth else { return batch };
        let mut kept_events = Vec::new();
        if matches!(self.stage, Stage::Waiting(_)) {
            self.stage = Stage::Live;
            // What cannot be read now could be read then.
            if batch.has_gaps
                && let Some(kept) = warmth.kept()
            {
                let told = batch.events.iter().map(ObjectEvent::key).collect();
                (self.stage, kept_events) = begin(kept, &told);
            }
        }
        if let Stage::Kept { written, left } = &mut self.stage {
            let told: HashSet<ObjectKey> = batch.events.iter().map(ObjectEvent::key).collect();
            left.retain(|key| !told.contains(key));
            if batch.has_gaps {
                batch.kept = Some(*written);
            } else {
                tracing::info!(
                    removed = left.len(),
                    "everything can be read again: it takes the place of the table that was kept"
                );
                batch.events.extend(left.drain().map(ObjectEvent::Deleted));
                warmth.metrics.source_took_over();
                self.stage = Stage::Live;
            }
        }
        if let Some(keeper) = &warmth.keeper {
            keeper.note(&batch.events, !batch.has_gaps);
        }
        if !kept_events.is_empty() {
            kept_events.append(&mut batch.events);
            batch.events = kept_events;
        }
        batch
    }

    /// The source is late.
    fn consider(&mut self) -> Option<Batch> {
        let kept = self.warmth.as_mut().and_then(Warmth::kept);
        let Some(kept) = kept else {
            self.stage = Stage::Waiting(Instant::now() + GRACE);
            return None;
        };
        let written = kept.written;
        let (stage, events) = begin(kept, &HashSet::new());
        self.stage = stage;
        Some(Batch { events, kept: Some(written), ..Batch::default() })
    }
}

/// What a kept table says, but for objects of which something newer is known.
fn begin(kept: Kept, told: &HashSet<ObjectKey>) -> (Stage, Vec<ObjectEvent>) {
    let Kept { written, objects } = kept;
    let objects: Vec<Object> = objects.into_iter().filter(|object| !told.contains(&object.key())).collect();
    let left = objects.iter().map(Object::key).collect();
    (Stage::Kept { written, left }, objects.into_iter().map(ObjectEvent::Applied).collect())
}

impl Warmth {
    /// The kept table, if it is to be used; else why not is said, once.
    fn kept(&mut self) -> Option<Kept> {
        match self.try_kept() {
            Ok(kept) => {
                let age = SystemTime::now().duration_since(kept.written).unwrap_or_default();
                tracing::warn!(
                    objects = kept.objects.len(),
                    "{} is not complete: serving the table that was kept in {} {} ago",
                    self.origin.source,
                    super::file(&self.state).display(),
                    hours(&age)
                );
                self.metrics.began_with(kept.written);
                Some(kept)
            }
            Err(why) => {
                if self.said.as_ref() != Some(&why) {
                    let source = &self.origin.source;
                    match &why {
                        Unused::NotNeeded(why) => {
                            tracing::info!("{source} is not complete, and is waited for: {why}");
                        }
                        Unused::Refused(why) => {
                            let path = super::file(&self.state);
                            tracing::warn!(
                                "{source} is not complete, and is waited for: the table in {} is not used: {why}",
                                path.display()
                            );
                            self.metrics.refused();
                        }
                    }
                }
                self.said = Some(why);
                None
            }
        }
    }

    fn try_kept(&mut self) -> Result<Kept, Unused> {
        let not_needed = |why: String| Err(Unused::NotNeeded(why));
        match self.scene.has_rules() {
            Ok(false) => {}
            Ok(true) => return not_needed("the kernel has the rules of an earlier run, which stay".into()),
            Err(error) => {
                return not_needed(format!("the kernel does not say whether it has rules of ours: {error}"));
            }
        }
        let kept = match super::read(&self.state, &self.origin) {
            Ok(Some(kept)) => kept,
            Ok(None) => {
                return not_needed(format!("no table is kept in {}", super::file(&self.state).display()));
            }
            Err(refused) => return Err(Unused::Refused(refused.to_string())),
        };
        match self.scene.objection(&kept.objects) {
            None => Ok(kept),
            Some(objection) => Err(Unused::Refused(objection)),
        }
    }
}

impl<S: Source> Source for Warm<S> {
    async fn next(&mut self) -> Option<Batch> {
        loop {
            let until = match self.stage {
                Stage::Waiting(until) => Some(until),
                _ => None,
            };
            tokio::select! {
                biased;
                batch = self.inner.next() => return batch.map(|batch| self.absorb(batch)),
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {
                    if let Some(batch) = self.consider() {
                        return Some(batch);
                    }
                }
            }
        }
    }

    fn try_next(&mut self) -> Option<Batch> {
        self.inner.try_next().map(|batch| self.absorb(batch))
    }
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
