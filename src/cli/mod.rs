//! The command line: one file a command. Everything that a command prints for its user goes to standard
//! output, everything else is log and goes to standard error.
//!
//! Exit codes: 0 when the command did what it says, 1 when it could not, 2 when it was not understood. `apply` has one
//! more.

mod apply;
mod arguments;
mod check;
mod cleanup;
mod daemon;
mod explain;
mod flags;
mod generate;
mod init_only;
mod json;
mod kernel;
mod logging;
mod render;
mod table;
mod version;
mod write_config;

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

pub use arguments::Arguments;
use arguments::{Command, Sources};

/// Why a command failed. Its text says what happened and what to do; whoever prints it adds nothing.
type Failure = crate::daemon::Failure;

/// Runs the program.
pub fn main() -> ExitCode {
    crate::memory::configure();
    let arguments = Arguments::of(std::env::args_os());
    match run(&arguments) {
        Ok(code) => code,
        Err(failure) => {
            tracing::error!("{failure}");
            ExitCode::FAILURE
        }
    }
}

/// Prints what a command was asked for. A reader who has seen enough (`| head`) is no failure.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let sources = &arguments.sources;
    if let Some(text) = version::asked_for(arguments) {
        return print(&text).map(|()| ExitCode::SUCCESS);
    }
    let Some(command) = &arguments.command else {
        return run_as_flags_say(sources).map(|()| ExitCode::SUCCESS);
    };
    logging::for_command(&sources.logging());
    match command {
        Command::Apply(asked) => return apply::run(sources, asked),
        Command::Check(asked) => return check::run(sources, asked),
        Command::Render(extent) => render::run(sources, extent.only)?,
        Command::Explain(question) => explain::run(sources, question)?,
        Command::Cleanup(leavings) => {
            cleanup::run(leavings.only, sources.ipvs_marks(), sources.state().as_ref())?
        }
        Command::Generate { directory } => generate::run(directory)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Without a command: what kube-proxy does, in its order (reference §10.1).
fn run_as_flags_say(sources: &Sources) -> Result<(), Failure> {
    let flags = sources.flags();
    if let Some(path) = &flags.write_config_to {
        logging::for_command(&sources.logging());
        return write_config::run(sources, path);
    }
    if flags.cleanup {
        logging::for_command(&sources.logging());
        return cleanup::run(None, sources.ipvs_marks(), sources.state().as_ref());
    }
    if flags.init_only { init_only::run(sources) } else { daemon::run(sources) }
}
