//! How much of an answer is taken in, and for how long, whoever answers: a server that lost its mind, or a machine
//! between us and it, costs a bounded amount of memory.
//!
//! A watch is one answer of many lines, an event each, and has no length; its lines have. One that is too long is
//! spoilt where it reaches the limit and passed over to its end, so that whoever decodes it finds an event that he
//! cannot read, and those after it as usual. Any other answer that is too long is an error. Nothing here waits or
//! reads clocks but the body itself, which ends with an error when its time is over.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::StatusCode;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Bytes in an event of a watch. An object in etcd has 1.5 MiB at most, which may be more as JSON.
pub const EVENT_BYTES: usize = 8 << 20;
/// Bytes in an answer that is no watch. A page of 500 EndpointSlices of 1,000 endpoints each has about 200 MB.
pub const ANSWER_BYTES: usize = 256 << 20;
/// Bytes in an answer that is a refusal.
pub const REFUSAL_BYTES: usize = 64 << 10;
/// How long an answer may take from beginning to end. Watches are asked for less than 290 seconds.
pub const ANSWER_TIME: Duration = Duration::from_secs(330);
/// How long a server may take to begin its answer: API servers give up on a request after 60 seconds.
pub const HEAD_TIME: Duration = Duration::from_secs(90);

/// How much of a line that is too long is shown: enough for kind and name.
const SHOWN: usize = 200;
/// In no JSON text, so that one that was cut is not taken for one that broke off.
const SPOILER: &[u8] = b"\0";

/// An answer is more than anybody has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Excess {
    #[error("its answer has more than the {} MiB that we read", ANSWER_BYTES >> 20)]
    Answer,
    #[error("it refuses ({status}) with more than the {} KiB of reasons that we read", REFUSAL_BYTES >> 10)]
    Refusal { status: StatusCode },
    #[error("its answer was not over after {} s", ANSWER_TIME.as_secs())]
    Time,
}

/// Whether an error is about an answer that was more than is read.
pub fn is_excess(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|error| error.is::<Excess>())
}

/// What an answer is, and so what limits it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// events, a line each
    Watch,
    /// anything else
    Whole,
    /// not what was asked for
    Refusal(StatusCode),
}

/// What became of a line, for the log.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong {
    /// how it begins
    pub(super) beginning: String,
}

/// Bytes of lines, and where they are cut. Without I/O.
#[derive(Debug, Default)]
struct Lines {
    /// bytes of the line so far
    length: usize,
    /// how it begins
    beginning: Vec<u8>,
}

impl Lines {
    /// Takes in what comes next: what is to be passed on, and lines that were found too long.
    fn pass(&mut self, data: Bytes) -> (Bytes, Vec<TooLong>) {
        if self.length.saturating_add(data.len()) <= EVENT_BYTES {
            // No line can become too long by so little: almost always nothing is looked at, cut or copied.
            let begun = data.iter().rposition(|byte| *byte == b'\n').map(|end| end + 1);
            if begun.is_some() {
                *self = Lines::default();
            }
            self.note(&data[begun.unwrap_or_default()..]);
            return (data, Vec::new());
        }
        let mut passed = Vec::with_capacity(data.len().min(EVENT_BYTES));
        let mut too_long = Vec::new();
        for piece in data.split_inclusive(|byte| *byte == b'\n') {
            let room = EVENT_BYTES.saturating_sub(self.length);
            let was_cut = self.length > EVENT_BYTES;
            self.note(piece);
            let ends = piece.ends_with(b"\n");
            if piece.len() <= room {
                passed.extend_from_slice(piece);
            } else {
                passed.extend_from_slice(&piece[..room]);
                if !was_cut {
                    passed.extend_from_slice(SPOILER);
                    let beginning = String::from_utf8_lossy(&self.beginning).into_owned();
                    too_long.push(TooLong { beginning });
                }
                passed.extend_from_slice(if ends { b"\n" } else { b"" });
            }
            if ends {
                *self = Lines::default();
            }
        }
        (passed.into(), too_long)
    }

    /// The line goes on so.
    fn note(&mut self, piece: &[u8]) {
        let wanted = SHOWN.saturating_sub(self.beginning.len()).min(piece.len());
        self.beginning.extend_from_slice(&piece[..wanted]);
        self.length = self.length.saturating_add(piece.len());
    }
}

/// Is told of what a body met, as it happens.
pub(super) trait Watcher: Send + Unpin + 'static {
    /// An event is passed over.
    fn too_long(&mut self, line: TooLong);

    /// It is over; the server ended it.
    fn ended(&mut self);
}

/// An answer's body, within its limits.
pub(super) struct Limited<B, W> {
    body: B,
    sort: Sort,
    length: usize,
    lines: Lines,
    deadline: Pin<Box<Sleep>>,
    watcher: W,
    is_over: bool,
}

impl<B, W> Limited<B, W> {
    /// The clock begins to run.
    pub(super) fn new(body: B, sort: Sort, watcher: W) -> Self {
        let deadline = Box::pin(sleep(ANSWER_TIME));
        Limited { body, sort, length: 0, lines: Lines::default(), deadline, watcher, is_over: false }
    }

    fn excess(&self) -> Option<Excess> {
        match self.sort {
            Sort::Watch => None,
            Sort::Whole => (self.length > ANSWER_BYTES).then_some(Excess::Answer),
            Sort::Refusal(status) => (self.length > REFUSAL_BYTES).then_some(Excess::Refusal { status }),
        }
    }
}

impl<B, W> Body for Limited<B, W>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
    W: Watcher,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        if self.deadline.as_mut().poll(context).is_ready() {
            self.is_over = true;
            return Poll::Ready(Some(Err(Excess::Time.into())));
        }
        let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                self.is_over = true;
                return Poll::Ready(Some(Err(error.into())));
            }
            None => {
                self.is_over = true;
                self.watcher.ended();
                return Poll::Ready(None);
            }
        };
        let Ok(data) = frame.into_data() else { return Poll::Ready(Some(Ok(Frame::data(Bytes::new())))) };
        self.length = self.length.saturating_add(data.len());
        if let Some(excess) = self.excess() {
            self.is_over = true;
            return Poll::Ready(Some(Err(excess.into())));
        }
        if self.sort != Sort::Watch {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        let (data, too_long) = self.lines.pass(data);
        too_long.into_iter().for_each(|line| self.watcher.too_long(line));
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_over
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
#[path = "limit_tests.rs"]
mod tests;
