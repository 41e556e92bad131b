//! A source between a source and the loop: what it hands on knows which endpoints are well.
//!
//! The first batch waits for the first answers, for no longer than an answer may take: a daemon that comes back does
//! not send anybody to an endpoint that its predecessor had taken out. Rules of before stay meanwhile.

use std::time::Duration;

use kube_verdict_table::objects::{AllDown, ObjectEvent};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::book::{Book, Target, Transition};
use super::metrics::ProbeMetrics;
use super::runner::{Answer, Runner};
use crate::source::{Batch, Source};

/// How long the first batch waits at most, whatever a Service says of its endpoints' patience.
const PATIENCE: Duration = Duration::from_secs(3);

/// The source.
pub struct Probed<S> {
    inner: S,
    book: Book,
    runner: Runner,
    answers: mpsc::Receiver<Answer>,
    metrics: ProbeMetrics,
    has_begun: bool,
    /// the first batch, and until when it waits
    held: Option<(Batch, Instant)>,
    /// as the source said last
    has_gaps: bool,
    recall: Box<dyn Fn() + Send>,
}

impl<S: Source> Probed<S> {
    /// Asks the endpoints of this source, on a runtime. `recall` makes the source tell all EndpointSlices once more.
    pub fn new(inner: S, runtime: Handle, metrics: ProbeMetrics, recall: impl Fn() + Send + 'static) -> Self {
        let recall = Box::new(recall);
        let (runner, answers) = Runner::new(runtime);
        let (book, has_begun, held) = (Book::default(), false, None);
        Probed { inner, book, runner, answers, metrics, has_begun, held, has_gaps: false, recall }
    }

    /// What the source says, with what is known of endpoints. None: it waits for the first answers.
    fn absorb(&mut self, batch: Batch) -> Option<Batch> {
        let Batch { events, problems, has_gaps, kept } = batch;
        self.has_gaps = has_gaps;
        let events = self.book.take(events);
        if self.book.lacks_slices() && self.has_begun {
            (self.recall)();
        }
        self.runner.follow(self.book.targets());
        self.metrics.count(self.book.counts());
        let mut batch = Batch { events, problems, has_gaps, kept };
        if let Some((mut held, _)) = self.held.take() {
            held.events.append(&mut batch.events);
            held.problems.append(&mut batch.problems);
            return Some(Batch { has_gaps, ..held });
        }
        if std::mem::replace(&mut self.has_begun, true) || !self.book.is_waiting() {
            return Some(batch);
        }
        let longest = self.book.targets().map(|(_, probe)| probe.timeout).max().unwrap_or_default();
        // A moment more than an answer takes: it has to come here, too.
        let until = Instant::now() + (longest + longest / 10).min(PATIENCE);
        self.held = Some((batch, until));
        None
    }

    /// What follows from an answer.
    fn hear(&mut self, answer: Answer) -> Option<Batch> {
        let Answer { target, result } = answer;
        self.metrics.answered(result.is_ok());
        if let Some((transition, events)) = self.book.answer(&target, result.is_ok()) {
            say(&transition, result.err().as_deref());
            self.metrics.changed(&target.service, transition.is_well);
            self.metrics.count(self.book.counts());
            match &mut self.held {
                Some((held, _)) => held.events.extend(events),
                None => return Some(self.news(events)),
            }
        }
        if self.book.is_waiting() { None } else { self.release() }
    }

    fn news(&self, events: Vec<ObjectEvent>) -> Batch {
        Batch { events, has_gaps: self.has_gaps, ..Batch::default() }
    }

    fn release(&mut self) -> Option<Batch> {
        self.held.take().map(|(batch, _)| batch)
    }
}

impl<S: Source> Source for Probed<S> {
    async fn next(&mut self) -> Option<Batch> {
        loop {
            let until = self.held.as_ref().map(|(_, until)| *until);
            let batch = tokio::select! {
                biased;
                batch = self.inner.next() => {
                    let batch = batch?;
                    self.absorb(batch)
                }
                // The runner has a sender, so there is always another answer.
                Some(answer) = self.answers.recv() => self.hear(answer),
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => self.release(),
            };
            if batch.is_some() {
                return batch;
            }
        }
    }

    fn try_next(&mut self) -> Option<Batch> {
        if let Some(batch) = self.inner.try_next() {
            return self.absorb(batch);
        }
        while let Ok(answer) = self.answers.try_recv() {
            if let Some(batch) = self.hear(answer) {
                return Some(batch);
            }
        }
        None
    }
}

/// Writes a change to the log.
fn say(transition: &Transition, why: Option<&str>) {
    let Transition { target: Target { service, address }, is_well, all_down } = transition;
    let why = why.unwrap_or_default();
    match (is_well, all_down) {
        (true, _) => tracing::info!("{service}: endpoint {address} is well again"),
        (false, None) => tracing::warn!("{service}: endpoint {address} is not well and taken out: {why}"),
        (false, Some(AllDown::Keep)) => tracing::error!(
            "{service}: endpoint {address} is not well, and no other is: those that were well last stay in use: {why}"
        ),
        (false, Some(AllDown::Reject)) => tracing::error!(
            "{service}: endpoint {address} is not well, and no other is: connections are refused: {why}"
        ),
    }
}
