//! The runtime for everything that speaks to the outside. Two threads: at the start the lists of Services and of
//! EndpointSlices are decoded at the same time.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// Starts it.
pub(super) fn start() -> io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(2).thread_name("outside").enable_all().build()
}
