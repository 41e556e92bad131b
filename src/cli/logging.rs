//! The log, on standard error. kube-proxy's verbosity numbers become levels; RUST_LOG goes before them.
//!
//! A command that answers and leaves speaks to a person: unless asked for more it only says what is wrong, and
//! leaves the time out.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use super::arguments::{Format, Log};
use crate::config::Loaded;

/// Starts logging for the daemon as flags say, or else as the configuration file does.
pub(super) fn for_daemon(log: &Log, loaded: Option<&Loaded>) {
    let (format, verbosity) = loaded.map(|loaded| loaded.logging.clone()).unwrap_or_default();
    let is_json = match log.logging_format {
        Some(format) => format == Format::Json,
        None => format.as_deref() == Some("json"),
    };
    start(is_json, level(log.verbosity.or(verbosity).unwrap_or(0)), true);
}

/// Starts logging for one of the other commands.
pub(super) fn for_command(log: &Log) {
    start(
        log.logging_format == Some(Format::Json),
        log.verbosity.map_or("warn,kube_client=off", level),
        false,
    );
}

/// What a verbosity lets through. What libraries have to say is for those who want every detail: what a request
/// to the API server came to is said by ours.
fn level(verbosity: u32) -> &'static str {
    match verbosity {
        0..=3 => "info,kube_client=off,kube_runtime=off",
        4..=5 => "info,kube_verdict=debug,kube_client=off,kube_runtime=off",
        _ => "trace",
    }
}

fn start(is_json: bool, level: &str, is_timed: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Fails only if logging was started before, which is as good.
    let _ = if is_json {
        builder.json().try_init()
    } else {
        let plain = builder.with_ansi(std::io::stderr().is_terminal()).with_target(false);
        if is_timed { plain.try_init() } else { plain.without_time().try_init() }
    };
}
