//! SIGTERM and SIGINT: the order to end, at once and leaving everything as it is (reference §10.2).

use std::future::Future;
use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Done when one of them came. They are listened to from now on.
pub(super) fn requested() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
