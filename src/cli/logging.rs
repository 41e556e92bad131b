//! The log, on standard error. kube-proxy's verbosity numbers become levels; RUST_LOG goes before them.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use super::arguments::{Format, Log};
use crate::config::Loaded;

/// Starts logging as flags say, or else as the configuration file does.
pub(super) fn start(log: &Log, loaded: Option<&Loaded>) {
    let (format, verbosity) = loaded.map(|loaded| loaded.logging.clone()).unwrap_or_default();
    let is_json = match log.logging_format {
        Some(format) => format == Format::Json,
        None => format.as_deref() == Some("json"),
    };
    let level = match log.verbosity.or(verbosity).unwrap_or(0) {
        0..=3 => "info",
        4..=5 => "debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Fails only if logging was started before, which is as good.
    let _ = if is_json {
        builder.json().try_init()
    } else {
        builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init()
    };
}
