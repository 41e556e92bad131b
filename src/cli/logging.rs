//! The log, on standard error. kube-proxy's verbosity numbers become levels, and `vmodule` gives other numbers to
//! source files by their names; RUST_LOG goes before both.
//!
//! A command that answers and leaves speaks to a person: unless asked for more it only says what is wrong, and
//! leaves the time out.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use super::json::Json;
use crate::config::Logging;

/// Starts logging for the daemon.
pub(super) fn for_daemon(logging: &Logging) {
    start(logging, level(logging.verbosity), true);
}

/// Starts logging for one of the other commands.
pub(super) fn for_command(logging: &Logging) {
    let level = if logging.verbosity == 0 { "warn,kube_client=off" } else { level(logging.verbosity) };
    start(logging, level, false);
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

fn start(logging: &Logging, level: &str, is_timed: bool) {
    let Logging { is_json, modules, .. } = logging.clone();
    let by_level = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let most = modules.iter().map(|(_, verbosity)| most(*verbosity)).max().unwrap_or(LevelFilter::OFF);
    let by_module = filter_fn(move |metadata| is_wanted(&modules, metadata)).with_max_level_hint(most);
    let output = layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let output = if is_json {
        output.event_format(Json).boxed()
    } else if is_timed {
        output.with_target(false).boxed()
    } else {
        output.with_target(false).without_time().boxed()
    };
    use tracing_subscriber::filter::FilterExt;
    let filtered = output.with_filter(by_level.or(by_module));
    // Fails only if logging was started before, which is as good.
    let _ = tracing_subscriber::registry().with(filtered).try_init();
}

fn most(verbosity: u32) -> LevelFilter {
    match verbosity {
        0..=3 => LevelFilter::INFO,
        4..=5 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    }
}

/// Whether the first pattern that fits the event's source file lets it through.
fn is_wanted(modules: &[(String, u32)], metadata: &Metadata<'_>) -> bool {
    let file = metadata.file().unwrap_or_default();
    let name = file.rsplit('/').next().unwrap_or_default();
    let name = name.strip_suffix(".rs").unwrap_or(name);
    let fitting = modules.iter().find(|(pattern, _)| fits(pattern.as_bytes(), name.as_bytes()));
    fitting.is_some_and(|(_, verbosity)| {
        *metadata.level() <= most(*verbosity).into_level().unwrap_or(Level::INFO)
    })
}

/// `*` is any number of characters, `?` is one.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], name) => name.is_empty(),
        ([b'*', pattern @ ..], name) => (0..=name.len()).any(|skipped| fits(pattern, &name[skipped..])),
        ([b'?', pattern @ ..], [_, name @ ..]) => fits(pattern, name),
        ([character, pattern @ ..], [first, name @ ..]) => character == first && fits(pattern, name),
        (_, []) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("run", "run", true),
            ("run", "runs", false),
            ("r*", "reconciler", true),
            ("*n*r", "reconciler", true),
            ("r?n", "run", true),
            ("r?n", "rn", false),
            ("*", "", true),
            ("?", "", false),
        ] {
            assert_eq!(fits(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }
}
