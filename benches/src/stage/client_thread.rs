//! A client that goes on while something else happens: a thread of its own in the client's namespace.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use super::{Stage, cpu};
use crate::Error;

type Work = Box<dyn FnOnce() + Send>;

/// The thread, until this is dropped: then it finishes what it was given.
#[derive(Debug)]
pub struct ClientThread {
    work: Option<Sender<Work>>,
    thread: Option<JoinHandle<()>>,
}

/// What comes of work that was begun.
#[derive(Debug)]
pub struct Pending<T>(Receiver<T>);

impl ClientThread {
    /// A thread without work.
    pub fn start(stage: &Stage) -> Self {
        let (client, (work, given)) = (stage.client.share(), channel::<Work>());
        let thread = thread::spawn(move || {
            client.enter();
            cpu::pin();
            given.into_iter().for_each(|work| work());
        });
        ClientThread { work: Some(work), thread: Some(thread) }
    }

    /// Gives it work, which it begins when it has done what it was given before.
    pub fn begin<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Pending<T> {
        let (sender, receiver) = channel();
        let work = Box::new(move || {
            let _ = sender.send(work());
        });
        // If the thread has ended, whoever waits is told.
        let _ = self.work.as_ref().map(|queue| queue.send(work));
        Pending(receiver)
    }
}

impl<T> Pending<T> {
    /// Waits for the end of it.
    ///
    /// # Errors
    /// The thread panicked.
    pub fn wait(self) -> Result<T, Error> {
        self.0.recv().map_err(|_| "the client's thread has ended before its work".into())
    }
}

impl Drop for ClientThread {
    fn drop(&mut self) {
        self.work = None;
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
